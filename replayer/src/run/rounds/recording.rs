//! Where requests of rounds are found again, to be fired alone.

use twintap_verdict::Draft;

use crate::run::confirm::{Found, Recording};
use crate::run::prepare::Prepared;

/// The recording itself: what differs in one round is fired again as in the first.
pub struct RoundRecording<'a> {
    prepared: &'a Prepared,
}

impl<'a> RoundRecording<'a> {
    /// That of a run.
    pub fn new(prepared: &'a Prepared) -> RoundRecording<'a> {
        RoundRecording { prepared }
    }
}

impl Recording for RoundRecording<'_> {
    fn find(&mut self, _draft: &Draft, wanted: &[u32]) -> Result<Found<'_>, String> {
        // A period begins with a round; a plan counts its requests in 32 bits.
        let requests = (self.prepared.plan.requests.len() as u32).max(1);
        Ok(Found {
            prepared: self.prepared,
            examples: wanted.iter().map(|own| (*own, own % requests)).collect(),
            doubts: Vec::new(),
        })
    }
}
