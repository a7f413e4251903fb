//! Frames, and conversations made of them.

use crate::common::{Talk, run};
use expect_test::Expect;
use twintap_stream::{Direction, Limits};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY: u8 = 0x20;

/// Who says what.
pub enum Say {
    Client(Vec<u8>),
    Server(Vec<u8>),
    /// So many bytes of the client that the capture lacks.
    LostClient(usize),
    LostServer(usize),
}

use Say::{Client, LostClient, LostServer, Server};

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a short payload")
        .to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as literals that are not added to the table.
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x00, fields)
}

/// Fields as literals that are added to the table.
pub fn added(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x40, fields)
}

fn literals(first: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(first);
        for text in [name, value] {
            let length = u8::try_from(text.len()).expect("a short text");
            assert!(length < 0x7f, "a short text");
            bytes.push(length);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// `:method: GET`, `:scheme: http`, and a path.
pub fn get(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], fields(&[(":path", path)])].concat()
}

/// `:method: POST`, `:scheme: http`, and a path.
pub fn post(path: &str) -> Vec<u8> {
    [vec![0x83, 0x86], fields(&[(":path", path)])].concat()
}

pub fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags | END_HEADERS, stream, block)
}

/// A request without a body.
pub fn ask(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, END_STREAM, &get(path))
}

/// `200` with a body.
pub fn answer(stream: u32, body: &str) -> Vec<u8> {
    [headers(stream, 0, &[0x88]), data(stream, END_STREAM, body)].concat()
}

pub fn data(stream: u32, flags: u8, body: &str) -> Vec<u8> {
    frame(0, flags, stream, body.as_bytes())
}

pub fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = entries
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(4, 0, 0, &payload)
}

pub fn acknowledge() -> Vec<u8> {
    frame(4, 1, 0, &[])
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(3, 0, stream, &code.to_be_bytes())
}

pub fn go_away(last: u32) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())
}

/// The preface and settings of both sides.
pub fn opening() -> Vec<Say> {
    vec![
        Client([PREFACE, &settings(&[])].concat()),
        Server([settings(&[(3, 100)]), acknowledge()].concat()),
        Client(acknowledge()),
    ]
}

/// A connection from its begin to its end.
#[track_caller]
pub fn check(says: Vec<Say>, expected: Expect) {
    let all = opening().into_iter().chain(says);
    check_talk(Talk::new().handshake(), all.collect(), expected);
}

/// A connection that was joined late.
#[track_caller]
pub fn check_late(says: Vec<Say>, expected: Expect) {
    check_talk(Talk::new(), says, expected);
}

#[track_caller]
pub fn check_talk(talk: Talk, says: Vec<Say>, expected: Expect) {
    let talk = says.into_iter().fold(talk, say);
    expected.assert_eq(&run(talk.close().segments(), Limits::default()));
}

pub fn say(talk: Talk, say: Say) -> Talk {
    match say {
        Client(bytes) => talk.ask(bytes),
        Server(bytes) => talk.answer(bytes),
        LostClient(bytes) => talk.unseen(Direction::Client, vec![0; bytes]),
        LostServer(bytes) => talk.unseen(Direction::Server, vec![0; bytes]),
    }
}
