//! Sessions, correlation and schedule: what is due when, in which session, after what.
#![forbid(unsafe_code)]

mod names;
mod shape;

pub mod model;
pub mod options;

pub use model::{
    Binding, Identity, Plan, PlannedRequest, Produced, SessionInfo, SkipReason, Wait, WaitReason,
};
pub use options::{EntryRule, Filter, PlanOptions, UnboundRule};
