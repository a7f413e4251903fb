//! What goes to the thread that compares, and what comes back.

use super::*;

/// How many outcomes go to the comparison together, and how long the first of
/// them waits for others: one by one, each would wake it.
const OUTCOMES_AT_ONCE: usize = 64;
const OUTCOMES_WAIT_NS: u64 = 5_000_000;

impl<'a> Engine<'a> {
    /// Sends outcomes off, when there are many, when someone waits for values of
    /// one, or when they have waited for company.
    pub(super) fn send_outcomes(&mut self, is_last: bool) {
        let now_ns = self.common.clock.now_ns();
        let due_ns = self.outcomes_due_ns.take();
        let is_due = is_last || self.has_wanted() || due_ns.is_some_and(|due| due <= now_ns);
        for twin in &mut self.twins {
            let has_many = twin.outcomes.len() >= OUTCOMES_AT_ONCE;
            if twin.outcomes.is_empty() {
                continue;
            }
            if is_due || has_many || twin.has_urgent {
                twin.has_urgent = false;
                // The comparing side outlives this one; should it have failed, the
                // ledger still closes.
                let outcomes = std::mem::take(&mut twin.outcomes);
                let _ = self.outcomes.send(ToWitness::Outcomes(outcomes));
            } else {
                let own_ns = now_ns + OUTCOMES_WAIT_NS;
                self.outcomes_due_ns = Some(due_ns.unwrap_or(own_ns));
            }
        }
        self.send_wanted();
    }

    /// Whether there are values to be asked for whose answer is there by now.
    pub(super) fn has_wanted(&self) -> bool {
        let is_settled = |wanted: &Wanted| {
            let schedule = &self.twins[self.place(wanted.twin)].schedule;
            schedule.is_settled(wanted.producer)
        };
        self.wanted.iter().any(is_settled)
    }

    /// Asks for values of answers that were told.
    pub(super) fn send_wanted(&mut self) {
        let twins = &self.twins;
        let is_told = |wanted: &mut Wanted| {
            let side = &twins[place(twins, wanted.twin)];
            side.outcomes.is_empty() && side.schedule.is_settled(wanted.producer)
        };
        for wanted in self.wanted.extract_if(.., is_told) {
            let _ = self.outcomes.send(ToWitness::Wanted(wanted));
        }
    }

    pub(super) fn take_values(&mut self) {
        let mut taken = Vec::new();
        self.values.take(usize::MAX, &mut taken);
        for values in taken {
            let now = self.now();
            match values {
                FromWitness::Values(position, twin, values) => {
                    let place = self.place(twin);
                    self.twins[place].handle_values(position, values, now);
                }
                FromWitness::Carried(wanted, values) => {
                    let place = self.place(wanted.twin);
                    let side = &mut self.twins[place];
                    let values =
                        values.map(|values| wanted.paths.into_iter().zip(values).collect());
                    side.handle_carried(wanted.first, wanted.producer, values, now);
                }
            }
        }
    }
}
