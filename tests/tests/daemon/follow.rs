//! A run that follows what the daemon takes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::ship::{Ship, exchange, frame, payload_bytes};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use twintap_proto::v1::ClockReading;
use twintap_tests::Scenario;
use twintap_tests::scenario::Daemon;

const LIMIT: Duration = Duration::from_secs(60);
const TWINS: [&str; 2] = ["candidate", "baseline"];
const EXCHANGES: u64 = 20;

/// A twin that answers everything alike.
struct Twin {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Twin {
    fn start() -> Result<Twin> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                // A connection that breaks is the run's to tell of.
                thread::spawn(move || serve(stream, &seen).ok());
            }
        });
        Ok(Twin { address, lines })
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no thread failed").clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut head = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        if !line.is_empty() {
            head.push(line);
            continue;
        }
        let mut lines = seen.lock().expect("no thread failed");
        lines.push(std::mem::take(&mut head).swap_remove(0));
        drop(lines);
        writer.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\nwhole",
        )?;
    }
    Ok(())
}

/// `twintap ctl`: the object that it prints.
fn ctl(scenario: &Scenario, daemon: &Daemon, args: &[&str]) -> Result<Value> {
    let address = format!("http://{}", daemon.address);
    let mut all = vec!["ctl", "--daemon", &address, "--format", "jsonl"];
    all.extend_from_slice(args);
    let (code, output) = scenario.twintap(&all)?;
    ensure!(code == 0, "{args:?} ended with {code}: {output}");
    Ok(serde_json::from_str(&output)?)
}

/// Looks at the run until `done` says so.
fn wait(
    scenario: &Scenario,
    daemon: &Daemon,
    id: &str,
    done: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let run = ctl(scenario, daemon, &["get", id])?;
        if done(&run) {
            return Ok(run);
        }
        if Instant::now() > deadline {
            bail!("it takes too long: {run}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_a_daemon_takes_is_fired_until_it_ends() -> Result<()> {
    let (directory, scenario) = Scenario::temporary("allow-all")?;
    let flags = ["--metrics-addr", "127.0.0.1:0", "--commit-every", "50ms"];
    let mut daemon = scenario.daemon(0, &flags)?;
    let twins = [Twin::start()?, Twin::start()?];
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let run_file = directory.path().join("run.yaml");
    fs::write(
        &run_file,
        format!(
            "version: 1\npolicy: allow-all\nfollow: {{delay: 1s}}\n\
             targets:\n  candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
             allow: [\"{candidate}\", \"{baseline}\"]\n"
        ),
    )?;
    let run = ctl(
        &scenario,
        &daemon,
        &["create", &run_file.display().to_string()],
    )?;
    let id = run["id"].as_str().context("an id")?.to_owned();
    ctl(&scenario, &daemon, &["start", &id])?;
    wait(&scenario, &daemon, &id, |run| !run["following"].is_null())?;

    let base_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let started = Instant::now();
    let mut ship = Ship::open(daemon.address, "node-1", 1)?;
    let mut delivered_bytes = 0;
    for number in 1..=EXCHANGES {
        let mut batch = exchange(number, b"whole");
        let at_ns = started.elapsed().as_nanos() as u64;
        for (record, later_ns) in batch.records.iter_mut().zip(0..) {
            record.boottime_ns = at_ns + later_ns;
        }
        delivered_bytes += payload_bytes(&batch);
        let mut frame = frame(number, &batch, delivered_bytes);
        frame.clock = Some(ClockReading {
            boottime_ns: at_ns,
            unix_ns: (base_ns + at_ns).cast_signed(),
            uncertainty_ns: 1_000,
        });
        ship.send(frame)?;
        thread::sleep(Duration::from_millis(100));
    }
    let run = wait(&scenario, &daemon, &id, |run| {
        TWINS
            .iter()
            .all(|twin| run[twin]["answered"].as_u64() == Some(EXCHANGES))
    })?;
    ensure!(run["state"] == "running", "{run}");
    ensure!(run["planned"].as_u64() == Some(EXCHANGES), "{run}");
    let following = &run["following"];
    ensure!(following["windows"].as_u64() > Some(2), "{run}");
    ensure!(following["tardy"] == 0 && following["missed"] == 0, "{run}");
    ensure!(daemon.metric("twintap_run_windows_total")? > 2);
    ensure!(daemon.metric("twintap_run_lag_milliseconds")? >= 1000);
    let expected: Vec<String> = (1..=EXCHANGES)
        .map(|number| format!("GET /{number} HTTP/1.1"))
        .collect();
    for twin in &twins {
        ensure!(twin.lines() == expected, "{:?}", twin.lines());
    }

    let status = daemon.process.terminate(LIMIT)?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        daemon.process.log_tail()
    );
    let runs = scenario.archive().with_file_name("runs");
    let results = fs::read_dir(runs)?.next().context("the run's results")??;
    let read = |name| -> Result<Value> {
        Ok(serde_json::from_str(&fs::read_to_string(
            results.path().join(name),
        )?)?)
    };
    let (record, report) = (read("run.json")?, read("report.json")?);
    for twin in TWINS {
        let ledger = &record["fired"][twin]["ledger"];
        ensure!(ledger["planned"].as_u64() == Some(EXCHANGES), "{ledger}");
        ensure!(ledger["answered"].as_u64() == Some(EXCHANGES), "{ledger}");
        let judged = &report["ledgers"]["runs"][twin]["answered"];
        ensure!(judged.as_u64() == Some(EXCHANGES), "{}", report["ledgers"]);
    }
    Ok(())
}
