//! What is fired, when, and after what.
//!
//! Requests and the ends of responses are gone through in time. A request has
//! four kinds of waits:
//! - for each producer that it binds to;
//! - but on HTTP/2 for the last request before it on its connection; where it was sent before
//!   that one's response had ended (pipelined), for what that one waits for; where its flow goes on at another service
//!   that one's response is what the client had;
//! - for the responses of its session that the client provably had: those that
//!   ended earlier than its first byte by more than a round trip, which is the
//!   shortest that any handshake of the client's address took (the others waited
//!   for a busy machine, and not for the way), and, where the session was seen by
//!   several boots, by more than their clocks' uncertainty. Of these only such as no other of them waited for: a response is
//!   left out when another exchange in the set began after the client had it, since
//!   that one waited for it. What remains is what was under way side by side.
//!
//! - where sessions are ordered by resource, for what touched a resource of its before
//!   it began (`resource`), unless it waits for that anyway, through others;
//! - where all of the recorded order is kept, for everything that had ended before it
//!   began, in whatever session, likewise.
//!
//! Requests that are not fired wait for nothing, and nothing waits for them.

mod order;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;

use twintap_scrub::LinkTag;
use twintap_stream::Timestamp;
use twintap_stream::message::{MessageState, Protocol};

use crate::bind::{Binder, Bound};
use crate::capture::Capture;
use crate::collect::Item;
use crate::correlate::Producer;
use crate::front::{Front, Timeline};
use crate::model::{Binding, Plan, PlannedRequest, Produced, SkipReason, Wait, WaitReason};
use crate::options::{OrderRule, PlanOptions};
use crate::resource::Resources;
use crate::session::Sessions;

/// Makes the plan; `shared` tells of each value whether it is an identity's that
/// several clients have.
pub(crate) fn schedule(
    capture: &Capture,
    sessions: Sessions,
    shared: &[bool],
    options: &PlanOptions,
) -> Plan {
    let mut sweep = Sweep::new(capture, &sessions, shared, options);
    for position in 0..capture.items.len() {
        sweep.pass(capture.items[position].start_ns);
        sweep.request(position as u32);
    }
    let Sweep {
        mut requests,
        mut produced,
        binder,
        ..
    } = sweep;
    let created = binder.created();
    produced.sort_unstable_by_key(|(producer, tag)| {
        (producer.position, capture.names.text(producer.path), *tag)
    });
    produced.dedup();
    for of_one in produced.chunk_by(|(one, _), (other, _)| one.position == other.position) {
        let leaves = of_one.iter().map(|(Producer { path, .. }, tag)| Produced {
            path: capture.names.shared(*path),
            tag: LinkTag(*tag),
        });
        requests[of_one[0].0.position as usize].produces = leaves.collect();
    }
    let first_fired = requests.iter().position(|request| request.skip.is_none());
    let capture_start = capture
        .items
        .get(first_fired.unwrap_or(0))
        .map_or(Timestamp::default(), |item| Timestamp(item.start_ns));
    for (request, item) in requests.iter_mut().zip(&capture.items) {
        request.due_ns = Timestamp(item.start_ns).since_ns(capture_start);
    }
    Plan {
        capture_start,
        speed: 1.0,
        requests,
        sessions: sessions.infos,
        created,
    }
}

struct Sweep<'a> {
    capture: &'a Capture,
    sessions: &'a Sessions,
    options: &'a PlanOptions,
    requests: Vec<PlannedRequest>,
    binder: Binder<'a>,
    /// Producers that are used, and the tags of what they produce.
    produced: Vec<(Producer, u64)>,
    /// Positions by the end of the response, and how many of them are past; among them, by
    /// their time, those of `early`, marked as such.
    ends: Timeline,
    early: Vec<Early>,
    /// Positions by the time at which the client had the response.
    had: Timeline,
    /// For each flow the last request on it that is fired.
    last_on_flow: Vec<Option<u32>>,
    /// The same for each connection, where these are not the flows.
    last_on_connection: Vec<Option<u32>>,
    /// What the client of each session has.
    fronts: Vec<Front>,
    /// What is over, where all of the recorded order is kept.
    over: Front,
    /// How far the clocks may be apart by which all exchanges were seen.
    apart_ns: u64,
    /// Where all of the recorded order is kept: requests that may change something, and
    /// that may not be over.
    open: Vec<u32>,
    resources: Resources,
    /// For each item, true once its session's client provably had its response.
    was_had: Vec<bool>,
    /// For each session: a response that was lost may have made what is missing.
    lossy: Vec<bool>,
}

