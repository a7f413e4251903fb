//! Values that are put into messages of gRPC: whatever their lengths, the messages stay sound.

use std::ops::Range;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use tonic::service::Routes;
use twintap_plan::Binding;
use twintap_replayer::fire::{Recorded, RunControl};
use twintap_scrub::{Encoding, Mark, Part, Piece, Timeline};

use super::service::PRICES;
use crate::script::{Run, Script, binding, produces, recorded_stream, stream};
use crate::streams::StreamServer;

/// Gives these values, and gives back what it gets, in hexadecimal digits.
fn twin(values: &'static str) -> StreamServer {
    let hex = |body: Bytes| -> String { body.iter().map(|byte| format!("{byte:02x}")).collect() };
    let router = Router::new()
        .route("/give", get(async move || [("x-values", values)]))
        .route("/hex", post(async move |body: Bytes| hex(body)));
    let calls = PRICES.routes().into_axum_router();
    StreamServer::start(Routes::from(router.merge(calls)), |server| server)
}

/// A message with its prefix.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// A field of wire type 2; lengths are below 16,384.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..=127 => vec![short as u8],
        long => vec![long as u8 | 0x80, (long >> 7) as u8],
    };
    [&[number << 3 | 2], &length[..], value].concat()
}

/// What each of three messages says: a text, a number, and a text two messages deep.
fn message(item: &str, count: u8, ticket: &str) -> Vec<u8> {
    let deep = field(1, &field(4, ticket.as_bytes()));
    [
        field(1, item.as_bytes()),
        vec![0x10, count],
        field(3, &deep),
    ]
    .concat()
}

/// The binding of a value inside of a message to one of the first request's answer.
fn inside(place: u32, span: Range<usize>, path: &str, producer_path: &str) -> Binding {
    Binding {
        path: format!("grpc.{place}>{path}").into(),
        ..binding(
            0,
            producer_path,
            Part::Body,
            span.start as u32..span.end as u32,
            Encoding::Plain,
        )
    }
}

const PATHS: [&str; 3] = ["json./item", "json./count", "json./ticket"];

/// Fires a request whose body are these messages, with values of an answer before it in
/// each place of each, at twins that give these.
fn fire(path: &str, messages: &[Vec<u8>], values: [&'static str; 2]) -> Run {
    let mut script = Script::default();
    let mut first = stream(0, 0);
    first.produces = produces(&PATHS);
    script.add(first, recorded_stream("GET", "/give", ""));
    let mut body = Vec::new();
    let mut second = stream(20, 0);
    let mut timeline = Timeline::default();
    for (place, message) in (0..).zip(messages) {
        let start = body.len();
        body.extend(framed(message));
        for (inner, producer) in ["proto./1", "proto./2", "proto./3/1/4"].iter().zip(PATHS) {
            let span = start..body.len();
            second.bindings.push(inside(place, span, inner, producer));
        }
        timeline.marks.push(Mark {
            end: body.len() as u64,
            after_ns: u64::from(place) * 2_000_000,
            piece: Piece::Message,
            dropped_bytes: 0,
        });
    }
    let text = String::from_utf8(body).expect("messages that are short");
    let mut request = recorded_stream("POST", path, &text);
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        let field = twintap_stream::Field::new(name, value);
        request.head.fields.push(field);
    }
    let request = Recorded {
        timeline,
        ..request
    };
    script.add(second, request);
    let twins = values.map(twin);
    let control = RunControl::new().expect("an eventfd");
    script.fire_at(twins.each_ref().map(|twin| twin.address), &control, |_| {})
}

const LONG: &str = "a-ticket-that-is-longer-than-the-one-which-was-recorded-so-that-each-length-around-\
                    it-takes-a-byte-more-than-it-took-before-which-is-what-breaks-first";

#[test]
fn longer_and_shorter_values_keep_each_message_sound() {
    const LONGER: &str = "a-much-longer-item,101,a-ticket-that-is-longer-than-the-one-which-was-\
                          recorded-so-that-each-length-around-it-takes-a-byte-more-than-it-took-\
                          before-which-is-what-breaks-first";
    let recorded = [
        message("pencil", 7, "ticket-of-the-first"),
        message("ink", 9, "ticket-of-the-second"),
        message("paper", 11, "ticket-of-the-third"),
    ];
    let expected = |item: &str, count: u8, ticket: &str, times: usize| -> String {
        let body = framed(&message(item, count, ticket)).repeat(times);
        body.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    for count in [1, 3] {
        let run = fire("/hex", &recorded[..count], [LONGER, "i,1,t"]);
        assert_eq!(run.candidate(), ["200"; 2]);
        assert_eq!(
            run.detail(1),
            expected("a-much-longer-item", 101, LONG, count)
        );
        let run = fire("/hex", &recorded[..count], ["i,1,t", LONGER]);
        assert_eq!(run.detail(1), expected("i", 1, "t", count));
    }
}

#[test]
fn a_service_takes_what_is_put_into_its_messages() {
    let recorded = [message("pencil", 7, "first"), message("ink", 9, "second")];
    let run = fire(
        "/shop.Prices/Sum",
        &recorded,
        ["a-longer-item,3,x", "i,4,y"],
    );
    assert_eq!(
        (run.candidate(), run.baseline()),
        (vec!["200"; 2], vec!["200"; 2])
    );
    // Both items one after the other, and the sum of what both cost.
    let price = [field(1, b"a-longer-itema-longer-item"), vec![0x10, 30]].concat();
    assert_eq!(run.detail(1).as_bytes(), framed(&price));
}

#[test]
fn what_a_message_cannot_have_is_refused() {
    let recorded = [message("pencil", 7, "first")];
    let run = fire("/hex", &recorded, ["pen,seven,t", "pen,8,t"]);
    assert_eq!(run.candidate(), ["200", "refused unwritable"]);
    assert_eq!(run.baseline(), ["200", "200"]);
    assert_eq!(run.summary.candidate.ledger.refused["unwritable"], 1);
    assert!(run.summary.candidate.ledger.closes());
}
