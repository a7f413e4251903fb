//! Live capture by eBPF, with the programs as users run them. Needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use twintap_archive::Reader;
use twintap_stream::message::MessageState;
use twintap_tests::scenario::expect_success;
use twintap_tests::shop::{self, Shop};
use twintap_tests::{Cgroup, Privileges, Scenario, skip};

const LARGE: usize = 32 << 20;

/// A scenario for a privileged test, or `None` after saying why not.
fn scenario(test: &str) -> Result<Option<(Scenario, tempfile::TempDir)>> {
    if let Some(missing) = Privileges::of_this_process().missing() {
        skip(test, &format!("live capture needs {missing}"));
        return Ok(None);
    }
    let (directory, scenario) = Scenario::temporary("allow-all")?;
    Ok(Some((scenario, directory)))
}

#[test]
fn large_bodies_come_out_as_they_went_in() -> Result<()> {
    let Some((scenario, _directory)) = scenario("large_bodies_come_out_as_they_went_in")? else {
        return Ok(());
    };
    let sent: Vec<u8> = (0..LARGE)
        .map(|i| (i * 31 % 251) as u8 ^ (i >> 13) as u8)
        .collect();
    // Builds without optimisation take less than loopback gives: nothing shall be shed here, so
    // there is room, and the bodies come at a walk.
    let received = scenario.capture_live(&["--memory-budget", "256MiB"], |address| {
        upload(address, &sent)?;
        download(address)
    })?;
    ensure!(
        received.len() == LARGE,
        "downloaded {} bytes",
        received.len()
    );

    let reader = Reader::open(scenario.archive())?;
    let mut found = 0;
    for stored in reader.exchanges() {
        let stored = stored?;
        let exchange = stored.exchange();
        let (body, expected) = match exchange.request.head.as_ref().map(|head| &head.method[..]) {
            Some(b"POST") => (&stored.request_body, &sent),
            Some(b"GET") => (&stored.response_body, &received),
            _ => continue,
        };
        ensure!(exchange.request.state == MessageState::Complete);
        ensure!(exchange.response.state == MessageState::Complete);
        let mut hasher = Sha256::new();
        for chunk in reader.body(body) {
            hasher.update(&*chunk?);
        }
        ensure!(
            hasher.finalize() == Sha256::digest(expected),
            "a body of {} bytes differs from the {} that went over the wire",
            body.bytes(),
            expected.len()
        );
        found += 1;
    }
    ensure!(found == 2, "found {found} of 2 exchanges");
    ensure_ledgers_close(&reader)
}

#[test]
fn a_killed_daemon_loses_and_repeats_nothing() -> Result<()> {
    let Some((scenario, _directory)) = scenario("a_killed_daemon_loses_and_repeats_nothing")?
    else {
        return Ok(());
    };
    let cgroup = Cgroup::new("shop")?;
    let shop = Shop::start(scenario.binaries(), &scenario.logs(), Some(&cgroup), &[])?;
    let mut daemon = scenario.daemon(0, &[])?;
    let mut agent = scenario.agent(daemon.address, &cgroup, shop.address.port(), &[])?;

    let drive = |users: &str, seed: &str| {
        let flags = [
            "--users",
            users,
            "--duration",
            "6",
            "--think-ms",
            "20..200",
            "--seed",
            seed,
        ];
        shop::drive(
            scenario.binaries(),
            &scenario.logs(),
            shop.address,
            &flags,
            Duration::from_secs(90),
        )
    };
    let (summary, restarted) = std::thread::scope(|scope| {
        let driver = scope.spawn(|| drive("60", "1"));
        std::thread::sleep(Duration::from_secs(2));
        let port = daemon.address.port();
        daemon.process.kill()?;
        std::thread::sleep(Duration::from_millis(700));
        let restarted = scenario.daemon(port, &[])?;
        let summary = driver
            .join()
            .map_err(|_| anyhow::anyhow!("the driver panicked"))??;
        anyhow::Ok((summary, restarted))
    })?;
    let mut daemon = restarted;
    expect_success("the agent", &mut agent)?;
    expect_success("the daemon", &mut daemon.process)?;

    let reader = Reader::open(scenario.archive())?;
    let mut ids = BTreeSet::new();
    let mut complete = 0;
    let mut partial = BTreeMap::new();
    for stored in reader.exchanges() {
        let stored = stored?;
        let exchange = stored.exchange();
        ensure!(
            ids.insert(exchange.id.clone()),
            "{} is stored twice",
            exchange.id
        );
        let states = (exchange.request.state, exchange.response.state);
        if states == (MessageState::Complete, MessageState::Complete) {
            complete += 1;
        } else {
            *partial.entry(format!("{states:?}")).or_insert(0) += 1;
        }
    }
    let driven = summary
        .get("exchanges")
        .and_then(Value::as_u64)
        .context("a count")?;
    ensure!(driven > 500, "only {driven} exchanges were driven");
    // The agent's budget held everything that the dead daemon had not stored.
    ensure!(
        complete == driven && partial.is_empty(),
        "{complete} complete exchanges of {driven}, others: {partial:?}"
    );
    ensure_ledgers_close(&reader)
}

#[test]
fn a_killed_agent_leaves_no_program_attached() -> Result<()> {
    let Some((scenario, _directory)) = scenario("a_killed_agent_leaves_no_program_attached")?
    else {
        return Ok(());
    };
    let cgroup = Cgroup::new("shop")?;
    let shop = Shop::start(scenario.binaries(), &scenario.logs(), Some(&cgroup), &[])?;
    let daemon = scenario.daemon(0, &[])?;
    let mut agent = scenario.agent(daemon.address, &cgroup, shop.address.port(), &[])?;
    ensure!(
        attached(&cgroup)? > 0,
        "no program is attached while the agent lives"
    );
    agent.kill()?;
    // The kernel detaches when the last descriptor is closed, which is deferred work.
    for _ in 0..100 {
        if attached(&cgroup)? == 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("{} programs are still attached", attached(&cgroup)?)
}

/// Programs attached to the cgroup.
fn attached(cgroup: &Cgroup) -> Result<usize> {
    let output = std::process::Command::new("bpftool")
        .args(["--json", "cgroup", "show"])
        .arg(cgroup.path())
        .output()
        .context("running bpftool")?;
    if output.stdout.trim_ascii().is_empty() {
        return Ok(0);
    }
    let programs: Value = serde_json::from_slice(&output.stdout).context("bpftool's output")?;
    Ok(programs.as_array().map_or(0, Vec::len))
}

fn ensure_ledgers_close(reader: &Reader) -> Result<()> {
    let checkpoint = reader.checkpoint()?.context("a checkpoint")?;
    for capture in &checkpoint.captures {
        ensure!(
            capture.kernel.closes(),
            "kernel ledger: {:?}",
            capture.kernel
        );
        ensure!(capture.store.closes(), "store ledger: {:?}", capture.store);
    }
    Ok(())
}

/// Bytes between two pauses of who sends or receives a large body.
const STEP: usize = 1 << 20;
const PAUSE: Duration = Duration::from_millis(25);

fn upload(address: SocketAddr, body: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "POST /uploads HTTP/1.1\r\nHost: shop\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    for slice in body.chunks(STEP) {
        stream.write_all(slice)?;
        std::thread::sleep(PAUSE);
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

fn download(address: SocketAddr) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "GET /downloads/manual.bin?size={LARGE} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    while (&mut stream).take(STEP as u64).read_to_end(&mut answer)? > 0 {
        std::thread::sleep(PAUSE);
    }
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("a head")?;
    Ok(answer.split_off(end + 4))
}
