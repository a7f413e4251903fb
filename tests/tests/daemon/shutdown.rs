//! SIGTERM ends a daemon in order, whoever is connected.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::ship::{Ship, exchange, frame, is_in, payload_bytes};
use anyhow::{Context, Result, ensure};
use tonic::Code;
use twintap_archive::Reader;
use twintap_tests::Scenario;

const BOOTS: [u64; 3] = [1, 2, 3];
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_daemon_ends_while_agents_are_connected() -> Result<()> {
    let (_directory, scenario) = Scenario::temporary("allow-all")?;
    let mut daemon = scenario.daemon(0, &["--metrics-addr", "127.0.0.1:0"])?;
    let whole = exchange(1, b"whole");
    // Its answer is still to come.
    let mut half = exchange(2, b"half");
    half.records.truncate(1);
    let total = payload_bytes(&whole) + payload_bytes(&half);
    let mut ships = Vec::new();
    for boot in BOOTS {
        let mut ship = Ship::open(daemon.address, "node-1", boot)?;
        ship.send(frame(1, &whole, total))?;
        ship.send(frame(2, &half, total))?;
        ship.until_durable(&[1])?;
        ensure!(!is_in(&ship.marks.durable, 2), "{:?}", ship.marks);
        ships.push(ship);
    }
    // Clients that say nothing, or never finish what they say, hold nothing up either.
    let silent = TcpStream::connect(daemon.address)?;
    let mut slow = TcpStream::connect(daemon.metrics_address()?)?;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHo")?;

    let status = daemon.process.terminate(LIMIT)?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        daemon.process.log_tail()
    );
    drop((silent, slow));
    let mut marks = Vec::new();
    for mut ship in ships {
        let end = ship.until_end();
        ensure!(end.code() != Code::DeadlineExceeded, "{end}");
        marks.push(ship.marks.clone());
    }

    {
        let reader = Reader::open(scenario.archive())?;
        let verified = reader.verify()?;
        ensure!(verified.is_sound(), "{verified:?}");
        ensure!(reader.len() == 3, "{} exchanges", reader.len());
        let checkpoint = reader.checkpoint()?.context("a checkpoint")?;
        ensure!(checkpoint.captures.len() == BOOTS.len());
        for capture in &checkpoint.captures {
            ensure!(capture.store.closes(), "{:?}", capture.store);
            // The boot goes on, with another daemon.
            ensure!(!capture.finished, "{capture:?}");
        }
    }

    // The next daemon takes up where this one ended: the open exchange gets its answer.
    let mut daemon = scenario.daemon(0, &[])?;
    for (boot, marks) in BOOTS.into_iter().zip(marks) {
        let mut ship = Ship::open(daemon.address, "node-1", boot)?;
        for sequence in [1, 2] {
            let told = is_in(&marks.durable, sequence);
            let kept = is_in(&ship.marks.durable, sequence);
            ensure!(kept || !told, "frame {sequence} was durable: {marks:?}");
        }
        ensure!(!is_in(&ship.marks.received, 2), "{:?}", ship.marks);
        let mut rest = exchange(2, b"half");
        rest.records.remove(0);
        let total = total + payload_bytes(&rest);
        ship.send(frame(2, &half, total))?;
        ship.send(frame(3, &rest, total))?;
        ship.until_durable(&[1, 2, 3])?;
        ship.finish()?;
    }
    let status = daemon.process.terminate(LIMIT)?;
    ensure!(status.code() == Some(0), "{status}");
    let reader = Reader::open(scenario.archive())?;
    ensure!(reader.len() == 6, "{} exchanges", reader.len());
    for capture in &reader.checkpoint()?.context("a checkpoint")?.captures {
        ensure!(capture.store.closes(), "{:?}", capture.store);
        ensure!(capture.store.stored == 2, "{:?}", capture.store);
        ensure!(capture.finished, "{capture:?}");
    }
    Ok(())
}
