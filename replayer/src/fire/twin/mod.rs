//! One twin's side of a run: its schedule, its values, its connections.

mod given;
mod traffic;

pub(crate) use traffic::from_token;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use twintap_plan::SkipReason;
use twintap_scrub::Part;
use twintap_verdict::observation::{Timing, Twin};

use super::batches::{Batch, PerBatch};
use super::capture::{CaptureLimits, RawBody};
use super::connection::{Connection, Fate};
use super::control::{RunControl, index};
use super::ear::EarlyValue;
use super::flows::Way;
use super::ledger::{self, Spread, TwinSummary};
use super::options::Options;
use super::outcome::{RawOutcome, RawResult, skip_word};
use super::poll::{Clock, EventFlags, Registry};
use super::schedule::{Release, Schedule};
use super::slots::{Key, Slots};
use super::source::{Loaded, Unsent};
use super::talk::{InFlight, Settled};
use super::tempo::{Dues, Moment, Tempo};
use super::values::{CarriedValues, ValueStore};
use super::wakes::Wakes;
use super::websocket::Script;
use super::wire::{Edit, Wire, WireError, assemble};
use given::wanted;
use traffic::later_deadline;

/// One instant, and how time runs in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) clock_ns: u64,
    /// Run time is clock time minus this; it grows while the run pauses.
    pub(crate) origin_ns: u64,
    pub(crate) tempo: Tempo,
    pub(crate) is_paused: bool,
}

impl Now {
    pub(crate) fn run_ns(self) -> u64 {
        self.clock_ns.saturating_sub(self.origin_ns)
    }

    pub(crate) fn moment(self) -> Moment {
        Moment {
            clock_ns: self.clock_ns,
            run_ns: self.run_ns(),
            plan_ns: self.tempo.plan_ns(self.run_ns()),
        }
    }

    /// The clock time of a moment of run time, if the run does not pause until then.
    pub(crate) fn clock_ns_at(self, run_ns: u64) -> u64 {
        run_ns.saturating_add(self.origin_ns)
    }
}

/// What both twins' sides share.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub(crate) options: &'a Options,
    pub(crate) control: &'a RunControl,
    /// The plan grows.
    pub(crate) grows: bool,
    pub(crate) capture: &'a Arc<CaptureLimits>,
    pub(crate) registry: &'a Registry,
    pub(crate) clock: Clock,
}

impl Common<'_> {
    /// Whether a flow may go on after its last request so far.
    pub(crate) fn goes_on(&self) -> bool {
        self.grows && !self.options.flows_end
    }
}

pub(crate) struct TwinSide<'a> {
    common: Common<'a>,
    pub(crate) twin: Twin,
    batches: PerBatch<Rc<Batch<'a>>>,
    pub(crate) schedule: Schedule,
    values: ValueStore,
    /// Outcomes to be sent off.
    pub(crate) outcomes: Vec<RawOutcome>,
    /// Whether later requests wait for values of one of them.
    pub(crate) has_urgent: bool,
    connections: Slots<Connection>,
    flows: Vec<FlowState>,
    in_flight: usize,
    answer_deadlines: BinaryHeap<Reverse<(u64, Key, u32)>>,
    connect_deadlines: VecDeque<(u64, Key)>,
    wakes: Wakes,
    unread: Vec<Key>,
    buffer: Vec<u8>,
    settled: Vec<Settled>,
    heard: Vec<(u32, EarlyValue)>,
    summary: TwinSummary,
    release_error: Histogram<u64>,
    lateness: Histogram<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct FlowState {
    connection: Option<Key>,
    /// Requests without outcome, apart from those that the plan skips.
    left: u32,
    /// Clock time of the last outcome.
    used_ns: u64,
    opened: bool,
    way: Way,
}

impl<'a> TwinSide<'a> {
    pub(crate) fn new(common: Common<'a>, twin: Twin) -> Self {
        TwinSide {
            twin,
            batches: PerBatch::default(),
            schedule: Schedule::new(max_wait_ns(common.options)),
            values: ValueStore::default(),
            outcomes: Vec::new(),
            has_urgent: false,
            connections: Slots::new(),
            flows: Vec::new(),
            in_flight: 0,
            answer_deadlines: BinaryHeap::new(),
            connect_deadlines: VecDeque::new(),
            wakes: Wakes::default(),
            unread: Vec::new(),
            buffer: vec![0; 64 * 1024],
            settled: Vec::new(),
            heard: Vec::new(),
            summary: TwinSummary::default(),
            release_error: ledger::histogram(),
            lateness: ledger::histogram(),
            common,
        }
    }

