//! Waits for what other sessions did before, and races with what they did meanwhile.

use twintap_stream::message::MessageState;

use super::Sweep;
use crate::model::{Race, Wait, WaitReason};
use crate::options::OrderRule;
use crate::resource::add_race;

/// How many waits are followed to see whether one is needed.
const MOST_LOOKED_AT: usize = 32;
/// What requests touch of which no more is known than that they may change something.
const EVERYTHING: &str = "*";

impl Sweep<'_> {
    /// Adds waits for what touched a resource before, or for all that was before, and what
    /// the request races with; gives the writes among what went before.
    pub(super) fn order(
        &mut self,
        position: u32,
        waits: &mut Vec<Wait>,
        races: &mut Vec<Race>,
    ) -> Vec<u32> {
        let before = self.resources.begin(self.capture, position, races);
        let mut follows = before.writes;
        follows.truncate(self.options.max_resource);
        match self.options.order {
            OrderRule::Resource => {
                let (most, reason) = (self.options.max_resource, WaitReason::Resource);
                self.add_waits(position, waits, before.all, most, reason);
            }
            OrderRule::Recorded => {
                let start_ns = self.capture.items[position as usize].start_ns;
                let over: Vec<u32> = self
                    .over
                    .newest_first()
                    .filter(|(end_ns, _)| *end_ns < start_ns)
                    .map(|(_, request)| request)
                    .collect();
                let (most, reason) = (self.options.max_recorded, WaitReason::Recorded);
                self.add_waits(position, waits, over, most, reason);
                self.race(position, races);
            }
            OrderRule::Session | OrderRule::None => (),
        }
        waits.sort_unstable_by_key(|wait| wait.request);
        follows
    }

    /// Adds waits for these, at most so many, unless there are such through others.
    fn add_waits(
        &self,
        position: u32,
        waits: &mut Vec<Wait>,
        requests: Vec<u32>,
        most: usize,
        reason: WaitReason,
    ) {
        let mut room = most;
        for request in requests {
            if room == 0 {
                break;
            }
            if !self.is_waited_for(position, request, waits) {
                waits.push(Wait { request, reason });
                room -= 1;
            }
        }
    }

    /// Where all of the recorded order matters, it does for what may change something,
    /// whatever that is: two that did so at the same time race.
    fn race(&mut self, position: u32, races: &mut Vec<Race>) {
        let items = &self.capture.items;
        let item = &items[position as usize];
        if item.safe || item.response == MessageState::Absent {
            return;
        }
        let apart_ns = self.apart_ns;
        self.open
            .retain(|open| items[*open as usize].end_ns + apart_ns >= item.start_ns);
        for open in &self.open {
            if items[*open as usize].flow != item.flow {
                add_race(races, *open, EVERYTHING);
                add_race(
                    &mut self.requests[*open as usize].races,
                    position,
                    EVERYTHING,
                );
            }
        }
        self.open.push(position);
    }

    /// Whether the request at `position` waits for `other` already: on its connection,
    /// as what its client had, or through those for which it waits.
    fn is_waited_for(&self, position: u32, other: u32, waits: &[Wait]) -> bool {
        let of = |position: u32| {
            let item = &self.capture.items[position as usize];
            (item.flow, self.sessions.of[position as usize])
        };
        let ((flow, session), (other_flow, other_session)) = (of(position), of(other));
        if flow == other_flow || session == other_session && self.was_had[other as usize] {
            return true;
        }
        let mut looked_at = 0;
        let mut ahead: Vec<u32> = waits.iter().map(|wait| wait.request).collect();
        while let Some(next) = ahead.pop() {
            if next == other {
                return true;
            }
            looked_at += 1;
            // Edges point back, so that what is earlier leads to no `other`.
            if next > other && looked_at <= MOST_LOOKED_AT {
                let waits = &self.requests[next as usize].waits;
                ahead.extend(waits.iter().map(|wait| wait.request));
            }
        }
        false
    }
}
