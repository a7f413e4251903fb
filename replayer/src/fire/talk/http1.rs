//! HTTP/1: requests out in order, answers back in order (RFC 9112, section 9.3), until one
//! opens a WebSocket.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Buf;

use super::super::capture::Capture;
use super::super::connection::Fate;
use super::super::ear::{Ear, EarlyValue};
use super::super::response::{AtEnd, ResponseReader};
use super::super::tempo::{Dues, Moment};
use super::super::websocket::{Setting, is_opened};
use super::super::wire::{Piece, Wire};
use super::socket::Socket;
use super::{InFlight, Released, Settled, Settlement, Stranded, Talk};

/// An HTTP/1 connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    in_flight: VecDeque<Sent>,
    out: VecDeque<Piece>,
    written: u64,
    queued: u64,
    /// How far the plan was when the request that is being written began to be.
    released_plan_ns: u64,
    reader: ResponseReader,
    takes_more: bool,
    /// What the connection became.
    socket: Option<Box<Socket>>,
    setting: Setting,
}

#[derive(Debug)]
struct Sent {
    request: InFlight,
    /// Bytes that the connection writes before this request's first.
    starts_at: u64,
}

impl Http1 {
    /// Keeps bodies as `capture` says, and speaks over WebSockets as `setting` does.
    pub(crate) fn new(capture: Capture, setting: Setting) -> Http1 {
        Http1 {
            in_flight: VecDeque::new(),
            out: VecDeque::new(),
            written: 0,
            queued: 0,
            released_plan_ns: 0,
            reader: ResponseReader::new(capture),
            takes_more: true,
            socket: None,
            setting,
        }
    }

    fn begin_reading(&mut self, request: &InFlight) {
        self.reader.begin(&request.method);
        self.reader.listen(ear(request, &self.setting));
    }
}

