//! One request and its answer, outside of what is fired.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::values::HookRequest;
use crate::fire::Tls;
use crate::fire::capture::{Capture, CaptureLimits};
use crate::fire::response::{AtEnd, RawAnswer, ResponseReader};

/// What is asked, and whom.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request; it has no body.
    pub request: &'a HookRequest,
    /// Where it goes.
    pub address: SocketAddr,
    /// How TLS is spoken, where it is.
    pub tls: Option<&'a Tls>,
    /// Further header fields, each with its end of line.
    pub fields: &'a str,
    /// The most that is kept of the answer's body.
    pub most_bytes: usize,
}

/// How soon it is looked at whether nobody wants the answer any more.
const LOOK: Duration = Duration::from_millis(50);

/// The answer, on a connection of its own.
///
/// # Errors
/// When there is none until `deadline`, or none that can be read.
pub fn ask(question: &Question<'_>, deadline: Instant) -> Result<Box<RawAnswer>> {
    ask_unless(question, deadline, &|| false)
}

/// Likewise, unless nobody wants it any more.
///
/// # Errors
/// As [`ask`], and when `is_over` while the answer is waited for.
pub fn ask_unless(
    question: &Question<'_>,
    deadline: Instant,
    is_over: &dyn Fn() -> bool,
) -> Result<Box<RawAnswer>> {
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time-out of 0 would mean none.
        left.max(Duration::from_millis(1))
    };
    let socket = TcpStream::connect_timeout(&question.address, left())?;
    socket.set_write_timeout(Some(left()))?;
    socket.set_read_timeout(Some(left()))?;
    let own = socket.try_clone()?;
    let mut stream: Box<dyn Stream> = match question.tls {
        Some(tls) => Box::new(tls.blocking(own)?),
        None => Box::new(own),
    };
    let request = question.request;
    write!(
        stream,
        "{} {} HTTP/1.1\r\nHost: {}\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
        request.method, request.target, request.authority, question.fields
    )?;
    let limits = CaptureLimits::new(question.most_bytes, question.most_bytes, None);
    let mut reader = ResponseReader::new(Capture::new(limits));
    reader.begin(request.method.as_bytes());
    let mut buffer = [0; 16 * 1024];
    loop {
        if Instant::now() >= deadline {
            bail!("no answer in time");
        }
        if is_over() {
            bail!("nobody waits for the answer any more");
        }
        socket.set_read_timeout(Some(left().min(LOOK)))?;
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            return match reader.end() {
                AtEnd::Whole(answer) => Ok(answer),
                AtEnd::Nothing => bail!("the connection closed without an answer"),
                AtEnd::Cut(place) => bail!("the connection closed {place}"),
            };
        }
        if let Some(answer) = reader.feed(&mut &buffer[..count])? {
            return Ok(answer);
        }
    }
}

/// What a request goes over.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}
