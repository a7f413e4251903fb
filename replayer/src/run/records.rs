//! What was recorded of the requests that are fired, for whoever compares.

use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Reader, StoredBody, StoredExchange};
use twintap_plan::{Plan, PlannedRequest, Produced, Window};
use twintap_scrub::LinkTag;
use twintap_stream::{ExchangeId, RequestHead};
use twintap_verdict::Raced;

use super::shelf::Shelf;

/// The recorded side of a request.
pub struct Record {
    /// The exchange.
    pub id: ExchangeId,
    /// Its session's name.
    pub session: Arc<str>,
    /// Which copy of the recorded session it is.
    pub copy: u32,
    /// Which service of a twin it goes to, as the plan names it.
    pub service: u16,
    /// When it is due, in nanoseconds from T0.
    pub due_ns: u64,
    /// Paths and recorded tags of what later requests use of the answer.
    pub produced: Vec<(String, LinkTag)>,
    /// Positions of requests whose values it uses, or that wrote what it touches.
    pub depends_on: Vec<u32>,
    /// Whether a later request depends on it so.
    pub is_awaited: bool,
    /// The writes that it raced with.
    pub races: Vec<Raced>,
    /// The exchange, where it can be read.
    pub stored: Option<Arc<StoredExchange>>,
}

impl Record {
    /// The head of the recorded request, where it can be read.
    pub fn request(&self) -> Option<&RequestHead> {
        let stored = self.stored.as_ref()?;
        stored.exchange().request.head.as_ref()
    }
}

/// The recorded sides of a plan's requests.
pub trait Records {
    /// Leaves of the recorded response that later requests of the same batch use.
    fn produces(&self, position: u32) -> &[Produced];

    /// The recorded side of a request, taken once.
    fn take(&mut self, position: u32) -> Record;

    /// All bytes of a body of at most `limit` bytes; `None` where it can't be read.
    fn body(&self, position: u32, body: &StoredBody, limit: u64) -> Option<Bytes>;

    /// The plan has grown.
    fn appended(&mut self, window: &Arc<Window>) {
        let _ = window;
    }

    /// Nothing more is asked about a request.
    fn done(&mut self, position: u32) {
        let _ = position;
    }
}

/// Those of a finite plan.
pub struct PlanRecords<'a> {
    plan: &'a Plan,
    reader: &'a Reader,
    shelf: Shelf<'a>,
    names: Vec<Arc<str>>,
    /// For each request, whether another depends on it.
    awaited: Vec<bool>,
}

impl<'a> PlanRecords<'a> {
    /// Takes exchanges off `shelf`.
    pub fn new(plan: &'a Plan, reader: &'a Reader, shelf: Shelf<'a>) -> PlanRecords<'a> {
        let names = plan.sessions.iter();
        PlanRecords {
            awaited: awaited(plan),
            plan,
            reader,
            shelf,
            names: names
                .map(|session| Arc::from(session.id.as_str()))
                .collect(),
        }
    }
}

impl Records for PlanRecords<'_> {
    fn produces(&self, position: u32) -> &[Produced] {
        &self.plan.requests[position as usize].produces
    }

    fn take(&mut self, position: u32) -> Record {
        let planned = &self.plan.requests[position as usize];
        Record {
            id: planned.exchange.clone(),
            session: Arc::clone(&self.names[planned.session as usize]),
            copy: planned.copy,
            service: planned.service,
            due_ns: planned.due_ns,
            produced: produced(&planned.produces),
            depends_on: dependencies(planned).collect(),
            is_awaited: self.awaited[position as usize],
            races: races(planned, |position| {
                let request = &self.plan.requests[position as usize];
                Some(request.exchange.clone())
            }),
            stored: self.shelf.take(&planned.exchange).ok().map(Arc::new),
        }
    }

    fn body(&self, _position: u32, body: &StoredBody, limit: u64) -> Option<Bytes> {
        self.reader.read_body(body, limit).ok()
    }
}

/// For each request of a plan, whether another depends on it.
pub fn awaited(plan: &Plan) -> Vec<bool> {
    let mut awaited = vec![false; plan.requests.len()];
    for position in plan.requests.iter().flat_map(dependencies) {
        awaited[position as usize] = true;
    }
    awaited
}

/// What a request depends on: those whose values it uses, and writes of what it
/// touches.
pub fn dependencies(planned: &PlannedRequest) -> impl Iterator<Item = u32> + '_ {
    let producers = planned.bindings.iter().map(|binding| binding.producer);
    producers.chain(planned.follows.iter().copied())
}

/// The writes that a request raced with; `exchange_at` tells which exchange is at a
/// position, where that is known.
pub fn races(
    planned: &PlannedRequest,
    exchange_at: impl Fn(u32) -> Option<ExchangeId>,
) -> Vec<Raced> {
    let races = planned.races.iter();
    races
        .filter_map(|race| {
            Some(Raced {
                exchange: exchange_at(race.request)?,
                resource: race.resource.clone(),
            })
        })
        .collect()
}

/// The paths and recorded tags of leaves.
pub fn produced(produces: &[Produced]) -> Vec<(String, LinkTag)> {
    let produces = produces.iter();
    produces
        .map(|produced| (produced.path.to_string(), produced.tag))
        .collect()
}
