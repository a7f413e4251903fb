//! A twin's connections: opening, writing, reading, ending.

use std::io;

use rustix::io::Errno;

use super::super::capture::Capture;
use super::super::connection::connect_failed;
use super::super::link::Link;
use super::super::link::tls::Speech;
use super::super::talk::Settlement;
use super::super::talk::Talk;
use super::super::talk::commands::Commands;
use super::super::talk::http1::Http1;
use super::super::talk::http2::Http2;
use super::super::websocket::Setting;
use super::*;

/// Where the twin's place stands in a poll token, above the connection's key. No twin's place
/// fills both bits, as the token of wake-ups does.
const TWIN_SHIFT: u32 = 62;

/// The twin and the connection that a poll token names.
pub(crate) fn from_token(token: u64) -> (Twin, Key) {
    let twin = match token >> TWIN_SHIFT {
        0 => Twin::Candidate,
        1 => Twin::Baseline,
        _ => Twin::SecondBaseline,
    };
    (twin, Key::from_u64(token & ((1 << TWIN_SHIFT) - 1)))
}

fn to_token(twin: Twin, key: Key) -> u64 {
    // There are three places at most.
    (index(twin) as u64) << TWIN_SHIFT | key.to_u64()
}

impl TwinSide<'_> {
    /// Opens a flow's connection ahead of its first request.
    pub(crate) fn open_ahead(&mut self, flow: u32, now: Now) {
        let state = self.flows[flow as usize];
        if state.left > 0 && !state.opened {
            // Where it fails, the request itself tries again and has the outcome.
            let _ = self.open(flow, now);
        }
    }

    /// A socket is ready for something.
    pub(crate) fn handle_io(&mut self, key: Key, flags: EventFlags, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let ends = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if !connection.is_open {
            let fate = connection.go_on_opening();
            if !matches!(fate, Fate::Open) {
                return self.end(key, fate, now);
            }
            if !connection.is_open {
                return;
            }
            // What the twin sent after the handshake makes no event of its own.
            self.write(key, now);
            return self.read(key, ends, now);
        }
        if flags.intersects(EventFlags::OUT) {
            self.write(key, now);
        }
        if ends || flags.intersects(EventFlags::IN) {
            self.read(key, ends, now);
        }
    }

    /// Goes on with connections that had more to read; says whether any still has.
    pub(crate) fn read_on(&mut self, now: Now) -> bool {
        for key in std::mem::take(&mut self.unread) {
            self.read(key, true, now);
        }
        !self.unread.is_empty()
    }

    /// The connection for the flow's next request.
    pub(super) fn connection_for(
        &mut self,
        flow: u32,
        wait_expired: bool,
        now: Now,
    ) -> Result<Key, RawResult> {
        let state = self.flows[flow as usize];
        let mut is_busy = false;
        if let Some(key) = state.connection
            && let Some(connection) = self.connections.get_mut(key)
            && connection.takes_more()
        {
            // Recorded pipelining goes on as such; but what only lost patience with
            // an earlier answer must not queue up behind it.
            is_busy = wait_expired && connection.is_busy();
            if !is_busy {
                return Ok(key);
            }
            connection.retires = true;
        }
        let key = self.open(flow, now)?;
        if is_busy {
            self.summary.extra_connections += 1;
        } else {
            self.summary.reopened += u64::from(state.opened);
        }
        Ok(key)
    }

    /// Sends a request over a connection that [`connection_for`](Self::connection_for) gave.
    pub(super) fn send(&mut self, key: Key, request: InFlight, wire: Wire, now: Now) {
        // A body with pauses takes its time, and so does what is said after it.
        let lasts_ns = now.tempo.in_run(request.lasts_ns);
        let said_ns = now.clock_ns.saturating_add(lasts_ns);
        let deadline = said_ns.saturating_add(patience_ns(self.common.options, &request));
        let position = request.release.position;
        self.answer_deadlines
            .push(Reverse((deadline, key, position)));
        if let Some(connection) = self.connections.get_mut(key) {
            connection.push(request, wire);
            if connection.is_open {
                self.write(key, now);
            }
        }
    }

    /// Ends a connection. What is in flight on it has its outcome, or goes out
    /// again over another.
    pub(super) fn end(&mut self, key: Key, fate: Fate, now: Now) {
        let Some(mut connection) = self.remove(key) else {
            return;
        };
        let (kind, detail) = match fate {
            Fate::Failed(kind, detail) => (kind, detail),
            Fate::Open | Fate::More | Fate::Ended => {
                ("closed_early", "closed before an answer".to_owned())
            }
        };
        // A kept-alive connection may end just as the next request goes out; then
        // no byte of an answer comes, and a client sends it again (RFC 9110,
        // section 9.2.2).
        let was_kept_alive = connection.answers > 0 && matches!(kind, "closed_early" | "reset");
        for stranded in connection.strand() {
            let mut request = stranded.request;
            match request.again.take() {
                Some(wire) if was_kept_alive && !stranded.has_begun => {
                    self.send_again(connection.flow, request, wire, now);
                }
                _ => {
                    let detail = if stranded.is_behind {
                        format!("behind a request that failed: {detail}")
                    } else {
                        detail.clone()
                    };
                    self.conclude(request, RawResult::Errored { kind, detail }, now);
                }
            }
        }
    }

    /// A request's answer takes too long.
    pub(super) fn give_up_one(&mut self, key: Key, position: u32, now: Now) {
        let limit = self.common.options.response_timeout;
        let (kind, detail) = ("timeout", format!("no whole answer within {limit:?}"));
        let connection = self.connections.get_mut(key);
        match connection.and_then(|connection| connection.cancel(position)) {
            Some(request) => {
                self.write(key, now);
                self.conclude(request, RawResult::Errored { kind, detail }, now);
            }
            None => self.end(key, Fate::Failed(kind, detail), now),
        }
    }

    /// A request of the flow has its outcome: after the last the connection closes.
    pub(super) fn flow_has_one_less(&mut self, position: u32, now: Now) {
        let flow = self.flow_of(position);
        let state = &mut self.flows[flow as usize];
        state.left = state.left.saturating_sub(1);
        state.used_ns = now.clock_ns;
        if state.left == 0
            && !self.common.goes_on()
            && let Some(key) = state.connection
            && let Some(connection) = self.connections.get_mut(key)
            && connection.in_flight() == 0
        {
            self.remove(key);
        }
    }

    /// Whether a flow has nothing to fire, and had not since `before_ns`.
    pub(crate) fn is_idle(&self, flow: u32, before_ns: u64) -> bool {
        let state = self.flows.get(flow as usize);
        state.is_none_or(|state| state.left == 0 && state.used_ns < before_ns)
    }

    /// Closes the connection of an idle flow, whose number may be another's next.
    pub(crate) fn close_idle(&mut self, flow: u32) {
        let Some(state) = self.flows.get_mut(flow as usize) else {
            return;
        };
        if let Some(key) = std::mem::take(state).connection {
            self.remove(key);
        }
    }

    fn send_again(&mut self, flow: u32, request: InFlight, wire: Wire, now: Now) {
        let state = self.flows[flow as usize];
        let current = state.connection.filter(|&key| {
            let connection = self.connections.get_mut(key);
            connection.is_some_and(|connection| connection.takes_more() && connection.answers == 0)
        });
        let key = match current {
            Some(key) => Ok(key),
            None => self.open(flow, now).inspect(|_| self.summary.reopened += 1),
        };
        match key {
            Ok(key) => {
                self.summary.resent += 1;
                self.send(key, request, wire, now);
            }
            Err(result) => self.conclude(request, result, now),
        }
    }

    /// Sends a request again that the twin did not process (RFC 9113, section 8.7), a few
    /// times at most: over another connection if the twin goes away.
    fn send_unprocessed(&mut self, flow: u32, mut request: InFlight, wire: Wire, now: Now) {
        const MOST: u8 = 3;
        request.times_unprocessed += 1;
        if request.times_unprocessed > MOST {
            let kind = "stream_reset";
            let detail = format!(
                "the twin said {} times that it did not process it",
                MOST + 1
            );
            return self.conclude(request, RawResult::Errored { kind, detail }, now);
        }
        match self.connection_for(flow, false, now) {
            Ok(key) => {
                self.summary.unprocessed += 1;
                self.send(key, request, wire, now);
            }
            Err(result) => self.conclude(request, result, now),
        }
    }

    fn open(&mut self, flow: u32, now: Now) -> Result<Key, RawResult> {
        let options = self.common.options;
        if self.connections.len() >= options.max_connections {
            return Err(RawResult::Refused("connections".to_owned()));
        }
        let Way { speech, service } = self.flows[flow as usize].way;
        let target = options.target(self.twin, service);
        let Some(address) = target.current() else {
            return Err(RawResult::Refused("address".to_owned()));
        };
        let key = self.connections.next_key();
        let connection = Link::open(address, target.tls.as_ref(), speech)
            .and_then(|link| {
                let limits = Arc::clone(self.common.capture);
                let talk: Box<dyn Talk> = match speech {
                    Speech::Http1 => {
                        let setting = Setting {
                            limits: Arc::clone(&limits),
                            wait_ns: nanos(options.wait),
                            extract: options.extract.clone(),
                        };
                        Box::new(Http1::new(Capture::new(limits), setting))
                    }
                    Speech::Http2 => Box::new(Http2::new(limits)),
                    Speech::Commands => {
                        let login = target.login.as_ref();
                        let capture = Capture::new(limits);
                        let commands = login.and_then(|login| Commands::new(login, capture));
                        Box::new(commands.ok_or_else(not_spoken)?)
                    }
                };
                let connection = Connection::new(link, talk, flow);
                let token = to_token(self.twin, key);
                self.common.registry.add(connection.socket(), token)?;
                Ok(connection)
            })
            .map_err(|error| open_failed(&error))?;
        self.connections.insert(connection);
        self.summary.connections += 1;
        let state = &mut self.flows[flow as usize];
        state.connection = Some(key);
        state.opened = true;
        let deadline = now.clock_ns.saturating_add(nanos(options.connect_timeout));
        self.connect_deadlines.push_back((deadline, key));
        Ok(key)
    }

    pub(super) fn write(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        if !connection.is_open {
            return;
        }
        let clock = self.common.clock;
        let release_error = &mut self.release_error;
        let stream_waits = &mut self.summary.stream_waits;
        let moment = now.moment();
        let (fate, sent) = connection.write(moment, &mut |request| {
            *stream_waits += u64::from(std::mem::take(&mut request.has_waited));
            if request.released_ns == 0 {
                request.released_ns = clock.now_ns();
                request.released_plan_ns = moment.plan_ns;
                let ready_ns = request.release.ready_ns.saturating_add(request.origin_ns);
                release_error.saturating_record(request.released_ns.saturating_sub(ready_ns));
            }
        });
        self.summary.sent_bytes += sent;
        // What is due already waits for the socket, which tells.
        let dues = connection.dues(moment);
        let before = std::mem::replace(&mut connection.wakes, dues);
        self.wakes.push(before, dues, key);
        if !matches!(fate, Fate::Open) {
            // The twin may have answered before it closed.
            self.read_only(key, true, now);
            self.end(key, fate, now);
        }
    }

    /// Reads, and answers what calls for it.
    fn read(&mut self, key: Key, has_ended: bool, now: Now) {
        self.read_only(key, has_ended, now);
        if let Some(connection) = self.connections.get_mut(key)
            && connection.talks_back()
        {
            self.write(key, now);
            self.settle_due(key, now);
        }
    }

    /// Settles what is over by now without another word of the twin.
    pub(super) fn settle_due(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let mut settled = std::mem::take(&mut self.settled);
        connection.settle(now.moment(), &mut settled);
        if settled.is_empty() {
            self.settled = settled;
        } else {
            self.take_settled(key, settled, now);
            self.remove_if_done(key);
        }
    }

    fn read_only(&mut self, key: Key, has_ended: bool, now: Now) {
        // What was written since `now` may be answered already.
        let now = Now {
            clock_ns: self.common.clock.now_ns(),
            ..now
        };
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        let mut settled = std::mem::take(&mut self.settled);
        let (fate, received) =
            connection.read(&mut self.buffer, now.clock_ns, has_ended, &mut settled);
        self.summary.received_bytes += received;
        connection.take_heard(&mut self.heard);
        self.take_heard(now);
        self.take_settled(key, settled, now);
        match fate {
            Fate::Open => self.remove_if_done(key),
            Fate::More => self.unread.push(key),
            fate => self.end(key, fate, now),
        }
    }

    fn take_settled(&mut self, key: Key, mut settled: Vec<Settled>, now: Now) {
        let Some(connection) = self.connections.get_mut(key) else {
            return;
        };
        connection.answers += settled.len() as u32;
        let flow = connection.flow;
        for (request, settlement) in settled.drain(..) {
            match settlement {
                Settlement::Answered(answer) => {
                    self.conclude(request, RawResult::Answered(answer), now);
                }
                Settlement::Failed(kind, detail) => {
                    self.conclude(request, RawResult::Errored { kind, detail }, now);
                }
                Settlement::Unprocessed(wire) => self.send_unprocessed(flow, request, wire, now),
            }
        }
        self.settled = settled;
    }

    fn remove_if_done(&mut self, key: Key) {
        let is_done =
            |connection: &mut Connection| !connection.takes_more() && connection.in_flight() == 0;
        if self.connections.get_mut(key).is_some_and(is_done) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: Key) -> Option<Connection> {
        let connection = self.connections.remove(key)?;
        let state = &mut self.flows[connection.flow as usize];
        if state.connection == Some(key) {
            state.connection = None;
        }
        Some(connection)
    }
}

