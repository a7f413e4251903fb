//! What peers make a flow hold beside bytes: it is counted, and bounded.

use std::sync::Arc;

use twintap_stream::{Limits, Streams};

use crate::common::Talk;

const LIMIT: u64 = 64 << 10;

/// What is held while `piece` is said again and again grows to more than half of what a flow may
/// hold, and no further than to twice as much and one piece.
#[track_caller]
fn check(mut talk: Talk, say: fn(Talk, &[u8]) -> Talk, piece: &[u8]) {
    for _ in 0..400 {
        talk = say(talk, piece);
    }
    let most = most(&talk);
    assert!(most > LIMIT / 2, "only {most} bytes are counted");
    assert!(most <= 2 * LIMIT + 8192, "{most} bytes are held");
}

/// The most that is held at any time, as it costs in memory.
fn most(talk: &Talk) -> u64 {
    let limits = Limits {
        flow_buffer_bytes: LIMIT,
        max_head_bytes: 8 << 10,
        ..Limits::default()
    };
    let mut streams = Streams::new(Arc::from("n"), 7, limits);
    let mut most = 0;
    for segment in talk.segments() {
        streams.handle_segment(segment);
        while streams.poll_event().is_some() {}
        let (bytes, cost) = streams.held();
        assert!(bytes <= cost, "{bytes} bytes cost {cost}");
        most = most.max(cost);
    }
    most
}

fn ask(talk: Talk, piece: &[u8]) -> Talk {
    talk.ask(piece)
}

fn answer(talk: Talk, piece: &[u8]) -> Talk {
    talk.answer(piece)
}

fn long() -> String {
    "x".repeat(2000)
}

#[test]
fn heads_of_requests_that_nobody_answers() {
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nLong: {}\r\n\r\n", long());
    check(Talk::new().handshake(), ask, head.as_bytes());
}

#[test]
fn heads_of_interim_responses() {
    let talk = Talk::new()
        .handshake()
        .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", long());
    check(talk, answer, head.as_bytes());
}

#[test]
fn fields_that_are_shorter_than_what_holds_them() {
    let talk = Talk::new()
        .handshake()
        .ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", "a:\r\n".repeat(20));
    check(talk, answer, head.as_bytes());
}

#[test]
fn commands_of_redis() {
    let command = format!("*2\r\n$3\r\nGET\r\n$2000\r\n{}\r\n", long());
    check(Talk::new().handshake(), ask, command.as_bytes());
}

#[test]
fn queries_of_postgres() {
    let talk = Talk::new()
        .handshake()
        .ask(b"\0\0\0\x12\0\x03\0\0user\0ann\0\0");
    let query = [b"Q", &2005_u32.to_be_bytes()[..], long().as_bytes(), b"\0"].concat();
    check(talk, ask, &query);
}

#[test]
fn queries_of_mysql() {
    let query = [b"\xd1\x07\0\0\x03", long().as_bytes()].concat();
    check(logged_in_to_mysql(), ask, &query);
}

#[test]
fn parameters_of_mysql_that_are_shorter_than_what_holds_them() {
    // 2,000 parameters that are null, each a bit long.
    let prepare = b"\x09\0\0\0\x16SELECT ?";
    let prepared = b"\x0c\0\0\x01\0\x01\0\0\0\0\0\xd0\x07\0\0\0";
    let types = [6_u8, 0].repeat(2000);
    let payload = [
        &b"\x17\x01\0\0\0\0\x01\0\0\0"[..],
        &[0xff; 250],
        b"\x01",
        &types,
    ]
    .concat();
    let header = (payload.len() as u32).to_le_bytes();
    let execute = [&header[..3], &[0], &payload].concat();
    let talk = logged_in_to_mysql().ask(prepare).answer(prepared);
    check(talk, ask, &execute);
}

fn logged_in_to_mysql() -> Talk {
    Talk::new()
        .handshake()
        .answer(
            b"\x34\0\0\0\x0a8.0.36\0\x01\0\0\0saltsalt\0\xff\xff\xff\x02\0\xff\xff\x15\0\0\0\0\
              \0\0\0\0\0\0saltsaltsalt\0",
        )
        .ask(
            b"\x29\0\0\x01\x08\x82\0\0\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
              \0ann\0\x04hash",
        )
        .answer(b"\x07\0\0\x02\0\0\0\x02\0\0\0")
}

/// Only the columns of the last result are kept.
#[test]
fn results_of_mysql_without_end() {
    let talk = logged_in_to_mysql().ask(b"\x09\0\0\0\x03CALL p()");
    let column = b"\x03def\x01s\x01t\x01t\x01a\x01a\x0c\xff\0\x09\0\0\0\xfd\0\0\0\0\0";
    let packet =
        |sequence: u8, payload: &[u8]| [&[payload.len() as u8, 0, 0, sequence], payload].concat();
    let result = |first: u8| {
        [
            packet(first, b"\x01"),
            packet(first.wrapping_add(1), column),
            packet(first.wrapping_add(2), b"\xfe\0\0\x0a\0"),
            packet(first.wrapping_add(3), b"\xfe\0\0\x0a\0"),
        ]
        .concat()
    };
    let results = (0..4000_u32).map(|number| result((number * 4 + 1) as u8));
    let results: Vec<u8> = results.flatten().collect();
    let talk = results
        .chunks(1000)
        .fold(talk, |talk, chunk| talk.answer(chunk));
    assert!(most(&talk) < LIMIT / 4, "{} bytes are held", most(&talk));
}
