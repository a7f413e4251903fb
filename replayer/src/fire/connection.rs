//! One connection to a twin: what carries its bytes, and what they say.

use std::io::{self, ErrorKind, IoSlice};
use std::net::TcpStream;

use super::ear::EarlyValue;
use super::link::{Link, TlsFailure};
use super::talk::{InFlight, Released, Settled, Stranded, Talk};
use super::tempo::{Dues, Moment};
use super::wire::Wire;

/// How a connection ended, or that it did not.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It goes on.
    Open,
    /// There is more to read.
    More,
    /// The twin ended it cleanly.
    Ended,
    /// It failed: the outcome's kind and what was seen.
    Failed(&'static str, String),
}

#[derive(Debug)]
pub(crate) struct Connection {
    link: Link,
    talk: Box<dyn Talk>,
    pub(crate) flow: u32,
    /// Requests can be written.
    pub(crate) is_open: bool,
    /// It takes no more requests, and closes after its last answer.
    pub(crate) retires: bool,
    pub(crate) answers: u32,
    /// When it is looked at next because something is to be written.
    pub(crate) wakes: Dues,
    is_connected: bool,
}

/// Reads of one connection before others have their turn.
const READS_AT_ONCE: usize = 8;
/// Pieces written by one call.
const PIECES_AT_ONCE: usize = 16;

impl Connection {
    pub(crate) fn new(link: Link, talk: Box<dyn Talk>, flow: u32) -> Connection {
        Connection {
            link,
            talk,
            flow,
            is_open: false,
            retires: false,
            answers: 0,
            wakes: Dues::default(),
            is_connected: false,
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.link.socket()
    }

    /// Lines up a request; [`write`](Self::write) sends it.
    pub(crate) fn push(&mut self, request: InFlight, wire: Wire) {
        self.talk.push(request, wire);
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.talk.in_flight()
    }

    /// The request at this position, if it is one of them.
    pub(crate) fn request(&self, position: u32) -> Option<&InFlight> {
        self.talk.request(position)
    }

    /// True when another request may be lined up.
    pub(crate) fn takes_more(&self) -> bool {
        !self.retires && self.talk.takes_more()
    }

    /// True when another request would queue up behind an answer.
    pub(crate) fn is_busy(&self) -> bool {
        self.talk.is_in_order() && self.talk.in_flight() > 0
    }

    /// When after this moment it is to be written to, where that is known.
    pub(crate) fn dues(&self, now: Moment) -> Dues {
        self.talk.dues(now)
    }

    /// Gives up one request alone, where the others can go on.
    pub(crate) fn cancel(&mut self, position: u32) -> Option<InFlight> {
        self.talk.cancel(position)
    }

    /// True when what the twin sends may call for something to be written.
    pub(crate) fn talks_back(&self) -> bool {
        self.talk.talks_back()
    }

    /// Takes values of answers that go on.
    pub(crate) fn take_heard(&mut self, heard: &mut Vec<(u32, EarlyValue)>) {
        self.talk.take_heard(heard);
    }

    /// Settles what is over by this moment.
    pub(crate) fn settle(&mut self, now: Moment, settled: &mut Vec<Settled>) {
        self.talk.settle(now, settled);
    }

    /// The requests in flight, when it is given up.
    pub(crate) fn strand(&mut self) -> Vec<Stranded> {
        self.talk.strand()
    }

    /// Goes on with opening, after something happened to the socket.
    pub(crate) fn go_on_opening(&mut self) -> Fate {
        if !self.is_connected {
            if let Err(error) = self.link.finish_connecting() {
                return connect_failed(&error);
            }
            self.is_connected = true;
        }
        match self.link.shake_hands() {
            Ok(is_open) => {
                self.is_open = is_open;
                Fate::Open
            }
            Err(error) => failed(&error),
        }
    }

    /// Writes as much of what is due by this moment as the socket takes. Gives the bytes
    /// written, too.
    pub(crate) fn write(&mut self, now: Moment, released: Released<'_>) -> (Fate, u64) {
        let mut sent = 0;
        loop {
            let mut slices = [IoSlice::new(&[]); PIECES_AT_ONCE];
            let count = self.talk.slices(now, &mut slices);
            let result = match count {
                0 => match self.link.flush() {
                    Ok(()) => return (Fate::Open, sent),
                    Err(error) => Err(error),
                },
                _ => self.link.write(&slices[..count]),
            };
            match result {
                Ok(0) => {
                    let detail = "the socket takes no more bytes".to_owned();
                    return (Fate::Failed("reset", detail), sent);
                }
                Ok(written) => {
                    sent += written as u64;
                    self.talk.advance(written, released);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (Fate::Open, sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (failed(&error), sent),
            }
        }
    }

    /// Reads what is there. Requests that this settles go to `settled`.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        now_ns: u64,
        has_ended: bool,
        settled: &mut Vec<Settled>,
    ) -> (Fate, u64) {
        let mut received = 0;
        for _ in 0..READS_AT_ONCE {
            let count = match self.link.read(buffer) {
                Ok(0) => return (self.talk.end(settled), received),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return (Fate::Open, received);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return (failed(&error), received),
            };
            received += count as u64;
            if let Some(fate) = self.talk.receive(&buffer[..count], now_ns, settled) {
                return (fate, received);
            }
            // A short read means that nothing is left but, perhaps, the end.
            if count < buffer.len() && !has_ended && self.link.reads_all_at_once() {
                return (Fate::Open, received);
            }
        }
        (Fate::More, received)
    }
}

/// The outcome of an error in connecting.
pub(crate) fn connect_failed(error: &io::Error) -> Fate {
    let kind = match error.kind() {
        ErrorKind::ConnectionRefused => "connect_refused",
        ErrorKind::TimedOut => "timeout",
        _ => "connect_failed",
    };
    Fate::Failed(kind, error.to_string())
}

fn failed(error: &io::Error) -> Fate {
    if let Some(kind) = TlsFailure::word(error) {
        return Fate::Failed(kind, error.to_string());
    }
    let kind = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "reset"
        }
        ErrorKind::UnexpectedEof => "closed_early",
        ErrorKind::TimedOut => "timeout",
        _ => "io",
    };
    Fate::Failed(kind, error.to_string())
}
