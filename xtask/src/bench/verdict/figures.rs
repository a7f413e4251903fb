//! What the matrix comes to, in figures beside the other rule's.

use twintap_tests::matrix::{HARDER, SEEDED};

use super::super::line::Line;
use super::results::{CaseResult, Results};
use super::table::{Both, Tally, is_alone_of};

const PEER: &str = "Diffy's rule";
/// False findings in this many runs of the same build, at most one of which is allowed.
const SAME_RUNS: u64 = 100;

/// A figure of what was found, from a tally.
type Figure = fn(&Tally) -> f64;

/// The figures that there are runs for.
pub fn lines(results: &Results) -> Vec<Line> {
    let seeded = |result: &CaseResult| is_alone_of(&SEEDED, result);
    let pairs = |result: &CaseResult| result.faults.len() == 2;
    let harder = |result: &CaseResult| is_alone_of(&HARDER, result);
    let any = |result: &CaseResult| !result.faults.is_empty();
    let same = |result: &CaseResult| result.faults.is_empty();
    let of = |is_meant: &dyn Fn(&CaseResult) -> bool| Both::of(results, is_meant);
    let mut lines = Vec::new();
    let mut shares = |metric: &str, both: &Both, figure: Figure, bar| {
        lines.extend(share(metric, both, figure, bar));
    };
    shares("seeded faults found, alone", &of(&seeded), recall, ALL);
    shares("seeded faults found, in pairs", &of(&pairs), recall, ALL);
    shares("harder faults found", &of(&harder), recall, NO_FEWER);
    shares("findings that are true", &of(&any), precision, NO_FEWER);
    let same = of(&same);
    if same.ours.runs > 0 {
        let (ours, theirs) = (false_in(&same.ours), false_in(&same.theirs));
        lines.push(Line {
            metric: format!("false findings in {SAME_RUNS} runs of the same build"),
            unit: "findings",
            ours,
            peer: PEER.to_owned(),
            theirs,
            ratio: ours / theirs,
            bar: "ours <= 1, all runs done",
            meets: ours <= 1.0 && same.ours.runs >= SAME_RUNS,
        });
    }
    lines
}

/// What a share has to be.
type Bar = (&'static str, fn(f64, f64) -> bool);

const ALL: Bar = ("ours = 1", |ours, _| ours >= 1.0);
const NO_FEWER: Bar = ("ours >= theirs", |ours, theirs| ours >= theirs);

/// Ours is of the runs that the other judged too, if there are any.
fn share(metric: &str, both: &Both, figure: Figure, (bar, meets): Bar) -> Option<Line> {
    let compared = match both.theirs.runs {
        0 => &both.ours,
        _ => &both.ours_beside,
    };
    if compared.runs == 0 {
        return None;
    }
    let (ours, theirs) = (figure(compared), figure(&both.theirs));
    Some(Line {
        metric: format!("{metric}, {} runs", compared.runs),
        unit: "share",
        ours,
        peer: PEER.to_owned(),
        theirs,
        ratio: ours / theirs,
        bar,
        meets: meets(ours, theirs),
    })
}

fn recall(tally: &Tally) -> f64 {
    tally.found as f64 / tally.faults as f64
}

fn precision(tally: &Tally) -> f64 {
    let all = tally.matched + tally.misattributed + tally.unexpected;
    tally.matched as f64 / all as f64
}

fn false_in(tally: &Tally) -> f64 {
    tally.unexpected as f64 * SAME_RUNS as f64 / tally.runs as f64
}
