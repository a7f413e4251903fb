//! Any heads and bodies: the default policy takes them, and the policy that
//! allows all gives them back byte for byte.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use twintap_scrub::{Finished, Key, Policy, Scrubber};
use twintap_stream::message::Message;
use twintap_stream::{
    Direction, Endpoints, Exchange, ExchangeId, Field, FlowId, RequestHead, ResponseHead,
};

static DEFAULT: LazyLock<Scrubber> = LazyLock::new(|| scrubber(Policy::default_policy()));
static ALLOW_ALL: LazyLock<Scrubber> = LazyLock::new(|| scrubber(Policy::allow_all()));

fn scrubber(policy: Policy) -> Scrubber {
    Scrubber::new(policy, &Key::from_bytes([7; Key::BYTES]))
}

/// Target, field name, field value, media type and body, split at zero bytes.
type Input<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8], &'a [u8]);

fuzz_target!(|bytes: &[u8]| {
    let mut pieces = bytes.splitn(5, |&byte| byte == 0);
    let mut next = || pieces.next().unwrap_or_default();
    let input = (next(), next(), next(), next(), next());
    let before = exchange(input);
    run(&DEFAULT, before.clone(), input.4);
    let (finished, body) = run(&ALLOW_ALL, before.clone(), input.4);
    assert_eq!(finished.record.exchange, before);
    assert_eq!(body, input.4);
});

fn exchange((target, name, value, media_type, _): Input<'_>) -> Exchange {
    let bytes = Bytes::copy_from_slice;
    let mut fields = vec![
        Field::new(&b"content-type"[..], bytes(media_type)),
        Field::new(bytes(name), bytes(value)),
    ];
    for known in ["cookie", "set-cookie", "location", "authorization"] {
        fields.push(Field::new(known.as_bytes(), bytes(value)));
    }
    let request = RequestHead {
        method: bytes(name),
        target: bytes(target),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: fields.clone(),
        line_spelling: None,
        end: bytes(value),
    };
    let response = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status: 200,
        reason: bytes(name),
        fields,
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    Exchange {
        id: ExchangeId {
            node: "node".into(),
            boot: 1,
            flow: FlowId(1),
            offset: 0,
            from_response: false,
        },
        endpoints: Endpoints {
            client: ([192, 0, 2, 1], 40000).into(),
            server: ([192, 0, 2, 2], 80).into(),
        },
        ..Exchange::of_no_flow(Message::whole(request), Message::whole(response))
    }
}

/// Scrubs an exchange; gives what would be stored of the response's body.
fn run(scrubber: &Scrubber, exchange: Exchange, body: &[u8]) -> (Finished, Vec<u8>) {
    let mut scrubbing = scrubber.exchange();
    if let (Some(request), Some(response)) = (&exchange.request.head, &exchange.response.head) {
        scrubbing.request_head(request);
        scrubbing.response_head(response);
    }
    let mut kept = Vec::new();
    for chunk in body.chunks(13) {
        for direction in [Direction::Client, Direction::Server] {
            let passed = scrubbing.body(direction, Bytes::copy_from_slice(chunk));
            if direction == Direction::Server {
                kept.extend(passed.iter().flat_map(|chunk| chunk.iter()));
            }
        }
    }
    let finished = scrubbing.finish(exchange);
    kept.extend(finished.response_rest.iter().flat_map(|rest| rest.iter()));
    (finished, kept)
}
