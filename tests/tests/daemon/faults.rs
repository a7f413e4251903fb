//! Agents that send what they should not: the daemon counts it, says so, and goes on.

use std::collections::BTreeSet;

use crate::ship::{Ship, exchange, frame, is_in, payload_bytes};
use anyhow::{Context, Result, ensure};
use tonic::Code;
use twintap_archive::{Capture, Reader};
use twintap_proto::v1::ship_request::Message;
use twintap_proto::v1::{Codec, Frame, Heartbeat};
use twintap_tests::Scenario;
use twintap_tests::scenario::{Daemon, expect_success};

pub const BOOT: u64 = 0xb007;
/// What the daemon takes as one batch, in bytes.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// A daemon with an archive of its own.
pub struct Play {
    scenario: Scenario,
    daemon: Daemon,
    _directory: tempfile::TempDir,
}

impl Play {
    pub fn new() -> Result<Play> {
        Play::with(&[])
    }

    /// With more flags of the daemon, until it is restarted.
    pub fn with(flags: &[&str]) -> Result<Play> {
        let (directory, scenario) = Scenario::temporary("allow-all")?;
        let flags = [&["--metrics-addr", "127.0.0.1:0"], flags].concat();
        let daemon = scenario.daemon(0, &flags)?;
        Ok(Play {
            scenario,
            daemon,
            _directory: directory,
        })
    }

    /// Kills the daemon, and starts another one over the same archive.
    pub fn restart(&mut self) -> Result<()> {
        self.daemon.process.kill()?;
        self.daemon = self
            .scenario
            .daemon(0, &["--metrics-addr", "127.0.0.1:0"])?;
        Ok(())
    }

    pub fn ship(&self, boot: u64) -> Result<Ship> {
        Ok(Ship::open(self.daemon.address, "node-1", boot)?)
    }

    /// `twintap ctl`: its exit code, and what it printed as JSON lines.
    pub fn ctl(&self, args: &[&str]) -> Result<(i32, String)> {
        let daemon = format!("http://{}", self.daemon.address);
        let head = ["ctl", "--daemon", &daemon, "--format", "jsonl"];
        self.scenario.twintap(&[&head, args].concat())
    }

    pub fn metric(&self, name: &str) -> Result<u64> {
        self.daemon.metric(name)
    }

    fn undecodable(&self) -> Result<u64> {
        self.daemon.metric("twintap_frames_undecodable_total")
    }

    /// Ends the daemon: the archive is sound, its ledgers close, and it holds exactly
    /// these exchanges. Returns the captures of the checkpoint.
    pub fn end(mut self, expected: &[&str]) -> Result<Vec<Capture>> {
        expect_success("the daemon", &mut self.daemon.process)?;
        let reader = Reader::open(self.scenario.archive())?;
        let verified = reader.verify()?;
        ensure!(verified.is_sound(), "{verified:?}");
        let captures = reader.checkpoint()?.context("a checkpoint")?.captures;
        for capture in &captures {
            ensure!(capture.kernel.closes(), "{:?}", capture.kernel);
            ensure!(capture.store.closes(), "{:?}", capture.store);
        }
        let mut stored = Vec::new();
        for exchange in reader.exchanges() {
            let exchange = exchange?;
            let head = exchange.exchange().request.head.as_ref();
            let target = head.map_or(&b""[..], |head| &head.target);
            stored.push(String::from_utf8_lossy(target).into_owned());
        }
        stored.sort();
        ensure!(stored == expected, "{stored:?} and not {expected:?}");
        Ok(captures)
    }
}

fn first_payload(captures: &[Capture]) -> Result<u64> {
    Ok(captures.first().context("a capture")?.store.delivered_bytes)
}

#[test]
fn a_frame_that_cannot_be_decoded_is_counted_and_stops_nothing() -> Result<()> {
    let play = Play::new()?;
    let (first, last) = (exchange(1, b"one"), exchange(2, b"two"));
    let total = payload_bytes(&first) + payload_bytes(&last);
    let sound = |sequence| frame(sequence, &exchange(9, b"nine"), total);
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &first, total))?;
    ship.send(Frame {
        codec: Codec::Zstd.into(),
        payload: b"this is no zstd".to_vec().into(),
        ..sound(2)
    })?;
    ship.send(Frame {
        codec: 77,
        ..sound(3)
    })?;
    ship.send(Frame {
        batch_bytes: 3,
        ..sound(4)
    })?;
    ship.send(Frame {
        payload: vec![0xff; 64].into(),
        batch_bytes: 64,
        ..sound(5)
    })?;
    ship.send(Frame {
        batch_bytes: MAX_BATCH_BYTES as u32 + 1,
        ..sound(6)
    })?;
    ship.send(frame(7, &last, total))?;
    ship.until_durable(&[1, 2, 3, 4, 5, 6, 7])?;
    ensure!((1..=7).all(|frame| is_in(&ship.marks.received, frame)));
    ensure!(play.undecodable()? == 5, "{} counted", play.undecodable()?);
    ship.finish()?;
    let captures = play.end(&["/1", "/2"])?;
    ensure!(first_payload(&captures)? == total, "{captures:?}");
    Ok(())
}

