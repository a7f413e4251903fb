//! How far a run is, while it goes on: a live view on a terminal, lines elsewhere,
//! objects for programs.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::fire::{LatenessCounts, TwinProgress};
use crate::run::{Phase, Progress};

/// How often plain lines say how far the run is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often programs are told.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// What rate and lateness are taken over.
const WINDOW: Duration = Duration::from_secs(1);

/// Where progress goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To people, on standard error.
    People,
    /// To programs, on standard output, as one JSON object a line.
    Programs,
}

/// Shows how far a run is.
pub struct View {
    sink: Sink,
    started: Instant,
    last_phase: Option<Phase>,
    last_shown: Option<Duration>,
    meters: [Meter; 2],
}

enum Sink {
    Live(Box<Live>),
    Lines,
    Events,
}

struct Live {
    run: ProgressBar,
    twins: [ProgressBar; 2],
}

impl View {
    /// A live view where standard error is a terminal, lines elsewhere.
    pub fn new(place: Place) -> View {
        let sink = match place {
            Place::Programs => Sink::Events,
            Place::People if io::stderr().is_terminal() => Sink::Live(Box::new(Live::new())),
            Place::People => Sink::Lines,
        };
        View {
            sink,
            started: Instant::now(),
            last_phase: None,
            last_shown: None,
            meters: Default::default(),
        }
    }

    /// Shows what there is to show now.
    pub fn show(&mut self, progress: &Progress) {
        let now = self.started.elapsed();
        let twins = [&progress.candidate, &progress.baseline];
        let lateness = [&progress.candidate_lateness, &progress.baseline_lateness];
        for ((meter, twin), lateness) in self.meters.iter_mut().zip(twins).zip(lateness) {
            meter.update(now, twin, lateness);
        }
        let is_new = self.last_phase.replace(progress.phase) != Some(progress.phase);
        let is_due = |every| self.last_shown.is_none_or(|last| now >= last + every);
        let [candidate, baseline] = &self.meters;
        let figures = [
            candidate.figures(&progress.candidate),
            baseline.figures(&progress.baseline),
        ];
        match &self.sink {
            Sink::Live(live) => live.show(progress, &figures),
            Sink::Lines if is_new || is_due(LINE_EVERY) => {
                self.last_shown = Some(now);
                eprint!("{}", lines(progress, &figures));
            }
            Sink::Events if is_new || is_due(EVENT_EVERY) => {
                self.last_shown = Some(now);
                print_event(&event(progress, now, figures));
            }
            Sink::Lines | Sink::Events => {}
        }
    }

    /// Takes the live view away.
    pub fn finish(&self) {
        if let Sink::Live(live) = &self.sink {
            live.run.finish_and_clear();
            for twin in &live.twins {
                twin.finish_and_clear();
            }
        }
    }
}

impl Live {
    fn new() -> Live {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let style = |template: &str| {
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let run = bars.add(ProgressBar::no_length());
        run.set_style(style("{msg:11} {wide_bar:.cyan} {pos}/{len} {eta}"));
        let twins = ["candidate", "baseline"].map(|name| {
            let bar = bars.add(ProgressBar::no_length());
            bar.set_style(style("{prefix:11.bold} {msg}"));
            bar.set_prefix(name);
            bar
        });
        Live { run, twins }
    }

    fn show(&self, progress: &Progress, figures: &[Figures; 2]) {
        self.run.set_message(progress.phase.word());
        self.run.set_length(progress.planned);
        self.run.set_position(settled(progress));
        for (bar, figures) in self.twins.iter().zip(figures) {
            bar.set_message(figures.text());
        }
    }
}

/// Both twins go through the plan; the slower one says how far the run is.
fn settled(progress: &Progress) -> u64 {
    let settled = |twin: &TwinProgress| twin.answered + twin.errored + twin.refused + twin.skipped;
    settled(&progress.candidate).min(settled(&progress.baseline))
}

/// What one twin did in the last while.
#[derive(Default)]
struct Meter {
    /// The beginning of the window, and what was counted then.
    since: Option<(Duration, u64, LatenessCounts)>,
    rate: f64,
    lateness_p50_us: f64,
    lateness_p99_us: f64,
}

impl Meter {
    fn update(&mut self, now: Duration, twin: &TwinProgress, lateness: &LatenessCounts) {
        let Some((since, answered, before)) = &self.since else {
            self.since = Some((now, twin.answered, lateness.clone()));
            return;
        };
        let span = now.saturating_sub(*since);
        if span < WINDOW {
            return;
        }
        self.rate = twin.answered.saturating_sub(*answered) as f64 / span.as_secs_f64();
        let recent = lateness.since(before);
        self.lateness_p50_us = recent.quantile_us(0.5);
        self.lateness_p99_us = recent.quantile_us(0.99);
        self.since = Some((now, twin.answered, lateness.clone()));
    }

    fn figures(&self, twin: &TwinProgress) -> Figures {
        Figures {
            progress: *twin,
            answered_per_s: self.rate,
            lateness_p50_us: self.lateness_p50_us,
            lateness_p99_us: self.lateness_p99_us,
        }
    }
}

/// What is shown of one twin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Figures {
    #[serde(flatten)]
    progress: TwinProgress,
    answered_per_s: f64,
    lateness_p50_us: f64,
    lateness_p99_us: f64,
}

