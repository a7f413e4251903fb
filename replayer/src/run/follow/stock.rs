//! The exchanges that are planned and not settled, shared by whoever needs them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use twintap_archive::{Reader, StoredBody, StoredExchange};
use twintap_plan::{Produced, Window};

use crate::fire::{Recorded, RequestSource};
use crate::run::records::{Record, Records, dependencies, produced, races};
use crate::run::renew::{Renewal, Repeat};
use crate::run::source::recorded;

/// Windows with their exchanges, until all of a window is settled. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    windows: Arc<Mutex<VecDeque<Arc<Stocked>>>>,
}

/// A window with its exchanges.
#[derive(Debug)]
pub struct Stocked {
    /// The window.
    pub window: Arc<Window>,
    /// The exchange of each request.
    pub stored: Vec<Arc<StoredExchange>>,
    /// Where their bodies are read.
    pub reader: Arc<Reader>,
    /// Memory that they take, about.
    pub bytes: usize,
}

impl Stocked {
    fn place(&self, position: u32) -> Option<usize> {
        let place = position.wrapping_sub(self.window.first) as usize;
        (place < self.window.requests.len()).then_some(place)
    }
}

impl Stock {
    /// Adds the next window.
    pub fn add(&self, stocked: Stocked) {
        self.lock().push_back(Arc::new(stocked));
    }

    /// Memory that the exchanges take, about.
    pub fn bytes(&self) -> usize {
        self.lock().iter().map(|stocked| stocked.bytes).sum()
    }

    fn find(&self, position: u32) -> Option<(Arc<Stocked>, usize)> {
        let windows = self.lock();
        // What is asked about is mostly in one of the last windows.
        windows.iter().rev().find_map(|stocked| {
            let place = stocked.place(position)?;
            Some((Arc::clone(stocked), place))
        })
    }

    fn remove_first(&self) {
        self.lock().pop_front();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Stocked>>> {
        // What is guarded is whole after every statement.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the firing side its requests.
pub struct StockSource {
    stock: Stock,
    max_body_bytes: u64,
    renewal: Renewal,
}

impl StockSource {
    /// Request bodies of more than `max_body_bytes` are not fired.
    pub fn new(stock: Stock, max_body_bytes: u64, renewal: Renewal) -> StockSource {
        StockSource {
            stock,
            max_body_bytes,
            renewal,
        }
    }
}

impl RequestSource for StockSource {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        let found = self.stock.find(position);
        let (stocked, place) = found.ok_or("the exchange is not kept any more")?;
        let within = &stocked.window.requests[place].within;
        // What is followed goes at the speed at which it comes.
        let stored = &stocked.stored[place];
        let mut recorded = recorded(stored, &stocked.reader, self.max_body_bytes, within, 1.0)?;
        // What is said over a WebSocket is written as it was.
        if recorded.script.is_none() {
            let leaves = &stored.record.request.leaves;
            // Each is fired once.
            let repeat = Repeat {
                position,
                copy: 0,
                later: Duration::ZERO,
            };
            recorded.edits = self
                .renewal
                .edits(repeat, leaves, &recorded.head, &recorded.body);
        }
        Ok(recorded)
    }
}

/// Gives the comparing side what was recorded, and lets windows go.
#[derive(Debug)]
pub struct StockRecords {
    stock: Stock,
    /// The windows that the comparing side was told of, oldest first.
    told: VecDeque<Told>,
}

#[derive(Debug)]
struct Told {
    stocked: Arc<Stocked>,
    left: usize,
}

impl StockRecords {
    /// Records of `stock`.
    pub fn new(stock: Stock) -> StockRecords {
        StockRecords {
            stock,
            told: VecDeque::new(),
        }
    }

    fn find(&self, position: u32) -> Option<(&Stocked, usize)> {
        let mut told = self.told.iter();
        told.find_map(|told| Some((&*told.stocked, told.stocked.place(position)?)))
    }
}

impl Records for StockRecords {
    fn appended(&mut self, window: &Arc<Window>) {
        if let Some((stocked, _)) = self.stock.find(window.first) {
            let left = stocked.window.requests.len();
            self.told.push_back(Told { stocked, left });
        }
    }

    fn produces(&self, position: u32) -> &[Produced] {
        match self.find(position) {
            Some((stocked, place)) => &stocked.window.requests[place].produces,
            None => &[],
        }
    }

    fn take(&mut self, position: u32) -> Record {
        let (stocked, place) = self
            .find(position)
            .expect("a window stays until each of its requests was taken and done");
        let window = &stocked.window;
        let planned = &window.requests[place];
        Record {
            id: planned.exchange.clone(),
            session: Arc::clone(&window.sessions[planned.session as usize]),
            copy: planned.copy,
            service: planned.service,
            due_ns: planned.due_ns,
            produced: produced(&planned.produces),
            depends_on: dependencies(planned).collect(),
            // What comes in later windows is not known yet.
            is_awaited: true,
            races: races(planned, |position| {
                if let Some(place) = stocked.place(position) {
                    return Some(window.requests[place].exchange.clone());
                }
                // Its window may be gone.
                let mut raced = window.raced.iter();
                let (_, id) = raced.find(|(raced, _)| *raced == position)?;
                Some(id.clone())
            }),
            stored: Some(Arc::clone(&stocked.stored[place])),
        }
    }

    fn body(&self, position: u32, body: &StoredBody, limit: u64) -> Option<Bytes> {
        let (stocked, _) = self.find(position)?;
        stocked.reader.read_body(body, limit).ok()
    }

    fn done(&mut self, position: u32) {
        let mut told = self.told.iter_mut();
        if let Some(told) = told.find(|told| told.stocked.place(position).is_some()) {
            told.left = told.left.saturating_sub(1);
        }
        while self.told.front().is_some_and(|told| told.left == 0) {
            self.told.pop_front();
            self.stock.remove_first();
        }
    }
}

/// Roughly the memory that it takes.
pub fn size(stored: &StoredExchange) -> usize {
    let body = |body: &StoredBody| match body {
        StoredBody::Empty => 0,
        StoredBody::Inline(bytes) => bytes.len(),
        StoredBody::Blocks { refs, .. } => refs.len() * 32,
    };
    let record = &stored.record;
    let leaves = record.request.leaves.len() + record.response.leaves.len();
    let request = record.exchange.request.head.as_ref();
    let response = record.exchange.response.head.as_ref();
    let fields =
        request.map_or(0, |head| head.fields.len()) + response.map_or(0, |head| head.fields.len());
    1024 + leaves * 96 + fields * 160 + body(&stored.request_body) + body(&stored.response_body)
}
