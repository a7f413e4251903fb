//! How a daemon steers a real agent: orders for flows, and the switch that ends all
//! capture. Needs root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_archive::{Capture, Reader};
use twintap_tests::scenario::{Daemon, expect_success};
use twintap_tests::shop::Shop;
use twintap_tests::{Cgroup, Privileges, Process, Scenario, skip};

const LIMIT: Duration = Duration::from_secs(30);

/// A shop, an agent that captures it, and the daemon.
struct Play {
    scenario: Scenario,
    shop: Shop,
    daemon: Daemon,
    agent: Process,
    _cgroup: Cgroup,
    _directory: tempfile::TempDir,
}

impl Play {
    fn new(test: &str, daemon_flags: &[&str]) -> Result<Option<Play>> {
        if let Some(missing) = Privileges::of_this_process().missing() {
            skip(test, &format!("live capture needs {missing}"));
            return Ok(None);
        }
        let (directory, scenario) = Scenario::temporary("allow-all")?;
        let cgroup = Cgroup::new("shop")?;
        let shop = Shop::start(scenario.binaries(), &scenario.logs(), Some(&cgroup), &[])?;
        let flags = [&["--metrics-addr", "127.0.0.1:0"], daemon_flags].concat();
        let daemon = scenario.daemon(0, &flags)?;
        let agent = scenario.agent(daemon.address, &cgroup, shop.address.port(), &[])?;
        let play = Play {
            scenario,
            shop,
            daemon,
            agent,
            _cgroup: cgroup,
            _directory: directory,
        };
        // It captures before the daemon knows of it.
        play.wait(|agent| agent["connected"] == true)?;
        Ok(Some(play))
    }

    /// The listing of the agent, null while the daemon knows of none.
    fn agents(&self, words: &[&str]) -> Result<Value> {
        let daemon = format!("http://{}", self.daemon.address);
        let head = ["ctl", "--daemon", &daemon, "--format", "jsonl", "agents"];
        let (code, output) = self.scenario.twintap(&[&head, words].concat())?;
        ensure!(code == 0, "{output}");
        if output.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&output).with_context(|| format!("one agent, not {output:?}"))
    }

    /// Waits until the agent's listing is as `done` says.
    fn wait(&self, done: impl Fn(&Value) -> bool) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let agent = self.agents(&[])?;
            if done(&agent) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it never came about: {agent}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends all; gives the capture and the targets that are stored.
    fn end(mut self) -> Result<(Capture, Vec<String>)> {
        expect_success("the agent", &mut self.agent)?;
        expect_success("the daemon", &mut self.daemon.process)?;
        let reader = Reader::open(self.scenario.archive())?;
        let checkpoint = reader.checkpoint()?.context("a checkpoint")?;
        let capture = checkpoint.captures.into_iter().next();
        let capture = capture.context("a capture")?;
        ensure!(capture.kernel.closes(), "{:?}", capture.kernel);
        ensure!(capture.store.closes(), "{:?}", capture.store);
        let mut targets = Vec::new();
        for exchange in reader.exchanges() {
            let exchange = exchange?;
            let head = exchange.exchange().request.head.as_ref();
            let target = head.map_or(&b""[..], |head| &head.target);
            targets.push(String::from_utf8_lossy(target).into_owned());
        }
        targets.sort();
        Ok((capture, targets))
    }
}

fn get(address: SocketAddr, target: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 "), "no answer");
    Ok(())
}

/// Sends a body in two halves, the second once `between` has come about.
fn upload(address: SocketAddr, half: usize, between: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let total = 2 * half;
    write!(
        stream,
        "POST /uploads HTTP/1.1\r\nHost: shop\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {total}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&vec![b'x'; half])?;
    between()?;
    stream.write_all(&vec![b'y'; half])?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the upload failed");
    Ok(())
}

#[test]
fn paused_agents_capture_nothing_until_they_are_resumed() -> Result<()> {
    let name = "paused_agents_capture_nothing_until_they_are_resumed";
    let Some(play) = Play::new(name, &[])? else {
        return Ok(());
    };
    get(play.shop.address, "/products?page=1")?;
    // It returns when the agent has said that it does.
    let agent = play.agents(&["pause"])?;
    ensure!(agent["paused"] == true, "{agent}");
    get(play.shop.address, "/products?page=2")?;
    let agent = play.agents(&["resume"])?;
    ensure!(agent["paused"] == false, "{agent}");
    get(play.shop.address, "/products?page=3")?;
    let (_, targets) = play.end()?;
    ensure!(
        targets == ["/products?page=1", "/products?page=3"],
        "{targets:?}"
    );
    Ok(())
}

#[test]
fn a_protected_endpoint_s_payload_is_not_copied() -> Result<()> {
    const HALF: usize = 1 << 20;
    let name = "a_protected_endpoint_s_payload_is_not_copied";
    let Some(play) = Play::new(name, &["--protect", "POST /uploads"])? else {
        return Ok(());
    };
    get(play.shop.address, "/products?page=1")?;
    upload(play.shop.address, HALF, || {
        play.wait(|agent| agent["headers_only_orders"] == 1)
    })?;
    let (capture, targets) = play.end()?;
    ensure!(targets == ["/products?page=1"], "{targets:?}");
    let discarded = &capture.store.discarded;
    ensure!(discarded.get("protected") == Some(&1), "{discarded:?}");
    let dropped = capture.kernel.dropped.get("headers_only");
    let kept_back = dropped.context("nothing was kept back")?.bytes;
    ensure!(kept_back >= HALF as u64, "{:?}", capture.kernel);
    Ok(())
}
