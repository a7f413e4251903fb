//! The crate from outside, as its callers use it.

mod allow_all;
mod before_after;
mod bodies;
mod commands;
mod detect;
mod hostile;
mod inside;
mod leaks;
mod policies;
mod second_look;
mod snapshot;
mod support;
mod values;
