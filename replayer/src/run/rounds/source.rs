//! The requests of rounds, for firing.

use std::time::Duration;

use twintap_archive::Reader;
use twintap_plan::{Pace, Plan, RoundPlace, RoundPlaces, Rounds};
use twintap_stream::Timestamp;

use super::shelf::RoundShelf;
use crate::fire::{Recorded, RequestSource};
use crate::run::file::Settings;
use crate::run::now;
use crate::run::prepare::Prepared;
use crate::run::renew::{Renewal, Repeat};
use crate::run::source::recorded;

/// Reads the requests of a plan, round by round.
pub struct RoundSource<'a> {
    plan: &'a Plan,
    rounds: Rounds<'a>,
    reader: &'a Reader,
    shelf: RoundShelf<'a>,
    places: RoundPlaces,
    max_body_bytes: u64,
    renewal: Renewal,
    pace: Pace,
    started: Timestamp,
    /// The round that is read, and how much later than the first it is.
    round: u64,
    later: Duration,
}

impl<'a> RoundSource<'a> {
    /// Takes requests off `shelf`, and changes them by `renewal`.
    pub fn new(
        prepared: &'a Prepared,
        rounds: &Rounds<'a>,
        shelf: RoundShelf<'a>,
        settings: &Settings,
        renewal: Renewal,
    ) -> RoundSource<'a> {
        let (plan, reader, limits) = (&prepared.plan, &prepared.reader, &settings.limits);
        RoundSource {
            plan,
            rounds: rounds.clone(),
            reader,
            shelf,
            places: RoundPlaces::of(plan),
            max_body_bytes: limits.request_body_bytes,
            renewal,
            pace: settings.pace,
            started: now(),
            round: 0,
            later: Duration::ZERO,
        }
    }

    /// Takes note of when a round is: times in it keep their distances.
    fn begin(&mut self, round: u64) {
        if round == self.round {
            return;
        }
        self.round = round;
        self.later = Duration::from_nanos(match self.pace {
            Pace::Asap => now().since_ns(self.started),
            Pace::Recorded | Pace::Closed => round.saturating_mul(self.rounds.length_ns()),
        });
    }
}

impl RequestSource for RoundSource<'_> {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        let RoundPlace { round, position } = self.places.place(position);
        self.begin(round);
        let planned = &self.plan.requests[position as usize];
        let stored = self.shelf.take(&planned.exchange)?;
        let mut recorded = recorded(
            &stored,
            self.reader,
            self.max_body_bytes,
            &planned.within,
            self.plan.speed,
        )?;
        // What is said over a WebSocket is written as it was.
        if recorded.script.is_none() {
            let repeat = Repeat {
                position,
                copy: self.rounds.copy(round, planned.copy) as u32,
                later: self.later,
            };
            let leaves = &stored.record.request.leaves;
            recorded.edits = self
                .renewal
                .edits(repeat, leaves, &recorded.head, &recorded.body);
        }
        Ok(recorded)
    }
}
