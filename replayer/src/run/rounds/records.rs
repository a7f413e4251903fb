//! What was recorded of the requests of rounds, for whoever compares.

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Reader, StoredBody};
use twintap_plan::{Plan, Produced, RoundPlace, RoundPlaces, Rounds, Window};

use super::feeder::Compared;
use super::shelf::RoundShelf;
use crate::run::prepare::Prepared;
use crate::run::records::{Record, Records, awaited, dependencies, produced, races};

/// The recorded sides of a plan's requests, round by round.
pub struct RoundRecords<'a> {
    plan: &'a Plan,
    rounds: Rounds<'a>,
    reader: &'a Reader,
    shelf: RoundShelf<'a>,
    /// Near the latest window.
    places: RoundPlaces,
    /// For each request of the plan, whether another depends on it.
    awaited: Vec<bool>,
    compared: Compared,
}

impl<'a> RoundRecords<'a> {
    /// Records off `shelf`. Tells `compared` how far the comparison is.
    pub fn new(
        prepared: &'a Prepared,
        rounds: &Rounds<'a>,
        shelf: RoundShelf<'a>,
        compared: Compared,
    ) -> RoundRecords<'a> {
        let (plan, reader) = (&prepared.plan, &prepared.reader);
        RoundRecords {
            plan,
            rounds: rounds.clone(),
            reader,
            shelf,
            places: RoundPlaces::of(plan),
            awaited: awaited(plan),
            compared,
        }
    }

    fn place(&self, position: u32) -> RoundPlace {
        self.places.clone().place(position)
    }
}

impl Records for RoundRecords<'_> {
    fn appended(&mut self, window: &Arc<Window>) {
        self.places.place(window.first);
    }

    fn produces(&self, position: u32) -> &[Produced] {
        &self.plan.requests[self.place(position).position as usize].produces
    }

    fn take(&mut self, position: u32) -> Record {
        let place = self.place(position);
        let planned = &self.plan.requests[place.position as usize];
        let before = position.wrapping_sub(place.position);
        let depends_on = dependencies(planned).map(|other| other.wrapping_add(before));
        Record {
            id: planned.exchange.clone(),
            session: Arc::from(self.rounds.session_name(place.round, planned.session)),
            copy: self.rounds.copy(place.round, planned.copy) as u32,
            service: planned.service,
            due_ns: planned.due_ns,
            produced: produced(&planned.produces),
            depends_on: depends_on.collect(),
            is_awaited: self.awaited[place.position as usize],
            races: races(planned, |other| {
                let other = &self.plan.requests[other as usize];
                Some(other.exchange.clone())
            }),
            stored: self.shelf.take(&planned.exchange).ok(),
        }
    }

    fn body(&self, _position: u32, body: &StoredBody, limit: u64) -> Option<Bytes> {
        self.reader.read_body(body, limit).ok()
    }

    fn done(&mut self, _position: u32) {
        self.compared.add_one();
    }
}