/// How long a request may take after all of it was said: over a WebSocket also as long as its
/// last line and its end may wait.
fn patience_ns(options: &Options, request: &InFlight) -> u64 {
    let limit = nanos(options.response_timeout);
    match request.script {
        Some(_) => limit.saturating_add(nanos(options.wait).saturating_mul(2)),
        None => limit,
    }
}

/// The deadline of a request that says something until later than was thought when it was
/// sent, since the run went slower or paused; `None` where there is none.
pub(super) fn later_deadline(options: &Options, request: &InFlight, now: Now) -> Option<u64> {
    if request.lasts_ns == 0 {
        return None;
    }
    let patience_ns = patience_ns(options, request);
    let plan_ns = now.moment().plan_ns;
    let begun_ns = match request.released_ns {
        0 => plan_ns,
        _ => request.released_plan_ns,
    };
    let said_ns = begun_ns.saturating_add(request.lasts_ns);
    if now.is_paused && said_ns > plan_ns {
        return Some(now.clock_ns.saturating_add(patience_ns));
    }
    let said_ns = now.clock_ns_at(now.tempo.run_ns(said_ns));
    let deadline = said_ns.saturating_add(patience_ns);
    (deadline > now.clock_ns).then_some(deadline)
}

/// The plan has commands of a database for what is none: it was made for other targets.
fn not_spoken() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the target is no such database")
}

/// What this side lacks is a limit of the run; all else is the twin's.
fn open_failed(error: &io::Error) -> RawResult {
    let lacking = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::NOSPC,
    ];
    if Errno::from_io_error(error).is_some_and(|errno| lacking.contains(&errno)) {
        return RawResult::Refused("sockets".to_owned());
    }
    match connect_failed(error) {
        Fate::Failed(kind, detail) => RawResult::Errored { kind, detail },
        _ => RawResult::Refused("sockets".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::engine::WAKE_TOKEN;
    use super::*;

    #[test]
    fn a_token_names_twin_and_connection_and_no_wake_up() {
        let last = Key::from_u64((1 << TWIN_SHIFT) - 1);
        for twin in [Twin::Candidate, Twin::Baseline, Twin::SecondBaseline] {
            for key in [Key::from_u64(0), Key::from_u64(7 << 32 | 5), last] {
                assert_eq!(from_token(to_token(twin, key)), (twin, key));
                assert_ne!(to_token(twin, key), WAKE_TOKEN);
            }
        }
    }
}
