//! The recorded flows of a plan, numbered: requests of one go over one connection.

use std::collections::HashMap;
use std::sync::Arc;

use twintap_stream::FlowId;
use twintap_stream::message::Protocol;

use super::batches::Requests;
use super::link::tls::Speech;

/// The numbers of flows. Those that are long idle are given to others.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    numbers: HashMap<Key, u32>,
    /// By number.
    keys: Vec<Option<Key>>,
    free: Vec<u32>,
    /// For each flow its place in the counts of the batch at hand.
    places: Vec<Option<u32>>,
}

/// A flow's id is unique within one boot of one node alone, each copy of a session has
/// flows of its own, and a connection that changed its protocol, or whose requests go to
/// two services, is as two.
type Key = (Arc<str>, u64, FlowId, u32, Way);

/// How the requests of a flow go to a twin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Way {
    /// What was recorded to be spoken.
    pub(crate) speech: Speech,
    /// The number of the service.
    pub(crate) service: u16,
}

/// The flows of one batch.
#[derive(Debug, Default)]
pub(crate) struct FlowsOfBatch {
    /// Of each request.
    of: Vec<u32>,
    /// Flows with how many of their requests are not skipped.
    pub(crate) requests: Vec<(u32, u32)>,
    /// Of each of these flows how they go.
    pub(crate) ways: Vec<Way>,
    /// Each flow that opens ahead, with its first request that is fired, in the order of
    /// these.
    pub(crate) openings: Vec<(u32, u32)>,
}

impl FlowsOfBatch {
    /// The flow of the request at a place of the batch.
    pub(crate) fn of(&self, place: usize) -> u32 {
        self.of[place]
    }
}

impl Flows {
    /// Numbers the flows of a batch.
    pub(crate) fn take(&mut self, requests: &Requests<'_>) -> FlowsOfBatch {
        let mut batch = FlowsOfBatch {
            of: Vec::with_capacity(requests.len()),
            ..FlowsOfBatch::default()
        };
        let first = requests.first();
        for (place, request) in (0u32..).zip(requests.iter()) {
            let id = &request.exchange;
            let speech = match request.protocol {
                Protocol::Http2 => Speech::Http2,
                Protocol::Redis | Protocol::Postgres | Protocol::Mysql => Speech::Commands,
                Protocol::Http1 | Protocol::Opaque => Speech::Http1,
            };
            let node = Arc::clone(&id.node);
            let way = Way {
                speech,
                service: request.service,
            };
            let key = (node, id.boot, request.flow, request.copy, way);
            let number = self.number(key);
            batch.of.push(number);
            if request.skip.is_some() {
                continue;
            }
            let count = self.places[number as usize];
            match count {
                Some(count) => batch.requests[count as usize].1 += 1,
                None => {
                    self.places[number as usize] = Some(batch.requests.len() as u32);
                    batch.requests.push((number, 1));
                    batch.ways.push(way);
                    // Who thinks before it connects may do so much later than planned.
                    if request.think.is_none() {
                        batch.openings.push((number, first.wrapping_add(place)));
                    }
                }
            }
        }
        for &(number, _) in &batch.requests {
            self.places[number as usize] = None;
        }
        batch
    }

    /// How many numbers were given.
    pub(crate) fn len(&self) -> u32 {
        self.keys.len() as u32
    }

    /// The flow is forgotten; should it go on, it gets another number.
    pub(crate) fn forget(&mut self, number: u32) {
        if let Some(key) = self.keys[number as usize].take() {
            self.numbers.remove(&key);
            self.free.push(number);
        }
    }

    fn number(&mut self, key: Key) -> u32 {
        if let Some(&known) = self.numbers.get(&key) {
            return known;
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.keys.push(None);
                self.places.push(None);
                self.keys.len() as u32 - 1
            }
        };
        self.keys[number as usize] = Some(key.clone());
        self.numbers.insert(key, number);
        number
    }
}
