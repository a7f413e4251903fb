//! Connections that are joined late, or of which something is missing.

use super::build::{Say::*, *};
use crate::common::{Talk, run};
use expect_test::expect;
use twintap_stream::Limits;

#[test]
fn joined_between_requests() {
    check_late(
        vec![
            // The path and a cookie are entries of a table that was made before.
            Client(headers(9, END_STREAM, &[0x82, 0x86, 0xbe, 0xbf])),
            Server([headers(9, 0, &[0x88, 0xbe]), data(9, END_STREAM, "a")].concat()),
            Client(headers(
                11,
                END_STREAM,
                &[&get("/new")[..], &added(&[("a", "b")])].concat(),
            )),
            Client(headers(13, END_STREAM, &[&get("/b")[..], &[0xbe]].concat())),
            Server([answer(11, "b"), answer(13, "c")].concat()),
        ],
        expect![[r#"
            began before
            GET  incomplete [headers_unknown] -> 200 "a" incomplete [headers_unknown]
            GET /new complete -> 200 "b" complete
            GET /b complete -> 200 "c" complete
            closed Finished
            124 bytes: message 43 framing 81
        "#]],
    );
}

#[test]
fn joined_within_an_answer() {
    check_late(
        vec![
            Server(b"the end of some data".to_vec()),
            Server([data(9, 0, "more"), data(9, END_STREAM, "last")].concat()),
            Client(ask(11, "/b")),
            Server(answer(11, "b")),
        ],
        expect![[r#"
            began before
            ? absent -> ? "morelast" incomplete
            GET /b complete -> 200 "b" complete
            closed Finished
            87 bytes: message 22 framing 45 opaque 20
        "#]],
    );
}

#[test]
fn joined_at_a_preface() {
    check_late(
        vec![
            Client(
                [
                    PREFACE,
                    &settings(&[]),
                    &headers(1, END_STREAM, &[&get("/a")[..], &[0xbe]].concat()),
                ]
                .concat(),
            ),
            Server([settings(&[]), answer(1, "a")].concat()),
        ],
        expect![[r#"
            began before
            GET /a incomplete [hpack_index] -> 200 "a" complete
            closed Finished
            84 bytes: message 15 framing 69
        "#]],
    );
}

#[test]
fn an_unknown_status() {
    check_late(
        vec![
            Client(ask(1, "/a")),
            // Either of them may have been an interim response; the second tells.
            Server(headers(1, 0, &[0xbe])),
            Server([headers(1, 0, &[0x88]), data(1, END_STREAM, "a")].concat()),
            Client(ask(3, "/b")),
            Server([headers(3, 0, &[0xbe]), data(3, END_STREAM, "b")].concat()),
        ],
        expect![[r#"
            began before
            GET /a complete -> 0 200 "a" incomplete [headers_unknown]
            GET /b complete -> 0 "b" incomplete [headers_unknown]
            closed Finished
            92 bytes: message 29 framing 63
        "#]],
    );
}

#[test]
fn a_hole_within_data() {
    let whole = data(1, END_STREAM, "0123456789");
    check(
        vec![
            Client([ask(1, "/a"), ask(3, "/b")].concat()),
            Server([headers(1, 0, &[0x88]), whole[..13].to_vec()].concat()),
            LostServer(3),
            Server([&whole[16..], &answer(3, "b")].concat()),
        ],
        expect![[r#"
            gap Server 47+3
            GET /a complete -> 200 "0123789" incomplete
            GET /b complete -> 200 "b" complete
            closed Finished
            154 bytes: message 34 framing 120
        "#]],
    );
}

#[test]
fn a_hole_within_a_head() {
    let head = headers(
        1,
        END_STREAM,
        &added(&[(":method", "GET"), ("cookie", "a=b")]),
    );
    check(
        vec![
            Client(head[..12].to_vec()),
            LostClient(4),
            Client(head[16..].to_vec()),
            // The table is unknown from there on.
            Client(headers(3, END_STREAM, &[&get("/b")[..], &[0xbe]].concat())),
            Server([answer(1, "a"), answer(3, "b")].concat()),
        ],
        expect![[r#"
            gap Client 54+4
            ? incomplete [gap_in_head] -> 200 "a" complete
            GET /b incomplete [headers_unknown] -> 200 "b" complete
            closed Finished
            158 bytes: message 17 framing 120 gap_in_head 21
        "#]],
    );
}

#[test]
fn a_hole_over_frames() {
    check(
        vec![
            Client([ask(1, "/a"), headers(3, 0, &post("/b"))].concat()),
            LostClient(100),
            // The rest of something, then frames where a segment starts.
            Client(b"xxxxx".to_vec()),
            Client([data(3, 0, "some"), data(3, END_STREAM, "body")].concat()),
            Client(ask(7, "/d")),
            // The request of this one was lost.
            Server([answer(5, "c"), answer(1, "a")].concat()),
            Server([answer(3, "b"), answer(7, "d")].concat()),
        ],
        expect![[r#"
            gap Client 84+100
            ? absent -> 200 "c" complete
            GET /a complete -> 200 "a" complete
            POST /b "somebody" incomplete -> 200 "b" complete
            GET /d complete -> 200 "d" complete
            closed Finished
            240 bytes: message 52 framing 183 resync 5
        "#]],
    );
}

#[test]
fn the_end_of_a_request_is_lost() {
    check(
        vec![
            Client([headers(1, 0, &post("/a")), data(1, 0, "begin")].concat()),
            LostClient(30),
            Client(ask(3, "/b")),
            Server([answer(1, "a"), answer(3, "b")].concat()),
        ],
        expect![[r#"
            gap Client 77+30
            POST /a "begin" incomplete -> 200 "a" complete
            GET /b complete -> 200 "b" complete
            closed Finished
            162 bytes: message 33 framing 129
        "#]],
    );
}

#[test]
fn the_end_of_an_answer_is_lost() {
    let talk = opening()
        .into_iter()
        .chain([
            Client([ask(1, "/a"), ask(3, "/b")].concat()),
            Server([headers(1, 0, &[0x88]), data(1, 0, "begin")].concat()),
            LostServer(30),
            Server(headers(3, 0, &[0x88])),
        ])
        .fold(Talk::new().handshake(), say);
    // Now it shows that something is missing.
    let talk = say(talk.wait(1000), Client(frame(6, 0, 0, b"12345678")));
    // A minute later the one of which nothing came since is given up. So would be a stream that
    // is silent for as long, of which it can't be told.
    let talk = [Server(data(3, 0, "still ")), Client(ask(5, "/c"))]
        .into_iter()
        .fold(talk.wait(61_000), say);
    let talk = [Server(
        [data(3, END_STREAM, "here"), answer(5, "c")].concat(),
    )]
    .into_iter()
    .fold(talk, say);
    expect![[r#"
        gap Server 48+30
        GET /a complete -> 200 "begin" incomplete [end_unknown]
        GET /b complete -> 200 "still here" complete
        GET /c complete -> 200 "c" complete
        closed Finished
        228 bytes: message 55 framing 173
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn an_end_within_a_head() {
    check(
        vec![
            Client(ask(1, "/a")[..14].to_vec()),
            Server(headers(1, 0, &[0x88])[..5].to_vec()),
        ],
        expect![[r#"
            ? incomplete [unfinished_head] -> ? absent
            closed Finished
            85 bytes: message 0 framing 75 unfinished_head 10
        "#]],
    );
}