/// Values of a conversation that came before it ended.
struct Early {
    position: u32,
    what: EarlyWhat,
}

enum EarlyWhat {
    /// Those that came together: a range of what its answer made.
    Made(Range<usize>),
    /// One that a rule names, by its index.
    Offer(usize),
}

/// Marks a place in `early` where else positions are.
const EARLY: u32 = 1 << 31;

impl<'a> Sweep<'a> {
    fn new(
        capture: &'a Capture,
        sessions: &'a Sessions,
        shared: &'a [bool],
        options: &'a PlanOptions,
    ) -> Sweep<'a> {
        let mut round_trips: HashMap<IpAddr, u64> = HashMap::new();
        // The boot that first saw a session.
        let mut seen_by: Vec<Option<(&str, u64)>> = vec![None; sessions.infos.len()];
        let mut several_clocks = vec![false; sessions.infos.len()];
        for (item, &session) in capture.items.iter().zip(&sessions.of) {
            if let Some(round_trip_ns) = item.round_trip_ns {
                round_trips
                    .entry(item.client.ip())
                    .and_modify(|known| *known = round_trip_ns.min(*known))
                    .or_insert(round_trip_ns);
            }
            let boot = (&*item.id.node, item.id.boot);
            let first = *seen_by[session as usize].get_or_insert(boot);
            several_clocks[session as usize] |= first != boot;
        }
        let mut ends = Vec::new();
        let mut early: Vec<Early> = Vec::new();
        let mut had = Vec::new();
        for (item, position) in capture.items.iter().zip(0..) {
            if item.response != MessageState::Absent {
                ends.push((item.end_ns, position));
            }
            let mut first = 0;
            for together in capture
                .arrivals(position as usize)
                .chunk_by(|one, other| one == other)
            {
                let made = first..first + together.len();
                first = made.end;
                // No archive has as many.
                ends.push((together[0], EARLY | early.len() as u32));
                let what = EarlyWhat::Made(made);
                early.push(Early { position, what });
            }
            for (index, offer) in capture.offers(position as usize).iter().enumerate() {
                if let Some(arrival_ns) = offer.arrival {
                    ends.push((arrival_ns, EARLY | early.len() as u32));
                    let what = EarlyWhat::Offer(index);
                    early.push(Early { position, what });
                }
            }
            if item.response == MessageState::Complete {
                let round_trip_ns = *round_trips
                    .get(&item.client.ip())
                    .unwrap_or(&options.assumed_round_trip_ns);
                let session = sessions.of[position as usize] as usize;
                let uncertainty_ns = if several_clocks[session] {
                    options.clock_uncertainty_ns
                } else {
                    0
                };
                let had_ns = item
                    .end_ns
                    .saturating_add(round_trip_ns)
                    .saturating_add(uncertainty_ns);
                had.push((had_ns, position));
            }
        }
        Sweep {
            capture,
            sessions,
            options,
            requests: Vec::with_capacity(capture.items.len()),
            binder: Binder::new(capture, shared, options),
            produced: Vec::new(),
            ends: Timeline::of(ends),
            early,
            had: Timeline::of(had),
            last_on_flow: vec![None; capture.flows],
            last_on_connection: match options.routes.is_empty() {
                true => Vec::new(),
                false => vec![None; capture.connections],
            },
            fronts: sessions.infos.iter().map(|_| Front::default()).collect(),
            over: Front::default(),
            apart_ns: match has_one_clock(capture) {
                true => 0,
                false => options.clock_uncertainty_ns,
            },
            open: Vec::new(),
            resources: Resources::new(
                capture,
                sessions,
                options.max_resource,
                options.clock_uncertainty_ns,
            ),
            was_had: vec![false; capture.items.len()],
            lossy: sessions
                .infos
                .iter()
                .map(|session| session.began_before_capture)
                .collect(),
        }
    }

    /// Takes up everything that ended before `now_ns`.
    fn pass(&mut self, now_ns: u64) {
        while let Some((end_ns, position)) = self.ends.next_before(now_ns) {
            if position & EARLY != 0 {
                self.pass_early((position & !EARLY) as usize);
                continue;
            }
            if !self.capture.internal[position as usize] {
                let session = self.sessions.of[position as usize];
                let request = &mut self.requests[position as usize];
                let fired = request.skip.is_none();
                self.binder.pass(position, session, fired);
                if fired {
                    self.resources
                        .end(self.capture, position, &mut request.races);
                    let start_ns = self.capture.items[position as usize].start_ns;
                    self.over.add(position, start_ns, end_ns + self.apart_ns);
                }
            }
        }
        while let Some((had_ns, position)) = self.had.next_before(now_ns) {
            if self.requests[position as usize].skip.is_some() {
                continue;
            }
            self.was_had[position as usize] = true;
            let start_ns = self.capture.items[position as usize].start_ns;
            let front = &mut self.fronts[self.sessions.of[position as usize] as usize];
            front.add(position, start_ns, had_ns);
        }
    }

    /// Takes up values of a conversation that goes on.
    fn pass_early(&mut self, index: usize) {
        let Early { position, what } = &self.early[index];
        let position = *position;
        // What came before its request, by the stamps of its capture, has no place yet.
        let request = self.requests.get(position as usize);
        if let Some(request) = request.filter(|_| !self.capture.internal[position as usize]) {
            let session = self.sessions.of[position as usize];
            let fired = request.skip.is_none();
            match what {
                EarlyWhat::Made(made) => {
                    self.binder
                        .pass_some(position, made.clone(), session, fired);
                }
                EarlyWhat::Offer(index) => {
                    self.binder.pass_offer(position, *index, session, fired);
                }
            }
        }
    }

    fn request(&mut self, position: u32) {
        let item = &self.capture.items[position as usize];
        let internal = self.capture.internal[position as usize];
        let session = self.sessions.of[position as usize];
        let filter = &self.options.filter;
        let is_wanted = filter.takes_session(&self.sessions.infos[session as usize].id);
        let mut skip = match item.skip {
            _ if internal || !is_wanted => Some(SkipReason::Filtered),
            None if !item.fireable => Some(SkipReason::Incomplete),
            reason => reason,
        };
        let mut missing = None;
        let mut bound = Bound::default();
        let mut bindings = Vec::new();
        if !internal {
            let is_lossy = self.lossy[session as usize];
            bound = self.binder.bind(position, session, is_lossy);
            if skip.is_none() && bound.missing.is_some() {
                skip = Some(SkipReason::Unbound);
                missing = bound.missing.take();
            }
            self.lossy[session as usize] |= item.lossy;
        }
        let mut waits = Vec::new();
        let mut races = Vec::new();
        let mut follows = Vec::new();
        if skip.is_none() {
            bindings.reserve_exact(bound.bindings.len());
            for (binding, product) in bound.bindings {
                bindings.push(binding);
                self.produced.push(product);
            }
            waits = self.waits(position, session, item, &bindings);
            follows = self.order(position, &mut waits, &mut races);
            // There may be millions of requests, most of which have one or two.
            waits.shrink_to_fit();
            follows.shrink_to_fit();
            self.last_on_flow[item.flow as usize] = Some(position);
            if let Some(last) = self.last_on_connection.get_mut(item.connection as usize) {
                *last = Some(position);
            }
        }
        self.requests.push(PlannedRequest {
            exchange: item.id.clone(),
            session,
            protocol: item.protocol,
            flow: item.id.flow,
            copy: 0,
            service: item.service,
            route: if internal { 0 } else { item.route },
            due_ns: 0,
            send_ns: item.send_ns,
            took_ns: item.end_ns.saturating_sub(item.start_ns),
            think: None,
            waits,
            follows,
            races,
            bindings,
            within: item.within.clone(),
            produces: Vec::new(),
            skip,
            missing,
            internal,
            kept: bound.kept,
        });
    }

    fn waits(&self, position: u32, session: u32, item: &Item, bindings: &[Binding]) -> Vec<Wait> {
        let mut waits: Vec<Wait> = Vec::new();
        let add = |waits: &mut Vec<Wait>, request: u32, reason| {
            if !waits.iter().any(|wait| wait.request == request) {
                waits.push(Wait { request, reason });
            }
        };
        for binding in bindings {
            add(&mut waits, binding.producer, WaitReason::Binding);
        }
        let mut waited_from_ns = 0;
        let mut in_order = false;
        if let Some(previous) = self.answered_on_connection(item) {
            in_order = true;
            waited_from_ns = self.capture.items[previous as usize].start_ns;
            add(&mut waits, previous, WaitReason::Connection);
        }
        if let Some(previous) = self.open_on_connection(item) {
            // It goes out behind that one, and so not before it may.
            for wait in &self.requests[previous as usize].waits {
                let reason = match wait.reason {
                    // It has no value of that one itself.
                    WaitReason::Binding => WaitReason::ClientHad,
                    reason => reason,
                };
                add(&mut waits, wait.request, reason);
            }
        }
        if self.options.order == OrderRule::None {
            return waits;
        }
        // Whatever services a flow goes to: its client read one response after the other.
        if let Some(previous) = self.answered_before(item, self.last_on_flow[item.flow as usize]) {
            in_order = true;
            waited_from_ns = self.capture.items[previous as usize].start_ns;
            add(&mut waits, previous, WaitReason::ClientHad);
        }
        let front = &self.fronts[session as usize];
        let had = front
            .newest_first()
            .take_while(|(had_ns, _)| *had_ns >= waited_from_ns)
            .filter(|(_, had)| !in_order || self.capture.items[*had as usize].flow != item.flow)
            .take(self.options.max_client_had);
        for (_, had) in had {
            debug_assert!(had < position, "what the client had began before");
            add(&mut waits, had, WaitReason::ClientHad);
        }
        waits
    }

    /// The request before on its connection, if its response had ended.
    fn answered_on_connection(&self, item: &Item) -> Option<u32> {
        self.answered_before(item, self.before_on_connection(item))
    }

    /// The request before on its connection, if the next was sent before its response had ended.
    fn open_on_connection(&self, item: &Item) -> Option<u32> {
        let previous = self.before_on_connection(item);
        let previous = previous.filter(|_| item.protocol != Protocol::Http2)?;
        let is_answered = self.answered_before(item, Some(previous)).is_some();
        (!is_answered).then_some(previous)
    }

    /// The request before on its connection.
    fn before_on_connection(&self, item: &Item) -> Option<u32> {
        let last = self.last_on_connection.get(item.connection as usize);
        *last.unwrap_or(&self.last_on_flow[item.flow as usize])
    }

    /// The previous request of a flow, unless the next was sent before its response had
    /// ended (pipelined). Streams of HTTP/2 do not wait for each other.
    fn answered_before(&self, item: &Item, previous: Option<u32>) -> Option<u32> {
        let previous = previous.filter(|_| item.protocol != Protocol::Http2)?;
        let before = &self.capture.items[previous as usize];
        let pipelined = before.response != MessageState::Absent && item.start_ns < before.end_ns;
        (!pipelined).then_some(previous)
    }
}

/// Whether one clock stamped all exchanges.
fn has_one_clock(capture: &Capture) -> bool {
    let mut clocks = capture
        .items
        .iter()
        .map(|item| (&item.id.node, item.id.boot));
    let first = clocks.next();
    clocks.all(|clock| Some(clock) == first)
}
