//! A daemon that is reached by TLS takes only those whom its CA vouches for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use twintap_archive::Reader;
use twintap_stream::message::MessageState;
use twintap_tests::process::Start;
use twintap_tests::scenario::{Daemon, expect_success};
use twintap_tests::shop::{self, Shop};
use twintap_tests::{Cgroup, Privileges, Process, Scenario, skip};

const LIMIT: Duration = Duration::from_secs(60);

struct Play {
    scenario: Scenario,
    daemon: Daemon,
    directory: tempfile::TempDir,
}

impl Play {
    /// A daemon with certificates of its own, and a second set that it knows nothing of.
    fn new() -> Result<Play> {
        let (directory, scenario) = Scenario::temporary("allow-all")?;
        for set in ["known", "unknown"] {
            let out = text(&directory.path().join(set));
            let (code, output) = scenario.twintap(&[
                "certs",
                "--out",
                &out,
                "--daemon",
                "localhost",
                "--daemon",
                "127.0.0.1",
                "--agent",
                "node-1",
                "--agent",
                "someone",
            ])?;
            ensure!(code == 0, "{output}");
        }
        let known = |name: &str| text(&directory.path().join("known").join(name));
        let daemon = scenario.daemon(
            0,
            &[
                "--tls-cert",
                &known("daemon.pem"),
                "--tls-key",
                &known("daemon.key"),
                "--tls-client-ca",
                &known("ca.pem"),
            ],
        )?;
        Ok(Play {
            scenario,
            daemon,
            directory,
        })
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.daemon.address.port())
    }

    fn file(&self, set: &str, name: &str) -> String {
        text(&self.directory.path().join(set).join(name))
    }

    /// `twintap ctl captures` with the CA of one set, and the certificate of one.
    fn ctl(&self, url: &str, ca: Option<&str>, own: Option<&str>) -> Result<(i32, String)> {
        let mut args = vec!["ctl".to_owned(), "--daemon".to_owned(), url.to_owned()];
        if let Some(set) = ca {
            args.extend(["--tls-ca".to_owned(), self.file(set, "ca.pem")]);
        }
        if let Some(set) = own {
            args.extend(["--tls-cert".to_owned(), self.file(set, "someone.pem")]);
            args.extend(["--tls-key".to_owned(), self.file(set, "someone.key")]);
        }
        args.push("captures".to_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.scenario.twintap(&args)
    }

    /// An agent with a certificate of this set.
    fn agent(&self, set: &str, cgroup: &Cgroup, port: u16) -> Result<Process> {
        let args = [
            "--daemon".to_owned(),
            self.url("localhost"),
            "--cgroup".to_owned(),
            text(cgroup.path()),
            "--port".to_owned(),
            port.to_string(),
            "--node".to_owned(),
            "node-1".to_owned(),
            "--tls-ca".to_owned(),
            self.file("known", "ca.pem"),
            "--tls-cert".to_owned(),
            self.file(set, "node-1.pem"),
            "--tls-key".to_owned(),
            self.file(set, "node-1.key"),
            "--drain-seconds".to_owned(),
            "2".to_owned(),
        ];
        let program = self.scenario.binaries().path("twintap-agent")?;
        let mut process = Start::new(program, args, &self.scenario.logs()).spawn()?;
        process.wait_for_line("capturing", LIMIT)?;
        Ok(process)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Waits until a log has a line with all of these.
fn wait_for_log(log: &Path, words: &[&str]) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let text = fs::read_to_string(log)?;
        if text
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)))
        {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} has no line with {words:?}:\n{text}", log.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn ctl_needs_a_certificate_that_the_daemon_knows() -> Result<()> {
    let mut play = Play::new()?;
    for host in ["localhost", "127.0.0.1"] {
        let (code, output) = play.ctl(&play.url(host), Some("known"), Some("known"))?;
        ensure!(code == 0, "{host}: {output}");
    }

    let refused = |url: &str, ca, own, expected: &str| -> Result<()> {
        let (code, output) = play.ctl(url, ca, own)?;
        ensure!(
            code == 3,
            "{ca:?}, {own:?} at {url} ended with {code}: {output}"
        );
        ensure!(
            output.to_lowercase().contains(expected),
            "{ca:?}, {own:?} at {url}: {output:?} lacks {expected:?}"
        );
        Ok(())
    };
    let daemon = play.url("localhost");
    refused(&daemon, Some("known"), None, "certificate")?;
    refused(&daemon, Some("known"), Some("unknown"), "certificate")?;
    refused(&daemon, Some("unknown"), Some("known"), "certificate")?;
    refused(&daemon, None, Some("known"), "certificate")?;
    let plain = format!("http://{}", play.daemon.address);
    refused(&plain, None, None, "https")?;
    wait_for_log(play.daemon.process.log(), &["WARN", "certificate"])?;
    expect_success("the daemon", &mut play.daemon.process)
}

#[test]
fn certificates_are_never_overwritten_and_keys_are_private() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let play = Play::new()?;
    let known: PathBuf = play.directory.path().join("known");
    let before = fs::read(known.join("ca.key"))?;
    let (code, output) =
        play.scenario
            .twintap(&["certs", "--out", &text(&known), "--daemon", "localhost"])?;
    ensure!(code == 3 && output.contains("ca.pem"), "{code}: {output}");
    ensure!(fs::read(known.join("ca.key"))? == before);
    for name in ["ca.key", "daemon.key", "node-1.key"] {
        let mode = fs::metadata(known.join(name))?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{name} has mode {mode:o}");
    }
    Ok(())
}

#[test]
fn an_agent_ships_by_tls_and_only_with_a_known_certificate() -> Result<()> {
    let test = "an_agent_ships_by_tls_and_only_with_a_known_certificate";
    if let Some(missing) = Privileges::of_this_process().missing() {
        skip(test, &format!("live capture needs {missing}"));
        return Ok(());
    }
    let mut play = Play::new()?;
    let (binaries, logs) = (play.scenario.binaries(), play.scenario.logs());
    let cgroup = Cgroup::new("shop")?;
    let shop = Shop::start(binaries, &logs, Some(&cgroup), &[])?;

    let mut stranger = play.agent("unknown", &cgroup, shop.address.port())?;
    wait_for_log(stranger.log(), &["not connected", "UnknownCA"])?;
    wait_for_log(play.daemon.process.log(), &["WARN", "certificate"])?;
    // It could ship nothing, and ends all the same.
    expect_success("the agent with an unknown certificate", &mut stranger)?;

    let mut agent = play.agent("known", &cgroup, shop.address.port())?;
    let summary = shop::drive(
        binaries,
        &logs,
        shop.address,
        &["--users", "10", "--duration", "3"],
        Duration::from_secs(90),
    )?;
    expect_success("the agent", &mut agent)?;
    expect_success("the daemon", &mut play.daemon.process)?;

    let reader = Reader::open(play.scenario.archive())?;
    let mut complete = 0;
    for stored in reader.exchanges() {
        let stored = stored?;
        let exchange = stored.exchange();
        ensure!(exchange.request.state == MessageState::Complete);
        ensure!(exchange.response.state == MessageState::Complete);
        complete += 1;
    }
    let driven = summary["exchanges"].as_u64().context("a count")?;
    ensure!(
        driven > 0 && complete == driven,
        "{complete} exchanges arrived of {driven}"
    );
    Ok(())
}
