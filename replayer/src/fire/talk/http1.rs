//! HTTP/1: requests out in order, answers back in order (RFC 9112, section 9.3).

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Buf;

use super::super::capture::Capture;
use super::super::connection::Fate;
use super::super::response::{AtEnd, ResponseReader};
use super::super::wire::{Piece, Wire};
use super::{InFlight, Released, Settled, Settlement, Stranded, Talk};

/// An HTTP/1 connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    in_flight: VecDeque<Sent>,
    out: VecDeque<Piece>,
    written: u64,
    queued: u64,
    /// When the request that is being written began to be.
    released_ns: u64,
    reader: ResponseReader,
    takes_more: bool,
}

#[derive(Debug)]
struct Sent {
    request: InFlight,
    /// Bytes that the connection writes before this request's first.
    starts_at: u64,
}

impl Http1 {
    /// Keeps bodies as `capture` says.
    pub(crate) fn new(capture: Capture) -> Http1 {
        Http1 {
            in_flight: VecDeque::new(),
            out: VecDeque::new(),
            written: 0,
            queued: 0,
            released_ns: 0,
            reader: ResponseReader::new(capture),
            takes_more: true,
        }
    }

    /// Whether a piece may go out now. All before it are written, so that it belongs
    /// to the request that began to be written last.
    fn is_due(&self, piece: &Piece, now_ns: u64) -> bool {
        piece.after_ns == 0 || self.released_ns.saturating_add(piece.after_ns) <= now_ns
    }
}

impl Talk for Http1 {
    fn push(&mut self, request: InFlight, wire: Wire) {
        let starts_at = self.queued;
        if let Wire::Http1(pieces) = wire {
            for piece in pieces {
                self.queued += piece.bytes.len() as u64;
                self.out.push_back(piece);
            }
        }
        if self.in_flight.is_empty() {
            self.reader.begin(&request.method);
        }
        self.in_flight.push_back(Sent { request, starts_at });
    }

    fn slices<'a>(&'a mut self, now_ns: u64, slices: &mut [IoSlice<'a>]) -> usize {
        let this = &*self;
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&this.out) {
            // A piece that is due later than its request's begin goes out alone, so
            // that what it counts from is known.
            let waits = piece.after_ns > 0 && (count > 0 || !this.is_due(piece, now_ns));
            if waits {
                break;
            }
            *slice = IoSlice::new(&piece.bytes);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut written: usize, released: Released<'_>) {
        let before = self.written;
        self.written += written as u64;
        // Requests begin in the order of the queue, the latest last.
        let mut latest_ns = None;
        for sent in self.in_flight.iter_mut().rev() {
            if sent.starts_at < before {
                break;
            }
            if sent.starts_at < self.written {
                released(&mut sent.request);
                latest_ns.get_or_insert(sent.request.released_ns);
            }
        }
        self.released_ns = latest_ns.unwrap_or(self.released_ns);
        while let Some(piece) = self.out.front_mut() {
            if written < piece.bytes.len() {
                piece.bytes.advance(written);
                return;
            }
            written -= piece.bytes.len();
            self.out.pop_front();
        }
    }

    fn next_due_ns(&self, now_ns: u64) -> Option<u64> {
        let after_ns = self.out.front()?.after_ns;
        let due_ns = self.released_ns.saturating_add(after_ns);
        (after_ns > 0 && due_ns > now_ns).then_some(due_ns)
    }

