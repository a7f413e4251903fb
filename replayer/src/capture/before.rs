//! What earlier lives of the daemon stored of flows that go on.
//!
//! A flow goes on at the first byte that an unfinished exchange needs. Where exchanges overlap, as
//! the streams of HTTP/2 do, some that began after that byte were over and stored already. They
//! come again under the same id, and are told by it: their flow's mark says how far the ids of
//! stored exchanges reached, and below that the archive says which were stored.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use tracing::warn;
use twintap_archive::{Archive, Error, FlowMark, Reader};
use twintap_stream::event::Watermark;
use twintap_stream::{ExchangeId, FlowId};

/// What may come again.
#[derive(Default)]
pub(super) struct StoredBefore {
    /// Of flows that go on: one past the highest offset that names a stored exchange.
    reached: HashMap<FlowId, Watermark>,
    /// What was committed, while exchanges are asked for.
    reader: Option<Reader>,
    /// Exchanges that are coming again, and are not over.
    repeats: HashSet<ExchangeId>,
}

impl StoredBefore {
    /// Takes a flow that goes on from this mark.
    pub fn resume(&mut self, mark: &FlowMark) {
        let (reached, watermark) = (mark.reached, mark.watermark);
        if reached.client > watermark.client || reached.server > watermark.server {
            self.reached.insert(mark.flow, reached);
        }
    }

    /// True when the exchange, which is not over, was stored before.
    ///
    /// # Errors
    /// When the archive can't be read.
    pub fn is_repeat(&mut self, id: &ExchangeId, archive: &Archive) -> Result<bool> {
        if self.repeats.contains(id) {
            return Ok(true);
        }
        let Some(reached) = self.reached.get(&id.flow) else {
            return Ok(false);
        };
        let reached = match id.from_response {
            true => reached.server,
            false => reached.client,
        };
        if id.offset >= reached {
            return Ok(false);
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(archive.reader().context("reading what was stored")?),
        };
        let is_stored = match reader.get(id) {
            Ok(found) => found.is_some(),
            Err(error @ Error::Damaged(_)) => {
                // Twice is better than never.
                warn!(%id, %error, "it can't be told whether an exchange is stored");
                false
            }
            Err(error) => return Err(error).context("looking for a stored exchange"),
        };
        if is_stored {
            self.repeats.insert(id.clone());
        }
        Ok(is_stored)
    }

    /// An exchange that came again is over.
    pub fn end(&mut self, id: &ExchangeId) {
        self.repeats.remove(id);
    }

    /// A flow is over: nothing of it comes again.
    pub fn close(&mut self, flow: FlowId) {
        self.reached.remove(&flow);
    }

    /// Gives the memory for looking up free; it is taken again when need be.
    pub fn rest(&mut self) {
        self.reader = None;
    }
}
