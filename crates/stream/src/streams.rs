//! All flows: which segment belongs to which, limits, timers and the ledger.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::event::{CloseReason, Event, EventKind, Watermark};
use crate::flow::{self, Flow, NewSyn};
use crate::id::FlowId;
use crate::ledger::StoreLedger;
use crate::limits::Limits;
use crate::roles::{Replacing, replaces, role_of_sender};
use crate::segment::{Direction, Endpoints, Segment, Source, TcpFlags};
use crate::sink::{Books, Counts, Sink};
use crate::time::Timestamp;

/// Peers choose what is hashed here, their addresses and ports. foldhash is fast, and seeded at
/// random for each map, so that nobody can prepare keys that collide.
type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

type Timers = BinaryHeap<Reverse<(Timestamp, FlowId)>>;

/// Rebuilds exchanges out of the segments of many flows.
///
/// Call [`Streams::handle_segment`] with each segment in the order of capture and
/// [`Streams::handle_timeout`] when the time that [`Streams::poll_timeout`] names has come (for a
/// file: with the times of its packets), and take [`Streams::poll_event`] until it is empty after
/// each of them. In the end call [`Streams::finish`].
#[derive(Debug)]
pub struct Streams {
    node: Arc<str>,
    boot: u64,
    limits: Limits,
    flows: Map<FlowId, Box<Flow>>,
    /// Flows without an identity of their own, by their ends in a fixed order.
    by_ends: Map<EndsKey, FlowId>,
    next_flow: u64,
    timers: Timers,
    /// Resumed flows whose idle time has not begun, since no time was known.
    resumed: Vec<FlowId>,
    events: VecDeque<Event>,
    /// The latest time that was heard of.
    now: Timestamp,
    /// Segments of known flows so far: the order in which flows were last active.
    handled: u64,
    books: Books,
    held_bytes: u64,
    held_cost: u64,
    pending_exchanges: u64,
}

impl Streams {
    /// An empty one; `node` and `boot` become part of each exchange's id.
    pub fn new(node: Arc<str>, boot: u64, limits: Limits) -> Streams {
        Streams {
            node,
            boot,
            limits,
            flows: Map::default(),
            by_ends: Map::default(),
            next_flow: 1,
            timers: BinaryHeap::new(),
            resumed: Vec::new(),
            events: VecDeque::new(),
            now: Timestamp::default(),
            handled: 0,
            books: Books::default(),
            held_bytes: 0,
            held_cost: 0,
            pending_exchanges: 0,
        }
    }

    /// Takes a segment in.
    pub fn handle_segment(&mut self, segment: Segment) {
        self.now = self.now.max(segment.time);
        self.books.delivered += segment.payload.len() as u64;
        let Some((id, direction)) = self.find_or_open(&segment) else {
            // Only segments without payload come here.
            self.books.counts.stray_segments += 1;
            return;
        };
        self.handled += 1;
        let touched = self.handled;
        let cost = self.with_flow(id, |flow, sink| {
            flow.touched = touched;
            flow.segment(direction, &segment, sink);
        });
        if cost > 2 * self.limits.flow_buffer_bytes {
            self.evict(id);
        }
        self.keep_limits();
        self.clean_timers();
    }

    /// The kernel says that a flow closed. `finals` are the offsets one past the last byte of
    /// the client's and the server's direction, when both are known.
    pub fn handle_close(&mut self, flow: FlowId, time: Timestamp, finals: Option<(u64, u64)>) {
        self.now = self.now.max(time);
        self.with_flow(flow, |flow, sink| flow.kernel_close(time, finals, sink));
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        for id in std::mem::take(&mut self.resumed) {
            if let Some(flow) = self.flows.get_mut(&id) {
                flow.last_active = flow.last_active.max(now);
                let due = flow.due(&self.limits);
                schedule(&mut self.timers, flow, due);
            }
        }
        while let Some(Reverse((due, id))) = self.timers.peek().copied()
            && due <= now
        {
            self.timers.pop();
            let Some(flow) = self.flows.get_mut(&id) else {
                continue;
            };
            if flow.scheduled == Some(due) {
                flow.scheduled = None;
            }
            let due = flow.due(&self.limits);
            if due > now {
                schedule(&mut self.timers, flow, due);
                continue;
            }
            // No timer until it is done, and then a later one: nothing must spin here.
            flow.scheduled = Some(Timestamp::default());
            let mut is_forgotten = false;
            self.with_flow(id, |flow, sink| is_forgotten = flow.timeout(now, sink));
            if is_forgotten {
                self.forget(id);
            } else if let Some(flow) = self.flows.get_mut(&id) {
                let due = flow.due(&self.limits).max(now.plus_ns(1));
                flow.scheduled = None;
                schedule(&mut self.timers, flow, due);
            }
        }
        while let Some(Reverse((_, id))) = self.timers.peek()
            && !self.flows.contains_key(id)
        {
            self.timers.pop();
        }
    }

