//! One connection of a client, read without waiting.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A connection and what of a request is there.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    held: Vec<u8>,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests whose first byte came.
    pub begun: u32,
    /// The client closed it, or it broke.
    pub is_over: bool,
}

impl Connection {
    /// A connection that nothing came over yet.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            held: Vec::new(),
        })
    }

    /// Its socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads what is there, and answers the requests that are whole.
    pub fn take(&mut self) -> Taken {
        let mut taken = Taken::default();
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => taken.is_over = true,
                Ok(count) => {
                    taken.begun += u32::from(self.held.is_empty());
                    self.held.extend_from_slice(&buffer[..count]);
                    taken.begun += self.answer(&mut taken.is_over);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => taken.is_over = error.kind() != ErrorKind::WouldBlock,
            }
            return taken;
        }
    }

    /// Answers what is whole; gives how many further requests have begun.
    fn answer(&mut self, is_over: &mut bool) -> u32 {
        let mut begun = 0;
        while let Some(length) = length_of(&self.held) {
            self.held.drain(..length);
            begun += u32::from(!self.held.is_empty());
            // The answer is so short that a socket that takes nothing is a broken one.
            *is_over |= self.stream.write_all(ANSWER).is_err();
        }
        begun
    }
}

/// The length of the request that is first, once it is whole.
fn length_of(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let body: usize = length
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    Some(head + body).filter(|length| *length <= held.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_its_body() {
        for (held, expected) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], Some(18)),
            (b"GET / HTTP/1.1\r\n\r\nGET", Some(18)),
            (b"GET / HTTP/1.1\r\n", None),
            (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\na", None),
            (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", Some(40)),
        ] {
            let shown = String::from_utf8_lossy(held);
            assert_eq!(length_of(held), expected, "{shown}");
        }
    }
}
