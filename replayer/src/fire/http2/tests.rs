use bytes::BufMut;
use proptest::prelude::*;
use twintap_stream::Field;

use super::super::capture::RawBody;
use super::super::wire::Piece;
use super::frame::*;
use super::*;

fn limits() -> Arc<CaptureLimits> {
    CaptureLimits::new(1 << 20, 1 << 24, None)
}

fn sections(body: &[&[u8]], trailers: &[(&str, &str)]) -> Arc<Sections> {
    let fields = |fields: &[(&str, &str)]| {
        let field = |(name, value): &(&str, &str)| Field::new(name.to_string(), value.to_string());
        fields.iter().map(field).collect()
    };
    Arc::new(Sections {
        fields: fields(&[
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/a"),
            ("x", "y"),
        ]),
        body: body
            .iter()
            .map(|piece| Piece::from(Bytes::copy_from_slice(piece)))
            .collect(),
        trailers: fields(trailers),
        is_framed: !body.is_empty(),
    })
}

/// A client, and what a twin would do with its bytes.
struct Pair {
    client: Client,
    reader: FrameReader,
    decoder: Decoder,
    encoder: Encoder,
    now_ns: u64,
}

impl Pair {
    /// After the preface, with these settings of the twin.
    fn new(settings: &[(u16, u32)]) -> Pair {
        let mut pair = Pair::silent();
        pair.settings(settings);
        let opening = pair.sent();
        assert_eq!(opening[0], "SETTINGS 0 0 [12]");
        assert_eq!(opening[1], "WINDOW_UPDATE 0 0 [4]");
        assert_eq!(opening[2], "SETTINGS 1 0 [0]");
        pair
    }

    fn silent() -> Pair {
        let mut pair = Pair {
            client: Client::new(limits()),
            reader: FrameReader::default(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            now_ns: 0,
        };
        let mut slices = [IoSlice::new(&[])];
        pair.client.slices(0, &mut slices);
        assert!(slices[0].starts_with(PREFACE));
        pair.client.advance(PREFACE.len());
        pair
    }

    fn settings(&mut self, settings: &[(u16, u32)]) {
        let mut payload = BytesMut::new();
        for (name, value) in settings {
            payload.put_u16(*name);
            payload.put_u32(*value);
        }
        self.get(SETTINGS, 0, 0, &payload);
    }

    /// The client gets a frame.
    fn get(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let frame = frame(kind, flags, stream, payload);
        self.client.handle_input(&frame).expect("a sound frame");
    }

    fn head(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let fields: Vec<Field> = fields
            .iter()
            .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
            .collect();
        let mut block = Vec::new();
        self.encoder.encode(&fields, &mut block);
        self.get(HEADERS, flags | END_HEADERS, stream, &block);
    }

    /// What the client wrote since, frame by frame.
    fn sent(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = self.client.slices(self.now_ns, &mut slices);
            if count == 0 {
                return texts;
            }
            let bytes: Vec<u8> = slices[..count]
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect();
            self.client.advance(bytes.len());
            let mut input = &bytes[..];
            while let Some((header, payload)) = self.reader.next(&mut input).expect("small frames")
            {
                texts.push(self.text(header, &payload));
            }
        }
    }

    fn text(&mut self, header: Header, payload: &[u8]) -> String {
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        let start = format!(
            "{} {} {}",
            NAMES[header.kind as usize], header.flags, header.stream
        );
        if header.kind != HEADERS {
            return format!("{start} [{}]", payload.len());
        }
        let fields = self
            .decoder
            .decode(payload, 1 << 16)
            .expect("a sound block");
        let texts: Vec<String> = fields
            .iter()
            .map(|field| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("{}={}", text(&field.name), text(&field.value))
            })
            .collect();
        format!("{start} {}", texts.join(" "))
    }

    fn events(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(event) = self.client.poll_event() {
            texts.push(event_text(&event));
        }
        texts
    }
}

