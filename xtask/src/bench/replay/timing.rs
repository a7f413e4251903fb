//! How faithful the times are in which a twin gets a real capture.
//!
//! The capture's requests go, round after round, to two twins that note when each arrived. Two
//! threads do the same to a twin of that kind, turn by turn with ours. One spins until each
//! absolute due time: what the machine itself adds. The other is no product but what naive
//! replay comes to: it sleeps each recorded gap, and then sends.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use twintap_tests::arrivals::Recorder;
use twintap_tests::arrivals::replay::replay;
use twintap_tests::arrivals::statistics::{Drift, gaps, ks_distance, micros};
use twintap_tests::corpus::Corpus;

use super::super::line::Line;
use super::Effort;
use super::twintap::{Twintap, number};

/// 797 requests in 1.4 s, each on a connection of its own, so that none waits for another.
const CAPTURE: &str = "ndpi/WebattackRCE.pcap";
const CAPTURE_SECONDS: f64 = 1.44;
/// How much further apart than the spinning thread's the distributions of gaps may be.
const BAR_KS: f64 = 0.05;
/// How long the next arrival is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
const NAIVE: &str = "naive: a thread that sleeps each gap";
const SPINNING: &str = "a thread that spins until each deadline";

/// What a twin saw of a run.
#[derive(Clone, Copy, Debug)]
struct Seen {
    apart: f64,
    drift: Drift,
}

impl Seen {
    fn of(arrivals: &[Instant], due_us: &[f64]) -> Seen {
        let arrivals = micros(arrivals);
        Seen {
            apart: ks_distance(&gaps(&arrivals), &gaps(due_us)),
            drift: Drift::of(&arrivals, due_us),
        }
    }
}

/// Measures.
pub fn run(twintap: &Twintap, effort: Effort) -> Result<Vec<Line>> {
    let corpus = match Corpus::find(None) {
        Ok(corpus) => corpus,
        Err(missing) => {
            eprintln!("left out: {missing}");
            return Ok(Vec::new());
        }
    };
    let capture = corpus.capture(CAPTURE);
    let mut lines = Vec::new();
    for speed in [1.0, 0.1] {
        let seconds = f64::from(effort.seconds);
        let rounds = (seconds * speed / CAPTURE_SECONDS).ceil().max(1.0);
        let folder = twintap.folder.join(format!("timing-{speed}"));
        fs::create_dir_all(&folder)?;
        let settings = format!("speed: {speed}\nloop: {rounds}");
        let arrived = replay(twintap.program(), &capture, &folder, &settings)?;
        let due = &arrived.due_us;
        for twin in ["candidate", "baseline"] {
            let answered = number(&arrived.fired, &format!("/{twin}/ledger/answered"))?;
            ensure!(
                answered as usize == due.len(),
                "the {twin} did not answer all of {}: {answered}",
                due.len()
            );
        }
        let spinning = sent(due, until_deadline)?;
        let naive = sent(due, sleep_gap)?;
        let length_s = due.last().context("requests")? / 1e6;
        for (twin, arrivals) in ["candidate", "baseline"].into_iter().zip(&arrived.arrivals) {
            ensure!(arrivals.len() == due.len(), "{} arrived", arrivals.len());
            let seen = Seen::of(arrivals, due);
            eprintln!("{twin}: {seen:.3?}, spinning {spinning:.3?}, naive {naive:.3?}");
            let what = format!(
                "{CAPTURE} at speed {speed}, {} requests in {length_s:.1} s, {twin}",
                due.len()
            );
            lines.extend(compared(&what, &seen, &spinning, &naive));
        }
    }
    Ok(lines)
}

fn compared(what: &str, seen: &Seen, spinning: &Seen, naive: &Seen) -> [Line; 5] {
    let line = |metric: &str, unit, of: fn(&Seen) -> f64, peer: &str, theirs: &Seen| Line {
        metric: format!("{metric}, {what}"),
        unit,
        ours: of(seen),
        peer: peer.to_owned(),
        theirs: of(theirs),
        ratio: of(seen) / of(theirs),
        bar: "reported",
        meets: true,
    };
    let drift = "largest drift from due times";
    [
        Line {
            bar: "<= theirs + 0.05",
            meets: seen.apart <= spinning.apart + BAR_KS,
            ..line(
                "Kolmogorov-Smirnov distance of the twin's gaps from the recorded",
                "of 1",
                |seen| seen.apart,
                SPINNING,
                spinning,
            )
        },
        line(
            drift,
            "us",
            |seen| seen.drift.largest_us,
            SPINNING,
            spinning,
        ),
        line(drift, "us", |seen| seen.drift.largest_us, NAIVE, naive),
        Line {
            bar: "ours has 0 in its interval, or is below 1 ppm",
            meets: seen.drift.is_steady(),
            ..line(
                "slope of the drift",
                "ppm",
                |seen| seen.drift.slope_ppm,
                NAIVE,
                naive,
            )
        },
        line(
            "half of the slope's 95 % interval",
            "ppm",
            |seen| seen.drift.slope_half_width_ppm,
            NAIVE,
            naive,
        ),
    ]
}

/// What a thread comes to that waits for each request as `wait` does: from the first one's due
/// time, for the time of the next and the one before.
fn sent(due_us: &[f64], wait: impl Fn(Instant, f64, f64)) -> Result<Seen> {
    let twin = Recorder::start()?;
    let address = twin.address();
    let begin = Instant::now();
    let mut before_us = 0.0;
    for due_us in due_us {
        wait(begin, *due_us, before_us);
        before_us = *due_us;
        send(address)?;
    }
    let arrivals = twin.wait_for(due_us.len(), PATIENCE);
    ensure!(arrivals.len() == due_us.len(), "{} arrived", arrivals.len());
    Ok(Seen::of(&arrivals, due_us))
}

fn until_deadline(begin: Instant, due_us: f64, _before_us: f64) {
    let deadline = begin + Duration::from_secs_f64(due_us / 1e6);
    while Instant::now() < deadline {
        std::hint::spin_loop();
    }
}

fn sleep_gap(_begin: Instant, due_us: f64, before_us: f64) {
    thread::sleep(Duration::from_secs_f64((due_us - before_us) / 1e6));
}

fn send(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: twin.test\r\n\r\n")?;
    Ok(())
}
