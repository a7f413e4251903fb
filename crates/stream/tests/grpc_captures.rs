//! Calls of gRPC in real captures: their messages, their fields by guess, their status.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use expect_test::{Expect, expect};
use twintap_stream::content::DecodeLimits;
use twintap_stream::grpc::{
    Basis, BodyForm, Descriptors, Status, TreeLimits, Value, messages, web_trailers,
};
use twintap_stream::message::MessageState;
use twintap_stream::{Direction, Event, EventKind, Exchange, Field, Part};
use twintap_tests::corpus::{Corpus, replay};

#[track_caller]
fn check(capture: &str, expect: Expect) {
    let corpus = match Corpus::find(None) {
        Ok(corpus) => corpus,
        Err(error) => return println!("{error}"),
    };
    let replayed = replay(&corpus.capture(capture)).expect("a capture");
    expect.assert_eq(&calls(&replayed.events));
}

type Source = (String, Direction);

fn calls(events: &[Event]) -> String {
    let mut bodies: BTreeMap<Source, BytesMut> = BTreeMap::new();
    let mut parts: BTreeMap<Source, Vec<&Part>> = BTreeMap::new();
    let mut text = String::new();
    for event in events {
        match &event.kind {
            EventKind::Body {
                exchange,
                direction,
                chunk,
                ..
            } => {
                let body = bodies
                    .entry((exchange.to_string(), *direction))
                    .or_default();
                body.extend_from_slice(chunk);
            }
            EventKind::Part(part) => {
                let source = (part.exchange.to_string(), part.direction);
                parts.entry(source).or_default().push(part);
            }
            EventKind::Exchange(exchange) => {
                let mut take = |direction| {
                    let source = (exchange.id.to_string(), direction);
                    let body = bodies.remove(&source).unwrap_or_default().freeze();
                    (body, parts.remove(&source).unwrap_or_default())
                };
                let (request, response) = (take(Direction::Client), take(Direction::Server));
                call(exchange, request, response, &mut text);
            }
            _ => {}
        }
    }
    text
}

fn call(
    exchange: &Exchange,
    request: (Bytes, Vec<&Part>),
    response: (Bytes, Vec<&Part>),
    text: &mut String,
) {
    let (request_head, response_head) = (&exchange.request.head, &exchange.response.head);
    let sent = request_head.as_ref().map_or(&[][..], |head| &head.fields);
    let answered = response_head.as_ref().map_or(&[][..], |head| &head.fields);
    if BodyForm::of(sent).or(BodyForm::of(answered)).is_none() {
        return;
    }
    let path = request_head
        .as_ref()
        .map_or("?".into(), |head| String::from_utf8_lossy(&head.target));
    let protocol = exchange.protocol.name();
    let _ = writeln!(text, "{protocol} {path}");
    body(
        "->",
        sent,
        &request.0,
        &request.1,
        exchange.request.state,
        text,
    );
    let trailers = body(
        "<-",
        answered,
        &response.0,
        &response.1,
        exchange.response.state,
        text,
    );
    let trailers = [&exchange.response.trailers[..], &trailers].concat();
    if let Some(status) = Status::of(answered, &trailers) {
        let _ = writeln!(text, "  status {:?} {:?}", status.code, status.message);
    }
}

/// Writes the messages; gives the trailers that were among them.
fn body(
    arrow: &str,
    fields: &[Field],
    body: &Bytes,
    parts: &[&Part],
    state: MessageState,
    text: &mut String,
) -> Vec<Field> {
    let mut trailers = Vec::new();
    let mut places = Vec::new();
    for message in messages(fields, body, DecodeLimits::default())
        .into_iter()
        .flatten()
    {
        places.push((message.offset as u64, message.payload.len() as u64));
        if message.is_trailers {
            trailers.extend(web_trailers(&message.payload));
            continue;
        }
        assert_eq!(message.decoded.fault, None);
        let bytes = message.decoded.bytes;
        let cut = if message.is_complete { "" } else { " cut off" };
        let _ = write!(text, "  {arrow} {} bytes{cut}:", bytes.len());
        let tree = Descriptors::new().read_as(None, &bytes, TreeLimits::default());
        if tree.is_text {
            let start: String = String::from_utf8_lossy(&bytes).chars().take(24).collect();
            let _ = writeln!(text, " text {start:?}");
            continue;
        }
        for leaf in tree.leaves().into_iter().take(12) {
            let path: Vec<_> = leaf.path.iter().map(u32::to_string).collect();
            let _ = write!(text, " {}=", path.join("."));
            let _ = match leaf.value {
                Value::Text(value) => {
                    write!(text, "{:?}", value.chars().take(24).collect::<String>())
                }
                Value::Varint(number) => write!(text, "{number}"),
                Value::Bytes(bytes) => write!(text, "[{}]", bytes.len()),
                value => write!(text, "{value:?}"),
            };
            if leaf.node.basis == Basis::Ambiguous {
                text.push('?');
            }
        }
        text.push_str(if tree.is_whole() { "\n" } else { " ...\n" });
    }
    let found: Vec<_> = parts.iter().map(|part| (part.offset, part.bytes)).collect();
    match state {
        MessageState::Complete => assert_eq!(found, places),
        // Where frames begin after a hole is unknown.
        _ => assert!(places.starts_with(&found), "{found:?} {places:?}"),
    }
    trailers
}