fn event_text(event: &Event) -> String {
    match event {
        Event::Opened {
            tag, has_waited, ..
        } => format!("opened {tag} {has_waited}"),
        Event::Begun { tag } => format!("begun {tag}"),
        Event::Answered { tag, answer } => {
            let body = match &answer.body {
                RawBody::Whole(body) => String::from_utf8_lossy(body).into_owned(),
                RawBody::Digest { bytes, .. } => format!("{bytes} bytes"),
            };
            let trailers: Vec<_> = answer
                .trailers
                .iter()
                .map(|field| &field.name[..])
                .collect();
            format!(
                "answered {tag} {} {body:?} {} {}",
                answer.head.status,
                answer.interim,
                String::from_utf8_lossy(&trailers.concat())
            )
        }
        Event::Reset { tag, code } => format!("reset {tag} {code}"),
        Event::Garbled { tag, why } => format!("garbled {tag} {why}"),
        Event::Unprocessed { tag, .. } => format!("unprocessed {tag}"),
        Event::Heard { tag, value } => {
            let EarlyValue { path, value } = value;
            format!("heard {tag} {path} {}", String::from_utf8_lossy(value))
        }
    }
}

#[test]
fn a_request_and_its_answer_with_trailers_both_ways() {
    let mut pair = Pair::new(&[]);
    pair.client
        .request(7, sections(&[b"hello ", b"you"], &[("t", "u")]));
    assert_eq!(
        pair.sent(),
        [
            "HEADERS 4 1 :method=POST :scheme=http :path=/a x=y",
            "DATA 0 1 [6]",
            "DATA 0 1 [3]",
            "HEADERS 5 1 t=u",
        ]
    );
    pair.head(1, 0, &[(":status", "103"), ("link", "/")]);
    pair.head(1, 0, &[(":status", "200"), ("a", "b")]);
    pair.get(DATA, PADDED, 1, b"\x02okxx");
    pair.head(1, END_STREAM, &[("grpc-status", "0")]);
    assert_eq!(
        pair.events(),
        [
            "opened 7 false",
            "begun 7",
            "answered 7 200 \"ok\" 1 grpc-status"
        ]
    );
    assert_eq!(pair.sent(), [""; 0]);
}

#[test]
fn values_of_a_stream_that_goes_on_are_told() {
    let mut pair = Pair::new(&[]);
    pair.client.request(7, sections(&[], &[]));
    let paths = [Arc::from("grpc.0>proto./1"), Arc::from("grpc.1>proto./1")];
    pair.client.listen(7, Ear::new(&paths, 1000));
    let head = [(":status", "200"), ("content-type", "application/grpc")];
    pair.head(1, 0, &head);
    pair.get(DATA, 0, 1, b"\0\0\0\0\x05\x0a\x03one\0\0");
    assert_eq!(
        pair.events(),
        ["opened 7 false", "begun 7", "heard 7 grpc.0>proto./1 one"]
    );
    pair.get(DATA, END_STREAM, 1, b"\0\0\x05\x0a\x03two");
    let events = pair.events();
    assert_eq!(events[0], "heard 7 grpc.1>proto./1 two");
    assert!(events[1].starts_with("answered 7"));
}

#[test]
fn a_request_without_a_body_ends_with_its_head() {
    let mut pair = Pair::new(&[]);
    pair.client.request(0, sections(&[], &[]));
    assert_eq!(
        pair.sent(),
        ["HEADERS 5 1 :method=POST :scheme=http :path=/a x=y"]
    );
    let empty = Sections {
        is_framed: true,
        ..Sections::clone(&sections(&[], &[]))
    };
    pair.client.request(1, Arc::new(empty));
    assert_eq!(
        pair.sent(),
        [
            "HEADERS 4 3 :method=POST :scheme=http :path=/a x=y",
            "DATA 1 3 [0]"
        ]
    );
}

