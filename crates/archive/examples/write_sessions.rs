//! An archive of a shop's sessions, of any number: `cargo run --release -p twintap-archive
//! --example write_sessions -- DIRECTORY SESSIONS [SESSIONS_A_SECOND [MOST_REQUESTS]]`.
//!
//! DIRECTORY must not exist; the key goes to DIRECTORY.key, the policy is `allow-all`. Each
//! session logs in, looks at a product, orders it and looks at the order, on a flow of its own:
//! the token of the login and the id of the order bind to what comes after, and one session in
//! twenty changes a product that others look at. Sessions begin at an even pace (1,000 a second)
//! and live side by side, so that as many are under way however many there are. With
//! MOST_REQUESTS below 4 the rest of each is left out.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use twintap_archive::{Archive, Capture, Checkpoint, Options};
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_stream::message::{Framing, MessageState, Protocol};
use twintap_stream::{
    Direction, Endpoints, Exchange, ExchangeId, Field, FlowId, Message, RequestHead, ResponseHead,
    Timestamp,
};

/// What its token and link tags are made with: it guards nothing.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The first request of all.
const BEGIN: Timestamp = Timestamp(1_700_000_000_000_000_000);
/// From one request of a session to the next.
const THINK_NS: u64 = 500_000_000;
/// From a request to its answer.
const TAKES_NS: u64 = 3_000_000;
/// Requests of each session.
const REQUESTS: u64 = 4;
/// Products of the shop, however many look at them.
const PRODUCTS: u64 = 2_000;
/// Exchanges between two commits.
const BATCH: u64 = 20_000;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("name a directory to write to")?;
    let sessions: u64 = arguments.next().ok_or("say how many sessions")?.parse()?;
    let mut or = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let shop = Shop {
        sessions,
        spacing_ns: 1_000_000_000 / or(1_000)?.max(1),
        requests: or(REQUESTS)?.clamp(1, REQUESTS),
    };
    let path = Path::new(&directory);
    if path.exists() {
        return Err(format!("{directory} is there already").into());
    }
    let (archive, _) = Archive::open(path, Options::default())?;
    std::fs::write(path.with_extension("key"), KEY)?;
    let scrubber = Scrubber::new(Policy::allow_all(), &Key::from_hex(KEY)?);
    let bytes = shop.write(archive, &scrubber)?;
    println!("{} exchanges in {bytes} bytes", sessions * shop.requests);
    Ok(())
}

/// What is written.
struct Shop {
    sessions: u64,
    spacing_ns: u64,
    requests: u64,
}

impl Shop {
    /// Writes the exchanges in the order of their requests; gives the archive's bytes.
    fn write(&self, mut archive: Archive, scrubber: &Scrubber) -> Result<u64, AnyError> {
        let node: Arc<str> = Arc::from("generated");
        // How many sessions begin while one waits for its next request.
        let apart = THINK_NS.div_ceil(self.spacing_ns);
        let mut written = 0;
        for tick in 0..self.sessions + apart * self.requests {
            for number in (0..self.requests).rev() {
                let Some(session) = tick.checked_sub(number * apart) else {
                    continue;
                };
                if session >= self.sessions {
                    continue;
                }
                let start = BEGIN.plus_ns(tick * self.spacing_ns + number);
                store(
                    &mut archive,
                    scrubber,
                    &Said::of(session, number),
                    start,
                    &node,
                )?;
                written += 1;
                if written % BATCH == 0 {
                    archive.commit(checkpoint(&node, written))?;
                }
            }
        }
        archive.commit(checkpoint(&node, written))?;
        let bytes = archive.bytes();
        archive.close()?;
        Ok(bytes)
    }
}

/// What is said in one exchange.
struct Said {
    session: u64,
    number: u64,
    method: &'static str,
    target: String,
    request: String,
    status: u16,
    response: String,
}

