//! Twins that are plain threads.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a twin does with a request.
pub enum Reply {
    /// It writes this, and takes the next request.
    Text(String),
    /// It writes this, and closes.
    Close(String),
    /// It resets the connection.
    Reset,
    /// It says nothing more.
    Stall,
    /// It writes this byte by byte, each a moment after the other.
    Drip(String),
    /// It answers, but only then.
    Later(Duration),
}

impl Reply {
    pub fn ok() -> Reply {
        Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned())
    }

    /// An answer that gives these values to the [`Collector`].
    pub fn values(values: &str) -> Reply {
        Reply::Text(format!(
            "HTTP/1.1 302 Found\r\nX-Values: {values}\r\nContent-Length: 0\r\n\r\n"
        ))
    }
}

/// A request that a twin got.
pub struct Seen {
    pub line: String,
    /// Line and fields.
    pub head: String,
    /// The body as it was sent.
    pub body: String,
    /// How many came before it on its connection.
    pub place: usize,
}

/// A server that answers as a closure says, one thread for each connection.
pub struct TwinServer {
    pub address: SocketAddr,
    received: Arc<Mutex<Log>>,
    is_up: Arc<AtomicBool>,
}

impl TwinServer {
    pub fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> TwinServer {
        TwinServer::start_with(None, handler)
    }

    /// One that speaks TLS, where there is a configuration for it.
    pub fn start_with(
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> TwinServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let twin = TwinServer {
            address: listener.local_addr().expect("a bound socket"),
            received: Arc::default(),
            is_up: Arc::default(),
        };
        let received = Arc::clone(&twin.received);
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                serve(socket, tls.as_ref(), Arc::clone(&handler), &received);
            }
        });
        twin
    }

    /// As [`start`](Self::start), for a twin that can be taken down.
    pub fn start_mortal(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> TwinServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let twin = TwinServer {
            address,
            received: Arc::default(),
            is_up: Arc::new(AtomicBool::new(true)),
        };
        let (received, is_up) = (Arc::clone(&twin.received), Arc::clone(&twin.is_up));
        let handler = Arc::new(handler);
        thread::spawn(move || {
            let mut listening = Some(listener);
            loop {
                if !is_up.load(Ordering::Relaxed) {
                    listening = None;
                } else if listening.is_none() {
                    listening = TcpListener::bind(address).ok();
                }
                if let Some(listener) = &listening {
                    listener.set_nonblocking(true).expect("a socket");
                    while let Ok((stream, _)) = listener.accept() {
                        stream.set_nonblocking(false).expect("a socket");
                        serve(stream, None, Arc::clone(&handler), &received);
                    }
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        twin
    }

    /// Whether it accepts connections. Those that are open go on.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// What came over each connection, in the order of their opening.
    pub fn received(&self) -> Vec<String> {
        let log = self.received.lock().expect("no thread failed");
        log.connections.clone()
    }

    /// The first lines of the requests, in the order of their coming.
    pub fn lines(&self) -> Vec<String> {
        self.received
            .lock()
            .expect("no thread failed")
            .lines
            .clone()
    }
}

/// What came to a twin.
#[derive(Default)]
struct Log {
    /// The bytes, by connection.
    connections: Vec<String>,
    /// The first lines of requests.
    lines: Vec<String>,
}

/// Serves a connection on a thread of its own.
fn serve(
    socket: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
    handler: Arc<impl Fn(&Seen) -> Reply + Send + Sync + 'static>,
    received: &Arc<Mutex<Log>>,
) {
    let socket_too = socket.try_clone().expect("a descriptor");
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(socket),
        Some(config) => {
            let session = ServerConnection::new(Arc::clone(config));
            Box::new(StreamOwned::new(session.expect("a configuration"), socket))
        }
    };
    let received = Arc::clone(received);
    let mut log = received.lock().expect("no thread failed");
    let number = log.connections.len();
    log.connections.push(String::new());
    drop(log);
    thread::spawn(move || {
        let mut connection = ServedConnection {
            stream,
            socket: socket_too,
            held: Vec::new(),
            received,
            number,
        };
        connection.serve(&*handler);
    });
}

/// What a connection's bytes go over.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

struct ServedConnection {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    held: Vec<u8>,
    received: Arc<Mutex<Log>>,
    number: usize,
}

impl ServedConnection {
    fn serve(&mut self, handler: &dyn Fn(&Seen) -> Reply) {
        for place in 0.. {
            let Some((head, body)) = self.request() else {
                return;
            };
            let line = head.lines().next().unwrap_or_default().to_owned();
            let mut log = self.received.lock().expect("no thread failed");
            log.lines.push(line.clone());
            drop(log);
            let seen = Seen {
                line,
                head,
                body,
                place,
            };
            match handler(&seen) {
                Reply::Text(text) => {
                    let written = self.stream.write_all(text.as_bytes());
                    if written.and_then(|()| self.stream.flush()).is_err() {
                        return;
                    }
                }
                Reply::Close(text) => {
                    // The peer may be gone, which a twin need not mind.
                    let _ = self.stream.write_all(text.as_bytes());
                    return;
                }
                Reply::Reset => {
                    let linger = Some(Duration::ZERO);
                    rustix::net::sockopt::set_socket_linger(&self.socket, linger)
                        .expect("a socket");
                    return;
                }
                Reply::Stall => while self.more() {},
                Reply::Drip(text) => {
                    for byte in text.as_bytes() {
                        if self.stream.write_all(&[*byte]).is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                Reply::Later(span) => {
                    thread::sleep(span);
                    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if self.stream.write_all(text).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads one request; its head and its body.
    fn request(&mut self) -> Option<(String, String)> {
        loop {
            let text = String::from_utf8_lossy(&self.held).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let lower = head.to_ascii_lowercase();
                let body_bytes = if lower.contains("transfer-encoding: chunked") {
                    body.find("0\r\n\r\n").map(|end| end + 5)
                } else {
                    let length = lower.split("content-length: ").nth(1);
                    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
                    Some(length.unwrap_or(0)).filter(|length| *length <= body.len())
                };
                if let Some(body_bytes) = body_bytes {
                    self.held.drain(..head.len() + 4 + body_bytes);
                    let body = body.get(..body_bytes).unwrap_or_default();
                    return Some((head.to_owned(), body.to_owned()));
                }
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => {
                    self.held.extend_from_slice(&buffer[..count]);
                    let mut log = self.received.lock().expect("no thread failed");
                    log.connections[self.number]
                        .push_str(&String::from_utf8_lossy(&buffer[..count]));
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}