#[test]
fn bodies_wait_for_windows_and_hold_up_nobody() {
    let mut pair = Pair::new(&[(4, 20_000)]);
    pair.client.request(0, sections(&[&[b'x'; 30_000]], &[]));
    pair.client.request(1, sections(&[&[b'y'; 5_000]], &[]));
    let sent = pair.sent();
    assert!(sent[0].starts_with("HEADERS 4 1") && sent[1].starts_with("HEADERS 4 3"));
    assert_eq!(
        sent[2..],
        ["DATA 0 1 [16384]", "DATA 1 3 [5000]", "DATA 0 1 [3616]"]
    );
    pair.get(WINDOW_UPDATE, 0, 1, &[0, 0, 0x10, 0]);
    assert_eq!(pair.sent(), ["DATA 0 1 [4096]"]);
    // A smaller initial window can make a window negative.
    pair.settings(&[(4, 10_000)]);
    pair.get(WINDOW_UPDATE, 0, 1, &[0, 0, 0x27, 0x10]);
    assert_eq!(pair.sent(), ["SETTINGS 1 0 [0]"]);
    pair.get(WINDOW_UPDATE, 0, 1, &[0, 0, 0x27, 0x10]);
    assert_eq!(pair.sent(), ["DATA 1 1 [5904]"]);
}

#[test]
fn the_connections_window_is_shared() {
    let mut pair = Pair::new(&[(4, 1 << 20)]);
    pair.client.request(0, sections(&[&[b'x'; 60_000]], &[]));
    pair.client.request(1, sections(&[&[b'y'; 60_000]], &[]));
    let data = |sent: Vec<String>, stream: &str| -> usize {
        let frames = sent.iter().filter(|text| text.starts_with("DATA"));
        let bytes = frames.filter(|text| text.contains(stream)).map(|text| {
            let (_, length) = text
                .trim_end_matches(']')
                .split_once('[')
                .expect("a length");
            length.parse::<usize>().expect("a number")
        });
        bytes.sum()
    };
    let sent = pair.sent();
    let (one, other) = (data(sent.clone(), " 1 ["), data(sent, " 3 ["));
    assert_eq!(one + other, 65_535);
    assert!(one > 30_000 && other > 30_000, "{one} and {other}");
    pair.get(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]);
    let sent = pair.sent();
    assert_eq!(data(sent, "DATA"), 120_000 - 65_535);
}

#[test]
fn pieces_go_out_at_their_times() {
    let mut timed = Sections::clone(&sections(&[b"one", b"two", b"three"], &[]));
    timed.body[1].after_ns = 100;
    timed.body[2].after_ns = 250;
    let mut pair = Pair::new(&[]);
    pair.client.request(0, Arc::new(timed));
    assert_eq!(pair.sent().len(), 2);
    assert_eq!(pair.client.next_due_ns(0), None);
    pair.client.released(0, 1000);
    assert_eq!(pair.client.next_due_ns(1000), Some(1100));
    pair.now_ns = 1099;
    assert_eq!(pair.sent(), [""; 0]);
    pair.now_ns = 1100;
    assert_eq!(pair.sent(), ["DATA 0 1 [3]"]);
    assert_eq!(pair.client.next_due_ns(1100), Some(1250));
    pair.now_ns = 1300;
    assert_eq!(pair.sent(), ["DATA 1 1 [5]"]);
    assert_eq!(pair.client.next_due_ns(1300), None);
}

#[test]
fn what_is_over_the_limit_of_streams_waits() {
    let mut pair = Pair::new(&[(3, 1)]);
    for tag in 0..3 {
        pair.client.request(tag, sections(&[], &[]));
    }
    assert_eq!(pair.events(), ["opened 0 false"]);
    assert_eq!(pair.sent().len(), 1);
    pair.client.cancel(1);
    pair.head(1, END_STREAM, &[(":status", "204")]);
    assert_eq!(
        pair.events(),
        ["begun 0", "answered 0 204 \"\" 0 ", "opened 2 true"]
    );
    assert_eq!(
        pair.sent(),
        ["HEADERS 5 3 :method=POST :scheme=http :path=/a x=y"]
    );
    pair.client.cancel(2);
    assert_eq!(pair.sent(), ["RST_STREAM 0 3 [4]"]);
}

