//! The crate from outside, as its callers use it.

mod allow_all;
mod before_after;
mod bodies;
mod inside;
mod leaks;
mod policies;
mod support;
mod values;