    /// Takes up requests that are due after all that came before.
    pub(crate) fn append(&mut self, batch: &Rc<Batch<'a>>) {
        let table = &batch.table;
        self.summary.ledger.planned += u64::from(table.len());
        self.schedule.append(Arc::clone(table));
        self.values.append(table);
        let flows = &batch.flows;
        for (&(flow, count), &way) in flows.requests.iter().zip(&flows.ways) {
            if self.flows.len() <= flow as usize {
                self.flows.resize(flow as usize + 1, FlowState::default());
            }
            let state = &mut self.flows[flow as usize];
            state.left += count;
            state.way = way;
        }
        self.batches
            .push(table.first(), table.len(), Rc::clone(batch));
    }

    /// Lets batches go whose requests all have their outcomes.
    pub(crate) fn forget_settled(&mut self) {
        while self.schedule.pop_settled() {
            self.values.pop_front();
            self.batches.pop_front();
        }
    }

    /// The first position that is not forgotten.
    pub(crate) fn first(&self) -> Option<u32> {
        self.batches.front().map(|(first, _)| first)
    }

    /// True when every request of the plan so far has its outcome.
    pub(crate) fn is_settled(&self) -> bool {
        self.summary.ledger.closes()
    }

    /// What it came to, and its release errors in nanoseconds.
    pub(crate) fn finish(mut self) -> (Twin, TwinSummary, Histogram<u64>) {
        self.summary.release_error = Spread::of(&self.release_error);
        self.summary.lateness = Spread::of(&self.lateness);
        (self.twin, self.summary, self.release_error)
    }

    /// The plan says not to fire it.
    pub(crate) fn skip(&mut self, position: u32, reason: SkipReason, now: Now) {
        self.values_used(position);
        let result = RawResult::Skipped(skip_word(reason));
        self.settle(position, result, None, now);
    }

    /// It will not be fired, nor what uses its values, since the twin does not make
    /// them.
    pub(crate) fn leave_out(&mut self, position: u32, word: &'static str, now: Now) {
        self.values_used(position);
        self.values.lose(position);
        self.settle(position, RawResult::Skipped(word), None, now);
        self.flow_has_one_less(position, now);
    }

    /// A limit of the run keeps it back.
    pub(crate) fn refuse(&mut self, position: u32, limit: &str, now: Now) {
        self.values_used(position);
        self.settle(position, RawResult::Refused(limit.to_owned()), None, now);
        self.flow_has_one_less(position, now);
    }

    /// The next request that may go out, if there is room for it or it is not to wait
    /// for room.
    pub(crate) fn poll_ready(&mut self) -> Option<Release> {
        let options = self.common.options;
        let has_room = self.in_flight < options.max_in_flight;
        if has_room || !options.holds_back() {
            self.schedule.poll_ready()
        } else {
            None
        }
    }

    /// Hands a request to its flow's connection.
    pub(crate) fn fire(&mut self, release: Release, loaded: &Loaded, now: Now) {
        let position = release.position;
        let Some(batch) = self.batch(position) else {
            return;
        };
        if self.common.options.skip_unbound && self.values.has_lost(&batch, position) {
            return self.leave_out(position, skip_word(SkipReason::Unbound), now);
        }
        if self.in_flight >= self.common.options.max_in_flight {
            return self.refuse(position, "in_flight", now);
        }
        if self.common.capture.is_overrun() {
            return self.refuse(position, "backlog", now);
        }
        let wire = self.wire(&batch, position, loaded);
        if let Err(WireError::Unrepeated(reason)) = wire {
            return self.leave_out(position, skip_word(reason), now);
        }
        let (Ok(wire), Ok(script)) = (wire, self.script(&batch, position, loaded)) else {
            return self.refuse(position, "unwritable", now);
        };
        self.values.used(&batch, position);
        let late_ns = release.ready_ns.saturating_sub(release.due_ns);
        self.lateness.saturating_record(late_ns);
        self.summary.wait_expired += u64::from(release.wait_expired);

        let method = loaded.method.clone();
        let mut request = InFlight::new(release, method, now.origin_ns);
        request.wanted = wanted(&batch, position, &wire, script.is_some());
        request.lasts_ns = wire.span_ns();
        if let Some(script) = script {
            request.lasts_ns += script.lasts_ns;
            request.script = Some(script);
        }
        if is_safe(&request.method) {
            request.again = Some(wire.clone());
        }
        self.set_in_flight(self.in_flight + 1);
        match self.connection_for(self.flow_of(position), release.wait_expired, now) {
            Ok(key) => self.send(key, request, wire, now),
            Err(result) => self.conclude(request, result, now),
        }
    }

