//! What carries bytes to a twin and back: TCP, or TLS over it.

mod session;
pub mod tls;

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use session::Session;
pub(crate) use session::TlsFailure;
use tls::{Speech, Tls};

/// A way to a twin that never blocks.
#[derive(Debug)]
pub(crate) struct Link {
    socket: TcpStream,
    session: Option<Box<Session>>,
}

impl Link {
    /// Begins to connect, and to shake hands where there is TLS.
    pub(crate) fn open(address: SocketAddr, tls: Option<&Tls>, speech: Speech) -> io::Result<Link> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let session = tls.map(|tls| Session::new(tls, speech)).transpose()?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Link {
            socket: TcpStream::from(socket),
            session: session.map(Box::new),
        })
    }

    /// The socket, to be waited for.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What became of connecting, once the socket is writable or has failed.
    pub(crate) fn finish_connecting(&mut self) -> io::Result<()> {
        match self.socket.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(error),
        }
    }

    /// Goes on with shaking hands; true once nothing of it is left.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        match &mut self.session {
            Some(session) => session.shake_hands(&mut self.socket),
            None => Ok(true),
        }
    }

    /// Writes from the front of `slices` as much as is taken without waiting.
    pub(crate) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (&mut self.session, slices) {
            (Some(session), _) => session.write(&mut self.socket, slices),
            (None, [one]) => self.socket.write(one),
            (None, several) => self.socket.write_vectored(several),
        }
    }

    /// Writes what was taken earlier, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.session {
            Some(session) => session.flush(&mut self.socket),
            None => Ok(()),
        }
    }

    /// Reads what is there without waiting; 0 is the end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => session.read(&mut self.socket, buffer),
            None => self.socket.read(buffer),
        }
    }

    /// True when a read that does not fill the buffer leaves nothing behind.
    pub(crate) fn reads_all_at_once(&self) -> bool {
        self.session.is_none()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(session) = &mut self.session {
            session.close(&mut self.socket);
        }
    }
}
