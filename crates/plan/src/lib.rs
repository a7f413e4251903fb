//! Sessions, correlation and schedule: what is due when, in which session, after what.

pub mod model;

pub use model::{
    Binding, Identity, Plan, PlannedRequest, Produced, SessionInfo, SkipReason, Wait, WaitReason,
};