#[test]
fn a_frame_is_taken_once_however_often_it_comes() -> Result<()> {
    let play = Play::new()?;
    let batch = exchange(1, b"once");
    let again = || frame(1, &batch, payload_bytes(&batch));
    let mut ship = play.ship(BOOT)?;
    ship.send(again())?;
    ship.send(again())?;
    ship.until_durable(&[1])?;
    ship.send(again())?;
    drop(ship);
    let mut ship = play.ship(BOOT)?;
    ensure!(is_in(&ship.marks.durable, 1), "{:?}", ship.marks);
    ship.send(again())?;
    ship.finish()?;
    let captures = play.end(&["/1"])?;
    let capture = captures.first().context("a capture")?;
    ensure!(capture.received_frames == 1, "{capture:?}");
    ensure!(capture.store.duplicate_bytes == 0, "{capture:?}");
    ensure!(capture.store.delivered_bytes == payload_bytes(&batch));
    Ok(())
}

#[test]
fn a_record_without_a_flow_is_counted_and_the_others_are_taken() -> Result<()> {
    let play = Play::new()?;
    let mut batch = exchange(1, b"one");
    let total = payload_bytes(&batch);
    let mut stray = batch.records[0].clone();
    stray.flow = 7;
    batch.records.insert(1, stray);
    // And one whose flow has no address.
    let mut nowhere = batch.flows[0].clone();
    nowhere.client_address = vec![1, 2, 3].into();
    batch.flows.push(nowhere);
    let mut lost = batch.records[0].clone();
    lost.flow = 1;
    batch.records.push(lost);
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &batch, total))?;
    ship.until_durable(&[1])?;
    ensure!(play.undecodable()? == 2, "{} counted", play.undecodable()?);
    ship.finish()?;
    let captures = play.end(&["/1"])?;
    ensure!(first_payload(&captures)? == total, "{captures:?}");
    Ok(())
}

#[test]
fn an_oversized_message_ends_its_stream_with_the_reason() -> Result<()> {
    let play = Play::new()?;
    let batch = exchange(1, b"one");
    let total = payload_bytes(&batch);
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &batch, total))?;
    ship.until_durable(&[1])?;
    let large = exchange(2, &vec![7; MAX_BATCH_BYTES + (1 << 20)]);
    ship.send(frame(2, &large, total))?;
    let end = ship.until_end();
    ensure!(end.code() == Code::OutOfRange, "{end}");
    ensure!(end.message().contains("too large"), "{end}");

    let mut ship = play.ship(BOOT)?;
    ensure!(!is_in(&ship.marks.received, 2), "{:?}", ship.marks);
    let batch = exchange(3, b"three");
    let total = total + payload_bytes(&batch);
    ship.send(frame(3, &batch, total))?;
    ship.until_durable(&[3])?;
    ship.finish()?;
    play.end(&["/1", "/3"])?;
    Ok(())
}

#[test]
fn a_stream_begins_with_a_hello_that_names_a_node() -> Result<()> {
    let play = Play::new()?;
    let address = play.daemon.address;
    for first in [
        Message::Frame(frame(1, &exchange(1, b"one"), 0)),
        Message::Heartbeat(Heartbeat::default()),
    ] {
        let refusal = Ship::open_with(address, first).err().context("a refusal")?;
        ensure!(refusal.code() == Code::InvalidArgument, "{refusal}");
        ensure!(refusal.message().contains("Hello"), "{refusal}");
    }
    for node in ["", "a/b", &"n".repeat(254)] {
        let refusal = Ship::open(address, node, BOOT).err().context("a refusal")?;
        ensure!(refusal.code() == Code::InvalidArgument, "{refusal}");
        ensure!(refusal.message().contains("node name"), "{refusal}");
    }
    // Nothing of it stays, and others are served.
    let batch = exchange(2, b"two");
    let mut ship = play.ship(BOOT)?;
    ship.send(frame(1, &batch, payload_bytes(&batch)))?;
    ship.finish()?;
    let captures = play.end(&["/2"])?;
    ensure!(captures.len() == 1, "{captures:?}");
    Ok(())
}

#[test]
fn boots_of_one_node_are_captures_of_their_own() -> Result<()> {
    let play = Play::new()?;
    let batch = exchange(1, b"one");
    let total = payload_bytes(&batch);
    // Both at the same time, with the same flow in the same frame.
    let mut ships = [play.ship(1)?, play.ship(2)?];
    for ship in &mut ships {
        ship.send(frame(1, &batch, total))?;
    }
    for ship in &mut ships {
        ship.until_durable(&[1])?;
    }
    for ship in ships {
        ship.finish()?;
    }
    let captures = play.end(&["/1", "/1"])?;
    let boots: BTreeSet<u64> = captures.iter().map(|capture| capture.boot).collect();
    ensure!(boots == BTreeSet::from([1, 2]), "{captures:?}");
    for capture in &captures {
        ensure!(capture.store.delivered_bytes == total, "{capture:?}");
        ensure!(capture.store.duplicate_bytes == 0, "{capture:?}");
        ensure!(capture.finished, "{capture:?}");
    }
    Ok(())
}

#[test]
fn a_later_stream_of_a_boot_takes_over() -> Result<()> {
    let play = Play::new()?;
    let (first, second) = (exchange(1, b"one"), exchange(2, b"two"));
    let total = payload_bytes(&first) + payload_bytes(&second);
    let mut old = play.ship(BOOT)?;
    old.send(frame(1, &first, total))?;
    old.until_durable(&[1])?;
    // The agent gave the old connection up before the daemon noticed.
    let mut new = play.ship(BOOT)?;
    let end = old.until_end();
    ensure!(end.code() == Code::Unavailable, "{end}");
    drop(old);
    new.send(frame(2, &second, total))?;
    new.until_durable(&[2])?;
    new.finish()?;
    play.end(&["/1", "/2"])?;
    Ok(())
}