    fn receive(
        &mut self,
        mut input: &[u8],
        now_ns: u64,
        settled: &mut Vec<Settled>,
    ) -> Option<Fate> {
        while !input.is_empty() {
            let Some(sent) = self.in_flight.front_mut() else {
                // An unasked answer (408 before an idle close, mostly).
                return Some(Fate::Ended);
            };
            if sent.request.first_byte_ns == 0 {
                sent.request.first_byte_ns = now_ns;
            }
            match self.reader.feed(&mut input) {
                Ok(Some(answer)) => {
                    self.takes_more &= answer.keeps_alive;
                    let sent = self.in_flight.pop_front();
                    settled.extend(sent.map(|sent| (sent.request, Settlement::Answered(answer))));
                    match self.in_flight.front() {
                        Some(next) => self.reader.begin(&next.request.method),
                        // An answer to a request that is not written whole ends what
                        // can follow.
                        None => self.takes_more &= self.out.is_empty(),
                    }
                }
                Ok(None) => {}
                Err(garbage) => return Some(Fate::Failed("garbage", garbage.to_string())),
            }
        }
        None
    }

    fn end(&mut self, settled: &mut Vec<Settled>) -> Fate {
        match self.reader.end() {
            AtEnd::Nothing => Fate::Ended,
            AtEnd::Whole(answer) => {
                let sent = self.in_flight.pop_front();
                settled.extend(sent.map(|sent| (sent.request, Settlement::Answered(answer))));
                Fate::Ended
            }
            AtEnd::Cut(place) => Fate::Failed("closed_early", format!("closed {place}")),
        }
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn has(&self, position: u32) -> bool {
        let mut sent = self.in_flight.iter();
        sent.any(|sent| sent.request.release.position == position)
    }

    fn cancel(&mut self, _: u32) -> Option<InFlight> {
        // Its answer would come all the same, before those of the others.
        None
    }

    fn is_in_order(&self) -> bool {
        true
    }

    fn takes_more(&self) -> bool {
        self.takes_more
    }

    fn strand(&mut self) -> Vec<Stranded> {
        let has_begun = self.reader.has_begun();
        let sent = self.in_flight.drain(..).enumerate();
        sent.map(|(place, sent)| Stranded {
            request: sent.request,
            has_begun: place == 0 && has_begun,
            is_behind: place > 0,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::capture::CaptureLimits;
    use super::super::super::schedule::Release;
    use super::*;

    fn piece(text: &'static str, after_ns: u64) -> Piece {
        Piece {
            bytes: Bytes::from_static(text.as_bytes()),
            after_ns,
        }
    }

    fn push(talk: &mut Http1, position: u32, pieces: impl IntoIterator<Item = Piece>) {
        let release = Release {
            position,
            due_ns: 0,
            ready_ns: 0,
            wait_expired: false,
        };
        let request = InFlight::new(release, Bytes::from_static(b"POST"), 0);
        talk.push(request, Wire::Http1(pieces.into_iter().collect()));
    }

    /// What is written at this time, when the socket takes everything.
    fn written(talk: &mut Http1, now_ns: u64) -> String {
        let mut all = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = talk.slices(now_ns, &mut slices);
            if count == 0 {
                return String::from_utf8_lossy(&all).into_owned();
            }
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            talk.advance(bytes.len(), &mut |request| request.released_ns = now_ns);
            all.extend(bytes);
        }
    }

    #[test]
    fn pieces_go_out_at_their_times_and_hold_up_what_is_behind() {
        let capture = Capture::new(CaptureLimits::new(100, 100, None));
        let mut talk = Http1::new(capture);
        push(
            &mut talk,
            0,
            [piece("head ", 0), piece("one ", 50), piece("two ", 80)],
        );
        push(&mut talk, 1, [piece("next ", 0), piece("last", 10)]);
        assert_eq!(written(&mut talk, 1000), "head ");
        assert_eq!(talk.next_due_ns(1000), Some(1050));
        assert_eq!(written(&mut talk, 1049), "");
        assert_eq!(written(&mut talk, 1060), "one ");
        assert_eq!(talk.next_due_ns(1060), Some(1080));
        // The second request's pieces count from its own begin.
        assert_eq!(written(&mut talk, 1100), "two next ");
        assert_eq!(talk.next_due_ns(1100), Some(1110));
        assert_eq!(written(&mut talk, 1110), "last");
        assert_eq!(talk.next_due_ns(1110), None);
    }
}
