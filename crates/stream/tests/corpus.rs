//! Real captures against what tshark and tcpflow see in them.
//!
//! The comparison of messages is that of `cargo xtask corpus`. Where this crate differs from the
//! ground truth, `corpus_differences.md` says why, and every other difference fails.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha2::{Digest, Sha256};
use twintap_stream::message::{Framing, MessageState, Protocol};
use twintap_stream::{CaptureFileError, Direction, Event, EventKind, FlowId, PartKind};
use twintap_tests::corpus::{Corpus, compare, explanations, replay};

#[test]
fn every_capture_closes_its_ledger() {
    let Some(corpus) = corpus() else { return };
    let mut captures = 0;
    let mut damaged = Vec::new();
    let mut bytes = 0;
    for path in corpus.files().expect("the corpus was found") {
        let name = corpus.relative(&path);
        match replay(&path) {
            Ok(replayed) => {
                captures += 1;
                bytes += replayed.ledger.delivered_bytes;
                assert_eq!(replayed.unclosed, None, "{name}");
                if let Some(error) = replayed.damage {
                    damaged.push(format!("{name}: {error}"));
                }
            }
            Err(CaptureFileError::NotACapture) => {
                let extension = path.extension().and_then(|name| name.to_str());
                let is_named_so =
                    ["pcap", "pcapng", "cap", "gz"].contains(&extension.unwrap_or(""));
                assert!(!is_named_so, "{name} is no capture");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    println!("{captures} captures, {bytes} bytes of TCP payload; damaged: {damaged:#?}");
    assert!(captures > 200, "only {captures} captures");
}

#[test]
fn messages_equal_the_ground_truth() {
    let Some(corpus) = corpus() else { return };
    let comparison = compare(&corpus).expect("the corpus can be read");
    let unexplained = comparison
        .differences
        .iter()
        .filter(|found| found.why.is_none());
    for found in unexplained {
        println!(
            "| {} | {} | {} | `{}` | ? |",
            found.capture, found.what, found.count, found.item
        );
    }
    println!("explained, but not found: {:#?}", comparison.stale);
    println!("not closed: {:#?}", comparison.unclosed);
    assert!(comparison.is_sound());
    let equal: u64 = comparison.rows.iter().map(|row| row.requests.equal).sum();
    assert!(equal > 1000, "only {equal} requests compared");
}

#[test]
fn streams_equal_where_two_tools_agree() {
    let Some(corpus) = corpus() else { return };
    let mut explained = explanations().expect("each row has a reason");
    let (mut equal, mut bytes, mut in_parts) = (0, 0, 0);
    let mut different = Vec::new();
    for name in corpus.listed().expect("the corpus was found").into_keys() {
        let path = corpus.path(&format!("truth/flows/{}.tsv", name.replace('/', "__")));
        let Ok(table) = std::fs::read_to_string(path) else {
            continue;
        };
        let replayed =
            replay(&corpus.capture(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = our_streams(&replayed.events);
        for agreed in agreed_streams(&table) {
            let candidates: Vec<_> = ours
                .iter()
                .filter(|stream| (stream.from, stream.to) == (agreed.from, agreed.to))
                .collect();
            if candidates.iter().any(|stream| stream.is_in_parts) {
                // Chunk sizes and interim responses are not events: it can't be put together.
                in_parts += 1;
            } else if candidates
                .iter()
                .any(|stream| digest(&stream.bytes) == agreed.digest)
            {
                equal += 1;
                bytes += agreed.bytes;
            } else {
                let item = format!("stream {}>{} {}", agreed.from, agreed.to, agreed.bytes);
                let key = (name.clone(), "lacks".to_owned(), item.clone());
                if explained.remove(&key).is_none() {
                    let lengths: Vec<_> =
                        candidates.iter().map(|stream| stream.bytes.len()).collect();
                    different.push(format!("| {name} | lacks | 1 | `{item}` | {lengths:?} |"));
                }
            }
        }
    }
    println!("{equal} streams of {bytes} bytes equal, {in_parts} with parts that are no event");
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(equal > 100, "only {equal} streams compared");
}

/// One direction of a connection, as two tools have it.
struct Agreed {
    from: SocketAddr,
    to: SocketAddr,
    bytes: u64,
    digest: String,
}

/// Streams of which tshark and tcpflow have the same bytes.
fn agreed_streams(table: &str) -> Vec<Agreed> {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(1)
        .map(|row| row.split('\t').collect())
        .collect();
    let by_tcpflow: Vec<_> = rows.iter().filter(|row| row[0] == "tcpflow").collect();
    let by_tshark: Vec<_> = rows.iter().filter(|row| row[0] == "tshark").collect();
    let mut agreed = Vec::new();
    for row in &by_tshark {
        let other = by_tshark
            .iter()
            .find(|other| other[1] == row[1] && other[2] != row[2]);
        let (Some(other), Ok(from)) = (other, row[3].parse()) else {
            continue;
        };
        let Ok(to) = other[3].parse::<SocketAddr>() else {
            continue;
        };
        let same = by_tcpflow.iter().any(|flow| {
            tcpflow_ends(flow[1]) == Some((from, to)) && flow[4] == row[4] && flow[5] == row[5]
        });
        if same && row[4] != "0" {
            agreed.push(Agreed {
                from,
                to,
                bytes: row[4].parse().expect("a number"),
                digest: row[5].to_owned(),
            });
        }
    }
    agreed
}

/// The ends in a name like `010.000.000.001.50638-010.000.000.002.00080`.
fn tcpflow_ends(name: &str) -> Option<(SocketAddr, SocketAddr)> {
    let end = |text: &str| {
        let (address, port) = text.rsplit_once('.')?;
        let parts: Option<Vec<u8>> = address.split('.').map(|part| part.parse().ok()).collect();
        let parts: [u8; 4] = parts?.try_into().ok()?;
        Some(SocketAddr::from((parts, port.get(..5)?.parse().ok()?)))
    };
    let (from, to) = name.split_once('-')?;
    Some((end(from)?, end(to)?))
}

/// One direction of one of our flows, put together from its events.
struct Stream {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
    is_in_parts: bool,
}

fn our_streams(events: &[Event]) -> Vec<Stream> {
    let mut streams: BTreeMap<(FlowId, Direction), Stream> = BTreeMap::new();
    for event in events {
        let mut add = |direction, bytes: &[u8]| {
            let stream = streams
                .get_mut(&(event.flow, direction))
                .expect("the flow was opened");
            stream.bytes.extend_from_slice(bytes);
        };
        match &event.kind {
            EventKind::FlowOpened { endpoints, .. } => {
                for (direction, ends) in [
                    (Direction::Client, *endpoints),
                    (Direction::Server, endpoints.swapped()),
                ] {
                    let stream = Stream {
                        from: ends.client,
                        to: ends.server,
                        bytes: Vec::new(),
                        is_in_parts: false,
                    };
                    streams.insert((event.flow, direction), stream);
                }
            }
            EventKind::RequestHead { head, .. } => add(Direction::Client, &head.to_wire()),
            EventKind::ResponseHead { head, .. } => add(Direction::Server, &head.to_wire()),
            EventKind::Body {
                direction, chunk, ..
            }
            | EventKind::Opaque {
                direction, chunk, ..
            }
            | EventKind::CommandData {
                direction, chunk, ..
            } => add(*direction, chunk),
            EventKind::Exchange(exchange) => {
                let parts = [
                    (
                        Direction::Client,
                        exchange.request.framing,
                        exchange.request.state,
                    ),
                    (
                        Direction::Server,
                        exchange.response.framing,
                        exchange.response.state,
                    ),
                ];
                for (direction, framing, state) in parts {
                    let is_in_parts = framing == Framing::Chunked
                        || exchange.protocol == Protocol::Http2
                        || state == MessageState::Incomplete
                        || direction == Direction::Server && !exchange.interim.is_empty();
                    if let Some(stream) = streams.get_mut(&(event.flow, direction)) {
                        stream.is_in_parts |= is_in_parts;
                    }
                }
            }
            EventKind::Part(part) => {
                let is_of_body = matches!(
                    part.kind,
                    PartKind::GrpcMessage { .. }
                        | PartKind::GrpcTrailers
                        | PartKind::ServerSentEvent
                );
                // Heads of frames are no events.
                if let Some(stream) = streams.get_mut(&(event.flow, part.direction)) {
                    stream.is_in_parts |= !is_of_body;
                }
            }
            EventKind::Gap { .. }
            | EventKind::FlowClosed { .. }
            | EventKind::Unclaimed { .. }
            | EventKind::Command(_)
            | EventKind::SocketData { .. } => {}
        }
    }
    streams.into_values().collect()
}

/// The first half of a SHA-256's first 64 bits, as the tables have it.
fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The corpus, where there is one.
pub fn corpus() -> Option<Corpus> {
    match Corpus::find(None) {
        Ok(corpus) => Some(corpus),
        Err(error) => {
            let test = std::thread::current().name().unwrap_or("corpus").to_owned();
            twintap_tests::skip(&test, &error.to_string());
            None
        }
    }
}
