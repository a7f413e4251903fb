//! What the users got.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// The counts of a drive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How long the drive took, in milliseconds.
    pub elapsed_ms: u64,
    /// How many requests were sent.
    pub exchanges: u64,
    /// How many of them were answered otherwise than the shop in production does, or not at all.
    pub unexpected: u64,
    /// What was unexpected, the first few of it.
    pub complaints: Vec<String>,
    /// Requests by endpoint and status; those without an answer have the status `error`.
    pub endpoints: BTreeMap<&'static str, BTreeMap<String, u64>>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (endpoint, statuses) in &self.endpoints {
            for (status, count) in statuses {
                writeln!(f, "{count:7}  {status}  {endpoint}")?;
            }
        }
        writeln!(
            f,
            "{:7}  in {:.1} s, {} unexpected",
            self.exchanges,
            Duration::from_millis(self.elapsed_ms).as_secs_f64(),
            self.unexpected
        )?;
        for complaint in &self.complaints {
            writeln!(f, "unexpected: {complaint}")?;
        }
        Ok(())
    }
}

/// The counts while the drive goes on.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Summary>);

impl Tally {
    /// Counts a request and its answer.
    pub fn count(&self, endpoint: &'static str, status: &str) {
        let mut summary = self.lock();
        summary.exchanges += 1;
        let statuses = summary.endpoints.entry(endpoint).or_default();
        *statuses.entry(status.to_owned()).or_default() += 1;
    }

    /// Counts something unexpected.
    pub fn complain(&self, complaint: String) {
        let mut summary = self.lock();
        summary.unexpected += 1;
        if summary.complaints.len() < MOST_COMPLAINTS {
            summary.complaints.push(complaint);
        }
    }

    /// The counts so far.
    pub fn summary(&self, elapsed: Duration) -> Summary {
        Summary {
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            ..self.lock().clone()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Summary> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const MOST_COMPLAINTS: usize = 20;
