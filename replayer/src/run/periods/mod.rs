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
use twintap_verdict::{Judge, Observation, Twin};

use super::compare::{Case, RawAnswerKept};
use super::file::RunFile;
use super::{facts, now, write};
use crate::fire::FireSummary;
use crate::fire::response::RawAnswer;
use answers::Answers;
use judges::Judges;

/// Judges by periods, and writes a report at the end of each.
pub struct Periods<'a> {
    file: &'a RunFile,
    scrubber: &'a Scrubber,
    judges: Judges,
    /// Where later windows may use values of earlier ones.
    answers: Option<Answers>,
    /// When the period under way began.
    began: Timestamp,
    number: u64,
}

impl<'a> Periods<'a> {
    /// The first period begins now, and each lasts `every`. About `memory_bytes` of answers
    /// are kept, if any.
    pub fn new(
        file: &'a RunFile,
        scrubber: &'a Scrubber,
        every: Duration,
        memory_bytes: usize,
    ) -> Self {
        Periods {
            file,
            scrubber,
            judges: Judges::new(file.settings.verdict.clone(), every),
            answers: (memory_bytes > 0).then(|| Answers::new(memory_bytes)),
            began: now(),
            number: 0,
        }
    }

    /// The judge of the last period, and when that began.
    pub fn into_last(mut self) -> (Judge, Timestamp) {
        self.report();
        (self.judges.into_last(), self.began)
    }

    /// Reports on the periods that are over.
    fn report(&mut self) {
        for judge in self.judges.over() {
            self.number += 1;
            let began = std::mem::replace(&mut self.began, now());
            let number = self.number;
            match self.write(judge, number, (began, self.began)) {
                Ok(verdict) => info!(number, verdict, "a period of the run ended"),
                // The run goes on: its next report may find room again.
                Err(error) => error!(number, "a period has no report: {error:#}"),
            }
        }
    }

    fn write(
        &self,
        judge: Judge,
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
        let mut facts = facts::of_run(self.file, origin, &FireSummary::default(), 0, span);
        // These are known of the run as a whole alone.
        facts.plan = None;
        facts.release_error_us = None;
        let report = judge.conclude(facts);
        let text = serde_json::to_string_pretty(&report).context("writing JSON")?;
        let name = format!("period-{number:06}.json");
        write(&self.file.output.join(name), &text)?;
        Ok(report.verdict.name())
    }
}

impl Case for Periods<'_> {
    fn observe(&mut self, observation: Observation) {
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
