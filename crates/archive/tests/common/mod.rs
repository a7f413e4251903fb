//! Samples and a storage that fails at will.
#![expect(dead_code, reason = "each test binary uses a part of it")]

pub mod storage;

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use twintap_archive::{Archive, Capture, Checkpoint, Error, Reader, StoredBody, StoredExchange};
use twintap_scrub::{BodyFate, ExchangeRecord, MessageNote, PolicyHash, Scrubbed};
use twintap_stream::message::{MessageState, Protocol};
use twintap_stream::{
    Endpoints, Exchange, ExchangeId, Field, FlowId, Message, RequestHead, ResponseHead, Timestamp,
};

/// A scrubbed value, read back as if it had been stored.
pub fn scrubbed<T: Serialize + DeserializeOwned>(value: &T) -> Scrubbed<T> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("samples can be encoded");
    ciborium::from_reader(&bytes[..]).expect("what was encoded can be decoded")
}

pub const SECOND: u64 = 1_000_000_000;

/// The id of the sample exchange `number`.
pub fn id(number: u64) -> ExchangeId {
    ExchangeId {
        node: Arc::from("node-1"),
        boot: 0x0123_4567_89ab_cdef,
        flow: FlowId(number % 7),
        offset: number * 100,
        from_response: number % 5 == 3,
    }
}

/// The sample exchange `number`, seen in second `number`.
pub fn record(number: u64) -> ExchangeRecord {
    let time = Timestamp((number + 1) * SECOND);
    let end = |last, port| ([10, 0, 0, last], port).into();
    ExchangeRecord {
        exchange: Exchange {
            id: id(number),
            protocol: Protocol::Http1,
            endpoints: Endpoints {
                client: end(1, 40_000 + (number % 7) as u16),
                server: end(2, 8080),
            },
            round_trip_ns: Some(120_000),
            flow_began_before_capture: false,
            index_in_flow: (number / 7) as u32,
            request: Message {
                head: Some(RequestHead {
                    method: Bytes::from_static(b"GET"),
                    target: Bytes::from(format!("/articles/{number}?page={}", number % 3)),
                    version: Bytes::from_static(b"HTTP/1.1"),
                    fields: vec![
                        Field::new("Host", "shop.example"),
                        Field::new("Accept", "*/*"),
                        Field::new("Cookie", format!("sid={:016x}", number * 0x9e37_79b9)),
                    ],
                    line_spelling: None,
                    end: Bytes::from_static(b"\r\n"),
                }),
                state: MessageState::Complete,
                first_byte: time,
                last_byte: time,
                ..Message::default()
            },
            response: Message {
                head: Some(ResponseHead {
                    version: Bytes::from_static(b"HTTP/1.1"),
                    status: 200,
                    reason: Bytes::from_static(b"OK"),
                    fields: vec![Field::new("Content-Type", "application/json")],
                    line_spelling: None,
                    end: Bytes::from_static(b"\r\n"),
                }),
                state: MessageState::Complete,
                first_byte: time.plus_ns(1000),
                last_byte: time.plus_ns(2000),
                ..Message::default()
            },
            interim: Vec::new(),
        },
        policy: PolicyHash("00112233445566778899aabbccddeeff".to_owned()),
        request: MessageNote::default(),
        response: MessageNote {
            body: BodyFate::Scrubbed,
            ..MessageNote::default()
        },
    }
}

/// `length` bytes that belong to the exchange `number` and do not compress well.
pub fn body(number: u64, length: usize) -> Bytes {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    Bytes::from(out)
}

/// Stores the sample `number`, with a response's body of `body_bytes` in pieces.
pub fn store(archive: &mut Archive, number: u64, body_bytes: usize) -> Result<(), Error> {
    let request = archive.begin_body();
    let mut response = archive.begin_body();
    let mut failed = None;
    for piece in body(number, body_bytes).chunks(10_000) {
        let piece = scrubbed(&Bytes::copy_from_slice(piece));
        match archive.write_body(&mut response, piece) {
            Err(error) if !error.is_retryable() => return Err(error),
            // It was taken; the end of the exchange is what tells.
            Err(error) => failed = Some(error),
            Ok(()) => {}
        }
    }
    archive.store(scrubbed(&record(number)), request, response)?;
    failed.map_or(Ok(()), Err)
}

/// A checkpoint that says that `received` frames came.
pub fn checkpoint(received: u64) -> Checkpoint {
    Checkpoint {
        at: Timestamp(received),
        captures: vec![Capture {
            node: Arc::from("node-1"),
            boot: 0x0123_4567_89ab_cdef,
            received_frames: received,
            ..Capture::default()
        }],
    }
}

/// What `checkpoint` said.
pub fn received(checkpoint: Option<&Checkpoint>) -> u64 {
    checkpoint
        .and_then(|checkpoint| checkpoint.captures.first())
        .map_or(0, |capture| capture.received_frames)
}

/// All exchanges, none of them damaged.
pub fn read_all(reader: &Reader) -> Vec<StoredExchange> {
    reader
        .exchanges()
        .collect::<Result<_, _>>()
        .expect("nothing is damaged")
}

/// Compares an exchange with the sample `number`.
#[track_caller]
pub fn check_sample(reader: &Reader, stored: &StoredExchange, number: u64, body_bytes: usize) {
    assert_eq!(*stored.record, record(number));
    assert_eq!(stored.request_body, StoredBody::Empty);
    assert_eq!(stored.response_body.bytes(), body_bytes as u64);
    let read = reader
        .read_body(&stored.response_body, u64::MAX)
        .expect("the body can be read");
    assert!(read == body(number, body_bytes), "body of {number} differs");
}
