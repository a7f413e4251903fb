//! Whether the twins can be reached.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tracing::{info, warn};
use twintap_verdict::Twin;

use crate::fire::RunControl;

/// How long a twin may take to accept.
const ACCEPT: Duration = Duration::from_secs(1);

/// Looks whether each twin accepts a connection at each of its addresses, and tells the run
/// where that changed.
#[derive(Debug)]
pub struct Probe {
    twins: [(Twin, Vec<SocketAddr>, bool); 2],
}

impl Probe {
    /// Both are taken to be there.
    pub fn new(candidate: Vec<SocketAddr>, baseline: Vec<SocketAddr>) -> Probe {
        Probe {
            twins: [
                (Twin::Candidate, candidate, false),
                (Twin::Baseline, baseline, false),
            ],
        }
    }

    /// Looks once.
    pub fn look(&mut self, control: &RunControl) {
        for (twin, addresses, was_down) in &mut self.twins {
            let fails = |address| TcpStream::connect_timeout(address, ACCEPT).is_err();
            let is_down = addresses.iter().any(fails);
            control.set_down(*twin, is_down);
            if is_down != *was_down {
                *was_down = is_down;
                let twin = match twin {
                    Twin::Candidate => "candidate",
                    Twin::Baseline => "baseline",
                };
                if is_down {
                    warn!(twin, "the twin can't be reached");
                } else {
                    info!(twin, "the twin can be reached again");
                }
            }
        }
    }
}
