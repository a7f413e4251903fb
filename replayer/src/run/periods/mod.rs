//! What a run without end comes to: reports by periods, and the answers that values
//! are taken from later.

mod answers;
mod judges;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tracing::{error, info};
use twintap_archive::Reader;
use twintap_plan::{PlanSummary, Window};
use twintap_scrub::Scrubber;
use twintap_stream::Timestamp;
use twintap_verdict::{Observation, Report, Rules, RunFacts, SequentialReport, Twin, Watch};

use super::compare::{Case, Lacks, RawAnswerKept};
use super::confirm::Desk;
use super::file::RunFile;
use super::resources::Sampler;
use super::watched::stop_on_alarm;
use super::{facts, now, write};
use crate::fire::response::RawAnswer;
use crate::fire::{FireSummary, RunControl};
use answers::Answers;
use judges::{Judged, Judges};

/// Judges by periods, and writes a report at the end of each.
pub struct Periods<'a> {
    file: &'a RunFile,
    control: &'a RunControl,
    scrubber: &'a Scrubber,
    /// Looks at the twins' processes over all periods.
    sampler: &'a Sampler,
    judges: Judges,
    /// Over all periods.
    watch: Watch,
    /// Where later windows may use values of earlier ones.
    answers: Option<Answers>,
    /// Where findings of periods are fired again.
    desk: Desk,
    /// When the period under way began.
    began: Timestamp,
    number: u64,
}

impl<'a> Periods<'a> {
    /// The first period begins now, and each lasts `every`. About `memory_bytes` of answers
    /// are kept, if any.
    pub fn new(
        file: &'a RunFile,
        control: &'a RunControl,
        scrubber: &'a Scrubber,
        rules: Rules,
        sampler: &'a Sampler,
        every: Duration,
        memory_bytes: usize,
    ) -> Self {
        Periods {
            file,
            control,
            scrubber,
            sampler,
            watch: Watch::new(&rules.options),
            judges: Judges::new(rules, every),
            desk: Desk::new(file),
            answers: (memory_bytes > 0).then(|| Answers::new(memory_bytes)),
            began: now(),
            number: 0,
        }
    }

    /// Where what periods find waits until it was fired again.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// The last period.
    pub fn into_last(mut self) -> Last {
        self.report();
        Last {
            number: self.number + 1,
            began: self.began,
            sequential: self.watched(),
            judged: self.judges.into_last(),
            desk: self.desk,
        }
    }

    /// What all periods so far came to together.
    fn watched(&self) -> SequentialReport {
        SequentialReport {
            over_all_periods: true,
            ..self.watch.report()
        }
    }

    /// Reports on the periods that are over.
    fn report(&mut self) {
        for judged in self.judges.over() {
            self.number += 1;
            let began = std::mem::replace(&mut self.began, now());
            let number = self.number;
            match self.write(judged, number, (began, self.began)) {
                Ok(verdict) => info!(number, verdict, "a period of the run ended"),
                // The run goes on: its next report may find room again.
                Err(error) => error!(number, "a period has no report: {error:#}"),
            }
        }
    }

    fn write(
        &self,
        judged: Judged,
        number: u64,
        span: (Timestamp, Timestamp),
    ) -> Result<&'static str> {
        let reader = Reader::open(&self.file.archive);
        let checkpoint = reader.and_then(|reader| reader.checkpoint());
        let checkpoint = checkpoint.context("reading the checkpoint")?;
        let origin = facts::Origin {
            checkpoint: checkpoint.as_ref(),
            scrubber: self.scrubber,
            loss: &BTreeMap::new(),
            plan: &PlanSummary::default(),
        };
        let mut facts = facts::of_run(
            self.file,
            origin,
            &FireSummary::default(),
            Lacks::default(),
            span,
        );
        // What creeps up is seen over the whole run, not in a period of it.
        facts.resources = self.sampler.so_far();
        let draft = judged.judge.draft(RunFacts {
            sequential: Some(self.watched()),
            ..of_period(facts, number, judged.planned)
        });
        self.desk.hand_in(number, draft, |report| {
            write_period(self.file, number, report)?;
            Ok(report.verdict.name())
        })
    }
}

/// Writes the report of a period, counted from 1, in the place of one that there is.
///
/// # Errors
/// When the place can't be written to.
pub fn write_period(file: &RunFile, number: u64, report: &Report) -> Result<()> {
    let text = serde_json::to_string_pretty(report).context("writing JSON")?;
    let name = format!("period-{number:06}.json");
    write(&file.output.join(name), &text)
}

/// What is left to be reported when a run ends.
pub struct Last {
    /// The period's number, from 1.
    number: u64,
    began: Timestamp,
    sequential: SequentialReport,
    judged: Judged,
    desk: Desk,
}

impl Last {
    /// When it began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// Its report, where these are the facts of the run.
    pub fn conclude(self, facts: RunFacts) -> Report {
        let facts = match self.number {
            1 => facts,
            number => of_period(facts, number, self.judged.planned),
        };
        let draft = self.judged.judge.draft(RunFacts {
            sequential: Some(self.sequential),
            ..facts
        });
        self.desk.last_report(self.number, draft)
    }
}

/// Plan and release error are known of a run as a whole alone; of a period, how many requests
/// were planned.
fn of_period(mut facts: RunFacts, number: u64, planned: u64) -> RunFacts {
    facts.resources.period = number;
    RunFacts {
        plan: None,
        planned: Some(planned),
        release_error_us: None,
        ..facts
    }
}

impl Case for Periods<'_> {
    fn observe(&mut self, observation: Observation) {
        self.watch.observe(&observation);
        stop_on_alarm(self.file, self.control, self.watch.is_alarm());
        self.judges.observe(observation);
    }

    fn answered(&mut self, position: u32, twin: Twin, answer: &RawAnswer) {
        if let Some(answers) = &mut self.answers {
            answers.keep(position, twin, answer);
        }
    }

    fn appended(&mut self, window: &Arc<Window>) {
        let count = window.requests.len() as u64;
        self.judges.expect(window.first, count);
    }

    fn answer(&mut self, position: u32, twin: Twin) -> Option<&RawAnswerKept> {
        self.answers.as_mut()?.get(position, twin)
    }

    fn tick(&mut self) {
        self.report();
    }
}
