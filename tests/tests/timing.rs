//! A real capture arrives at both twins as it was recorded.

use anyhow::{Context, Result, ensure};
use twintap_tests::arrivals::replay::{Arrived, replay};
use twintap_tests::arrivals::statistics::{Drift, gaps, ks_distance, micros};
use twintap_tests::corpus::Corpus;
use twintap_tests::{Binaries, skip};

/// 797 requests in 1.4 s, each on a connection of its own.
const CAPTURE: &str = "ndpi/WebattackRCE.pcap";
/// Slowed down, so that a busy machine's own delays are small beside the gaps: 14 s.
const LINES: &str = "speed: 0.1";
/// What the distributions of gaps may be apart at most. Where the order of magnitude of a gap
/// is kept and nothing else, they are further apart.
const MOST_APART: f64 = 0.3;

#[test]
fn a_real_capture_arrives_with_its_recorded_gaps() -> Result<()> {
    let corpus = match Corpus::find(None) {
        Ok(corpus) => corpus,
        Err(missing) => {
            skip(
                "a_real_capture_arrives_with_its_recorded_gaps",
                &missing.to_string(),
            );
            return Ok(());
        }
    };
    let twintap = Binaries::beside_this_test()?.path("twintap")?;
    let folder = tempfile::tempdir()?;
    let arrived = replay(&twintap, &corpus.capture(CAPTURE), folder.path(), LINES)?;
    check(&arrived)
}

fn check(arrived: &Arrived) -> Result<()> {
    let due = &arrived.due_us;
    ensure!(due.len() == 797, "{} requests are due", due.len());
    for (twin, arrivals) in ["candidate", "baseline"].into_iter().zip(&arrived.arrivals) {
        let ledger = &arrived.fired[twin]["ledger"];
        let answered = ledger["answered"].as_u64().context("a ledger")?;
        ensure!(answered == 797, "the {twin} answered: {ledger}");
        ensure!(arrivals.len() == due.len(), "{} arrived", arrivals.len());
        let arrivals = micros(arrivals);
        let apart = ks_distance(&gaps(&arrivals), &gaps(due));
        let drift = Drift::of(&arrivals, due);
        eprintln!("{twin}: gaps {apart:.3} apart, {drift:.1?}");
        ensure!(apart <= MOST_APART, "{twin}: gaps are {apart:.3} apart");
        // Whoever sleeps each gap is behind by a part in a hundred; deadlines keep the pace.
        let grows = drift.slope_ppm.abs() > 1000.0 && !drift.is_steady();
        ensure!(!grows, "{twin}: lateness grows: {drift:?}");
    }
    Ok(())
}
