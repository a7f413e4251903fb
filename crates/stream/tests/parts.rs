//! Parts of streamed bodies: messages of gRPC and gRPC-Web, server-sent events.

use crate::common::{MS, Talk, Tap, run};
use crate::hostile;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use twintap_stream::{Direction, EventKind, Limits, Part, Segment, TcpFlags, Timestamp};

/// A response whose body comes in these segments; None is one of seven bytes that got lost.
fn response(content_type: &str, body: &[Option<&[u8]>]) -> Talk {
    let mut talk = Talk::new()
        .handshake()
        .ask("GET / HTTP/1.1\r\n\r\n")
        .answer(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n\r\n"
        ));
    for bytes in body {
        talk = match bytes {
            Some(bytes) => talk.answer(bytes),
            None => talk.unseen(Direction::Server, "7 bytes").raw(
                Direction::Client,
                18,
                TcpFlags::ACK,
                "",
                None,
            ),
        };
    }
    talk
}

fn limits() -> Limits {
    Limits {
        gap_segments: 1,
        gap_ns: MS,
        ..Limits::default()
    }
}

/// The parts of a response that ends as it should.
#[track_caller]
fn check(content_type: &str, body: &[Option<&[u8]>], expect: Expect) {
    let text = run(response(content_type, body).close().segments(), limits());
    expect.assert_eq(&only_parts(&text));
}

