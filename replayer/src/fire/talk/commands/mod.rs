//! A database: commands out in order, replies back in order.
//!
//! What is said first, and how a command is written, is the protocol's ([`Speaker`]). What comes
//! back is read by what reads captures, so that the twin's reply becomes the document that the
//! same reply of production became.

mod postgres;
mod redis;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use twintap_plan::Spoken;
use twintap_scrub::Timeline;
use twintap_stream::dialogue::Replied;
use twintap_stream::document::{self, DocumentLimits};
use twintap_stream::message::{MessageState, Protocol};
use twintap_stream::{Dialogue, Timestamp};

use super::super::capture::Capture;
use super::super::command::Command;
use super::super::connection::Fate;
use super::super::login::Login;
use super::super::response::RawAnswer;
use super::super::tempo::{Dues, Moment};
use super::super::wire::Wire;
use super::{InFlight, Released, Settled, Settlement, Stranded, Talk};
use postgres::Postgres;
use redis::Redis;

/// What comes next of a log-in.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// These bytes are to be said.
    Say(Vec<u8>),
    /// The twin is to say more.
    Wait,
    /// It is done.
    Ready,
}

/// The client's side of a protocol.
trait Speaker: std::fmt::Debug {
    /// How a connection begins.
    fn begin(&mut self) -> Step;

    /// Takes what the twin says until the log-in is done.
    ///
    /// # Errors
    /// A text for people: the twin does not let it in.
    fn hear(&mut self, input: &[u8]) -> Result<Step, String>;

    /// The bytes of a command.
    fn say(&mut self, command: &Command) -> Bytes;
}

/// A connection to a database.
#[derive(Debug)]
pub(crate) struct Commands {
    speaker: Box<dyn Speaker>,
    dialogue: Dialogue,
    capture: Capture,
    /// Lined up while the log-in goes on.
    waiting: VecDeque<(InFlight, Arc<Command>)>,
    in_flight: VecDeque<Sent>,
    out: VecDeque<Bytes>,
    written: u64,
    queued: u64,
    /// Where the first command begins, once the log-in is done.
    login_end: Option<u64>,
    /// Bytes of a reply have come that is not whole.
    has_begun: bool,
}

#[derive(Debug)]
struct Sent {
    request: InFlight,
    /// Bytes that the connection writes before this command's first.
    starts_at: u64,
}

impl Commands {
    /// Logs in as `login` says; of what it speaks there must be commands.
    pub(crate) fn new(login: &Login, capture: Capture) -> Option<Commands> {
        let (speaker, protocol): (Box<dyn Speaker>, _) = match login.spoken {
            Spoken::Redis => (Box::new(Redis::new(login)), Protocol::Redis),
            Spoken::Postgres => (Box::new(Postgres::new(login)), Protocol::Postgres),
            Spoken::Http => return None,
        };
        let mut commands = Commands {
            speaker,
            dialogue: Dialogue::new(protocol)?,
            capture,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            out: VecDeque::new(),
            written: 0,
            queued: 0,
            login_end: None,
            has_begun: false,
        };
        let step = commands.speaker.begin();
        commands.take_step(step, 0);
        Some(commands)
    }

    fn take_step(&mut self, step: Step, now_ns: u64) {
        match step {
            Step::Say(bytes) => self.write(bytes.into(), now_ns),
            Step::Wait => {}
            Step::Ready => {
                self.login_end = Some(self.queued);
                for (request, command) in std::mem::take(&mut self.waiting) {
                    self.send(request, &command, now_ns);
                }
            }
        }
    }

    fn send(&mut self, request: InFlight, command: &Command, now_ns: u64) {
        let starts_at = self.queued;
        let bytes = self.speaker.say(command);
        self.write(bytes, now_ns);
        self.in_flight.push_back(Sent { request, starts_at });
    }

    /// Lines up bytes.
    fn write(&mut self, bytes: Bytes, now_ns: u64) {
        self.queued += bytes.len() as u64;
        self.dialogue.sent(bytes.clone(), Timestamp(now_ns));
        self.out.push_back(bytes);
    }

