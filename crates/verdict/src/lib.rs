//! Outcomes to findings to a verdict.
//!
//! A [`Judge`] takes [`Observation`]s in any order and concludes with a
//! [`Report`], which serializes as `report.json` and is rendered by [`html()`],
//! [`text()`] and [`markdown()`]. Candidate against baseline is the signal; baseline
//! against production, and against a second baseline where there is one, the noise. No I/O and no clock.

#![forbid(unsafe_code)]

mod ages;
mod allowed;
mod apart;
mod attribute;
mod blame;
pub mod business;
mod closeup;
mod compare;
mod conclude;
mod confirm;
mod endpoint;
pub mod errors;
mod evidence;
pub mod facts;
mod failing;
mod fidelity;
mod findings;
pub mod gate;
mod generated;
mod history;
mod html;
mod judge;
mod junit;
mod kind;
pub mod latency;
mod lead;
mod mould;
mod noise;
pub mod observation;
mod options;
mod order;
mod outline;
mod passing;
mod pattern;
mod range;
mod reasons;
pub mod report;
pub mod resource;
mod roles;
mod rules;
mod schema;
pub mod scope;
mod second;
pub mod sequential;
mod slower;
pub mod stats;
mod tally;
mod text;
mod trend;
mod worded;

pub use allowed::OptionError;
pub use business::Metric;
pub use closeup::{Closeup, Refired, Shown};
pub use confirm::{Confirmation, ConfirmationOutcome, ConfirmationReport, Draft, Recollection};
pub use endpoint::{EndpointPattern, PatternError};
pub use errors::EndpointErrors;
pub use evidence::{Evidence, Excerpt, RacedWith, Reproduce};
pub use facts::{
    CaptureSource, Correlation, KernelLedger, PlanSummary, Quantiles, RunFacts, Target,
};
pub use fidelity::Unequal;
pub use gate::{Gate, Level};
pub use history::Step;
pub use html::html;
pub use judge::Judge;
pub use junit::junit;
pub use kind::Kind;
pub use observation::{Answer, Body, Observation, Outcome, Raced, Timing, Twin};
pub use options::{ArrayMatch, LatencyOptions, Options};
pub use pattern::Pattern;
pub use report::{Apart, ApartCause, Finding, Report, RunLedgers, Verdict};
pub use resource::{Resource, ResourceFacts, ResourceSample};
pub use rules::Rules;
pub use schema::report_schema;
pub use scope::Component;
pub use second::{SecondBaselineEndpoint, SecondBaselineReport, VaryingPlace};
pub use sequential::{Bet, SequentialReport, StreamReport, Watch};
pub use text::{markdown, text};
