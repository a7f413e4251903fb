//! One connection to a twin: requests out in order, answers back in order.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Buf, Bytes};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::capture::Capture;
use super::response::{AtEnd, RawAnswer, ResponseReader};
use super::schedule::Release;
use super::wire::Wire;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) release: Release,
    pub(crate) method: Bytes,
    /// What to send again should a kept-alive connection end; for safe methods.
    pub(crate) again: Option<Wire>,
    /// Run time is clock time minus this.
    pub(crate) origin_ns: u64,
    /// Clock times; 0 while it has not happened.
    pub(crate) released_ns: u64,
    pub(crate) first_byte_ns: u64,
    /// Bytes that the connection writes before this request's first.
    starts_at: u64,
}

impl InFlight {
    pub(crate) fn new(release: Release, method: Bytes, origin_ns: u64) -> InFlight {
        InFlight {
            release,
            method,
            again: None,
            origin_ns,
            released_ns: 0,
            first_byte_ns: 0,
            starts_at: 0,
        }
    }
}

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

/// A whole answer and the request that it answers.
pub(crate) type Answered = (InFlight, Box<RawAnswer>);

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) flow: u32,
    pub(crate) is_open: bool,
    /// It takes no more requests, and closes after its last answer.
    pub(crate) retires: bool,
    pub(crate) answers: u32,
    pub(crate) in_flight: VecDeque<InFlight>,
    out: VecDeque<Bytes>,
    written: u64,
    queued: u64,
    reader: ResponseReader,
}

/// Reads of one connection before others have their turn.
const READS_AT_ONCE: usize = 8;
/// Pieces written by one call.
const PIECES_AT_ONCE: usize = 16;

impl Connection {
    /// Begins to connect.
    pub(crate) fn open(address: SocketAddr, flow: u32, capture: Capture) -> io::Result<Connection> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Connection {
            stream: TcpStream::from(socket),
            flow,
            is_open: false,
            retires: false,
            answers: 0,
            in_flight: VecDeque::new(),
            out: VecDeque::new(),
            written: 0,
            queued: 0,
            reader: ResponseReader::new(capture),
        })
    }

    /// Lines up a request; [`write`](Self::write) sends it.
    pub(crate) fn push(&mut self, mut request: InFlight, wire: Wire) {
        request.starts_at = self.queued;
        for piece in wire.pieces {
            self.queued += piece.len() as u64;
            self.out.push_back(piece);
        }
        if self.in_flight.is_empty() {
            self.reader.begin(&request.method);
        }
        self.in_flight.push_back(request);
    }

    /// True when not all of what was lined up is written.
    pub(crate) fn is_writing(&self) -> bool {
        !self.out.is_empty()
    }

    /// True when a byte of the answer to the first request in flight has come.
    pub(crate) fn answer_has_begun(&self) -> bool {
        self.reader.has_begun()
    }

    /// Writes as much as the socket takes. `released` is called for each request
    /// whose first byte went out, after it did. Gives the bytes written, too.
    pub(crate) fn write(&mut self, mut released: impl FnMut(&mut InFlight)) -> (Fate, u64) {
        let before = self.written;
        let fate = self.write_all(&mut released);
        (fate, self.written - before)
    }

    fn write_all(&mut self, released: &mut impl FnMut(&mut InFlight)) -> Fate {
        while let Some(first) = self.out.front() {
            let result = if self.out.len() == 1 {
                self.stream.write(first)
            } else {
                let mut slices = [IoSlice::new(&[]); PIECES_AT_ONCE];
                let mut count = 0;
                for (slice, piece) in slices.iter_mut().zip(&self.out) {
                    *slice = IoSlice::new(piece);
                    count += 1;
                }
                self.stream.write_vectored(&slices[..count])
            };
            match result {
                Ok(0) => return Fate::Failed("reset", "the socket takes no more bytes".to_owned()),
                Ok(written) => self.advance(written, released),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return failed(&error),
            }
        }
        Fate::Open
    }

    fn advance(&mut self, mut written: usize, released: &mut impl FnMut(&mut InFlight)) {
        let before = self.written;
        self.written += written as u64;
        // Requests begin in the order of the queue, the latest last.
        for request in self.in_flight.iter_mut().rev() {
            if request.starts_at < before {
                break;
            }
            if request.starts_at < self.written {
                released(request);
            }
        }
        while let Some(piece) = self.out.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.out.pop_front();
        }
    }

    /// Reads what is there. Whole answers go to `answers` with their requests.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        now_ns: u64,
        has_ended: bool,
        answers: &mut Vec<Answered>,
    ) -> (Fate, u64) {
        let mut received = 0;
        for _ in 0..READS_AT_ONCE {
            let count = match self.stream.read(buffer) {
                Ok(0) => return (self.end(answers), received),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return (Fate::Open, received);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return (failed(&error), received),
            };
            received += count as u64;
            if let Some(fate) = self.take(&buffer[..count], now_ns, answers) {
                return (fate, received);
            }
            // A short read means that nothing is left but, perhaps, the end.
            if count < buffer.len() && !has_ended {
                return (Fate::Open, received);
            }
        }
        (Fate::More, received)
    }

    fn take(&mut self, mut input: &[u8], now_ns: u64, answers: &mut Vec<Answered>) -> Option<Fate> {
        while !input.is_empty() {
            let Some(request) = self.in_flight.front_mut() else {
                // An unasked answer (408 before an idle close, mostly).
                return Some(Fate::Ended);
            };
            if request.first_byte_ns == 0 {
                request.first_byte_ns = now_ns;
            }
            match self.reader.feed(&mut input) {
                Ok(Some(answer)) => {
                    self.answers += 1;
                    self.retires |= !answer.keeps_alive;
                    answers.extend(self.in_flight.pop_front().map(|request| (request, answer)));
                    if let Some(next) = self.in_flight.front() {
                        self.reader.begin(&next.method);
                    }
                }
                Ok(None) => {}
                Err(garbage) => return Some(Fate::Failed("garbage", garbage.to_string())),
            }
        }
        None
    }

    fn end(&mut self, answers: &mut Vec<Answered>) -> Fate {
        match self.reader.end() {
            AtEnd::Nothing => Fate::Ended,
            AtEnd::Whole(answer) => {
                answers.extend(self.in_flight.pop_front().map(|request| (request, answer)));
                Fate::Ended
            }
            AtEnd::Cut(place) => Fate::Failed("closed_early", format!("closed {place}")),
        }
    }

    /// What became of connecting, once the socket is writable or has failed.
    pub(crate) fn finish_connecting(&mut self) -> Fate {
        match self.stream.take_error() {
            Ok(None) => {
                self.is_open = true;
                Fate::Open
            }
            Ok(Some(error)) | Err(error) => connect_failed(&error),
        }
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
    let kind = match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            "reset"
        }
        ErrorKind::TimedOut => "timeout",
        _ => "io",
    };
    Fate::Failed(kind, error.to_string())
}
