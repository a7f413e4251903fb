//! Whatever is missing of a conversation: an exchange that claims to be complete on both sides is
//! one that took place.

use std::collections::BTreeMap;

use crate::common::{MS, Tap};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::message::MessageState;
use twintap_stream::{
    Direction, Endpoints, Event, EventKind, Limits, Segment, Source, TcpFlags, Timestamp,
};

/// Bodies are made of these, each in a segment of its own: some look like heads.
const PARTS: &[&str] = &[
    "some text",
    "x",
    "GET /fake HTTP/1.1\r\n\r\n",
    "POST /fake HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    "HEAD /fake HTTP/1.1\r\nHost: h\r\n\r\n",
    "HTTP/1.1 200 Fake\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 Fake\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 204 Fake\r\n\r\n",
    "HTTP/1.1 100 Fake\r\n\r\n",
];

/// Two requests before the first response.
const PRELUDE: &[(Direction, &str)] = &[
    (Direction::Client, "GET /first HTTP/1.1\r\n\r\n"),
    (Direction::Client, "GET /first HTTP/1.1\r\n\r\n"),
    (Direction::Server, "HTTP/1.1 204 First\r\n\r\n"),
    (Direction::Server, "HTTP/1.1 204 First\r\n\r\n"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_loss_makes_an_exchange_up(
        turns in vec(turn(), 1..7),
        order in vec(any::<u8>(), 40),
        pipelines in prop::bool::weighted(0.3),
        losses in losses(),
        ends in any::<bool>(),
    ) {
        let wires = wires(&turns);
        let mut segments = segments(&wires, &order, pipelines, ends);
        let seen = outcome(&segments);
        prop_assert_eq!(seen.claims.len(), turns.len(), "without loss: {:#?}", seen);
        // A client that pipelines shows it before anything is lost: that it does can't be told
        // from what is left when the response in which it begins to is lost.
        let kept = match pipelines {
            true => 3 + PRELUDE.len(),
            false => 3,
        };
        lose(&mut segments, kept, &losses);
        let seen = outcome(&segments);
        for claim in &seen.claims {
            prop_assert!(wires.iter().any(|wire| wire.is(claim)), "made up: {claim:#?}");
        }
    }
}

/// Where client and server take turns and bodies are plain text, each lost segment costs its own
/// exchange and no other.
#[test]
fn what_a_loss_costs() {
    let turn = |number: u8| Turn {
        method: if number.is_multiple_of(3) {
            "POST"
        } else {
            "GET"
        },
        request: vec!["some text"],
        response: vec!["some text", "x"],
        is_chunked: false,
        is_early: false,
        asks_leave: false,
    };
    let turns: Vec<_> = (0..10).map(turn).collect();
    let wires = wires(&turns);
    let whole = segments(&wires, &[0], false, true);
    let mut costs = BTreeMap::new();
    for lost in 3..whole.len() - 2 {
        let mut segments = whole.clone();
        segments.remove(lost);
        let claims = outcome(&segments).claims;
        assert!(
            claims
                .iter()
                .all(|claim| wires.iter().any(|wire| wire.is(claim)))
        );
        *costs.entry(10 - claims.len()).or_insert(0) += 1;
    }
    assert_eq!(costs, BTreeMap::from([(1, whole.len() - 5)]));
}

/// One exchange.
#[derive(Clone, Debug)]
struct Turn {
    method: &'static str,
    request: Vec<&'static str>,
    response: Vec<&'static str>,
    is_chunked: bool,
    /// The response need not wait for the request's body.
    is_early: bool,
    /// The client waits for `100 Continue`.
    asks_leave: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    let parts = || vec(prop::sample::select(PARTS), 0..4);
    (
        prop::sample::select(&["GET", "POST", "HEAD", "PUT"][..]),
        parts(),
        parts(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(method, request, response, is_chunked, is_early, asks_leave)| Turn {
                method,
                request,
                response,
                is_chunked,
                is_early,
                asks_leave,
            },
        )
}

/// The segments of one exchange, and what it is.
#[derive(Debug)]
struct Wire {
    request: Vec<Bytes>,
    /// The interim response is the first, where there is one.
    response: Vec<Bytes>,
    /// How many of the request's segments the server waits for.
    waits_for: usize,
    has_interim: bool,
    claim: Claim,
}

/// Heads and bodies of an exchange that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    request: Bytes,
    request_body: Vec<u8>,
    response: Bytes,
    response_body: Vec<u8>,
}

impl Wire {
    fn is(&self, claim: &Claim) -> bool {
        self.claim == *claim
    }
}

fn wires(turns: &[Turn]) -> Vec<Wire> {
    turns
        .iter()
        .enumerate()
        .map(|(number, turn)| wire(number, turn))
        .collect()
}

fn wire(number: usize, turn: &Turn) -> Wire {
    let has_body = matches!(turn.method, "POST" | "PUT");
    let expect = match has_body && turn.asks_leave && !turn.request.is_empty() {
        true => "Expect: 100-continue\r\n",
        false => "",
    };
    let line = format!("{} /{number} HTTP/1.1\r\n{expect}", turn.method);
    let (request, request_body) = match has_body {
        true => message(&line, &turn.request, turn.is_chunked),
        false => (vec![Bytes::from(format!("{line}\r\n"))], Vec::new()),
    };
    let line = format!("HTTP/1.1 200 OK\r\nNumber: {number}\r\n");
    let (mut response, response_body) = match turn.method {
        "HEAD" => {
            let (mut parts, _) = message(&line, &turn.response, turn.is_chunked);
            parts.truncate(1);
            (parts, Vec::new())
        }
        _ => message(&line, &turn.response, !turn.is_chunked),
    };
    let claim = Claim {
        request: request[0].clone(),
        request_body,
        response: response[0].clone(),
        response_body,
    };
    let has_interim = !expect.is_empty();
    if has_interim {
        response.insert(0, Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n"));
    }
    Wire {
        waits_for: if turn.is_early { 1 } else { request.len() },
        request,
        response,
        has_interim,
        claim,
    }
}

/// A message in segments: its head, then each part of its body.
fn message(line: &str, parts: &[&str], is_chunked: bool) -> (Vec<Bytes>, Vec<u8>) {
    let body = parts.concat().into_bytes();
    let mut segments = Vec::new();
    if is_chunked {
        let mut text = format!("{line}Transfer-Encoding: chunked\r\n\r\n");
        segments.push(Bytes::from(std::mem::take(&mut text)));
        for part in parts {
            segments.push(Bytes::from(format!("{:x}\r\n", part.len())));
            segments.push(Bytes::from(format!("{part}\r\n")));
        }
        segments.push(Bytes::from_static(b"0\r\n\r\n"));
    } else {
        let head = format!("{line}Content-Length: {}\r\n\r\n", body.len());
        segments.push(Bytes::from(head));
        segments.extend(
            parts
                .iter()
                .map(|part| Bytes::copy_from_slice(part.as_bytes())),
        );
    }
    (segments, body)
}

/// The whole conversation, each side acknowledging all that the other has sent so far.
fn segments(wires: &[Wire], order: &[u8], pipelines: bool, ends: bool) -> Vec<Segment> {
    let mut talk = Talk::default();
    talk.send(Direction::Client, TcpFlags::SYN, Bytes::new());
    talk.send(
        Direction::Server,
        TcpFlags::SYN | TcpFlags::ACK,
        Bytes::new(),
    );
    talk.send(Direction::Client, TcpFlags::ACK, Bytes::new());
    if pipelines {
        for (direction, text) in PRELUDE {
            talk.send(
                *direction,
                TcpFlags::ACK,
                Bytes::from_static(text.as_bytes()),
            );
        }
    }
    let mut choices = order.iter().cycle();
    // Which exchange each side is at, and which segment of it comes next.
    let (mut asked, mut asked_parts, mut answered, mut answered_parts) = (0, 0, 0, 0);
    while answered < wires.len() {
        let may_ask = wires.get(asked).is_some_and(|wire| {
            let is_turn = asked <= answered || pipelines;
            let is_waiting = (answered, answered_parts) <= (asked, 0);
            let waits = wire.has_interim && asked_parts == 1 && is_waiting;
            is_turn && !waits
        });
        let wire = &wires[answered];
        let wanted = match wire.has_interim && answered_parts == 0 {
            true => 1,
            false => wire.waits_for,
        };
        let may_answer = asked > answered || asked == answered && asked_parts >= wanted;
        let asks = match (may_ask, may_answer) {
            (true, true) => choices.next().is_some_and(|choice| choice % 2 == 0),
            (asks, _) => asks,
        };
        if asks {
            let part = wires[asked].request[asked_parts].clone();
            talk.send(Direction::Client, TcpFlags::ACK, part);
            asked_parts += 1;
            if asked_parts == wires[asked].request.len() {
                (asked, asked_parts) = (asked + 1, 0);
            }
        } else {
            talk.send(
                Direction::Server,
                TcpFlags::ACK,
                wire.response[answered_parts].clone(),
            );
            answered_parts += 1;
            if answered_parts == wire.response.len() {
                (answered, answered_parts) = (answered + 1, 0);
            }
        }
    }
    while let Some(wire) = wires.get(asked) {
        talk.send(
            Direction::Client,
            TcpFlags::ACK,
            wire.request[asked_parts].clone(),
        );
        asked_parts += 1;
        if asked_parts == wire.request.len() {
            (asked, asked_parts) = (asked + 1, 0);
        }
    }
    if ends {
        talk.send(
            Direction::Client,
            TcpFlags::FIN | TcpFlags::ACK,
            Bytes::new(),
        );
        talk.send(
            Direction::Server,
            TcpFlags::FIN | TcpFlags::ACK,
            Bytes::new(),
        );
    }
    talk.segments
}

#[derive(Default)]
struct Talk {
    segments: Vec<Segment>,
    /// The next sequence number of each side.
    next: [u32; 2],
}

impl Talk {
    fn send(&mut self, direction: Direction, flags: u8, payload: Bytes) {
        let ends = Endpoints {
            client: "10.0.0.1:40000".parse().expect("an address"),
            server: "10.0.0.2:8080".parse().expect("an address"),
        };
        let mark = self.segments.len() as u64;
        let (own, other) = (direction as usize, direction.opposite() as usize);
        self.segments.push(Segment {
            time: Timestamp(mark * MS),
            endpoints: match direction {
                Direction::Client => ends,
                Direction::Server => ends.swapped(),
            },
            source: Source::Packet,
            sequence_number: self.next[own],
            acknowledgement: self.next[other],
            flags: TcpFlags(flags),
            wire_bytes: payload.len() as u32,
            payload: payload.clone(),
            mark,
        });
        let counts = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        self.next[own] = self.next[own].wrapping_add(payload.len() as u32 + counts);
    }
}

/// Which segments are lost: where, and how many in a row.
fn losses() -> impl Strategy<Value = Vec<(prop::sample::Index, usize)>> {
    vec((any::<prop::sample::Index>(), 1_usize..4), 1..4)
}

/// The first segments stay, the handshake at least: without it nobody knows what came first.
fn lose(segments: &mut Vec<Segment>, kept: usize, losses: &[(prop::sample::Index, usize)]) {
    for (index, count) in losses {
        let rest = segments.len() - kept;
        if rest == 0 {
            return;
        }
        let first = kept + index.index(rest);
        let end = (first + count).min(segments.len());
        segments.drain(first..end);
    }
}

#[derive(Debug)]
struct Outcome {
    claims: Vec<Claim>,
}

#[track_caller]
fn outcome(segments: &[Segment]) -> Outcome {
    let mut tap = Tap::new(Limits::default());
    for segment in segments {
        tap.segment(segment.clone());
    }
    tap.finish(Timestamp(1 << 50));
    Outcome {
        claims: claims(&tap.events),
    }
}

fn claims(events: &[Event]) -> Vec<Claim> {
    let mut bodies: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    let mut claims = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => {
                let body = bodies.entry((exchange.clone(), *direction)).or_default();
                body.extend_from_slice(chunk);
            }
            EventKind::Exchange(exchange) => {
                let mut body = |direction| {
                    let key = (exchange.id.clone(), direction);
                    bodies.remove(&key).unwrap_or_default()
                };
                let (request_body, response_body) =
                    (body(Direction::Client), body(Direction::Server));
                if exchange.request.state != MessageState::Complete
                    || exchange.response.state != MessageState::Complete
                {
                    continue;
                }
                let request = exchange.request.head.as_ref().expect("a head");
                if request.target == "/first" {
                    continue;
                }
                claims.push(Claim {
                    request: request.to_wire(),
                    request_body,
                    response: exchange.response.head.as_ref().expect("a head").to_wire(),
                    response_body,
                });
            }
            _ => {}
        }
    }
    claims
}
