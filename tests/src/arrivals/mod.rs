//! A twin that notes when each request's first byte arrived, and what the times say.

mod connection;
pub mod replay;
pub mod statistics;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

use connection::Connection;

/// What the listener is told apart by: no connection has as high a number.
const LISTENER: u64 = u64::MAX;

/// A server on a port of its own that answers every request of HTTP/1.1 with an empty 200.
///
/// One thread waits for all connections, and goes before others where it may, so that what it
/// notes is when the bytes were there. It ends with its process.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    arrivals: Receiver<Instant>,
}

impl Recorder {
    /// Starts it.
    ///
    /// # Errors
    /// When there is no port or no descriptor for it.
    pub fn start() -> io::Result<Recorder> {
        // As many connections as there may be: each takes a descriptor.
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&poll, &listener, data, epoll::EventFlags::IN)?;
        let (arrived, arrivals) = channel();
        // It ends when a descriptor fails, and what arrives then is missed by whoever counts.
        std::thread::spawn(move || listen(&listener, &poll, &arrived));
        Ok(Recorder { address, arrivals })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived since this was asked before, in the order of arrival.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Instant> {
        self.arrivals.try_iter().collect()
    }

    /// As [`arrivals`](Self::arrivals), waiting for `count` of them, but no longer than
    /// `patience` for each.
    #[must_use]
    pub fn wait_for(&self, count: usize, patience: Duration) -> Vec<Instant> {
        let next = || self.arrivals.recv_timeout(patience).ok();
        std::iter::from_fn(next).take(count).collect()
    }
}

/// Serves until a descriptor fails.
fn listen(
    listener: &TcpListener,
    poll: &OwnedFd,
    arrived: &Sender<Instant>,
) -> io::Result<Infallible> {
    let thread = rustix::thread::gettid();
    // Without the right to it, it goes as others do.
    let _ = rustix::process::setpriority_process(Some(thread), -10);
    let mut served = HashMap::new();
    let mut next = 0;
    let mut events = Vec::with_capacity(256);
    loop {
        events.clear();
        match epoll::wait(poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        for event in &events {
            let number = event.data.u64();
            if number != LISTENER {
                serve(&mut served, number, now, arrived);
                continue;
            }
            while let Ok((stream, _)) = listener.accept() {
                let connection = Connection::new(stream)?;
                let data = epoll::EventData::new_u64(next);
                epoll::add(poll, connection.stream(), data, epoll::EventFlags::IN)?;
                served.insert(next, connection);
                next += 1;
            }
        }
    }
}

/// Takes what came over a connection, and notes the requests that began with it.
fn serve(
    served: &mut HashMap<u64, Connection>,
    number: u64,
    now: Instant,
    arrived: &Sender<Instant>,
) {
    let Some(connection) = served.get_mut(&number) else {
        return;
    };
    let taken = connection.take();
    for _ in 0..taken.begun {
        // Whoever asked may be gone: then nobody wants to know.
        let _ = arrived.send(now);
    }
    if taken.is_over {
        served.remove(&number);
    }
}