impl Figures {
    fn text(&self) -> String {
        let progress = &self.progress;
        let mut text = format!(
            "{:.0}/s  late p50 {} p99 {}  in flight {}  answered {}",
            self.answered_per_s,
            span(self.lateness_p50_us),
            span(self.lateness_p99_us),
            progress.in_flight,
            progress.answered,
        );
        for (name, count) in [
            ("errored", progress.errored),
            ("refused", progress.refused),
            ("unbound", progress.unbound),
        ] {
            // Writing to a string never fails.
            let _ = write!(text, "  {name} {count}");
        }
        text
    }
}

/// Microseconds for people.
fn span(us: f64) -> String {
    if us < 1000.0 {
        format!("{us:.0}us")
    } else if us < 1e6 {
        format!("{:.1}ms", us / 1000.0)
    } else {
        format!("{:.1}s", us / 1e6)
    }
}

fn lines(progress: &Progress, figures: &[Figures; 2]) -> String {
    let phase = progress.phase.word();
    if progress.phase != Phase::Firing {
        return format!("{phase}\n");
    }
    let [candidate, baseline] = figures.each_ref().map(Figures::text);
    format!(
        "{phase} {}/{}\n  candidate  {candidate}\n  baseline   {baseline}\n",
        settled(progress),
        progress.planned,
    )
}

/// One line for programs; documented in docs/command-line.md.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// How far the run is.
    Progress {
        /// Seconds since the command began.
        elapsed_s: f64,
        /// What it is at.
        phase: Phase,
        /// Requests of the plan.
        planned: u64,
        /// Requests that have their outcome at both twins.
        settled: u64,
        /// The candidate.
        candidate: Twin,
        /// The baseline.
        baseline: Twin,
    },
    /// The run is over.
    Done {
        /// `pass`, `fail` or `inconclusive`.
        verdict: &'static str,
        /// The file with the whole report.
        report: String,
    },
}

/// One twin in an [`Event`].
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Twin(Figures);

fn event(progress: &Progress, now: Duration, figures: [Figures; 2]) -> Event {
    let [candidate, baseline] = figures.map(Twin);
    Event::Progress {
        elapsed_s: now.as_secs_f64(),
        phase: progress.phase,
        planned: progress.planned,
        settled: settled(progress),
        candidate,
        baseline,
    }
}

/// Prints one line. That nobody reads any more ends no run.
pub fn print_event(event: &Event) {
    if let Ok(line) = serde_json::to_string(event) {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twin(answered: u64) -> TwinProgress {
        TwinProgress {
            answered,
            errored: 2,
            in_flight: 3,
            unbound: 1,
            ..TwinProgress::default()
        }
    }

    fn progress(answered: u64, late_ns: &[u64]) -> Progress {
        let mut lateness = LatenessCounts::default();
        for ns in late_ns {
            lateness.add(*ns);
        }
        Progress {
            phase: Phase::Firing,
            planned: 100,
            candidate: twin(answered),
            baseline: twin(answered + 10),
            candidate_lateness: lateness.clone(),
            baseline_lateness: lateness,
        }
    }

    #[test]
    fn rate_and_lateness_are_of_the_last_while() {
        let mut meter = Meter::default();
        let mut update = |at_ms, answered, late_ns: &[u64]| {
            let progress = progress(answered, late_ns);
            let now = Duration::from_millis(at_ms);
            meter.update(now, &progress.candidate, &progress.candidate_lateness);
            meter.figures(&progress.candidate)
        };
        assert_eq!(update(0, 0, &[]).answered_per_s, 0.0);
        // Before the window is over nothing new is said.
        assert_eq!(update(500, 40, &[]).answered_per_s, 0.0);
        let old = [5_000_000; 10];
        assert_eq!(update(2000, 100, &old).answered_per_s, 50.0);
        let with_new: Vec<u64> = old
            .into_iter()
            .chain([100_000; 99])
            .chain([900_000_000])
            .collect();
        let figures = update(4000, 300, &with_new);
        assert_eq!(figures.answered_per_s, 100.0);
        let is_near = |us: f64, expected: f64| (us / expected - 1.0).abs() < 0.25;
        assert!(is_near(figures.lateness_p50_us, 100.0), "{figures:?}");
        assert!(is_near(figures.lateness_p99_us, 100.0), "{figures:?}");
    }

    #[test]
    fn people_get_lines() {
        let progress = progress(20, &[]);
        let figures =
            [&progress.candidate, &progress.baseline].map(|t| Meter::default().figures(t));
        assert_eq!(
            lines(&progress, &figures),
            "firing 22/100\n  candidate  0/s  late p50 0us p99 0us  in flight 3  answered 20  errored 2  refused 0  unbound 1\n  \
             baseline   0/s  late p50 0us p99 0us  in flight 3  answered 30  errored 2  refused 0  unbound 1\n"
        );
        let planning = Progress {
            phase: Phase::Planning,
            ..progress
        };
        assert_eq!(lines(&planning, &figures), "planning\n");
        assert_eq!(
            [span(12.0), span(1234.0), span(2.5e6)],
            ["12us", "1.2ms", "2.5s"]
        );
    }

    #[test]
    fn programs_get_objects() {
        let progress = progress(20, &[]);
        let figures =
            [&progress.candidate, &progress.baseline].map(|t| Meter::default().figures(t));
        let event = event(&progress, Duration::from_millis(1500), figures);
        let value = serde_json::to_value(&event).expect("plain data");
        assert_eq!(value["event"], "progress");
        assert_eq!(
            (&value["phase"], &value["settled"]),
            (&"firing".into(), &22.into())
        );
        assert_eq!(value["candidate"]["unbound"], 1);
        assert_eq!(value["baseline"]["answered_per_s"], 0.0);
    }
}
