//! Exchanges of an archive that are asked for in each round.

use std::collections::HashMap;
use std::sync::Arc;

use twintap_archive::StoredExchange;
use twintap_stream::ExchangeId;

use crate::run::follow::size;
use crate::run::prepare::Prepared;
use crate::run::shelf::Shelf;

/// Keeps as many as fit, and reads the others again in each round.
pub struct RoundShelf<'a> {
    kept: HashMap<ExchangeId, Arc<StoredExchange>>,
    kept_bytes: usize,
    max_kept_bytes: usize,
    shelf: Shelf<'a>,
}

/// An exchange takes about as much memory.
const USUAL_BYTES: usize = 4096;

impl<'a> RoundShelf<'a> {
    /// Takes about `max_bytes` of memory. Each round asks for each exchange `copies` times.
    pub fn new(prepared: &'a Prepared, max_bytes: usize, copies: u32) -> RoundShelf<'a> {
        let exchanges = prepared.plan.requests.len() / copies.max(1) as usize;
        let fits = exchanges.saturating_mul(USUAL_BYTES) <= max_bytes / 2;
        // What is kept is taken off the shelf once.
        let uses = if fits { 1 } else { copies };
        RoundShelf {
            kept: HashMap::new(),
            kept_bytes: 0,
            max_kept_bytes: if fits { max_bytes / 2 } else { 0 },
            shelf: Shelf::new(&prepared.reader, max_bytes / 2, uses),
        }
    }

    /// The exchange with this id.
    ///
    /// # Errors
    /// A text: it is not there, or can't be read.
    pub fn take(&mut self, id: &ExchangeId) -> Result<Arc<StoredExchange>, String> {
        if let Some(found) = self.kept.get(id) {
            return Ok(Arc::clone(found));
        }
        let found: Arc<StoredExchange> = Arc::new(self.shelf.take(id)?);
        let bytes = size(&found);
        if self.kept_bytes + bytes <= self.max_kept_bytes {
            self.kept_bytes += bytes;
            self.kept.insert(id.clone(), Arc::clone(&found));
        }
        Ok(found)
    }
}
