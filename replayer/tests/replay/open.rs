//! Values of conversations that go on: others use them long before these end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use twintap_scrub::Policy;
use twintap_stream::Segment;
use twintap_stream::websocket::accept;

use crate::chat::{Tap, token};
use crate::recording::store;
use crate::run::run;
use crate::websocket::run_file;

const CLIENTS: u64 = 6;

/// Who subscribes is given a ticket, and told once it was used; the subscription is over only
/// then.
struct TicketOffice {
    address: SocketAddr,
}

/// Tickets that were used.
#[derive(Default)]
struct Used {
    tickets: Mutex<Vec<String>>,
    changed: Condvar,
}

impl TicketOffice {
    fn start(name: &'static str) -> TicketOffice {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let used = Arc::new(Used::default());
        thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming().flatten()) {
                let used = Arc::clone(&used);
                let ticket = token(name, number);
                thread::spawn(move || serve(stream, &ticket, &used, name));
            }
        });
        TicketOffice { address }
    }
}

fn serve(mut stream: TcpStream, ticket: &str, used: &Used, name: &str) {
    let Some(head) = head(&mut stream) else {
        return;
    };
    let line = head.lines().next().unwrap_or_default();
    if let Some(rest) = line.strip_prefix("GET /use?ticket=") {
        let given = rest.split(' ').next().unwrap_or_default().to_owned();
        let status = if given.starts_with(name) {
            "200 OK"
        } else {
            "403 Forbidden"
        };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        used.tickets.lock().expect("no thread failed").push(given);
        used.changed.notify_all();
        // The client may be gone, which a service need not mind.
        let _ = stream.write_all(answer.as_bytes());
        return;
    }
    let said = format!("{{\"ticket\":\"{ticket}\"}}");
    let is_used = || {
        let tickets = used.tickets.lock().expect("no thread failed");
        let is_missing = |tickets: &mut Vec<String>| !tickets.iter().any(|known| known == ticket);
        // Whoever waits longer finds out in the run's ledger.
        let patience = Duration::from_secs(8);
        let waited = used
            .changed
            .wait_timeout_while(tickets, patience, is_missing);
        drop(waited);
    };
    if line.starts_with("GET /events ") {
        let chunk = |event: &str| format!("{:x}\r\n{event}\r\n", event.len());
        let first = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n{}",
            chunk(&format!("event: ticket\ndata: {said}\n\n"))
        );
        if stream.write_all(first.as_bytes()).is_ok() {
            is_used();
            let last = format!("{}0\r\n\r\n", chunk("data: used\n\n"));
            let _ = stream.write_all(last.as_bytes());
        }
        return;
    }
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = accept(key.unwrap_or_default().as_bytes());
    let opening = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n{}\r\n",
        String::from_utf8_lossy(&accept),
        match line.starts_with("GET /head ") {
            true => format!("X-Ticket: {ticket}\r\n"),
            false => String::new(),
        }
    );
    let said = match line.starts_with("GET /head ") {
        true => "{}".to_owned(),
        false => said,
    };
    let first = [
        opening.as_bytes(),
        &[0x81, said.len() as u8],
        said.as_bytes(),
    ]
    .concat();
    if stream.write_all(&first).is_err() {
        return;
    }
    is_used();
    let last = b"\x81\x0d{\"used\":true}\x88\x02\x03\xe8";
    if stream.write_all(last).is_ok() {
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

/// Reads through the empty line after a head; None where there is none.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// How clients are given their tickets.
#[derive(Clone, Copy)]
enum Way {
    Socket,
    /// Over a WebSocket, in the head that opens it.
    Head,
    Events,
}

impl Way {
    fn request(self) -> &'static str {
        match self {
            Way::Socket => {
                "GET /subscribe HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
            Way::Head => {
                "GET /head HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
            Way::Events => "GET /events HTTP/1.1\r\nHost: box\r\nAccept: text/event-stream\r\n\r\n",
        }
    }
}

/// Clients who subscribe, and use their tickets over another connection.
fn recorded(way: Way) -> Vec<Segment> {
    let service = TicketOffice::start("prod");
    let begin = Instant::now();
    let mut segments = Vec::new();
    for client in 0..CLIENTS {
        let [subscribing, using] =
            [0, 1].map(|flow| Tap::start(service.address, 2 * client + flow, begin));
        let mut stream = TcpStream::connect(subscribing.address).expect("the tap");
        stream
            .write_all(way.request().as_bytes())
            .expect("a service");
        let answer = head(&mut stream).expect("an answer");
        let of_head = answer.split("X-Ticket: ").nth(1);
        let ticket = match of_head.and_then(|rest| rest.lines().next()) {
            Some(ticket) => ticket.to_owned(),
            None => {
                let said = read_through(&mut stream, b"}");
                said.split('"').nth(3).expect("a ticket").to_owned()
            }
        };
        // Others use what they are given a while later.
        thread::sleep(Duration::from_millis(5));
        let mut user = TcpStream::connect(using.address).expect("the tap");
        let request = format!("GET /use?ticket={ticket} HTTP/1.1\r\nHost: box\r\n\r\n");
        user.write_all(request.as_bytes()).expect("a service");
        assert!(head(&mut user).expect("an answer").contains(" 200 "));
        drop(user);
        match way {
            Way::Socket | Way::Head => {
                read_through(&mut stream, b"\x03\xe8");
                let close = [0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];
                stream.write_all(&close).expect("a service");
            }
            Way::Events => drop(read_through(&mut stream, b"0\r\n\r\n")),
        }
        drop(stream);
        segments.extend(subscribing.end());
        segments.extend(using.end());
    }
    segments.sort_by_key(|segment| segment.time);
    segments
}

/// Reads through these bytes.
fn read_through(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end) {
        stream.read_exact(&mut byte).expect("more of the answer");
        read.push(byte[0]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[track_caller]
fn check(way: Way) {
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), recorded(way));
    let twins = ["cand", "base"].map(TicketOffice::start);
    let addresses = twins.each_ref().map(|twin| twin.address);
    let report = run(&run_file(directory.path(), addresses)).expect("a run");
    assert_eq!(report.correlation.bound, CLIENTS);
    let runs = &report.ledgers.runs;
    for ledger in [&runs.candidate, &runs.baseline] {
        assert_eq!(ledger.answered, 2 * CLIENTS, "{ledger:?}");
    }
    // Had these waited for the end of what waits for them, they would have gone out late.
    for lateness in [&report.timing.candidate, &report.timing.baseline] {
        assert_eq!(lateness.wait_expired, 0);
    }
    let other = &report.correlation.other;
    let unbound = other["candidate_fired_unbound"] + other["baseline_fired_unbound"];
    assert_eq!(unbound, 0);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
}

#[test]
fn what_a_subscription_hands_out_is_used_while_it_is_open() {
    check(Way::Socket);
}

#[test]
fn what_the_head_of_a_subscription_hands_out_is_used_while_it_is_open() {
    check(Way::Head);
}

#[test]
fn what_events_hand_out_is_used_while_they_go_on() {
    check(Way::Events);
}
