//! The agent: loads the kernel programs, attaches them to the cgroups that were named, drains their
//! rings and ships what they hold to the daemon.
//!
//! The way of the data is [`probes`] (rings) to [`drain`] (a thread: merge, shed, batch) to [`seal`]
//! (a thread: encode, compress) to [`outbox`] (frames until they are durable) to [`ship`] (gRPC).
//! Nothing on it waits for what comes after it: what does not fit the memory budget is shed and
//! counted.

pub mod batch;
pub mod budget;
pub mod cgroup;
pub mod config;
pub mod cost;
pub mod drain;
pub mod governor;
pub mod kernel_log;
pub mod ledger;
pub mod metrics;
pub mod outbox;
pub mod preflight;
pub mod probes;
pub mod rings;
pub mod roles;
pub mod run;
pub mod seal;
pub mod ship;
mod sys;
pub mod top;