/// What is listened for in the answer to a request.
fn ear(request: &InFlight, setting: &Setting) -> Option<Ear> {
    let paths = request.wanted.as_ref()?;
    Some(Ear::new(paths, setting.limits.max_body_bytes()))
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
            self.begin_reading(&request);
        }
        self.in_flight.push_back(Sent { request, starts_at });
    }

    fn slices<'a>(&'a mut self, now: Moment, slices: &mut [IoSlice<'a>]) -> usize {
        let Http1 {
            socket,
            out,
            released_plan_ns,
            ..
        } = self;
        if let Some(socket) = socket {
            return socket.conversation.slices(now, slices);
        }
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&*out) {
            // A piece that is due later than its request's begin goes out alone, so
            // that what it counts from is known.
            let is_due = is_due(piece, *released_plan_ns, now.plan_ns);
            let waits = piece.after_ns > 0 && (count > 0 || !is_due);
            if waits {
                break;
            }
            *slice = IoSlice::new(&piece.bytes);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut written: usize, released: Released<'_>) {
        if let Some(socket) = &mut self.socket {
            return socket.conversation.advance(written);
        }
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
                latest_ns.get_or_insert(sent.request.released_plan_ns);
            }
        }
        self.released_plan_ns = latest_ns.unwrap_or(self.released_plan_ns);
        while let Some(piece) = self.out.front_mut() {
            if written < piece.bytes.len() {
                piece.bytes.advance(written);
                return;
            }
            written -= piece.bytes.len();
            self.out.pop_front();
        }
    }

    fn dues(&self, now: Moment) -> Dues {
        if let Some(socket) = &self.socket {
            return socket.conversation.dues(now);
        }
        let after_ns = self.out.front().map_or(0, |piece| piece.after_ns);
        let due_ns = self.released_plan_ns.saturating_add(after_ns);
        Dues {
            plan_ns: (after_ns > 0 && due_ns > now.plan_ns).then_some(due_ns),
            run_ns: None,
        }
    }

    fn receive(
        &mut self,
        mut input: &[u8],
        now_ns: u64,
        settled: &mut Vec<Settled>,
    ) -> Option<Fate> {
        while !input.is_empty() {
            if let Some(socket) = &mut self.socket {
                let result = socket.conversation.receive(input, now_ns);
                return result
                    .err()
                    .map(|bad| Fate::Failed("garbage", bad.to_string()));
            }
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
                    let script = sent.request.script.clone();
                    let sent = self.in_flight.pop_front();
                    let opened = script.map_or(Ok(None), |script| {
                        is_opened(&script.key, &answer.head)
                            .map(|is_opened| is_opened.then_some(script))
                    });
                    match (opened, sent) {
                        (Ok(Some(script)), Some(sent)) => {
                            let setting = self.setting.clone();
                            let socket = Socket::begin(setting, sent.request, answer, script);
                            self.socket = Some(Box::new(socket));
                            continue;
                        }
                        (Err(why), Some(sent)) => {
                            let failure = Settlement::Failed("garbage", why.to_owned());
                            settled.push((sent.request, failure));
                            return Some(Fate::Ended);
                        }
                        (_, sent) => {
                            let answered = Settlement::Answered(answer);
                            settled.extend(sent.map(|sent| (sent.request, answered)));
                        }
                    }
                    match self.in_flight.front() {
                        Some(next) => {
                            self.reader.begin(&next.request.method);
                            let ear = ear(&next.request, &self.setting);
                            self.reader.listen(ear);
                        }
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

    fn take_heard(&mut self, heard: &mut Vec<(u32, EarlyValue)>) {
        if let Some(socket) = &mut self.socket {
            let position = socket.request.release.position;
            let values = socket.conversation.take_heard();
            heard.extend(values.map(|value| (position, value)));
        } else if let Some(sent) = self.in_flight.front() {
            let position = sent.request.release.position;
            let values = self.reader.take_heard();
            heard.extend(values.map(|value| (position, value)));
        }
    }

    fn settle(&mut self, now: Moment, settled: &mut Vec<Settled>) {
        let is_over = |socket: &mut Box<Socket>| socket.conversation.is_over(now);
        settled.extend(self.socket.take_if(is_over).map(|socket| socket.settled()));
    }

    fn end(&mut self, settled: &mut Vec<Settled>) -> Fate {
        if let Some(socket) = self.socket.take_if(|socket| !socket.conversation.is_cut()) {
            settled.push(socket.settled());
            return Fate::Ended;
        }
        if self.socket.is_some() {
            return Fate::Failed("closed_early", "closed in a message".to_owned());
        }
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
        self.in_flight.len() + usize::from(self.socket.is_some())
    }

    fn request(&self, position: u32) -> Option<&InFlight> {
        let sent = self.in_flight.iter().map(|sent| &sent.request);
        let mut requests = sent.chain(self.socket.as_ref().map(|socket| &socket.request));
        requests.find(|request| request.release.position == position)
    }

    fn cancel(&mut self, _: u32) -> Option<InFlight> {
        // Its answer would come all the same, before those of the others.
        None
    }

    fn is_in_order(&self) -> bool {
        true
    }

    fn talks_back(&self) -> bool {
        self.socket.is_some()
    }

    fn takes_more(&self) -> bool {
        self.takes_more
    }

    fn strand(&mut self) -> Vec<Stranded> {
        let has_begun = self.reader.has_begun();
        let opened = self.socket.take().map(|socket| Stranded {
            request: socket.request,
            has_begun: true,
            is_behind: false,
        });
        let after = usize::from(opened.is_some());
        let sent = self.in_flight.drain(..).enumerate();
        let sent = sent.map(|(place, sent)| Stranded {
            request: sent.request,
            has_begun: place == 0 && has_begun,
            is_behind: place + after > 0,
        });
        opened.into_iter().chain(sent).collect()
    }
}

/// Whether a piece may go out now, of the request that began to be written when the plan
/// was at `released_ns`: all before the piece are written.
fn is_due(piece: &Piece, released_ns: u64, plan_ns: u64) -> bool {
    piece.after_ns == 0 || released_ns.saturating_add(piece.after_ns) <= plan_ns
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    fn at(plan_ns: u64) -> Moment {
        Moment {
            clock_ns: 7,
            run_ns: 7,
            plan_ns,
        }
    }

    fn next_due_ns(talk: &Http1, plan_ns: u64) -> Option<u64> {
        let dues = talk.dues(at(plan_ns));
        assert_eq!(dues.run_ns, None);
        dues.plan_ns
    }

    /// What is written when the plan is so far, and the socket takes everything.
    fn written(talk: &mut Http1, plan_ns: u64) -> String {
        let now = at(plan_ns);
        let mut all = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); 2];
            let count = talk.slices(now, &mut slices);
            if count == 0 {
                return String::from_utf8_lossy(&all).into_owned();
            }
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            talk.advance(bytes.len(), &mut |request| {
                request.released_plan_ns = plan_ns;
            });
            all.extend(bytes);
        }
    }

    #[test]
    fn pieces_go_out_at_their_times_and_hold_up_what_is_behind() {
        let limits = CaptureLimits::new(100, 100, None);
        let setting = Setting {
            limits: Arc::clone(&limits),
            wait_ns: 0,
            extract: None,
        };
        let mut talk = Http1::new(Capture::new(limits), setting);
        push(
            &mut talk,
            0,
            [piece("head ", 0), piece("one ", 50), piece("two ", 80)],
        );
        push(&mut talk, 1, [piece("next ", 0), piece("last", 10)]);
        assert_eq!(written(&mut talk, 1000), "head ");
        assert_eq!(next_due_ns(&talk, 1000), Some(1050));
        assert_eq!(written(&mut talk, 1049), "");
        assert_eq!(written(&mut talk, 1060), "one ");
        assert_eq!(next_due_ns(&talk, 1060), Some(1080));
        // The second request's pieces count from its own begin.
        assert_eq!(written(&mut talk, 1100), "two next ");
        assert_eq!(next_due_ns(&talk, 1100), Some(1110));
        assert_eq!(written(&mut talk, 1110), "last");
        assert_eq!(next_due_ns(&talk, 1110), None);
    }
}
