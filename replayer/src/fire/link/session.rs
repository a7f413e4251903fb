//! A TLS session over a socket that does not block.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;

use rustls::{AlertDescription, ClientConnection};
use thiserror::Error;

use super::tls::{Speech, Tls};

/// Why there is no TLS with the twin.
#[derive(Debug, Error)]
pub(crate) enum TlsFailure {
    /// It broke its rules, or certificates were not to the liking of one side.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// It closed the connection in the handshake.
    #[error("closed in the TLS handshake")]
    Closed,
    /// It is there, but speaks another protocol than the recorded one.
    #[error("the twin chose {chosen} by ALPN, and the recorded protocol is {wanted}")]
    Protocol {
        /// What the twin chose.
        chosen: String,
        /// What was recorded.
        wanted: &'static str,
    },
}

impl TlsFailure {
    /// The word for the outcome, where such a failure is what `error` tells of. Who
    /// speaks another protocol is there, and has answered in its way.
    pub(crate) fn word(error: &io::Error) -> Option<&'static str> {
        let failure = error.get_ref()?.downcast_ref::<TlsFailure>()?;
        let no_protocol = rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        match failure {
            TlsFailure::Protocol { .. } => Some("other_protocol"),
            TlsFailure::Tls(error) if *error == no_protocol => Some("other_protocol"),
            TlsFailure::Tls(_) | TlsFailure::Closed => Some("tls_failed"),
        }
    }
}

impl From<TlsFailure> for io::Error {
    fn from(failure: TlsFailure) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, failure)
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    tls: ClientConnection,
    speech: Speech,
}

impl Session {
    pub(crate) fn new(tls: &Tls, speech: Speech) -> io::Result<Session> {
        let tls = ClientConnection::new(tls.config(speech), tls.server_name())
            .map_err(TlsFailure::from)?;
        Ok(Session { tls, speech })
    }

    pub(crate) fn shake_hands(&mut self, socket: &mut TcpStream) -> io::Result<bool> {
        loop {
            self.flush(socket)?;
            if !self.tls.is_handshaking() {
                self.check_protocol()?;
                return Ok(true);
            }
            match self.tls.read_tls(socket) {
                Ok(0) => return Err(TlsFailure::Closed.into()),
                Ok(_) => self.process(socket)?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// HTTP/1 is spoken with whoever chooses nothing (RFC 7301, section 3.1);
    /// HTTP/2 must have been chosen (RFC 9113, section 3.2).
    fn check_protocol(&self) -> Result<(), TlsFailure> {
        let wanted = self.speech.alpn();
        match self.tls.alpn_protocol() {
            Some(chosen) if chosen == wanted.as_bytes() => Ok(()),
            None if self.speech == Speech::Http1 => Ok(()),
            chosen => Err(TlsFailure::Protocol {
                chosen: chosen.map_or("nothing".to_owned(), |chosen| {
                    String::from_utf8_lossy(chosen).into_owned()
                }),
                wanted,
            }),
        }
    }

    pub(crate) fn write(
        &mut self,
        socket: &mut TcpStream,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut taken = self.tls.writer().write_vectored(slices)?;
        self.flush(socket)?;
        if taken == 0 {
            // It was full; after what the socket took it may not be.
            taken = self.tls.writer().write_vectored(slices)?;
            self.flush(socket)?;
        }
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    /// Writes what waits for the socket, as far as that takes it.
    pub(crate) fn flush(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::BrokenPipe.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            // The end of the socket shows in what the reader says next.
            self.tls.read_tls(socket)?;
            self.process(socket)?;
        }
    }

    fn process(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        let result = self.tls.process_new_packets();
        // Also after a failure, of which the twin is told. That it may be gone by then
        // says less than the failure.
        let flushed = self.flush(socket);
        result.map_err(TlsFailure::from)?;
        flushed
    }

    /// Says that nothing more comes (RFC 8446, section 6.1), if the socket takes it.
    pub(crate) fn close(&mut self, socket: &mut TcpStream) {
        if !self.tls.is_handshaking() {
            self.tls.send_close_notify();
            let _ = self.flush(socket);
        }
    }
}
