//! Whether the twins can be reached.

use std::net::TcpStream;
use std::time::Duration;

use tracing::{info, warn};
use twintap_verdict::Twin;

use crate::fire::{RunControl, Target};

/// How long a twin may take to accept.
const ACCEPT: Duration = Duration::from_secs(1);

/// Looks whether each twin accepts a connection at each of its addresses, and tells the run
/// where that changed.
#[derive(Debug)]
pub struct Probe {
    twins: [(Twin, Vec<Target>, bool); 2],
}

impl Probe {
    /// Both are taken to be there.
    pub fn new(candidate: Vec<Target>, baseline: Vec<Target>) -> Probe {
        Probe {
            twins: [
                (Twin::Candidate, candidate, false),
                (Twin::Baseline, baseline, false),
            ],
        }
    }

    /// Looks once.
    pub fn look(&mut self, control: &RunControl) {
        for (twin, targets, was_down) in &mut self.twins {
            // Where a name leads that must not be sent to is not looked at either.
            let mut addresses = targets.iter().filter_map(Target::current);
            let is_down =
                addresses.any(|address| TcpStream::connect_timeout(&address, ACCEPT).is_err());
            control.set_down(*twin, is_down);
            if is_down != *was_down {
                *was_down = is_down;
                let twin = twin.name();
                if is_down {
                    warn!(twin, "the twin can't be reached");
                } else {
                    info!(twin, "the twin can be reached again");
                }
            }
        }
    }
}
