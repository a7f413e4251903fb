//! HTTP/2: streams side by side over one connection.

use std::collections::{HashMap, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use super::super::capture::CaptureLimits;
use super::super::connection::Fate;
use super::super::ear::{Ear, EarlyValue};
use super::super::http2::{Client, Event};
use super::super::tempo::{Dues, Moment};
use super::super::wire::Wire;
use super::{InFlight, Released, Settled, Settlement, Stranded, Talk};

/// An HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    client: Client,
    /// By position, which is the client's tag.
    in_flight: HashMap<u32, InFlight>,
    /// Requests whose first byte is not written, by its place.
    unreleased: VecDeque<(u64, u32)>,
    /// Values of answers that go on.
    heard: Vec<(u32, EarlyValue)>,
    max_bytes: usize,
}

impl Http2 {
    /// Keeps bodies within `limits`.
    pub(crate) fn new(limits: Arc<CaptureLimits>) -> Http2 {
        Http2 {
            max_bytes: limits.max_body_bytes(),
            client: Client::new(limits),
            in_flight: HashMap::new(),
            unreleased: VecDeque::new(),
            heard: Vec::new(),
        }
    }

    fn take_events(&mut self, now_ns: u64, settled: &mut Vec<Settled>) {
        while let Some(event) = self.client.poll_event() {
            let (tag, settlement) = match event {
                Event::Opened {
                    tag,
                    at,
                    has_waited,
                } => {
                    self.unreleased.push_back((at, tag));
                    if let Some(request) = self.in_flight.get_mut(&tag).filter(|_| has_waited) {
                        // It could not go out before, whatever this side did; what was out
                        // once and is sent again was ready then.
                        if request.released_ns == 0 {
                            let run_ns = now_ns.saturating_sub(request.origin_ns);
                            request.release.ready_ns = request.release.ready_ns.max(run_ns);
                        }
                        request.has_waited = true;
                    }
                    continue;
                }
                Event::Heard { tag, value } => {
                    self.heard.push((tag, value));
                    continue;
                }
                Event::Begun { tag } => {
                    if let Some(request) = self.in_flight.get_mut(&tag) {
                        request.first_byte_ns = now_ns;
                    }
                    continue;
                }
                Event::Answered { tag, answer } => (tag, Settlement::Answered(answer)),
                Event::Reset { tag, code } => {
                    let detail = format!("the twin reset the stream: {code}");
                    (tag, Settlement::Failed("stream_reset", detail))
                }
                Event::Garbled { tag, why } => {
                    (tag, Settlement::Failed("garbage", why.to_string()))
                }
                Event::Unprocessed { tag, sections } => {
                    (tag, Settlement::Unprocessed(Wire::Http2(sections)))
                }
            };
            settled.extend(
                self.in_flight
                    .remove(&tag)
                    .map(|request| (request, settlement)),
            );
        }
    }
}

impl Talk for Http2 {
    fn push(&mut self, request: InFlight, wire: Wire) {
        let position = request.release.position;
        let origin_ns = request.origin_ns;
        if let Some(paths) = &request.wanted {
            let ear = Ear::new(paths, self.max_bytes);
            self.client.listen(position, ear);
        }
        self.in_flight.insert(position, request);
        if let Wire::Http2(sections) = wire {
            self.client.request(position, sections);
            // Nothing but that it was opened can have happened.
            self.take_events(origin_ns, &mut Vec::new());
        }
    }

    fn slices<'a>(&'a mut self, now: Moment, slices: &mut [IoSlice<'a>]) -> usize {
        self.client.slices(now.plan_ns, slices)
    }

    fn advance(&mut self, written: usize, released: Released<'_>) {
        self.client.advance(written);
        while let Some(&(at, tag)) = self.unreleased.front()
            && at < self.client.written()
        {
            self.unreleased.pop_front();
            if let Some(request) = self.in_flight.get_mut(&tag) {
                released(request);
                self.client.released(tag, request.released_plan_ns);
            }
        }
    }

    fn dues(&self, now: Moment) -> Dues {
        Dues {
            plan_ns: self.client.next_due_ns(now.plan_ns),
            run_ns: None,
        }
    }

    fn receive(&mut self, input: &[u8], now_ns: u64, settled: &mut Vec<Settled>) -> Option<Fate> {
        let result = self.client.handle_input(input);
        self.take_events(now_ns, settled);
        let violation = result.err()?;
        Some(Fate::Failed("garbage", violation.to_string()))
    }

    fn take_heard(&mut self, heard: &mut Vec<(u32, EarlyValue)>) {
        heard.append(&mut self.heard);
    }

    fn end(&mut self, _: &mut Vec<Settled>) -> Fate {
        Fate::Failed("closed_early", self.client.end())
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    fn request(&self, position: u32) -> Option<&InFlight> {
        self.in_flight.get(&position)
    }

    fn cancel(&mut self, position: u32) -> Option<InFlight> {
        let request = self.in_flight.remove(&position)?;
        self.client.cancel(position);
        Some(request)
    }

    fn is_in_order(&self) -> bool {
        false
    }

    fn takes_more(&self) -> bool {
        self.client.takes_more()
    }

    fn strand(&mut self) -> Vec<Stranded> {
        let mut stranded: Vec<Stranded> = self
            .in_flight
            .drain()
            .map(|(position, request)| Stranded {
                has_begun: self.client.has_begun(position),
                request,
                is_behind: false,
            })
            .collect();
        stranded.sort_unstable_by_key(|stranded| stranded.request.release.position);
        stranded
    }
}