fn only_parts(text: &str) -> String {
    text.lines()
        .filter_map(|line| line.strip_prefix("part Server "))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[track_caller]
fn parts_of(segments: Vec<Segment>) -> Vec<Part> {
    let mut tap = Tap::new(limits());
    let mut last = Timestamp::default();
    for segment in segments {
        last = segment.time;
        tap.segment(segment);
    }
    tap.finish(last);
    let kinds = tap.events.into_iter().map(|event| event.kind);
    kinds
        .filter_map(|kind| match kind {
            EventKind::Part(part) => Some(*part),
            _ => None,
        })
        .collect()
}

#[test]
fn messages_over_segments() {
    check(
        "application/grpc",
        &[
            Some(b"\0\0\0\0\x05hello\x01\0\0\0\x01z\0\0\0"),
            Some(b"\0\0\0\0\0"),
            Some(b"\0\x06wo"),
            Some(b"rld!"),
        ],
        expect![[r#"
            0 GrpcMessage { compressed: false } "hello" complete
            1 GrpcMessage { compressed: true } "z" complete
            2 GrpcMessage { compressed: false } "" complete
            3 GrpcMessage { compressed: false } "world!" complete
        "#]],
    );
}

#[test]
fn messages_of_other_codecs() {
    check(
        "application/grpc+json; charset=utf-8",
        &[Some(b"\0\0\0\0\x02{}")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "{}" complete
        "#]],
    );
}

#[test]
fn message_cut_off() {
    check(
        "application/grpc",
        &[Some(b"\0\0\0\0\x01a\0\0\0\0\x09abc")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "a" complete
            1 GrpcMessage { compressed: false } "abc" incomplete [cut_off]
        "#]],
    );
}

#[test]
fn head_cut_off() {
    check(
        "application/grpc",
        &[Some(b"\0\0\0\0\x01a\0\0")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "a" complete
            1 GrpcMessage { compressed: false } "" incomplete [cut_off]
        "#]],
    );
}

#[test]
fn gap_inside_a_message() {
    check(
        "application/grpc",
        &[Some(b"\0\0\0\0\x0aab"), None, Some(b"c\0\0\0\0\x01d")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "abc" incomplete [gap_in_part]
            1 GrpcMessage { compressed: false } "d" complete
        "#]],
    );
}

#[test]
fn gap_through_the_end_of_a_message() {
    check(
        "application/grpc",
        &[Some(b"\0\0\0\0\x09ab"), None, Some(b"\0\0\0\0\x01d")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "ab" incomplete [gap_in_part]
            1 GrpcMessage { compressed: false } "d" complete
        "#]],
    );
}

#[test]
fn gap_over_the_head_of_a_message() {
    check(
        "application/grpc",
        &[
            Some(b"\0\0\0\0\x01a\0\0\0\0\x03ab"),
            None,
            Some(b"\0\0\0\0\x01d"),
        ],
        expect![[r#"
            0 GrpcMessage { compressed: false } "a" complete
            1 GrpcMessage { compressed: false } "ab" incomplete [gap_in_part]
        "#]],
    );
}

#[test]
fn no_frames_at_all() {
    check(
        "application/grpc",
        &[Some(b"<html>an error page</html>")],
        expect![[r#"
            0 GrpcMessage { compressed: false } "" incomplete [bad_frame_flags]
        "#]],
    );
}

#[test]
fn web_with_trailers() {
    check(
        "application/grpc-web+proto",
        &[
            Some(b"\0\0\0\0\x02hi\x80\0\0\0\x0fgrpc-status: 0\n"),
            Some(b"\0\0\0\0\0"),
        ],
        expect![[r#"
            0 GrpcMessage { compressed: false } "hi" complete
            1 GrpcTrailers "grpc-status: 0\n" complete
            2 GrpcMessage { compressed: false } "" complete [after_trailers]
        "#]],
    );
}

#[test]
fn web_text_in_several_paddings() {
    // "\0\0\0\0\x02hi" in two pieces that are padded each, then the trailers.
    check(
        "application/grpc-web-text",
        &[
            Some(b"AAAAAA=="),
            Some(b"Amhp"),
            Some(b"gAAAAA9n"),
            Some(b"cnBjLXN0YXR1czogMAo="),
        ],
        expect![[r#"
            0 GrpcMessage { compressed: false } 5+2 complete [base64]
            1 GrpcTrailers 12+15 complete [base64]
        "#]],
    );
}

#[test]
fn web_text_that_is_no_base64() {
    check(
        "application/grpc-web-text",
        &[Some(b"AAAAAAJoaQ==AAAAAAJ!oaQ==AAAAAAJoaQ==")],
        expect![[r#"
            0 GrpcMessage { compressed: false } 5+2 complete [base64]
            1 GrpcMessage { compressed: false } 12+0 incomplete [base64 bad_base64]
        "#]],
    );
}

#[test]
fn events() {
    check(
        "text/event-stream; charset=utf-8",
        &[
            Some(b"\xef\xbb\xbf: hello\n\nretry: 10\n\nid: 1\nevent: a\ndata: one\n\n"),
            Some(b"da"),
            Some(b"ta\n\n\n\ndata:x\r\ndata:y\r\n\r"),
            Some(b"\ndata:z\r\rdatum:1\n\n:c\ndata:last\n"),
        ],
        expect![[r#"
            0 ServerSentEvent "id: 1\nevent: a\ndata: one\n\n" complete
            1 ServerSentEvent "data\n\n" complete
            2 ServerSentEvent "data:x\r\ndata:y\r\n\r\n" complete
            3 ServerSentEvent "data:z\r\r" complete
            4 ServerSentEvent ":c\ndata:last\n" incomplete [cut_off]
        "#]],
    );
}

#[test]
fn event_after_half_a_byte_order_mark() {
    check(
        "text/event-stream",
        &[Some(
            b"\xef\xbbdata: a\n\ndata: b\n\n\xef\xbb\xbfdata: c\n\n",
        )],
        expect![[r#"
            0 ServerSentEvent "data: b\n\n" complete
        "#]],
    );
}

#[test]
fn gap_in_an_event() {
    check(
        "text/event-stream",
        &[
            Some(b"data: a\n\ndata: b\nda"),
            None,
            Some(b"\ndata: c\n\ndata: d\n\n"),
        ],
        expect![[r#"
            0 ServerSentEvent "data: a\n\n" complete
            1 ServerSentEvent "data: b\nda\ndata: c\n\n" incomplete [gap_in_part]
            2 ServerSentEvent "data: d\n\n" complete
        "#]],
    );
}

#[test]
fn gap_between_events() {
    check(
        "text/event-stream",
        &[
            Some(b"data: a\n\n"),
            None,
            Some(b"\n\r\n"),
            Some(b"data: d\n\n"),
        ],
        expect![[r#"
            0 ServerSentEvent "data: a\n\n" complete
            1 ServerSentEvent "\n\r\n" incomplete [gap_in_part]
            2 ServerSentEvent "data: d\n\n" complete
        "#]],
    );
}

#[test]
fn bodies_without_parts() {
    let none = expect![""];
    none.assert_eq(&only_parts(&run(
        response("text/plain", &[Some(b"data: a\n\n")])
            .close()
            .segments(),
        limits(),
    )));
    for head in [
        "text/event-stream\r\nContent-Encoding: gzip",
        "text/event-stream\r\nContent-Type: text/plain",
    ] {
        let talk = response(head, &[Some(b"data: a\n\n")]);
        none.assert_eq(&only_parts(&run(talk.close().segments(), limits())));
    }
}

#[test]
fn parts_of_both_directions_in_chunks() {
    let talk = Talk::new()
        .handshake()
        .ask("POST /s/M HTTP/1.1\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\0\0\0\r\n")
        .ask("4\r\n\0\x02hi\r\n0\r\n\r\n")
        .answer("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nContent-Length: 7\r\n\r\n\0\0\0\0\x02")
        .answer("ho")
        .close();
    expect![[r#"
        part Client 0 GrpcMessage { compressed: false } "hi" complete
        part Server 0 GrpcMessage { compressed: false } "ho" complete
        POST /s/M "\0\0\0\0\u{2}hi" complete -> 200 "\0\0\0\0\u{2}ho" complete
        closed Finished
        181 bytes: message 166 framing 15
    "#]]
    .assert_eq(&run(talk.segments(), limits()));
}

#[test]
fn parts_come_when_they_end_and_know_their_times() {
    let talk = response(
        "text/event-stream",
        &[
            Some(b"data: a"),
            Some(b"\n\nda"),
            Some(b"ta: b\n"),
            Some(b"\n"),
        ],
    );
    let segments = talk.segments();
    let at = |index: usize| segments[segments.len() - 4 + index].time;
    let parts = parts_of(segments.clone());
    let times: Vec<_> = parts
        .iter()
        .map(|part| (part.first_byte, part.last_byte))
        .collect();
    assert_eq!(times, [(at(0), at(1)), (at(1), at(3))]);
    let whole = parts_of(segments[..segments.len() - 2].to_vec());
    assert_eq!(whole[0], parts[0]);
}

#[test]
fn part_of_a_body_that_breaks_off() {
    let talk = response("application/grpc", &[Some(b"\0\0\0\0\x05he")]);
    let text = run(talk.rst(Direction::Server, 55).segments(), limits());
    expect![[r#"
        0 GrpcMessage { compressed: false } "he" incomplete
    "#]]
    .assert_eq(&only_parts(&text));
}

/// What makes bodies that get somewhere.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        Just(&b"\0\0\0\0\x03abc"[..]),
        Just(&b"\x80\0\0\0\x01z"[..]),
        Just(&b"\0\0\0\0\0"[..]),
        Just(&b"data: a"[..]),
        Just(&b"data"[..]),
        Just(&b"\xef\xbb\xbf"[..]),
        Just(&b":c"[..]),
        Just(&b"\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\r\n\r\n"[..]),
        Just(&b"AAAAAAA="[..]),
        Just(&b"AAAAAAJoaQ=="[..]),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn anything_is_no_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
        hostile::parts(&data);
    }

    /// How a body is cut into segments changes nothing but the times.
    #[test]
    fn segments_make_no_parts(body in fragments(), cuts in prop::collection::vec(0_usize..80, 0..6)) {
        for content_type in ["application/grpc-web", "application/grpc-web-text", "text/event-stream"] {
            let bare = |talk: Talk| {
                let parts = parts_of(talk.close().segments()).into_iter();
                parts
                    .map(|part| Part { first_byte: Timestamp(0), last_byte: Timestamp(0), ..part })
                    .collect::<Vec<_>>()
            };
            let whole = bare(response(content_type, &[Some(&body)]));
            let mut cuts = cuts.clone();
            cuts.sort_unstable();
            let mut rest = &body[..];
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(body.len()).saturating_sub(body.len() - rest.len()));
                pieces.push(Some(piece));
                rest = after;
            }
            pieces.push(Some(rest));
            prop_assert_eq!(bare(response(content_type, &pieces)), whole.clone());
            let mut at = 0;
            for (index, part) in whole.iter().enumerate() {
                prop_assert_eq!(part.index as usize, index);
                prop_assert!(part.offset >= at && part.offset + part.bytes <= body.len() as u64);
                at = part.offset + part.bytes;
            }
        }
    }
}