#[test]
fn an_answer_before_the_requests_end_ends_the_request() {
    let mut pair = Pair::new(&[(4, 10)]);
    pair.client
        .request(0, sections(&[b"twenty bytes of body"], &[]));
    assert_eq!(pair.sent().len(), 2);
    pair.head(1, END_STREAM, &[(":status", "413")]);
    assert_eq!(pair.sent(), ["RST_STREAM 0 1 [4]"]);
    assert_eq!(pair.events()[2], "answered 0 413 \"\" 0 ");
}

#[test]
fn who_goes_away_says_what_it_did_not_process() {
    let mut pair = Pair::new(&[(3, 3)]);
    for tag in 0..4 {
        pair.client.request(tag, sections(&[], &[]));
    }
    pair.events();
    assert!(pair.client.takes_more());
    pair.get(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(
        pair.events(),
        ["unprocessed 1", "unprocessed 2", "unprocessed 3"]
    );
    assert!(!pair.client.takes_more());
    pair.head(1, END_STREAM, &[(":status", "200")]);
    assert_eq!(pair.events(), ["begun 0", "answered 0 200 \"\" 0 "]);
}

#[test]
fn a_reset_stream_is_its_own_affair() {
    let mut pair = Pair::new(&[]);
    pair.client.request(0, sections(&[], &[]));
    pair.client.request(1, sections(&[], &[]));
    pair.events();
    pair.get(RST_STREAM, 0, 1, &[0, 0, 0, 2]);
    pair.get(PING, 0, 0, b"whatever");
    pair.head(3, END_STREAM, &[(":status", "200")]);
    // What was on its way to the stream that is gone changes the table all the same.
    pair.head(1, END_STREAM, &[(":status", "200"), ("later", "used")]);
    assert_eq!(
        pair.events(),
        [
            "reset 0 INTERNAL_ERROR",
            "begun 1",
            "answered 1 200 \"\" 0 "
        ]
    );
    assert_eq!(pair.sent()[2..], ["PING 1 0 [8]"]);
}

#[test]
fn a_smaller_table_of_the_twin_is_kept_to() {
    let mut pair = Pair::new(&[(1, 0)]);
    pair.decoder = Decoder::new();
    for _ in 0..3 {
        pair.client.request(0, sections(&[], &[]));
        assert!(pair.sent()[0].ends_with(":method=POST :scheme=http :path=/a x=y"));
    }
}

#[track_caller]
fn check_garbled(expected: &str, answer: impl Fn(&mut Pair)) {
    let mut pair = Pair::new(&[]);
    pair.client.request(0, sections(&[], &[]));
    pair.sent();
    answer(&mut pair);
    let events = pair.events();
    assert_eq!(
        events.last().map(String::as_str),
        Some(expected),
        "{events:?}"
    );
}

#[test]
fn answers_that_are_none_are_outcomes_of_their_streams() {
    check_garbled("garbled 0 an answer without a status", |pair| {
        pair.head(1, 0, &[("a", "b")])
    });
    check_garbled("garbled 0 status 101, which HTTP/2 has not", |pair| {
        pair.head(1, 0, &[(":status", "101")]);
    });
    check_garbled("garbled 0 a header field that HTTP/2 forbids", |pair| {
        pair.head(1, 0, &[(":status", "200"), ("Upper", "x")]);
    });
    check_garbled("garbled 0 a header block within the body", |pair| {
        pair.head(1, 0, &[(":status", "200")]);
        pair.head(1, 0, &[("a", "b")]);
    });
    check_garbled("garbled 0 a body before its head", |pair| {
        pair.get(DATA, 0, 1, b"x")
    });
    check_garbled(
        "garbled 0 a body of another length than Content-Length",
        |pair| {
            pair.head(1, 0, &[(":status", "200"), ("content-length", "3")]);
            pair.get(DATA, END_STREAM, 1, b"four");
        },
    );
}

#[track_caller]
fn check_violation(expected: Violation, bytes: &[u8]) {
    let mut pair = Pair::new(&[]);
    pair.client.request(0, sections(&[], &[]));
    assert_eq!(pair.client.handle_input(bytes), Err(expected));
}

#[test]
fn what_breaks_the_connection_is_told() {
    check_violation(
        Violation::Push,
        &frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
    );
    check_violation(
        Violation::IdleStream("HEADERS"),
        &frame(HEADERS, END_HEADERS, 3, &[]),
    );
    check_violation(Violation::IdleStream("DATA"), &frame(DATA, 0, 2, b"x"));
    check_violation(Violation::Frame("PING"), &frame(PING, 0, 0, b"short"));
    check_violation(Violation::Frame("DATA"), &frame(DATA, PADDED, 1, &[9, 0]));
    check_violation(
        Violation::Frame("SETTINGS"),
        &frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
    );
    check_violation(
        Violation::Frame("WINDOW_UPDATE"),
        &frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
    );
    check_violation(Violation::FrameSize, &[0xff, 0, 0, 0, 0, 0, 0, 0, 1]);
    let cut = [frame(HEADERS, 0, 1, &[]), frame(PING, 0, 0, &[0; 8])].concat();
    check_violation(Violation::Interrupted, &cut);
    let mut endless = frame(HEADERS, 0, 1, &[]).to_vec();
    for _ in 0..10_000 {
        endless.extend_from_slice(&frame(CONTINUATION, 0, 1, &[]));
    }
    let error = twintap_stream::hpack::BlockError::TooLarge(256 * 1024);
    check_violation(Violation::Block(error), &endless);
    let pings: Vec<u8> = (0..300_000)
        .flat_map(|_| frame(PING, 0, 0, &[0; 8]))
        .collect();
    check_violation(Violation::Flood, &pings);
}

#[test]
fn a_twin_that_begins_otherwise_is_told() {
    let mut client = Client::new(limits());
    let answer = client.handle_input(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(answer, Err(Violation::Http1));
    let mut client = Client::new(limits());
    let answer = client.handle_input(&frame(PING, 0, 0, &[0; 8]));
    assert_eq!(answer, Err(Violation::NoSettings));
}

/// Frames that are nearly right.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![0x88]),
        Just(vec![0x88, 0x40, 1, b'a', 1, b'b']),
        Just(vec![0, 0, 0, 8]),
        Just(vec![0; 8]),
        Just(vec![0, 3, 0, 0, 0, 1]),
        Just(vec![0, 4, 0, 0, 0, 9]),
    ];
    let flags = prop_oneof![
        Just(0),
        Just(END_HEADERS),
        Just(END_HEADERS | END_STREAM),
        any::<u8>()
    ];
    let one = (0u8..12, flags, 0u32..9, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload));
    prop::collection::vec(one, 0..30).prop_map(|frames| {
        let mut all = frame(SETTINGS, 0, 0, &[]).to_vec();
        all.extend(frames.concat());
        all
    })
}