    /// Gives up what has taken too long, and writes what is due.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        self.write_due(now);
        while let Some(&Reverse((deadline, key, position))) = self.answer_deadlines.peek() {
            let connection = self.connections.get_mut(key);
            let request = connection.and_then(|connection| connection.request(position));
            let Some(request) = request else {
                self.answer_deadlines.pop();
                continue;
            };
            if deadline > now.clock_ns {
                break;
            }
            let later = later_deadline(self.common.options, request, now);
            self.answer_deadlines.pop();
            match later {
                Some(later) => self.answer_deadlines.push(Reverse((later, key, position))),
                None => self.give_up_one(key, position, now),
            }
        }
        while let Some(&(deadline, key)) = self.connect_deadlines.front() {
            let connection = self.connections.get_mut(key);
            let is_pending = connection.is_some_and(|connection| !connection.is_open);
            if is_pending && deadline > now.clock_ns {
                break;
            }
            self.connect_deadlines.pop_front();
            if is_pending {
                let limit = self.common.options.connect_timeout;
                let fate = Fate::Failed("timeout", format!("not connected within {limit:?}"));
                self.end(key, fate, now);
            }
        }
    }

    /// Writes what is due by now.
    fn write_due(&mut self, now: Now) {
        while let Some(key) = self.wakes.pop(now.moment()) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.wakes = Dues::default();
            }
            self.write(key, now);
            self.settle_due(key, now);
        }
    }

    /// The clock time at which [`handle_timeout`](Self::handle_timeout) may have
    /// something to do.
    pub(crate) fn poll_timeout(&self, now: Now) -> Option<u64> {
        let answer = self
            .answer_deadlines
            .peek()
            .map(|&Reverse((deadline, ..))| deadline);
        let connect = self
            .connect_deadlines
            .front()
            .map(|&(deadline, _)| deadline);
        let write = self.wakes.next_clock_ns(now);
        [answer, connect, write].into_iter().flatten().min()
    }

    /// Ends everything in flight as `kind`.
    pub(crate) fn give_up(&mut self, kind: &'static str, detail: &str, now: Now) {
        for key in self.connections.keys() {
            self.end(key, Fate::Failed(kind, detail.to_owned()), now);
        }
    }

    /// The bytes with this twin's values in them, if they can be written.
    fn wire(
        &mut self,
        batch: &Batch<'_>,
        position: u32,
        loaded: &Loaded,
    ) -> Result<Wire, WireError> {
        let twin = index(self.twin);
        let (recorded, own_edits) = match &loaded.wire {
            Unsent::Final(wires) => {
                let (wire, is_mended) = &wires[twin];
                self.summary.mended += u64::from(wire.is_ok() && (loaded.is_cleaned || *is_mended));
                return wire.clone();
            }
            Unsent::Open(recorded, edits) => (recorded, &edits[twin]),
        };
        let (mut edits, missing) = self.values.edits(batch, position, recorded)?;
        let bound = edits.len();
        for edit in own_edits {
            if !edits[..bound].iter().any(|value| value.meets(edit)) {
                edits.push(edit.clone());
            }
        }
        let wire = assemble(recorded, &edits)?;
        self.summary.mended += u64::from(loaded.is_cleaned || !edits.is_empty());
        let mut bindings = batch.request(position).bindings.iter();
        for binding in &missing {
            let named = format!("{} <- {}", binding.path, binding.producer_path);
            self.summary.count_missing(named);
        }
        if !missing.is_empty() || bindings.any(|binding| self.values.is_unbound(binding.producer)) {
            self.values.mark_unbound(position);
            self.summary.fired_unbound += 1;
            let counters = self.common.control.counters(self.twin);
            counters.unbound.increment();
        }
        Ok(wire)
    }

    /// What follows the request over a WebSocket, if anything does, with this twin's
    /// values in it, if these fit.
    fn script(
        &mut self,
        batch: &Batch<'_>,
        position: u32,
        loaded: &Loaded,
    ) -> Result<Option<Arc<Script>>, WireError> {
        let Unsent::Open(recorded, _) = &loaded.wire else {
            return Ok(None);
        };
        let Some(script) = &recorded.script else {
            return Ok(None);
        };
        let (edits, _) = self.values.edits(batch, position, recorded)?;
        let is_said = |edit: &&Edit| edit.part == Part::Body;
        if !edits.iter().any(|edit| is_said(&edit)) {
            return Ok(Some(Arc::clone(script)));
        }
        let edited = script.edited(edits.iter().filter(is_said));
        Ok(Some(Arc::new(edited.ok_or(WireError::Edit)?)))
    }

    /// A request that was handed to a connection has its outcome.
    fn conclude(&mut self, request: InFlight, result: RawResult, now: Now) {
        let position = request.release.position;
        self.summary.fired_unbound += u64::from(request.lacks_values);
        self.summary.wait_expired += u64::from(request.lines_expired);
        self.summary.messages_not_kept += request.messages_not_kept;
        let run_ns = |clock_ns: u64| clock_ns.saturating_sub(request.origin_ns);
        let is_answer = matches!(result, RawResult::Answered(_));
        let timing = (request.released_ns > 0).then(|| Timing {
            due_ns: request.release.due_ns,
            ready_ns: request.release.ready_ns,
            released_ns: run_ns(request.released_ns),
            first_byte_ns: run_ns(if is_answer {
                request.first_byte_ns
            } else {
                now.clock_ns
            }),
            last_byte_ns: run_ns(now.clock_ns),
            wait_expired: request.release.wait_expired || request.lines_expired,
            unbound: self.values.is_unbound(position),
        });
        if let Some(timing) = &timing {
            let late_ns = timing.released_ns.saturating_sub(timing.due_ns);
            let counters = self.common.control.counters(self.twin);
            counters.lateness.add(late_ns);
        }
        self.set_in_flight(self.in_flight - 1);
        self.settle(position, result, timing, now);
        self.flow_has_one_less(position, now);
    }

    /// Counts an outcome, lets those who waited for it go on, and keeps it to be
    /// sent off.
    fn settle(&mut self, position: u32, result: RawResult, timing: Option<Timing>, now: Now) {
        let counters = self.common.control.counters(self.twin);
        let ledger = &mut self.summary.ledger;
        match &result {
            RawResult::Answered(answer) => {
                ledger.answered += 1;
                counters.answered.increment();
                let is_digest = matches!(answer.body, RawBody::Digest { .. });
                self.summary.digest_only += u64::from(is_digest);
            }
            RawResult::Errored { kind, .. } => {
                ledger::count(&mut ledger.errored, kind);
                counters.errored.increment();
            }
            RawResult::Refused(limit) => {
                ledger::count(&mut ledger.refused, limit);
                counters.refused.increment();
            }
            RawResult::Skipped(reason) => {
                ledger::count(&mut ledger.skipped, reason);
                counters.skipped.increment();
                if *reason == skip_word(SkipReason::Unbound) {
                    counters.unbound.increment();
                }
            }
        }
        let is_answer = matches!(result, RawResult::Answered(_));
        let users = self.batches.get(position);
        let users = users.map_or(0, |(batch, place)| batch.table.value_users(place));
        let has_values = is_answer && users > 0;
        self.schedule
            .handle_outcome(position, now.run_ns(), has_values);
        self.has_urgent |= has_values;
        self.outcomes.push(RawOutcome {
            position,
            twin: self.twin,
            result,
            timing,
            has_users: has_values,
        });
    }

    fn values_used(&mut self, position: u32) {
        if let Some((batch, _)) = self.batches.get(position) {
            self.values.used(batch, position);
        }
    }

    /// The batch of a request without outcome.
    fn batch(&self, position: u32) -> Option<Rc<Batch<'a>>> {
        self.batches
            .get(position)
            .map(|(batch, _)| Rc::clone(batch))
    }

    /// The flow of a request without outcome.
    fn flow_of(&self, position: u32) -> u32 {
        let found = self.batches.get(position);
        found.map_or(0, |(batch, place)| batch.flows.of(place))
    }

    fn set_in_flight(&mut self, count: usize) {
        self.in_flight = count;
        let counters = self.common.control.counters(self.twin);
        counters.in_flight.set(count as u64);
    }
}

/// Methods that a client may send again unasked (RFC 9110, section 9.2.1).
fn is_safe(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
}

/// How long requests wait at most.
fn max_wait_ns(options: &Options) -> u64 {
    if options.holds_back() {
        u64::MAX
    } else {
        nanos(options.wait)
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
