//! Sessions, correlation and schedule: what is due when, in which session, after what.
//!
//! [`Planner`] takes the recorded exchanges and makes a [`Plan`]. In this order:
//! which exchanges are internal (`entry`), which values tell clients apart
//! (`identity`), which exchanges are one session (`session`), which response made
//! what a request uses (`correlate`, `bind`), which exchanges touch one resource
//! (`resource`), and what is fired when and after what (`schedule`).
//! [`Plan::with_load`] makes it faster, larger or a closed loop, [`Plan::only`] a part of it. Nothing here reads a
//! clock or does I/O.
#![forbid(unsafe_code)]

mod arrival;
mod bind;
mod capture;
mod closure;
mod collect;
mod commands;
mod conversation;
mod correlate;
mod created;
mod digest;
mod entry;
mod front;
mod identity;
mod names;
mod planner;
mod resource;
mod schedule;
mod session;
mod shape;
mod small;
mod union;

pub mod follow;
pub mod load;
pub mod model;
pub mod options;
pub mod rounds;
pub mod routes;
pub mod rules;
pub mod summary;

pub use commands::Spoken;
pub use created::for_copy;
pub use follow::{Carried, Follower, Window};
pub use load::{Load, Pace, TooLarge};
pub use model::{
    BindReason, Binding, Created, CreatedKind, CreatedPlace, Identity, Kept, KeptReason, Plan,
    PlannedRequest, Produced, Race, SessionInfo, SkipReason, Think, Wait, WaitReason, Within,
};
pub use options::{EntryRule, Filter, FilterProtocol, OrderRule, PlanOptions, UnboundRule};
pub use planner::Planner;
pub use rounds::{RoundPlace, RoundPlaces, Rounds, Turn};
pub use routes::{Route, RouteTo};
pub use rules::{BindingRule, Place, RuleAction};
pub use summary::PlanSummary;