#[test]
fn unary() {
    check(
        "deepflow/http/grpc-unary.pcap",
        expect![[r#"
            http2 /agent.Synchronizer/Sync
              -> 237 bytes: 1=1748919807 2=0 4=2 5="main 11819-c3d06ff4684c4" 6=0 7="deepflow-agent-ee" 9=0 10=0 11=0 21="10.50.1.13" 22="dpdk" 23="10.50.1.13"
              <- 1331 bytes cut off: 1=0 2="global:\n    communicatio" 3=""? 4="grpc" 5=1755908383 6=2748905945 7=1748905970 10.1=1 10.2="00:11:22:33:44:66" 10.3=287754 10.4="00:11:22:33:66:44" 10.1=1 ...
        "#]],
    );
}

#[test]
fn server_stream() {
    check(
        "deepflow/http/grpc-server-stream.pcap",
        expect![[r#"
            http2 /timeseriesquery.TimeSeriesQueryService/ServerStreamQuery
              -> 30 bytes: 1.1=60 1.2="host_id" 1.2="vpc" 1.3=1712066400 1.4=1712070000
              <- 1230 bytes: 1.1.1="metric" 1.1.2="cpu_usage" 1.1.1="host_id" 1.1.2="10000" 1.2.1=1712066400 1.2.2=Fixed64(4601066055847917808) 1.2.1=1712066460 1.2.2=Fixed64(4605777365908587062) 1.2.1=1712066520 1.2.2=Fixed64(4604805781619358828) 1.2.1=1712066580 1.2.2=Fixed64(4598333774902916048)
              <- 246 bytes: 1.1.1="metric" 1.1.2="cpu_usage" 1.1.1="host_id" 1.1.2="10000" 1.2.1=1712067120 1.2.2=Fixed64(4577159037595070605) 1.2.1=1712067180 1.2.2=Fixed64(4603106061385600302) 1.2.1=1712067240 1.2.2=Fixed64(4598958010512199547) 1.2.1=1712067300 1.2.2=Fixed64(4598819584208030013)
              <- 492 bytes: 1.1.1="metric" 1.1.2="cpu_usage" 1.1.1="host_id" 1.1.2="10000" 1.2.1=1712067840 1.2.2=Fixed64(4599356109038273492) 1.2.1=1712067900 1.2.2=Fixed64(4603132286664343613) 1.2.1=1712067960 1.2.2=Fixed64(4592414779735975730) 1.2.1=1712068020 1.2.2=Fixed64(4595958297084320923)
              <- 738 bytes: 1.1.1="metric" 1.1.2="cpu_usage" 1.1.1="host_id" 1.1.2="10000" 1.2.1=1712068560 1.2.2=Fixed64(4577773254935020236) 1.2.1=1712068620 1.2.2=Fixed64(4589328500078124551) 1.2.1=1712068680 1.2.2=Fixed64(4602710760275482337) 1.2.1=1712068740 1.2.2=Fixed64(4604027644473904180)
              <- 492 bytes: 1.1.1="metric" 1.1.2="cpu_usage" 1.1.1="host_id" 1.1.2="10000" 1.2.1=1712069280 1.2.2=Fixed64(4600703725445254512) 1.2.1=1712069340 1.2.2=Fixed64(4600089385131137992) 1.2.1=1712069400 1.2.2=Fixed64(4605946294118720103) 1.2.1=1712069460 1.2.2=Fixed64(4606320532494430871)
              status Some(0) Some("")
        "#]],
    );
}

#[test]
fn json_and_an_image() {
    check(
        "wireshark/grpc_person_search_json_with_image.pcapng.gz",
        expect![[r#"
            http2 /tutorial.PersonSearchService/Search
              -> 31 bytes: text "{\n  \"name\": [\"Jason\", \"L"
              <- 208 bytes: text "{\n  \"name\": \"Jason\",\n  \""
              <- 368 bytes: text "{\n  \"name\": \"Lily\",\n  \"i"
              status Some(0) None
        "#]],
    );
}

#[test]
fn messages_over_many_frames() {
    check(
        "wireshark/grpc_stream_reassembly_sample.pcapng.gz",
        expect![[r#"
            http2 /streamtest.StreamTest/StreamCall
              -> 4090 bytes: text "{\n  \"seq\": 1,\n  \"payload"
              -> 4090 bytes: text "{\n  \"seq\": 2,\n  \"payload"
              -> 4090 bytes: text "{\n  \"seq\": 3,\n  \"payload"
              -> 4090 bytes: text "{\n  \"seq\": 4,\n  \"payload"
              -> 4090 bytes: text "{\n  \"seq\": 5,\n  \"payload"
              -> 20057 bytes: text "{\n  \"seq\": 6,\n  \"payload"
              -> 20057 bytes: text "{\n  \"seq\": 7,\n  \"payload"
              -> 20057 bytes: text "{\n  \"seq\": 8,\n  \"payload"
              -> 40057 bytes: text "{\n  \"seq\": 9,\n  \"payload"
              -> 10143 bytes cut off: text "{\n  \"seq\": 10,\n  \"payloa"
            http2 /TestService/Unary
              -> 200004 bytes: 2="aaaaaaaaaaaaaaaaaaaaaaaa"
              <- 7 bytes: 2="44363"
              status Some(0) Some("OK")
        "#]],
    );
}

#[test]
fn web() {
    check(
        "wireshark/grpc_web.pcapng.gz",
        expect![[r#"
            http1 /greet.Greeter/SayHello
              -> 10 bytes: 1="88888888"?
              <- 16 bytes: 1="Hello 88888888"
              status Some(0) None
            http1 /greet.Greeter/SayHello
              -> 10 bytes: 1="99999999"
              <- 16 bytes: 1="Hello 99999999"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 10 bytes: 1="88888888"?
              <- 16 bytes: 1="Hello 88888888"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 10 bytes: 1="99999999"
              <- 16 bytes: 1="Hello 99999999"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 80004 bytes: 1="888888888888888888888888"?
              <- 80010 bytes: 1="Hello 888888888888888888"
              status Some(0) None
            http2 /greet.Greeter/SayHellos
              -> 80004 bytes: 1="888888888888888888888888"?
              <- 23 bytes: 1="Hello short message 0"
              <- 23 bytes: 1="Hello short message 1"
              <- 80012 bytes: 1="Hello 888888888888888888"
              <- 80012 bytes: 1="Hello 888888888888888888"
              <- 80012 bytes: 1="Hello 888888888888888888"
            http1 /greet.Greeter/SayHello
              -> 10 bytes: 1="88888888"?
              <- 16 bytes: 1="Hello 88888888"
              status Some(0) None
            http1 /greet.Greeter/SayHello
              -> 10 bytes: 1="99999999"
              <- 16 bytes: 1="Hello 99999999"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 10 bytes: 1="88888888"?
              <- 16 bytes: 1="Hello 88888888"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 10 bytes: 1="99999999"
              <- 16 bytes: 1="Hello 99999999"
              status Some(0) None
            http1 /greet.Greeter/SayHello
              -> 80004 bytes: 1="888888888888888888888888"?
              <- 80010 bytes: 1="Hello 888888888888888888"
              status Some(0) None
            http2 /greet.Greeter/SayHello
              -> 80004 bytes: 1="888888888888888888888888"?
              <- 80010 bytes: 1="Hello 888888888888888888"
              status Some(0) None
            http2 /greet.Greeter/SayHellos
              -> 80004 bytes: 1="888888888888888888888888"?
              <- 23 bytes: 1="Hello short message 0"
              <- 23 bytes: 1="Hello short message 1"
              <- 80012 bytes: 1="Hello 888888888888888888"
              <- 80012 bytes: 1="Hello 888888888888888888"
              <- 80012 bytes: 1="Hello 888888888888888888"
        "#]],
    );
}