impl Said {
    fn of(session: u64, number: u64) -> Said {
        let product = mixed(session, 1) % PRODUCTS + 1_000;
        let order = format!("ord_{:016x}", mixed(session, 2));
        let (method, target, request, status, response) = match number {
            0 => (
                "POST",
                "/api/login".to_owned(),
                format!(
                    r#"{{"email":"user{session}@shop.test","password":"secret-{session:08}"}}"#
                ),
                200,
                format!(
                    r#"{{"token":"{}","user":{{"id":"usr_{session:08}","name":"User {session}"}}}}"#,
                    token(session)
                ),
            ),
            1 if session.is_multiple_of(20) => (
                "PUT",
                format!("/api/products/{product}"),
                r#"{"stock":100,"note":"counted anew"}"#.to_owned(),
                200,
                shown(product),
            ),
            1 => (
                "GET",
                format!("/api/products/{product}"),
                String::new(),
                200,
                shown(product),
            ),
            2 => (
                "POST",
                "/api/orders".to_owned(),
                format!(
                    r#"{{"product_id":{product},"quantity":{}}}"#,
                    session % 3 + 1
                ),
                201,
                format!(r#"{{"id":"{order}","status":"open","total_cents":{product}}}"#),
            ),
            _ => (
                "GET",
                format!("/api/orders/{order}"),
                String::new(),
                200,
                format!(
                    r#"{{"id":"{order}","status":"open","product_id":{product},"total_cents":{product}}}"#
                ),
            ),
        };
        Said {
            session,
            number,
            method,
            target,
            request,
            status,
            response,
        }
    }

    fn request_head(&self) -> RequestHead {
        let mut fields = vec![
            Field::new("Host", "shop.test"),
            Field::new(
                "User-Agent",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0",
            ),
            Field::new("Accept", "application/json"),
        ];
        if self.number > 0 {
            let value = format!("Bearer {}", token(self.session));
            fields.push(Field::new("Authorization", value));
        }
        if !self.request.is_empty() {
            fields.push(Field::new("Content-Type", "application/json"));
            fields.push(Field::new("Content-Length", self.request.len().to_string()));
        }
        RequestHead {
            method: Bytes::from_static(self.method.as_bytes()),
            target: Bytes::from(self.target.clone()),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields,
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        }
    }

    fn response_head(&self) -> ResponseHead {
        ResponseHead {
            version: Bytes::from_static(b"HTTP/1.1"),
            status: self.status,
            reason: Bytes::from_static(b"OK"),
            fields: vec![
                Field::new("Content-Type", "application/json"),
                Field::new("Content-Length", self.response.len().to_string()),
            ],
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        }
    }

    fn endpoints(&self) -> Endpoints {
        let [_, a, b, c] = (self.session as u32 / 4).to_be_bytes();
        let port = 20_000 + (self.session % 4) as u16;
        Endpoints::normalised(([10, a, b, c], port).into(), ([192, 0, 2, 1], 8080).into())
    }
}

fn shown(product: u64) -> String {
    format!(r#"{{"id":{product},"name":"Product {product}","price_cents":{product},"stock":100}}"#)
}

fn token(session: u64) -> String {
    format!("{:016x}{:016x}", mixed(session, 3), mixed(session, 4))
}

/// A number that looks random (SplitMix64).
fn mixed(session: u64, salt: u64) -> u64 {
    let mut z = (session << 3 | salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn store(
    archive: &mut Archive,
    scrubber: &Scrubber,
    said: &Said,
    start: Timestamp,
    node: &Arc<str>,
) -> Result<(), AnyError> {
    let (request_head, response_head) = (said.request_head(), said.response_head());
    let mut scrub = scrubber.exchange();
    scrub.request_head(&request_head);
    let mut bodies = [archive.begin_body(), archive.begin_body()];
    let texts = [&said.request, &said.response];
    for (place, direction) in [Direction::Client, Direction::Server]
        .into_iter()
        .enumerate()
    {
        if place == 1 {
            scrub.response_head(&response_head);
        }
        let chunk = Bytes::copy_from_slice(texts[place].as_bytes());
        if let Some(chunk) = scrub.body(direction, chunk) {
            archive.write_body(&mut bodies[place], chunk)?;
        }
    }
    let exchange = Exchange {
        id: ExchangeId {
            node: Arc::clone(node),
            boot: 1,
            flow: FlowId(said.session),
            offset: said.number * 1_000,
            from_response: false,
        },
        protocol: Protocol::Http1,
        endpoints: said.endpoints(),
        round_trip_ns: Some(200_000),
        flow_began_before_capture: false,
        index_in_flow: said.number as u32,
        request: message(request_head, &said.request, start),
        response: message(response_head, &said.response, start.plus_ns(TAKES_NS)),
        interim: Vec::new(),
    };
    let finished = scrub.finish(exchange);
    let [mut request, mut response] = bodies;
    if let Some(rest) = finished.request_rest {
        archive.write_body(&mut request, rest)?;
    }
    if let Some(rest) = finished.response_rest {
        archive.write_body(&mut response, rest)?;
    }
    archive.store(finished.record, request, response)?;
    Ok(())
}

fn message<H>(head: H, body: &str, time: Timestamp) -> Message<H> {
    Message {
        head: Some(head),
        state: MessageState::Complete,
        framing: match body.len() {
            0 => Framing::None,
            _ => Framing::Length,
        },
        body_bytes: body.len() as u64,
        first_byte: time,
        last_byte: time,
        ..Message::default()
    }
}

fn checkpoint(node: &Arc<str>, written: u64) -> Checkpoint {
    Checkpoint {
        at: BEGIN.plus_ns(written),
        captures: vec![Capture {
            node: Arc::clone(node),
            boot: 1,
            received_frames: written,
            ..Capture::default()
        }],
    }
}