    /// When [`Streams::handle_timeout`] has something to do; it may find that it was too early.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if !self.resumed.is_empty() {
            return Some(Timestamp::default());
        }
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if event.kind.is_exchange() {
            self.books.queued_exchanges -= 1;
            self.books.emitted_exchanges += 1;
        }
        Some(event)
    }

    /// The capture ended: everything pending is finished, or discarded by cause.
    pub fn finish(&mut self, now: Timestamp) {
        for id in self.ids() {
            self.with_flow(id, |flow, sink| {
                flow.close(now, CloseReason::CaptureEnded, sink)
            });
            self.forget(id);
        }
        self.timers.clear();
    }

    /// The store ledger as far as it is known here: `stored` is 0, and of `rebuilt` the
    /// exchanges that [`Streams::poll_event`] gave out are the caller's to explain.
    pub fn ledger(&self) -> StoreLedger {
        let pending = self.pending_exchanges + self.books.queued_exchanges;
        StoreLedger {
            delivered_bytes: self.books.delivered,
            message_bytes: self.books.message,
            framing_bytes: self.books.framing,
            duplicate_bytes: self.books.duplicate,
            opaque_bytes: self.books.opaque,
            discarded_bytes: self
                .books
                .discarded
                .iter()
                .map(|(cause, bytes)| ((*cause).to_owned(), *bytes))
                .collect(),
            pending_bytes: self.held_bytes,
            rebuilt: self.books.emitted_exchanges + pending,
            pending,
            ..StoreLedger::default()
        }
    }

    /// What happened that the ledger doesn't show.
    pub fn counts(&self) -> Counts {
        self.books.counts
    }

    /// Live flows.
    pub fn flow_count(&self) -> usize {
        self.flows
            .values()
            .filter(|flow| flow.closed.is_none())
            .count()
    }

    /// Bytes held for flows, and what holding them costs in memory.
    pub fn held(&self) -> (u64, u64) {
        (self.held_bytes, self.held_cost)
    }

    /// Calls `f` with the first and the last of each range of [`Segment::mark`]s that unfinished
    /// exchanges or held bytes still need. Ranges overlap, and of a flow with many marks they hold
    /// some that are not needed.
    pub fn held_marks(&self, f: &mut dyn FnMut(u64, u64)) {
        for flow in self.flows.values() {
            flow.held_marks(f);
        }
    }

    /// Makes a flow go on where an earlier life left it: bytes below the watermark count as
    /// duplicate, and parsing resumes at it, between messages. No event says that it opened.
    pub fn resume_flow(
        &mut self,
        flow: FlowId,
        endpoints: Endpoints,
        watermark: Watermark,
        index_in_flow: u32,
    ) {
        let before_capture =
            flow::is_mid_stream(watermark.client) || flow::is_mid_stream(watermark.server);
        let facts = flow::facts(flow, endpoints, before_capture);
        let now = self.now;
        self.with_flow(flow, |flow, sink| {
            flow.close(now, CloseReason::Reused, sink)
        });
        self.forget(flow);
        self.flows.insert(
            flow,
            Box::new(Flow::resumed(facts, watermark, index_in_flow)),
        );
        self.resumed.push(flow);
        self.next_flow = self.next_flow.max(flow.0.saturating_add(1));
    }

    /// Live flows, from where they would resume, and the index of their next exchange.
    pub fn watermarks(&self) -> impl Iterator<Item = (FlowId, Endpoints, Watermark, u32)> {
        self.flows
            .values()
            .filter(|flow| flow.closed.is_none())
            .map(|flow| {
                let facts = &flow.facts;
                (
                    facts.id,
                    facts.endpoints,
                    flow.watermark(),
                    flow.next_index(),
                )
            })
    }

    fn find_or_open(&mut self, segment: &Segment) -> Option<(FlowId, Direction)> {
        let ends = Endpoints::normalised(segment.endpoints.client, segment.endpoints.server);
        match segment.source {
            Source::Kernel {
                flow,
                direction,
                offset,
            } => {
                if !self.flows.contains_key(&flow) {
                    let roles = match direction {
                        Direction::Client => ends,
                        Direction::Server => ends.swapped(),
                    };
                    self.open(flow, roles, flow::is_mid_stream(offset), segment.time);
                }
                Some((flow, direction))
            }
            Source::Packet => self.find_or_open_packet(ends, segment),
        }
    }

    fn find_or_open_packet(
        &mut self,
        ends: Endpoints,
        segment: &Segment,
    ) -> Option<(FlowId, Direction)> {
        let key = EndsKey::new(ends);
        if let Some(id) = self.by_ends.get(&key).copied()
            && let Some(flow) = self.flows.get_mut(&id)
        {
            let direction = match flow.facts.endpoints == ends {
                true => Direction::Client,
                false => Direction::Server,
            };
            let Some(replacing) = replaces(flow, direction, segment, &mut self.books) else {
                return Some((id, direction));
            };
            self.with_flow(id, |flow, sink| {
                flow.close(segment.time, CloseReason::Reused, sink);
            });
            self.forget(id);
            let id = self.open_packet(key, replacing.endpoints(ends, direction), segment);
            let client = match replacing {
                Replacing::ByThis => direction,
                Replacing::BySyn(syn) => {
                    self.replay_syn(id, syn, segment);
                    syn.sender
                }
            };
            let direction = match client == direction {
                true => Direction::Client,
                false => Direction::Server,
            };
            return Some((id, direction));
        }
        let direction = role_of_sender(ends, segment)?;
        let roles = match direction {
            Direction::Client => ends,
            Direction::Server => ends.swapped(),
        };
        Some((self.open_packet(key, roles, segment), direction))
    }

    fn open_packet(&mut self, key: EndsKey, roles: Endpoints, segment: &Segment) -> FlowId {
        while self.flows.contains_key(&FlowId(self.next_flow)) {
            self.next_flow += 1;
        }
        let id = FlowId(self.next_flow);
        self.next_flow += 1;
        self.by_ends.insert(key, id);
        let before_capture = !segment.flags.has(TcpFlags::SYN);
        self.open(id, roles, before_capture, segment.time);
        id
    }

    /// Gives a new flow the SYN that announced it.
    fn replay_syn(&mut self, id: FlowId, syn: NewSyn, segment: &Segment) {
        let endpoints = match self.flows.get(&id) {
            Some(flow) => flow.facts.endpoints,
            None => return,
        };
        let syn = Segment {
            time: syn.time,
            endpoints,
            source: Source::Packet,
            sequence_number: syn.sequence,
            acknowledgement: 0,
            flags: TcpFlags(TcpFlags::SYN),
            payload: bytes::Bytes::new(),
            wire_bytes: 0,
            mark: segment.mark,
        };
        self.with_flow(id, |flow, sink| flow.segment(Direction::Client, &syn, sink));
    }

    fn open(&mut self, id: FlowId, endpoints: Endpoints, before_capture: bool, now: Timestamp) {
        let facts = flow::facts(id, endpoints, before_capture);
        self.flows
            .insert(id, Box::new(Flow::new(facts, now.max(self.now))));
        self.events.push_back(Event {
            flow: id,
            kind: EventKind::FlowOpened {
                endpoints,
                before_capture,
            },
        });
    }

    /// Calls `f` with the flow, and brings the sums and the timer up to date. Gives what the flow
    /// holds then, as it costs in memory.
    fn with_flow(&mut self, id: FlowId, f: impl FnOnce(&mut Flow, &mut Sink<'_>)) -> u64 {
        let Some(flow) = self.flows.get_mut(&id) else {
            return 0;
        };
        let mut sink = Sink {
            facts: flow.facts,
            now: self.now,
            limits: &self.limits,
            node: &self.node,
            boot: self.boot,
            events: &mut self.events,
            books: &mut self.books,
        };
        f(flow, &mut sink);
        let (bytes, cost) = (flow.held_bytes(), flow.cost());
        let exchanges = flow.pending_exchanges();
        replace(&mut self.held_bytes, &mut flow.counted_bytes, bytes);
        replace(&mut self.held_cost, &mut flow.counted_cost, cost);
        replace(
            &mut self.pending_exchanges,
            &mut flow.counted_exchanges,
            exchanges,
        );
        let due = flow.due(&self.limits);
        schedule(&mut self.timers, flow, due);
        cost
    }

    /// Drops timers that were put forward since, when they are most of all.
    fn clean_timers(&mut self) {
        if self.timers.len() > 1024 + 4 * self.flows.len() {
            let flows = &self.flows;
            self.timers.retain(|Reverse((due, id))| {
                let flow = flows.get(id);
                flow.is_some_and(|flow| flow.scheduled == Some(*due))
            });
        }
    }

    /// Removes a flow that holds nothing.
    fn forget(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(&id) else {
            return;
        };
        self.held_bytes -= flow.counted_bytes;
        self.held_cost -= flow.counted_cost;
        self.pending_exchanges -= flow.counted_exchanges;
        let key = EndsKey::new(flow.facts.endpoints);
        if self.by_ends.get(&key) == Some(&id) {
            self.by_ends.remove(&key);
        }
    }

    /// Evicts flows until the limits hold, with some room so that it is not done each time.
    fn keep_limits(&mut self) {
        if self.flows.len() > self.limits.max_flows {
            let target = self.limits.max_flows - self.limits.max_flows / 8;
            for id in self.least_active(|_| true) {
                if self.flows.len() <= target {
                    break;
                }
                self.evict(id);
            }
        }
        if self.held_cost > self.limits.total_buffer_bytes {
            let target = self.limits.total_buffer_bytes / 8 * 7;
            for id in self.least_active(|flow| flow.cost() > 0) {
                if self.held_cost <= target {
                    break;
                }
                self.evict(id);
            }
        }
    }

    fn least_active(&self, filter: impl Fn(&Flow) -> bool) -> Vec<FlowId> {
        let mut flows: Vec<_> = self
            .flows
            .values()
            .filter(|flow| filter(flow))
            .map(|flow| (flow.touched, flow.facts.id))
            .collect();
        flows.sort_unstable();
        flows.into_iter().map(|(_, id)| id).collect()
    }

    fn evict(&mut self, id: FlowId) {
        self.with_flow(id, |flow, sink| {
            flow.close(flow.last_active, CloseReason::Evicted, sink);
        });
        self.forget(id);
    }

    fn ids(&self) -> Vec<FlowId> {
        let mut ids: Vec<_> = self.flows.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

fn schedule(timers: &mut Timers, flow: &mut Flow, due: Timestamp) {
    if flow.scheduled.is_none_or(|scheduled| due < scheduled) {
        flow.scheduled = Some(due);
        timers.push(Reverse((due, flow.facts.id)));
    }
}

fn replace(sum: &mut u64, counted: &mut u64, now: u64) {
    *sum = *sum - *counted + now;
    *counted = now;
}

/// Two ends in a fixed order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct EndsKey([u64; 4], u32);

impl EndsKey {
    fn new(ends: Endpoints) -> EndsKey {
        let plain = |end: SocketAddr| match end.ip() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), end.port()),
            IpAddr::V6(address) => (address.to_bits(), end.port()),
        };
        let (one, other) = (plain(ends.client), plain(ends.server));
        let (low, high) = (one.min(other), one.max(other));
        let halves = |bits: u128| [(bits >> 64) as u64, bits as u64];
        let ([a, b], [c, d]) = (halves(low.0), halves(high.0));
        EndsKey([a, b, c, d], u32::from(low.1) << 16 | u32::from(high.1))
    }
}