    /// What a reply comes to; a fate where no other can be told from it.
    fn settle_one(&mut self, replied: Replied, settled: &mut Vec<Settled>) -> Option<Fate> {
        let Replied { exchange, reply } = replied;
        let (request, response) = (&exchange.request, &exchange.response);
        let is_login = self.login_end.is_none_or(|end| request.offset < end);
        if request.state == MessageState::Absent {
            let mut flags = response.flags.iter();
            let is_lost = flags.any(|flag| flag == "unpaired");
            let text = || "a reply to no command".to_owned();
            return is_lost.then(|| Fate::Failed("garbage", text()));
        }
        if is_login {
            return None;
        }
        if response.state == MessageState::Incomplete {
            let text = format!("no sound reply: {}", response.flags.join(", "));
            return Some(Fate::Failed("garbage", text));
        }
        let mut sent = self
            .in_flight
            .pop_front_if(|sent| sent.starts_at == request.offset)?;
        sent.request.first_byte_ns = response.first_byte.0;
        let made = document::make(exchange, &reply, DocumentLimits::default());
        let head = made.exchange.response.head?;
        self.capture.push(&made.response.unwrap_or_default());
        let (body, held) = self.capture.finish();
        let answer = RawAnswer {
            head,
            body,
            trailers: Vec::new(),
            timeline: Timeline::default(),
            held,
            interim: 0,
            framing: made.exchange.response.framing,
            keeps_alive: true,
        };
        settled.push((sent.request, Settlement::Answered(Box::new(answer))));
        None
    }
}

impl Talk for Commands {
    fn push(&mut self, request: InFlight, wire: Wire) {
        let Wire::Command(command) = wire else {
            return;
        };
        match self.login_end {
            Some(_) => self.send(request, &command, 0),
            None => self.waiting.push_back((request, command)),
        }
    }

    fn slices<'a>(&'a mut self, _: Moment, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut written: usize, released: Released<'_>) {
        let before = self.written;
        self.written += written as u64;
        for sent in self.in_flight.iter_mut().rev() {
            if sent.starts_at < before {
                break;
            }
            if sent.starts_at < self.written {
                released(&mut sent.request);
            }
        }
        while let Some(bytes) = self.out.front_mut() {
            if written < bytes.len() {
                bytes.advance(written);
                return;
            }
            written -= bytes.len();
            self.out.pop_front();
        }
    }

    fn dues(&self, now: Moment) -> Dues {
        // A command that nothing answers is over once it is said.
        Dues {
            plan_ns: None,
            run_ns: self.dialogue.has_done().then_some(now.run_ns),
        }
    }

    fn receive(&mut self, input: &[u8], now_ns: u64, settled: &mut Vec<Settled>) -> Option<Fate> {
        let bytes = Bytes::copy_from_slice(input);
        self.dialogue.received(bytes, Timestamp(now_ns));
        if self.login_end.is_none() {
            match self.speaker.hear(input) {
                Ok(step) => self.take_step(step, now_ns),
                Err(detail) => return Some(Fate::Failed("login_failed", detail)),
            }
        }
        while let Some(replied) = self.dialogue.poll() {
            if let Some(fate) = self.settle_one(replied, settled) {
                return Some(fate);
            }
        }
        self.has_begun = self.dialogue.held_bytes() > 0;
        None
    }

    fn settle(&mut self, _: Moment, settled: &mut Vec<Settled>) {
        while let Some(replied) = self.dialogue.poll() {
            let _ = self.settle_one(replied, settled);
        }
    }

    fn end(&mut self, _: &mut Vec<Settled>) -> Fate {
        match self.login_end {
            None => Fate::Failed("login_failed", "closed in the log-in".to_owned()),
            Some(_) if self.has_begun => {
                Fate::Failed("closed_early", "closed in a reply".to_owned())
            }
            Some(_) => Fate::Ended,
        }
    }

    fn in_flight(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }

    fn request(&self, position: u32) -> Option<&InFlight> {
        let sent = self.in_flight.iter().map(|sent| &sent.request);
        let waiting = self.waiting.iter().map(|(request, _)| request);
        let mut requests = sent.chain(waiting);
        requests.find(|request| request.release.position == position)
    }

    fn cancel(&mut self, _: u32) -> Option<InFlight> {
        // Its reply would come all the same, before those of the others.
        None
    }

    fn is_in_order(&self) -> bool {
        true
    }

    fn talks_back(&self) -> bool {
        // The log-in goes back and forth, and what waited for it goes out after it.
        self.login_end.is_none() || !self.out.is_empty()
    }

    fn takes_more(&self) -> bool {
        true
    }

    fn strand(&mut self) -> Vec<Stranded> {
        let has_begun = self.has_begun;
        let sent = self.in_flight.drain(..).map(|sent| sent.request);
        let waiting = self.waiting.drain(..).map(|(request, _)| request);
        let all = sent.chain(waiting).enumerate();
        all.map(|(place, request)| Stranded {
            request,
            has_begun: place == 0 && has_begun,
            is_behind: place > 0,
        })
        .collect()
    }
}
