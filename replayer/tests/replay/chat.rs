//! A service that speaks WebSocket, and what is recorded between it and a client.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream as Socket;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};
use twintap_stream::{Direction, Segment, TcpFlags, Timestamp};

use crate::recording::{production, segment};

/// When recordings begin.
const BEGIN_NS: u64 = 1_700_000_000_000_000_000;

/// A service in which clients log in, add to a sum of their own, and ask for news. It
/// ends with its value.
pub struct Chat {
    /// Where it listens.
    pub address: SocketAddr,
    _runtime: Runtime,
}

impl Chat {
    /// Starts one whose tokens bear `name`, and whose sums are wrong by `fault`.
    pub fn start(name: &'static str, fault: u64) -> Chat {
        let runtime = Runtime::new().expect("a runtime");
        let bound = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = bound.expect("a port");
        let address = listener.local_addr().expect("an address");
        let made = Arc::new(AtomicU64::new(1));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = made.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, token(name, number), fault));
            }
        });
        Chat {
            address,
            _runtime: runtime,
        }
    }
}

async fn serve(stream: Socket, token: String, fault: u64) {
    // What begins no WebSocket, a health check perhaps, is let go.
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    let mut room = Room::new(token, fault);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        for answer in room.answers(text.as_bytes()) {
            let sent = socket.send(Message::text(answer.to_string())).await;
            if sent.is_err() {
                return;
            }
        }
    }
}

/// What the service knows of one client.
pub struct Room {
    token: String,
    fault: u64,
    sum: u64,
}

impl Room {
    /// Where nothing was said yet.
    pub fn new(token: String, fault: u64) -> Room {
        Room {
            token,
            fault,
            sum: 0,
        }
    }

    /// What the service says to a message.
    pub fn answers(&mut self, text: &[u8]) -> Vec<Value> {
        let asked: Value = serde_json::from_slice(text).unwrap_or_default();
        let is_known = asked["token"] == self.token.as_str();
        match asked["do"].as_str() {
            Some("login") => vec![json!({"token": self.token, "hello": asked["name"]})],
            _ if !is_known => vec![json!({"error": "who"})],
            Some("add") => {
                self.sum += asked["number"].as_u64().unwrap_or(0);
                vec![json!({"sum": self.sum + self.fault})]
            }
            Some("news") => (1..=3).map(|number| json!({"news": number})).collect(),
            _ => vec![json!({"error": "what"})],
        }
    }
}

/// A token that bears `name`, and is another for each number.
pub fn token(name: &str, number: u64) -> String {
    format!("{name}{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A client's connection through a tap.
type Client = WebSocketStream<MaybeTlsStream<Socket>>;

/// What `clients` clients say to a fresh service, as segments of a flow for each.
pub fn recorded(clients: u64) -> Vec<Segment> {
    let service = Chat::start("prod", 0);
    let runtime = Runtime::new().expect("a runtime");
    let begin = Instant::now();
    let mut segments = Vec::new();
    for flow in 0..clients {
        let tap = Tap::start(service.address, flow, begin);
        runtime.block_on(talk(tap.address, flow));
        segments.extend(tap.end());
    }
    segments.sort_by_key(|segment| segment.time);
    segments
}

async fn talk(address: SocketAddr, number: u64) {
    let connected = connect_async(format!("ws://{address}/chat?room={number}")).await;
    let (mut client, _) = connected.expect("a WebSocket");
    say(
        &mut client,
        json!({"do": "login", "name": format!("user{number}")}),
    )
    .await;
    let hello = heard(&mut client).await;
    let token = hello["token"].as_str().expect("a token").to_owned();
    for add in 1..=2 {
        let asked = json!({"do": "add", "number": add * 10, "token": token});
        say(&mut client, asked).await;
        heard(&mut client).await;
    }
    let ping = Message::Ping("still there".into());
    client.send(ping).await.expect("a ping goes out");
    say(&mut client, json!({"do": "news", "token": token})).await;
    for _ in 0..3 {
        heard(&mut client).await;
    }
    let frame = CloseFrame {
        code: 1000.into(),
        reason: "bye".into(),
    };
    client.close(Some(frame)).await.expect("a close goes out");
    while let Some(Ok(_)) = client.next().await {}
}

async fn say(client: &mut Client, what: Value) {
    // A moment between a message and the next, as people take.
    tokio::time::sleep(Duration::from_millis(3)).await;
    let sent = client.send(Message::text(what.to_string())).await;
    sent.expect("a message goes out");
}

/// The next text.
async fn heard(client: &mut Client) -> Value {
    loop {
        let message = client
            .next()
            .await
            .expect("a message")
            .expect("a sound one");
        if let Message::Text(text) = message {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

/// Stands between one client and the service, and notes what passes.
pub struct Tap {
    /// Where clients connect.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Segment>>>,
    thread: thread::JoinHandle<()>,
}

impl Tap {
    pub fn start(service: SocketAddr, flow: u64, begin: Instant) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<Segment>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let server = TcpStream::connect(service).expect("the service");
            let copy = |from: &TcpStream, to: &TcpStream, direction| {
                let from = from.try_clone().expect("a socket");
                let to = to.try_clone().expect("a socket");
                let noted = Arc::clone(&noted);
                thread::spawn(move || pass(from, to, direction, flow, begin, &noted))
            };
            let ways = [
                copy(&client, &server, Direction::Client),
                copy(&server, &client, Direction::Server),
            ];
            for way in ways {
                way.join().expect("a way that ends");
            }
        });
        Tap {
            address,
            seen,
            thread,
        }
    }

    /// What passed, once both sides have ended.
    pub fn end(self) -> Vec<Segment> {
        self.thread.join().expect("a tap that ends");
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    direction: Direction,
    flow: u64,
    begin: Instant,
    noted: &Mutex<Vec<Segment>>,
) {
    let mut buffer = [0; 4096];
    let mut offset = 0;
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let time_ns = u64::try_from(begin.elapsed().as_nanos()).expect("a short test");
        let time = Timestamp(BEGIN_NS).plus_ns(time_ns);
        let way = (flow, direction);
        let mut piece = segment(production(), way, offset, &buffer[..count], time);
        if count == 0 {
            piece.flags = TcpFlags(TcpFlags::ACK | TcpFlags::FIN);
        }
        let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(piece);
        drop(seen);
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            // Its other end may be gone already.
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        offset += count as u64;
    }
}
