//! Packets of either side.

use std::io::Write as _;

use crate::common::Talk;
use flate2::write::ZlibEncoder;

pub const PROTOCOL_41: u32 = 1 << 9;
pub const CONNECT_WITH_DB: u32 = 1 << 3;
pub const COMPRESS: u32 = 1 << 5;
pub const SSL: u32 = 1 << 11;
pub const SECURE: u32 = 1 << 15;
pub const DEPRECATE_EOF: u32 = 1 << 24;
pub const SESSION_TRACK: u32 = 1 << 23;
pub const ZSTD: u32 = 1 << 26;
pub const QUERY_ATTRIBUTES: u32 = 1 << 27;
pub const PLAIN: u32 = PROTOCOL_41 | SECURE | CONNECT_WITH_DB;

/// One packet.
pub fn packet(sequence: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(sequence);
    bytes.extend_from_slice(payload);
    bytes
}

/// Packets that follow each other from `sequence`.
pub fn packets(sequence: u8, payloads: &[&[u8]]) -> Vec<u8> {
    let numbers = (0..=255).cycle().skip(usize::from(sequence));
    payloads
        .iter()
        .zip(numbers)
        .flat_map(|(payload, sequence)| packet(sequence, payload))
        .collect()
}

pub fn command(number: u8, rest: impl AsRef<[u8]>) -> Vec<u8> {
    packet(0, [&[number], rest.as_ref()].concat())
}

pub fn query(text: &str) -> Vec<u8> {
    command(3, text)
}

pub fn greeting(capabilities: u32) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    let mut payload = b"\x0a8.0.36\0\x01\0\0\0saltsalt\0".to_vec();
    payload.extend_from_slice(&[a, b, 0xff, 2, 0, c, d, 21]);
    payload.extend_from_slice(&[0; 10]);
    payload.extend_from_slice(b"saltsaltsalt\0caching_sha2_password\0");
    packet(0, payload)
}

pub fn login(capabilities: u32) -> Vec<u8> {
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend_from_slice(&[0, 0, 0, 1, 0xff]);
    payload.extend_from_slice(&[0; 23]);
    payload.extend_from_slice(b"ann\0\x04hash");
    if capabilities & CONNECT_WITH_DB != 0 {
        payload.extend_from_slice(b"shop\0");
    }
    payload.extend_from_slice(b"caching_sha2_password\0");
    packet(1, payload)
}

pub fn text(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&[u8::try_from(value.len()).expect("a short text")], value].concat()
}

pub fn ok(affected: u8, status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0, affected, 0, low, high, 0, 0]
}

pub fn ok_at_end(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0xfe, 0, 0, low, high, 0, 0]
}

pub fn eof(status: u16) -> Vec<u8> {
    let [low, high] = status.to_le_bytes();
    vec![0xfe, 0, 0, low, high]
}

pub fn error(code: u16, words: &str) -> Vec<u8> {
    [&[0xff], &code.to_le_bytes()[..], words.as_bytes()].concat()
}

pub fn column(name: &str) -> Vec<u8> {
    let mut bytes = text("def");
    for part in ["shop", "t", "t", name, name] {
        bytes.extend(text(part));
    }
    bytes.extend_from_slice(&[0x0c, 0xff, 0, 9, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0]);
    bytes
}

/// A connection that has just been let in, by what both sides can.
pub fn connected(capabilities: u32) -> Talk {
    Talk::new()
        .handshake()
        .answer(greeting(capabilities))
        .ask(login(capabilities))
        .answer(packet(2, ok(0, 2)))
}

/// The turns of a conversation, the client first.
pub fn talk(mut talk: Talk, turns: &[Vec<u8>]) -> Talk {
    for (index, bytes) in turns.iter().enumerate() {
        talk = match index % 2 {
            0 => talk.ask(bytes),
            _ => talk.answer(bytes),
        };
    }
    talk
}

/// A frame of the compressed protocol.
pub fn zlib_frame(sequence: u8, inside: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(inside).expect("memory takes it");
    frame(
        sequence,
        inside.len(),
        &zlib.finish().expect("memory takes it"),
    )
}

/// A frame that says that its payload inflates to so many bytes.
pub fn frame(sequence: u8, inflated: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = packet(sequence, b"");
    bytes[..3].copy_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
    bytes.extend_from_slice(&(inflated as u32).to_le_bytes()[..3]);
    bytes.extend_from_slice(payload);
    bytes
}
