//! Exchanges of an archive in about the order in which they were stored.
//!
//! Random access unpacks a block for each exchange. A run wants them in the order
//! of due times, which is nearly that of storing, so they are read one after the
//! other and kept for the little while until each is asked for.

use std::collections::{HashMap, VecDeque};

use twintap_archive::reader::Exchanges;
use twintap_archive::{Reader, StoredBody, StoredExchange};
use twintap_stream::ExchangeId;

/// The exchanges, each to be taken once.
pub struct Shelf<'a> {
    reader: &'a Reader,
    rest: Exchanges<'a>,
    is_at_end: bool,
    held: HashMap<ExchangeId, StoredExchange>,
    /// In the order of reading; some are taken already.
    order: VecDeque<ExchangeId>,
    held_bytes: usize,
    max_held_bytes: usize,
}

impl<'a> Shelf<'a> {
    /// Holds about `max_held_bytes` of what was read and not asked for.
    pub fn new(reader: &'a Reader, max_held_bytes: usize) -> Shelf<'a> {
        Shelf {
            reader,
            rest: reader.exchanges(),
            is_at_end: false,
            held: HashMap::new(),
            order: VecDeque::new(),
            held_bytes: 0,
            max_held_bytes,
        }
    }

    /// The exchange with this id.
    ///
    /// # Errors
    /// A text: it is not there, or can't be read.
    pub fn take(&mut self, id: &ExchangeId) -> Result<StoredExchange, String> {
        loop {
            if let Some(found) = self.held.remove(id) {
                self.held_bytes = self.held_bytes.saturating_sub(size(&found));
                self.forget_taken();
                return Ok(found);
            }
            if self.is_at_end || self.held_bytes > self.max_held_bytes {
                break;
            }
            match self.rest.next() {
                // A damaged place is met again by whoever asks for what was there.
                Some(Err(_)) => {}
                Some(Ok(stored)) => {
                    self.held_bytes += size(&stored);
                    self.order.push_back(stored.id().clone());
                    self.held.insert(stored.id().clone(), stored);
                }
                None => self.is_at_end = true,
            }
        }
        self.make_room();
        match self.reader.get(id) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(format!("exchange {id} is not in the archive")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What nobody asked for in a long time gives way, and can still be had one by
    /// one.
    fn make_room(&mut self) {
        while self.held_bytes > self.max_held_bytes / 2 {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(stored) = self.held.remove(&oldest) {
                self.held_bytes = self.held_bytes.saturating_sub(size(&stored));
            }
        }
    }

    fn forget_taken(&mut self) {
        while let Some(oldest) = self.order.front() {
            if self.held.contains_key(oldest) {
                return;
            }
            self.order.pop_front();
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