/// What comes of requests when a twin sends these bytes, cut at these places.
fn outcome(bytes: &[u8], step: usize) -> (Vec<String>, Option<Violation>) {
    let mut client = Client::new(limits());
    let mut events = Vec::new();
    let mut violation = None;
    for tag in 0..4 {
        client.request(tag, sections(&[b"some body"], &[]));
    }
    for piece in bytes.chunks(step.max(1)) {
        let result = client.handle_input(piece);
        while let Some(event) = client.poll_event() {
            events.push(event_text(&event));
        }
        let mut slices = [IoSlice::new(&[]); 3];
        let count = client.slices(0, &mut slices);
        let written = slices[..count].iter().map(|slice| slice.len()).sum();
        client.advance(written);
        if let Err(error) = result {
            violation = Some(error);
            break;
        }
    }
    (events, violation)
}

proptest! {
    #[test]
    fn no_bytes_of_a_twin_do_harm(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        frames(),
    ], step in 1usize..50) {
        let (events, violation) = outcome(&bytes, step);
        for tag in 0..4 {
            let is_end = |text: &&String| {
                let mut words = text.split(' ');
                let word = words.next();
                let is_own = words.next() == Some(&tag.to_string()[..]);
                is_own && !matches!(word, Some("opened" | "begun"))
            };
            prop_assert!(events.iter().filter(is_end).count() <= 1, "{:?}", events);
        }
        // How the bytes are cut changes nothing.
        prop_assert_eq!((events, violation), outcome(&bytes, bytes.len()));
    }
}
