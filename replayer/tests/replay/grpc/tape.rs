//! A proxy that notes what passes through it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use twintap_stream::{Direction, Segment, Timestamp};

use crate::recording::{production, segment};

/// Notes what passes between clients and one server.
pub struct Tape {
    pub address: SocketAddr,
    segments: Arc<Mutex<Vec<Segment>>>,
}

impl Tape {
    pub fn before(server: SocketAddr) -> Tape {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let segments = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&segments);
        let start = Instant::now();
        thread::spawn(move || {
            for (flow, client) in (1..).zip(listener.incoming().flatten()) {
                let server = TcpStream::connect(server).expect("the server");
                let ends = [
                    (Direction::Client, &client, &server),
                    (Direction::Server, &server, &client),
                ];
                for (direction, from, to) in ends {
                    let from = from.try_clone().expect("a descriptor");
                    let to = to.try_clone().expect("a descriptor");
                    let all = Arc::clone(&all);
                    thread::spawn(move || pass(flow, direction, from, to, start, &all));
                }
            }
        });
        Tape { address, segments }
    }

    /// What has passed so far.
    pub fn segments(&self) -> Vec<Segment> {
        self.segments.lock().expect("no thread failed").clone()
    }
}

fn pass(
    flow: u64,
    direction: Direction,
    mut from: TcpStream,
    mut to: TcpStream,
    start: Instant,
    all: &Mutex<Vec<Segment>>,
) {
    let mut offset = 0;
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let time = Timestamp(1_700_000_000_000_000_000 + start.elapsed().as_nanos() as u64);
        let bytes = &buffer[..count];
        let segment = segment(production(), (flow, direction), offset, bytes, time);
        all.lock().expect("no thread failed").push(segment);
        offset += count as u64;
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
