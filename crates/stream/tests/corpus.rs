//! Real captures against what tshark and tcpflow see in them.
//!
//! The corpus is not part of the repository: `TWINTAP_CORPUS` names it. Where this crate differs
//! from the ground truth, `corpus_differences.md` says why, and every other difference fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::common::Tap;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use twintap_stream::message::{Framing, MessageState, field_values};
use twintap_stream::{
    CaptureFileError, CaptureReader, Direction, EventKind, Exchange, Field, FlowId, Limits,
    PacketDecoder, Timestamp,
};

const DIFFERENCES: &str = include_str!("corpus_differences.md");

#[test]
fn every_capture_closes_its_ledger() {
    let Some(corpus) = corpus() else { return };
    let mut files = Vec::new();
    walk(&corpus.join("captures"), &mut files);
    let mut captures = 0;
    let mut truncated = Vec::new();
    let mut bytes = 0;
    for path in &files {
        match replay(path) {
            Ok(outcome) => {
                captures += 1;
                bytes += outcome.tap.streams.ledger().delivered_bytes;
                if let Some(error) = outcome.error {
                    truncated.push(format!("{}: {error}", relative(path, &corpus)));
                }
            }
            Err(CaptureFileError::NotACapture) => {
                let is_named_so = ["pcap", "pcapng", "cap", "gz"].contains(
                    &path
                        .extension()
                        .and_then(|name| name.to_str())
                        .unwrap_or(""),
                );
                assert!(!is_named_so, "{} is no capture", path.display());
            }
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
    println!("{captures} captures, {bytes} bytes of TCP payload; damaged: {truncated:#?}");
    assert!(captures > 200, "only {captures} captures");
}

#[test]
fn messages_equal_the_ground_truth() {
    let Some(corpus) = corpus() else { return };
    let mut explained = explanations();
    let mut unexplained = Vec::new();
    let (mut equal, mut total) = ([0, 0], [0, 0]);
    for (name, truth) in truths(&corpus) {
        let path = corpus.join("captures").join(&name);
        let outcome = replay(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let truth = read_truth(&truth);
        let ours = our_messages(&outcome.tap);
        let mut rest = ours.clone();
        for (item, count) in &truth {
            let found = ours.get(item).copied().unwrap_or(0).min(*count);
            let index = usize::from(item.starts_with("resp"));
            equal[index] += found;
            total[index] += count;
            if let Some(left) = rest.get_mut(item) {
                *left -= found;
            }
            if found < *count {
                unexplained.push((name.clone(), "lacks", item.clone(), count - found));
            }
        }
        for (item, count) in rest {
            if count > 0 {
                unexplained.push((name.clone(), "has", item, count));
            }
        }
    }
    unexplained.retain(|(file, what, item, count)| {
        match explained.get_mut(&(file.clone(), (*what).to_owned(), item.clone())) {
            Some(allowed) if *allowed == *count => {
                *allowed = 0;
                false
            }
            _ => true,
        }
    });
    explained.retain(|(_, _, item), _| !item.starts_with("stream"));
    println!("requests equal: {} of {}", equal[0], total[0]);
    println!("responses equal: {} of {}", equal[1], total[1]);
    let stale: Vec<_> = explained.iter().filter(|(_, count)| **count > 0).collect();
    for (file, what, item, count) in &unexplained {
        println!("| {file} | {what} | {count} | `{item}` | ? |");
    }
    assert!(
        unexplained.is_empty(),
        "{} differences unexplained",
        unexplained.len()
    );
    assert!(stale.is_empty(), "explained, but not found: {stale:#?}");
}

#[test]
fn streams_equal_where_two_tools_agree() {
    let Some(corpus) = corpus() else { return };
    let mut explained = explanations();
    let (mut equal, mut bytes, mut in_parts) = (0, 0, 0);
    let mut different = Vec::new();
    for (name, _) in listed(&corpus) {
        let path = corpus
            .join("truth/flows")
            .join(format!("{}.tsv", name.replace('/', "__")));
        let Ok(table) = std::fs::read_to_string(path) else {
            continue;
        };
        let outcome = replay(&corpus.join("captures").join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = our_streams(&outcome.tap);
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

fn our_streams(tap: &Tap) -> Vec<Stream> {
    let mut streams: BTreeMap<(FlowId, Direction), Stream> = BTreeMap::new();
    for event in &tap.events {
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
                        || state == MessageState::Incomplete
                        || direction == Direction::Server && !exchange.interim.is_empty();
                    if let Some(stream) = streams.get_mut(&(event.flow, direction)) {
                        stream.is_in_parts |= is_in_parts;
                    }
                }
            }
            EventKind::Gap { .. }
            | EventKind::FlowClosed { .. }
            | EventKind::Command(_)
            | EventKind::CommandData { .. }
            | EventKind::Part(_)
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

struct Outcome {
    tap: Tap,
    error: Option<CaptureFileError>,
}

fn replay(path: &Path) -> Result<Outcome, CaptureFileError> {
    let file = BufReader::new(File::open(path).expect("the file was listed"));
    let source: Box<dyn Read + Send> = match path.extension().is_some_and(|name| name == "gz") {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut tap = Tap::new(Limits {
        emit_opaque: true,
        ..Limits::default()
    });
    let mut decoder = PacketDecoder::new();
    let mut now = Timestamp::default();
    let mut error = None;
    for (number, packet) in CaptureReader::new(source)?.enumerate() {
        match packet {
            Ok(packet) => {
                now = now.max(packet.time);
                tap.timeout(now);
                if let Some(segment) = decoder.decode(&packet, number as u64) {
                    tap.segment(segment);
                }
            }
            Err(found) => error = Some(found),
        }
    }
    tap.finish(now);
    let counts = decoder.counts();
    let elsewhere = counts.unknown_link
        + counts.not_ip
        + counts.not_tcp
        + counts.sctp
        + counts.encrypted
        + counts.too_deep
        + counts.malformed
        + counts.cut_headers
        + counts.fragments;
    assert!(counts.packets <= counts.segments + elsewhere, "{counts:?}");
    Ok(Outcome { tap, error })
}

fn our_messages(tap: &Tap) -> BTreeMap<String, u64> {
    let mut items = BTreeMap::new();
    let exchanges = tap.events.iter().filter_map(|event| match &event.kind {
        EventKind::Exchange(exchange) => Some(exchange),
        _ => None,
    });
    for exchange in exchanges {
        for item in our_items(exchange) {
            *items.entry(item).or_default() += 1;
        }
    }
    items
}

fn our_items(exchange: &Exchange) -> Vec<String> {
    let (client, server) = (
        exchange.endpoints.client.port(),
        exchange.endpoints.server.port(),
    );
    let mut items = Vec::new();
    if let Some(head) = &exchange.request.head {
        let host = field_values(&head.fields, "host").next();
        items.push(format!(
            "req {client}>{server} {} {} {} {}",
            text(&head.method),
            text(&head.target),
            host.map_or_else(String::new, |host| text(host)),
            length(&head.fields, exchange.request.body_bytes),
        ));
    }
    for interim in &exchange.interim {
        items.push(format!("resp {server}>{client} {} 0", interim.status));
    }
    if let Some(head) = &exchange.response.head {
        items.push(format!(
            "resp {server}>{client} {} {}",
            head.status,
            length(&head.fields, exchange.response.body_bytes),
        ));
    }
    items
}

/// The length of a body, where no content coding changes it.
fn length(fields: &[Field], bytes: u64) -> String {
    match field_values(fields, "content-encoding").next() {
        Some(_) => "*".to_owned(),
        None => bytes.to_string(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Requests and responses of HTTP/1 in a file of `truth/`.
fn read_truth(path: &Path) -> BTreeMap<String, u64> {
    let mut items = BTreeMap::new();
    let bytes = std::fs::read(path).expect("the file was listed");
    for line in String::from_utf8_lossy(&bytes).lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let cell = |index: usize| cells.get(index).copied().unwrap_or("");
        if cell(0) != "1" {
            continue;
        }
        let length = match cell(12) {
            "" => cell(13),
            _ => "*",
        };
        let ends = format!("{}>{}", cell(3), cell(4));
        let item = match cell(5) {
            "req" => format!("req {ends} {} {} {} {length}", cell(6), cell(7), cell(8)),
            "resp" => format!("resp {ends} {} {length}", cell(9)),
            _ => continue,
        };
        *items.entry(item).or_default() += 1;
    }
    items
}

/// The captures in the index, each with its own line there.
fn listed(corpus: &Path) -> BTreeMap<String, String> {
    let index = std::fs::read_to_string(corpus.join("INDEX.tsv")).expect("the corpus has an index");
    let lines = index.lines().skip(1).map(|line| {
        let path = line.split('\t').next().unwrap_or("");
        let name = path.strip_prefix("captures/").unwrap_or(path);
        (name.to_owned(), line.to_owned())
    });
    lines.collect()
}

/// Captures and their truth, in order where tshark stalled.
fn truths(corpus: &Path) -> BTreeMap<String, PathBuf> {
    let mut truths = BTreeMap::new();
    for name in listed(corpus).into_keys() {
        let stem = name.replace('/', "__");
        let candidates = [format!("{stem}.inorder.tsv"), format!("{stem}.tsv")];
        let found = candidates
            .iter()
            .map(|file| corpus.join("truth").join(file))
            .find(|path| path.exists());
        if let Some(found) = found {
            truths.insert(name, found);
        }
    }
    assert!(truths.len() > 100, "only {} files of truth", truths.len());
    truths
}

/// File, `lacks` or `has`, and item, with how many.
fn explanations() -> BTreeMap<(String, String, String), u64> {
    let mut explained = BTreeMap::new();
    for line in DIFFERENCES.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, what, count, item, reason] = cells[..] else {
            continue;
        };
        let Ok(count) = count.parse() else { continue };
        assert!(reason.len() > 10, "no reason for {line}");
        let item = item.trim_matches('`').replace("\\x7c", "|");
        explained.insert((file.to_owned(), what.to_owned(), item), count);
    }
    explained
}

fn corpus() -> Option<PathBuf> {
    let path = match std::env::var_os("TWINTAP_CORPUS") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    if path.join("INDEX.tsv").exists() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or("corpus").to_owned();
    twintap_tests::skip(&test, &format!("no corpus at {}", path.display()));
    None
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder of the corpus")
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => walk(&path, files),
            false => files.push(path),
        }
    }
}

fn relative(path: &Path, corpus: &Path) -> String {
    path.strip_prefix(corpus)
        .unwrap_or(path)
        .display()
        .to_string()
}
