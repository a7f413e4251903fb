//! The archive's requests, for firing.

use twintap_archive::{Reader, StoredExchange};
use twintap_plan::Plan;
use twintap_stream::message::MessageState;

use super::shelf::Shelf;
use crate::fire::{Recorded, RequestSource};

/// Reads a plan's requests from the archive.
pub struct ArchiveSource<'a> {
    plan: &'a Plan,
    reader: &'a Reader,
    shelf: Shelf<'a>,
    max_body_bytes: u64,
}

impl<'a> ArchiveSource<'a> {
    /// Request bodies of more than `max_body_bytes` are not fired.
    pub fn new(
        plan: &'a Plan,
        reader: &'a Reader,
        held_bytes: usize,
        max_body_bytes: u64,
    ) -> ArchiveSource<'a> {
        ArchiveSource {
            plan,
            reader,
            shelf: Shelf::new(reader, held_bytes),
            max_body_bytes,
        }
    }
}

impl RequestSource for ArchiveSource<'_> {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        let stored = self
            .shelf
            .take(&self.plan.requests[position as usize].exchange)?;
        recorded(&stored, self.reader, self.max_body_bytes)
    }
}

/// The request of an exchange, with its body.
///
/// # Errors
/// A text: it is not whole, too large, or can't be read.
pub fn recorded(
    stored: &StoredExchange,
    reader: &Reader,
    max_body_bytes: u64,
) -> Result<Recorded, String> {
    let request = &stored.exchange().request;
    let head = match &request.head {
        Some(head) if request.state == MessageState::Complete => head.clone(),
        _ => return Err("the request was not seen whole".to_owned()),
    };
    let body = reader
        .read_body(&stored.request_body, max_body_bytes)
        .map_err(|error| error.to_string())?;
    let timeline = stored.record.request.timeline.clone();
    Ok(Recorded {
        head,
        framing: request.framing,
        chunks: timeline.chunk_sizes(body.len() as u64),
        timeline,
        body,
        trailers: request.trailers.clone(),
    })
}
