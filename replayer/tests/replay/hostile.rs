//! What a hostile twin may send, for tests here and for fuzzing.

use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use twintap_replayer::fire::capture::CaptureLimits;
use twintap_replayer::fire::http2::{Client, Event};
use twintap_replayer::fire::websocket::{BadFrame, FrameReader, Heard};
use twintap_replayer::fire::wire::Sections;
use twintap_scrub::Piece;
use twintap_stream::Field;
use twintap_stream::websocket::Inflater;

/// Requests that are sent to it.
const REQUESTS: u32 = 5;

/// Gives an HTTP/2 client the bytes, in pieces as long as the first of them says, and
/// holds what comes of its requests to its laws: each ends once at most, after it
/// began, and what is written answers to no more than what was read.
pub fn http2_twin(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let limits = CaptureLimits::new(1 << 16, 1 << 20, None);
    let mut client = Client::new(limits);
    let mut states = [State::Lined; REQUESTS as usize];
    for tag in 0..REQUESTS {
        client.request(tag, request(tag));
    }
    let mut written = 0;
    for (now_ns, piece) in (0..).zip(bytes.chunks(usize::from(first).max(1))) {
        let result = client.handle_input(piece);
        while let Some(event) = client.poll_event() {
            take(&mut states, &event);
        }
        let mut slices = [IoSlice::new(&[]); 3];
        let count = client.slices(now_ns, &mut slices);
        let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        // A socket that takes half of it.
        client.advance(bytes / 2);
        written += (bytes / 2) as u64;
        assert_eq!(client.written(), written);
        if result.is_err() {
            break;
        }
        if first.is_multiple_of(7) {
            client.cancel(now_ns as u32 % REQUESTS);
        }
    }
}

fn request(tag: u32) -> Arc<Sections> {
    let body: &'static [u8] = if tag.is_multiple_of(2) {
        &[b'x'; 70_000]
    } else {
        b""
    };
    Arc::new(Sections {
        fields: vec![Field::new(":method", "POST"), Field::new("x", "y")],
        body: (!body.is_empty())
            .then(|| Bytes::from_static(body).into())
            .into_iter()
            .collect(),
        trailers: Vec::new(),
        is_framed: !body.is_empty(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Lined,
    Opened,
    Begun,
    Ended,
}

fn take(states: &mut [State], event: &Event) {
    let (tag, before, after) = match event {
        Event::Opened { tag, .. } => (tag, &[State::Lined][..], State::Opened),
        Event::Heard { tag, .. } => (tag, &[State::Begun][..], State::Begun),
        Event::Begun { tag } => (tag, &[State::Opened][..], State::Begun),
        Event::Answered { tag, .. } => (tag, &[State::Begun][..], State::Ended),
        Event::Reset { tag, .. } | Event::Garbled { tag, .. } => {
            (tag, &[State::Opened, State::Begun][..], State::Ended)
        }
        Event::Unprocessed { tag, .. } => {
            let before = &[State::Lined, State::Opened, State::Begun][..];
            (tag, before, State::Ended)
        }
    };
    let state = &mut states[*tag as usize];
    assert!(before.contains(state), "{event:?} after {state:?}");
    *state = after;
}

/// The longest message that is held of what a twin says over a WebSocket.
const MOST_BYTES: usize = 300;

/// Reads the bytes as frames of a twin, at once and in pieces as long as the first of them
/// says, and holds both to the laws: they say the same, whatever was agreed on, and hold no
/// more than they may.
pub fn websocket_twin(data: &[u8]) {
    let Some((&first, bytes)) = data.split_first() else {
        return;
    };
    let reader = || {
        let inflater = (first & 1 == 1).then(|| Inflater::new(first & 2 == 2));
        FrameReader::new(inflater, MOST_BYTES)
    };
    let whole = heard(reader(), &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(first / 4).max(1)).collect();
    assert_eq!(heard(reader(), &pieces), whole);
    let (messages, _) = whole;
    for message in &messages {
        let length = message.payload.len();
        assert!(length <= MOST_BYTES);
        let is_kept = length as u64 == message.bytes;
        assert!(is_kept || length == 0 && message.bytes > MOST_BYTES as u64);
        match message.piece {
            Piece::Text => assert!(std::str::from_utf8(&message.payload).is_ok()),
            Piece::Close { code } => assert_eq!(code.is_some(), length >= 2),
            Piece::Ping | Piece::Pong => assert!(length < 126),
            piece => assert_eq!(piece, Piece::Binary),
        }
    }
    if first & 1 == 0 {
        let said: u64 = messages.iter().map(|message| message.bytes + 2).sum();
        assert!(said <= bytes.len() as u64);
    }
}

/// What is heard of these pieces, and what ended it, if anything did.
fn heard(mut reader: FrameReader, pieces: &[&[u8]]) -> (Vec<Heard>, Option<BadFrame>) {
    let mut all = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            match reader.feed(&mut input) {
                Ok(Some(heard)) => all.push(heard),
                Ok(None) => break,
                Err(bad) => return (all, Some(bad)),
            }
        }
        assert!(input.is_empty());
    }
    (all, None)
}
