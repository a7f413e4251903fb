//! A full disk: the daemon says so, loses nothing that it called durable, and takes
//! data again once there is room. Needs root, for a small file system of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::ship::{Ship, exchange, frame, payload_bytes};
use anyhow::{Context, Result, bail, ensure};
use tonic::Code;
use twintap_archive::Reader;
use twintap_tests::scenario::{Daemon, expect_success};
use twintap_tests::{Privileges, Scenario, skip};

const DISK_BYTES: usize = 16 << 20;
/// What the ballast leaves free to begin with.
const FREE_BYTES: usize = 4 << 20;
const BODY_BYTES: usize = 256 << 10;
const BOOT: u64 = 1;
const LIMIT: Duration = Duration::from_secs(60);

/// A tmpfs of a few MiB; unmounted on drop.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: PathBuf) -> Result<Disk> {
        fs::create_dir_all(&path)?;
        let status = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={DISK_BYTES}"),
                "twintap-test",
            ])
            .arg(&path)
            .status()
            .context("running mount")?;
        ensure!(status.success(), "mounting a tmpfs: {status}");
        Ok(Disk { path })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, for a test that failed may have left files open.
        match Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status()
        {
            Ok(status) if status.success() => {}
            outcome => eprintln!("unmounting {}: {outcome:?}", self.path.display()),
        }
    }
}

/// Bytes that no compression makes smaller, another sequence for each number.
fn body(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(BODY_BYTES);
    while bytes.len() < BODY_BYTES {
        // xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn wait_until_ready(daemon: &Daemon, expected: u16) -> Result<String> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let (status, body) = daemon.http("/readyz")?;
        if status == expected {
            return Ok(body);
        }
        if Instant::now() > deadline {
            bail!("/readyz stays at {status}: {body}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Bytes of payload in all exchanges up to this one, for the kernel ledger.
fn total(number: u64) -> u64 {
    let sizes = (1..=number).map(|number| payload_bytes(&exchange(number, &body(number))));
    sizes.sum()
}

fn send(ship: &mut Ship, number: u64) -> Result<()> {
    ship.send(frame(
        number,
        &exchange(number, &body(number)),
        total(number),
    ))
}

#[test]
fn a_full_disk_loses_nothing_that_was_durable() -> Result<()> {
    if !Privileges::of_this_process().root {
        let test = "a_full_disk_loses_nothing_that_was_durable";
        skip(test, "mounting a small file system needs root");
        return Ok(());
    }
    let (directory, scenario) = Scenario::temporary("allow-all")?;
    let disk = Disk::mount(directory.path().join("disk"))?;
    fs::create_dir(disk.path.join("archive"))?;
    symlink(disk.path.join("archive"), scenario.archive())?;
    let ballast = disk.path.join("ballast");
    File::create(&ballast)?.write_all(&vec![0; DISK_BYTES - FREE_BYTES])?;

    let mut daemon = scenario.daemon(0, &["--metrics-addr", "127.0.0.1:0"])?;
    wait_until_ready(&daemon, 200)?;
    let mut ship = Ship::open(daemon.address, "node-1", BOOT)?;
    let mut sent = 0;
    let end = loop {
        sent += 1;
        ensure!(
            sent * BODY_BYTES as u64 <= DISK_BYTES as u64,
            "the disk takes more than it can"
        );
        if let Err(error) = send(&mut ship, sent) {
            // The stream may end at any frame.
            break ship_end(&mut ship, &error);
        }
        match ship.until_durable(&[sent]) {
            Ok(()) => {}
            Err(end) => break end,
        }
    };
    ensure!(end.code() == Code::Unavailable, "{end}");
    let durable: BTreeSet<u64> = numbers(&ship);
    ensure!(!durable.is_empty(), "nothing was ever durable");
    ensure!(!durable.contains(&sent), "the disk was never full");
    let why = wait_until_ready(&daemon, 503)?;
    ensure!(why.to_lowercase().contains("no space"), "{why}");
    ensure!(daemon.metric("twintap_archive_failed")? == 1);
    let log = fs::read_to_string(daemon.process.log())?;
    ensure!(log.contains("archive takes no data"), "{log}");
    // Alive all the same, and it says why it takes nothing, or takes what still fits.
    ensure!(daemon.http("/healthz")?.0 == 200);

    fs::remove_file(&ballast)?;
    wait_until_ready(&daemon, 200)?;
    let mut ship = reopen(&daemon)?;
    let kept = numbers(&ship);
    ensure!(
        durable.is_subset(&kept),
        "{durable:?} were durable, and {kept:?} are"
    );
    let last = sent + 4;
    let missing: Vec<u64> = (1..=last).filter(|number| !kept.contains(number)).collect();
    for &number in &missing {
        send(&mut ship, number)?;
        ship.until_durable(&[number])?;
    }
    ship.finish()?;
    expect_success("the daemon", &mut daemon.process)?;
    check(&scenario.archive(), last)
}

fn ship_end(ship: &mut Ship, error: &anyhow::Error) -> tonic::Status {
    let end = ship.until_end();
    if end.code() == Code::Ok {
        return tonic::Status::unknown(error.to_string());
    }
    end
}

fn numbers(ship: &Ship) -> BTreeSet<u64> {
    let ranges = ship.marks.durable.iter();
    ranges.flat_map(|range| range.first..=range.last).collect()
}

/// The archive may fail once more between two looks at it.
fn reopen(daemon: &Daemon) -> Result<Ship> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match Ship::open(daemon.address, "node-1", BOOT) {
            Ok(ship) => return Ok(ship),
            Err(refusal) if Instant::now() > deadline => bail!("{refusal}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// The archive holds each exchange once, with its body, and its ledgers close.
fn check(archive: &Path, last: u64) -> Result<()> {
    let reader = Reader::open(archive)?;
    let verified = reader.verify()?;
    ensure!(verified.is_sound(), "{verified:?}");
    let mut seen = BTreeSet::new();
    for stored in reader.exchanges() {
        let stored = stored?;
        let head = stored.exchange().request.head.as_ref().context("a head")?;
        let target = String::from_utf8_lossy(&head.target).into_owned();
        let number: u64 = target.trim_start_matches('/').parse()?;
        ensure!(seen.insert(number), "{target} is stored twice");
        let stored = reader.read_body(&stored.response_body, BODY_BYTES as u64 * 2)?;
        ensure!(stored == body(number), "the body of {target} differs");
    }
    ensure!(seen == (1..=last).collect(), "{seen:?} of 1 to {last}");
    for capture in &reader.checkpoint()?.context("a checkpoint")?.captures {
        ensure!(capture.kernel.closes(), "{:?}", capture.kernel);
        ensure!(capture.store.closes(), "{:?}", capture.store);
        ensure!(capture.store.stored == last, "{:?}", capture.store);
    }
    Ok(())
}
