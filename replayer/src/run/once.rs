//! Firing a finite plan, once.

use anyhow::Result;
use twintap_plan::Plan;

use super::compare::{self, Case, Comparison, Lacks};
use super::file::RunFile;
use super::now;
use super::prepare::Prepared;
use super::records::PlanRecords;
use super::renew::Renewal;
use super::shelf::Shelf;
use super::source::ArchiveSource;
use crate::fire::{FireSummary, Options, RunControl, fire};
use twintap_stream::Timestamp;

/// What is fired.
#[derive(Clone, Copy)]
pub struct Shot<'a> {
    /// As the run file says.
    pub file: &'a RunFile,
    /// Out of this archive.
    pub prepared: &'a Prepared,
    /// The plan, or a part of it.
    pub plan: &'a Plan,
    /// Where to, and within which limits.
    pub options: &'a Options,
    /// What goes out within this of T0 is not judged, in nanoseconds of run time.
    pub warm_up_ns: u64,
}

/// What came of it.
pub struct Fired<C> {
    /// How firing went.
    pub summary: FireSummary,
    /// The case, which has seen everything.
    pub case: C,
    /// What could not be compared in full.
    pub lacks: Lacks,
    /// When it began and ended.
    pub span: (Timestamp, Timestamp),
}

impl Shot<'_> {
    /// Fires the plan and shows what comes of it to `case`; `tick` is called a few times a
    /// second.
    ///
    /// # Errors
    /// When a key can't be read, or the machine lacks what firing needs.
    pub fn fire<C: Case>(
        self,
        case: C,
        control: &RunControl,
        tick: &mut dyn FnMut(),
    ) -> Result<Fired<C>> {
        let Shot {
            file,
            prepared,
            plan,
            options,
            warm_up_ns,
        } = self;
        let limits = &file.settings.limits;
        let started = now();
        let copies = file.settings.scale.get();
        let shelf = || Shelf::new(&prepared.reader, limits.read_ahead_bytes, copies);
        let mut source = ArchiveSource::new(
            plan,
            &prepared.reader,
            shelf(),
            limits.request_body_bytes,
            options.plan_speed,
            Renewal::new(file, plan, &prepared.scrubber, started)?,
        );
        let mut comparison = Comparison::new(
            compare::Inputs {
                scrubber: &prepared.scrubber,
                options,
                warm_up_ns,
            },
            PlanRecords::new(plan, &prepared.reader, shelf()),
            case,
            tick,
        );
        let summary = fire(plan, &mut source, &mut comparison, options, control)?;
        Ok(Fired {
            summary,
            lacks: comparison.lacks(),
            case: comparison.into_case(),
            span: (started, now()),
        })
    }
}
