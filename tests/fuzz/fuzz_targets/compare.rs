//! Any answers of any type: nothing differs from itself, what differs can be judged and shown,
//! and that it differs is seen from both sides.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use twintap_scrub::{BodyFate, Key, Policy, Scrubbed, Scrubber};
use twintap_stream::{ExchangeId, Field, FlowId, RequestHead, ResponseHead, Timestamp};
use twintap_verdict::{
    Answer, Body, Judge, Observation, Options, Outcome, RunFacts, Timing, html,
};

/// By the first byte of the input.
const MEDIA_TYPES: [&str; 12] = [
    "text/html",
    "application/xml",
    "application/json",
    "application/x-ndjson",
    "text/plain",
    "text/event-stream",
    "application/grpc",
    "application/grpc-web-text",
    "application/x-protobuf",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=a",
    "application/octet-stream",
];

static ALLOW_ALL: LazyLock<Scrubber> =
    LazyLock::new(|| Scrubber::new(Policy::allow_all(), &Key::from_bytes([7; Key::BYTES])));

/// A byte for the type, then three bodies with 0xff between them.
fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let media_type = MEDIA_TYPES[usize::from(*kind) % MEDIA_TYPES.len()];
    let mut bodies = rest.splitn(3, |byte| *byte == 0xff);
    let mut answer = || answer(media_type, bodies.next().unwrap_or_default());
    let (one, other, third) = (answer(), answer(), answer());
    for same in [&one, &other, &third] {
        assert_eq!(findings(same, same, same), 0, "it differs from itself");
    }
    let found = findings(&one, &one, &other);
    assert_eq!(found == 0, findings(&other, &other, &one) == 0);
    findings(&one, &other, &third);
});

/// How many findings there are, of a report that is also shown.
fn findings(production: &Answer, baseline: &Answer, candidate: &Answer) -> usize {
    let outcome = |answer: &Answer| Outcome::Answered {
        answer: answer.clone(),
        timing: Timing::default(),
    };
    let mut judge = Judge::new(Options::default());
    judge.observe(Observation {
        exchange: ExchangeId {
            node: "node".into(),
            boot: 1,
            flow: FlowId(1),
            offset: 0,
            from_response: false,
        },
        session: "s".to_owned(),
        position: 0,
        recorded: Timestamp::default(),
        request: request(),
        request_body: Body::Digest {
            bytes: 0,
            tag: None,
        },
        production_latency_ns: None,
        production_status: Some(production.head.status),
        production: Some(production.clone()),
        copy: 0,
        is_warm_up: false,
        sent: Vec::new(),
        produced: Vec::new(),
        depends_on: Vec::new(),
        is_awaited: false,
        races: Vec::new(),
        baseline: outcome(baseline),
        candidate: outcome(candidate),
        second_baseline: Some(outcome(production)),
    });
    let report = judge.conclude(RunFacts::default());
    assert!(!html(&report).is_empty());
    report.findings.len()
}

fn request() -> Scrubbed<RequestHead> {
    let head = RequestHead {
        method: Bytes::from_static(b"GET"),
        target: Bytes::from_static(b"/a/1"),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: Vec::new(),
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    // What scrubbing vouched for is read back as it was written.
    let text = serde_json::to_value(&head).expect("a head is plain data");
    serde_json::from_value(text).expect("what was written can be read")
}

/// An answer as a run makes it of what a twin sent.
fn answer(media_type: &'static str, body: &[u8]) -> Answer {
    let head = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status: 200,
        reason: Bytes::new(),
        fields: vec![Field::new("content-type", media_type)],
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let request = request();
    let (head, scrubbed, note) =
        ALLOW_ALL.scrub_response(&request, &head, Bytes::copy_from_slice(body));
    let body = match scrubbed {
        Some(body) => Body::Whole(body),
        None => Body::Digest {
            bytes: 0,
            tag: note.body_tag.filter(|_| note.body != BodyFate::Empty),
        },
    };
    Answer {
        head,
        trailers: 0,
        body,
        undone: note.undone,
        leaves: note.leaves,
    }
}
