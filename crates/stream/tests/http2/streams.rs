//! What frames make of streams.

use super::build::{Say::*, *};
use expect_test::expect;

#[test]
fn streams_that_overlap() {
    check(
        vec![
            Client([ask(1, "/a"), headers(3, 0, &post("/b"))].concat()),
            Client(data(3, 0, "hello ")),
            Server(answer(1, "first")),
            Client(data(3, END_STREAM, "world")),
            Server(headers(3, 0, &[0x8d])),
            Server([data(3, 0, "not "), data(3, END_STREAM, "here")].concat()),
        ],
        expect![[r#"
            GET /a complete -> 200 "first" complete
            POST /b "hello world" complete -> 404 "not here" complete
            closed Finished
            197 bytes: message 50 framing 147
        "#]],
    );
}

#[test]
fn answers_in_another_order() {
    check(
        vec![
            Client([ask(1, "/a"), ask(3, "/b"), ask(5, "/c")].concat()),
            Server([answer(5, "c"), answer(1, "a"), answer(3, "b")].concat()),
        ],
        expect![[r#"
            GET /c complete -> 200 "c" complete
            GET /a complete -> 200 "a" complete
            GET /b complete -> 200 "b" complete
            closed Finished
            189 bytes: message 42 framing 147
        "#]],
    );
}

#[test]
fn continued_and_padded() {
    let block = get("/continued");
    let (one, rest) = block.split_at(1);
    let (two, three) = rest.split_at(5);
    let padded = [&[3], &[0, 0, 0, 1, 16][..], &get("/padded"), &[0; 3]].concat();
    check(
        vec![
            Client(
                [
                    frame(1, END_STREAM, 1, one),
                    frame(9, 0, 1, two),
                    frame(9, 0, 1, &[]),
                    frame(9, END_HEADERS, 1, three),
                ]
                .concat(),
            ),
            Server(headers(1, 0, &[0x88])),
            Server(frame(0, PADDED | END_STREAM, 1, b"\x04body\0\0\0\0")),
            Client(frame(
                1,
                END_HEADERS | END_STREAM | PADDED | PRIORITY,
                3,
                &padded,
            )),
            Server(headers(3, 0, &[0x88])),
            Server(frame(0, PADDED, 3, b"\x00x")),
            Server(frame(0, PADDED | END_STREAM, 3, b"\x02\0\0")),
        ],
        expect![[r#"
            GET /continued complete -> 200 "body" complete
            GET /padded complete -> 200 "x" complete
            closed Finished
            218 bytes: message 44 framing 174
        "#]],
    );
}

#[test]
fn padding_longer_than_its_frame() {
    check(
        vec![
            Client(frame(
                1,
                END_HEADERS | END_STREAM | PADDED,
                1,
                b"\x09\x82\x86\x84",
            )),
            Client(ask(3, "/b")),
            Server(headers(3, 0, &[0x88])),
            Server(frame(0, PADDED | END_STREAM, 3, b"\x09body")),
        ],
        expect![[r#"
            GET /b complete -> 200 complete [bad_padding]
            ? incomplete [bad_padding] -> ? absent
            closed Finished
            124 bytes: message 13 framing 107 malformed 4
        "#]],
    );
}

#[test]
fn interim_responses_and_trailers() {
    check(
        vec![
            Client(headers(1, 0, &post("/a"))),
            Server(headers(1, 0, &fields(&[(":status", "100")]))),
            Server(headers(
                1,
                0,
                &fields(&[(":status", "103"), ("link", "</x>")]),
            )),
            Client(data(1, 0, "body")),
            Client(headers(1, END_STREAM, &fields(&[("digest", "x")]))),
            Server(headers(1, 0, &[0x88])),
            Server(data(1, 0, "answer")),
            Server(headers(1, END_STREAM, &fields(&[("grpc-status", "0")]))),
        ],
        expect![[r#"
            POST /a "body" complete -> 100 103 200 "answer" complete
            closed Finished
            223 bytes: message 85 framing 138
        "#]],
    );
}

#[test]
fn resets() {
    check(
        vec![
            Client(
                [
                    ask(1, "/cancelled"),
                    ask(3, "/refused"),
                    headers(5, 0, &post("/early")),
                ]
                .concat(),
            ),
            Server([headers(1, 0, &[0x88]), data(1, 0, "part")].concat()),
            Client(reset(1, 8)),
            Server([data(1, 0, "late"), reset(3, 7)].concat()),
            // The answer is whole; what the client still sends doesn't matter.
            Server([answer(5, "enough"), reset(5, 0)].concat()),
            Client(data(5, END_STREAM, "late")),
            Client(ask(7, "/odd")),
            Server(reset(7, 99)),
        ],
        expect![[r#"
            GET /cancelled complete -> 200 "part" incomplete [reset_cancel]
            GET /refused complete -> ? absent [reset_refused_stream]
            POST /early incomplete [reset_no_error] -> 200 "enough" complete
            GET /odd complete -> ? absent [reset_unknown]
            closed Finished
            296 bytes: message 80 framing 208 closed_stream 8
        "#]],
    );
}

#[test]
fn a_connection_that_goes_away() {
    check(
        vec![
            Client([ask(1, "/a"), ask(3, "/b"), headers(5, 0, &post("/c"))].concat()),
            Server(go_away(0x7fff_ffff)),
            Server(go_away(1)),
            Client(ask(7, "/late")),
            Server(answer(1, "a")),
        ],
        expect![[r#"
            GET /b complete -> ? absent [refused_by_goaway]
            POST /c incomplete -> ? absent [refused_by_goaway]
            GET /late complete -> ? absent [refused_by_goaway]
            GET /a complete -> 200 "a" complete
            closed Finished
            207 bytes: message 53 framing 154
        "#]],
    );
}

#[test]
fn pushed() {
    let promise = [&[0, 0, 0, 2][..], &get("/style")].concat();
    check(
        vec![
            Client(ask(1, "/page")),
            Server(frame(5, END_HEADERS, 1, &promise)),
            Server(answer(1, "page")),
            Server(answer(2, "style")),
        ],
        expect![[r#"
            GET /page complete -> 200 "page" complete
            GET /style complete [pushed] -> 200 "style" complete
            closed Finished
            166 bytes: message 42 framing 124
        "#]],
    );
}

#[test]
fn heads_against_the_rules() {
    let block = [
        &[0x82, 0x86, 0x84][..],
        &fields(&[("Upper", "x"), (":path", "/again"), ("connection", "close")]),
        &fields(&[
            ("te", "gzip"),
            ("a", "b\n"),
            ("a b", "c"),
            (":status", "200"),
        ]),
    ]
    .concat();
    let length = fields(&[(":status", "200"), ("content-length", "3")]);
    check(
        vec![
            Client(headers(1, END_STREAM, &block)),
            Server([headers(1, 0, &length), data(1, END_STREAM, "four")].concat()),
            Client(headers(3, END_STREAM, &[0x84])),
            Server(headers(3, END_STREAM, &fields(&[("a", "b")]))),
            Client(headers(
                5,
                END_STREAM,
                &fields(&[(":method", "CONNECT"), (":authority", "h:1")]),
            )),
            Server(headers(5, END_STREAM, &fields(&[(":status", "2x0")]))),
            Client(headers(
                7,
                END_STREAM,
                &fields(&[(":method", "HEAD"), (":scheme", "http"), (":path", "")]),
            )),
            Server(headers(7, END_STREAM, &length)),
        ],
        expect![[r#"
            GET / complete [uppercase_name pseudo_after_field duplicate_pseudo connection_field bad_field_value bad_field_name bad_pseudo] -> 200 "four" complete [length_mismatch]
             / complete [missing_pseudo] -> 0 complete [missing_pseudo]
            CONNECT  complete -> 0 complete [bad_status]
            HEAD  complete [empty_path] -> 200 complete
            closed Finished
            380 bytes: message 233 framing 147
        "#]],
    );
}

#[test]
fn frames_against_the_rules() {
    check(
        vec![
            Client([ask(1, "/a"), data(1, 0, "after")].concat()),
            // Settings of an odd length, a ping and a window update of a wrong one.
            Server(
                [
                    frame(4, 0, 0, b"12345"),
                    frame(6, 0, 0, b"1"),
                    frame(8, 0, 1, b"12"),
                ]
                .concat(),
            ),
            Server(answer(1, "a")),
            // A frame between the parts of a header block.
            Client(
                [
                    frame(1, END_STREAM, 3, &get("/b")),
                    frame(6, 0, 0, b"12345678"),
                ]
                .concat(),
            ),
            Client(frame(9, END_HEADERS, 3, &[])),
            // An unknown frame is passed over.
            Client([frame(0xbe, 0xff, 9, b"whatever"), ask(5, "/c")].concat()),
            Server([answer(3, "b"), answer(5, "c")].concat()),
            Client([data(0, 0, "no stream"), data(9, 0, "idle")].concat()),
        ],
        expect![[r#"
            GET /a complete [data_after_end] -> 200 "a" complete [bad_frame_size]
            ? incomplete [interrupted_header_block stray_continuation] -> 200 "b" complete [bad_frame_size]
            GET /c complete [stray_continuation] -> 200 "c" complete [bad_frame_size]
            closed Finished
            312 bytes: message 30 framing 252 closed_stream 5 malformed 25
        "#]],
    );
}

#[test]
fn more_than_the_window() {
    let more = frame(8, 0, 1, &10u32.to_be_bytes());
    check(
        vec![
            Client(settings(&[(4, 10)])),
            Server(acknowledge()),
            Client([ask(1, "/a"), ask(3, "/b")].concat()),
            Server([headers(1, 0, &[0x88]), data(1, 0, "0123456789")].concat()),
            Client(more),
            Server(data(1, END_STREAM, "0123456789")),
            Server([headers(3, 0, &[0x88]), data(3, END_STREAM, "0123456789a")].concat()),
        ],
        expect![[r#"
            GET /a complete -> 200 "01234567890123456789" complete
            GET /b complete -> 200 "0123456789a" complete [window_exceeded]
            closed Finished
            223 bytes: message 57 framing 166
        "#]],
    );
}

#[test]
fn a_table_that_is_shared_by_streams() {
    let first = [
        &[0x82, 0x86][..],
        &added(&[(":path", "/long/path"), ("cookie", "a=b")]),
    ]
    .concat();
    check(
        vec![
            Client(headers(1, END_STREAM, &first)),
            Client(headers(3, END_STREAM, &[0x82, 0x86, 0xbf, 0xbe])),
            // There is no such entry: nothing is known of the table after that.
            Client(headers(5, END_STREAM, &[0x82, 0x86, 0xc0, 0xbf])),
            Client(headers(7, END_STREAM, &[0x82, 0x86, 0xbf])),
            Server([answer(1, ""), answer(3, ""), answer(5, ""), answer(7, "")].concat()),
        ],
        expect![[r#"
            GET /long/path complete -> 200 complete
            GET /long/path complete -> 200 complete
            GET  incomplete [hpack_index] -> 200 complete
            GET  incomplete [headers_unknown] -> 200 complete
            closed Finished
            221 bytes: message 47 framing 174
        "#]],
    );
}

#[test]
fn messages_of_grpc() {
    let head = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
    check(
        vec![
            Client(ask(1, "/service/call")),
            Server(headers(1, 0, &head)),
            Server([data(1, 0, "\0\0\0\0\x05he"), data(1, 0, "llo\0\0\0\0\x01x")].concat()),
            Server(headers(1, END_STREAM, &fields(&[("grpc-status", "0")]))),
        ],
        expect![[r#"
            part Server 0 GrpcMessage { compressed: false } "hello" complete
            part Server 1 GrpcMessage { compressed: false } "x" complete
            GET /service/call complete -> 200 "\0\0\0\0\u{5}hello\0\0\0\0\u{1}x" complete
            closed Finished
            209 bytes: message 98 framing 111
        "#]],
    );
}
