//! Outcomes to findings to a verdict.

pub mod observation;

pub use observation::{Answer, Body, Observation, Outcome, Timing, Twin};
