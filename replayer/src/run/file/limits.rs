//! What a run file lets a run take, and how long it waits.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::values::Span;

/// How much a run may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in flight at one twin; 10,000 where nothing is said, and 64 where all
    /// is due at once.
    pub in_flight: Option<usize>,
    /// Threads that fire; where nothing is said one for each twin, or one for both on a
    /// machine with one processor.
    pub threads: Option<Threads>,
    /// Whether idle processors stay awake while the run fires; where nothing is said, in runs
    /// at the recorded pace that end by themselves.
    pub stay_awake: Option<bool>,
    /// Connections open to one twin.
    pub connections: usize,
    /// The largest answer body that is compared in full.
    pub body_bytes: usize,
    /// Bytes of answers that wait for their comparison.
    pub held_answer_bytes: usize,
    /// Bytes of requests read ahead.
    pub read_ahead_bytes: usize,
    /// The largest request body that is fired.
    pub request_body_bytes: u64,
}

/// Threads that fire: 1 for both twins, or 2, one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Threads(u8);

impl Threads {
    /// The number.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One for each twin, where the machine has as many processors.
    pub(crate) fn of_machine() -> Threads {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Threads(if processors > 1 { 2 } else { 1 })
    }
}

impl TryFrom<u64> for Threads {
    type Error = String;

    fn try_from(threads: u64) -> Result<Threads, String> {
        match threads {
            1 => Ok(Threads(1)),
            2 => Ok(Threads(2)),
            _ => Err(format!(
                "threads must be 1 (for both twins) or 2 (one for each), not {threads}"
            )),
        }
    }
}

impl From<Threads> for u64 {
    fn from(threads: Threads) -> u64 {
        u64::from(threads.0)
    }
}

/// How long a run waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a request's dependencies, from its due time.
    pub wait: Span,
    /// For a whole answer.
    pub response: Span,
    /// For a connection.
    pub connect: Span,
    /// For what is in flight when the run is stopped.
    pub stop: Span,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            in_flight: None,
            threads: None,
            stay_awake: None,
            connections: 10_000,
            body_bytes: 4 << 20,
            held_answer_bytes: 256 << 20,
            read_ahead_bytes: 64 << 20,
            request_body_bytes: 256 << 20,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            wait: Span(Duration::from_secs(5)),
            response: Span(Duration::from_secs(30)),
            connect: Span(Duration::from_secs(5)),
            stop: Span(Duration::from_secs(5)),
        }
    }
}
