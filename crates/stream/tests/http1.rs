//! Messages of each shape: what is made of them, and what is said of them.

use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use twintap_stream::Limits;

/// A conversation in turns, the client first, then the end of both directions.
#[track_caller]
fn check(turns: &[&str], expect: Expect) {
    let mut talk = Talk::new().handshake();
    for (index, text) in turns.iter().enumerate() {
        talk = match index % 2 {
            0 => talk.ask(text),
            _ => talk.answer(text),
        };
    }
    let limits = Limits {
        emit_opaque: true,
        ..Limits::default()
    };
    expect.assert_eq(&run(talk.close().segments(), limits));
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn no_body() {
    check(
        &["GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 204 None\r\n\r\n"],
        expect![[r#"
            GET /a complete -> 204 complete
            closed Finished
            40 bytes: message 40 framing 0
        "#]],
    );
}

#[test]
fn not_modified_with_a_length() {
    check(
        &[
            "GET /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 304 Same\r\nContent-Length: 99\r\n\r\n",
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a complete -> 304 complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            119 bytes: message 119 framing 0
        "#]],
    );
}

#[test]
fn head() {
    check(
        &[
            "HEAD /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            HEAD /a complete -> 200 complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            118 bytes: message 118 framing 0
        "#]],
    );
}

#[test]
fn chunked_with_extension_and_trailers() {
    check(
        &[
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n00A\r\n0123456789\r\n0\r\nSum: 1\r\nMore: 2\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a "abc0123456789" complete [chunk_extension zeros_in_chunk_size] -> 200 "ok" complete
            closed Finished
            141 bytes: message 118 framing 23
        "#]],
    );
}

#[test]
fn until_close() {
    check(
        &[
            "GET /a HTTP/1.0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nall\r\n\r\nof it",
        ],
        expect![[r#"
            GET /a complete -> 200 "all\r\n\r\nof it" complete
            closed Finished
            50 bytes: message 50 framing 0
        "#]],
    );
}

#[test]
fn pipelined() {
    check(
        &[
            "GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3",
        ],
        expect![[r#"
            GET /1 complete -> 200 "1" complete
            HEAD /2 complete -> 200 complete
            GET /3 complete -> 200 "3" complete
            closed Finished
            174 bytes: message 174 framing 0
        "#]],
    );
}

#[test]
fn leave_to_continue() {
    check(
        &[
            "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "abc",
            OK,
        ],
        expect![[r#"
            POST /a "abc" complete -> 100 200 "ok" complete
            closed Finished
            129 bytes: message 129 framing 0
        "#]],
    );
}

#[test]
fn several_interim_responses() {
    check(
        &[
            "GET /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ],
        expect![[r#"
            GET /a complete -> 103 100 200 "ok" complete
            closed Finished
            121 bytes: message 121 framing 0
        "#]],
    );
}

#[test]
fn leave_refused_and_the_body_never_sent() {
    check(
        &[
            "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n",
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a incomplete [body_not_sent] -> 417 complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            158 bytes: message 158 framing 0
        "#]],
    );
}

#[test]
fn early_response() {
    check(
        &[
            "POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc",
            "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
            "defGET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a "abcdef" complete -> 400 complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            142 bytes: message 142 framing 0
        "#]],
    );
}

#[test]
fn response_to_half_a_request() {
    check(
        &[
            "GET /a HTTP/1.1\r\nHost: ",
            "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n",
        ],
        expect![[r#"
            ? incomplete -> 408 complete
            closed Finished
            63 bytes: message 40 framing 0 unfinished_head 23
        "#]],
    );
}

#[test]
fn upgrade() {
    check(
        &[
            "GET /a HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nearly",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nGET /not HTTP/1.1\r\n\r\n",
            "GET /neither HTTP/1.1\r\n\r\n",
        ],
        expect![[r#"
            GET /a complete -> 101 complete
            opaque Server "GET /not HTTP/1.1\r\n\r\n"
            opaque Client "early"
            opaque Client "GET /neither HTTP/1.1\r\n\r\n"
            closed Finished
            141 bytes: message 90 framing 0 opaque 51
        "#]],
    );
}

#[test]
fn upgrade_refused() {
    check(
        &[
            "GET /a HTTP/1.1\r\nUpgrade: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ],
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            130 bytes: message 130 framing 0
        "#]],
    );
}

#[test]
fn tunnel() {
    check(
        &[
            "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP/1.1 200 Yes\r\nContent-Length: 7\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "answer",
        ],
        expect![[r#"
            CONNECT h:443 complete -> 200 complete [length_without_body]
            opaque Client "\u{16}\u{3}\u{1}"
            opaque Server "answer"
            closed Finished
            83 bytes: message 74 framing 0 opaque 9
        "#]],
    );
}

#[test]
fn tunnel_refused() {
    check(
        &[
            "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n",
            "HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno",
            "CONNECT h:443 HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n",
            "HTTP/1.1 200 Yes\r\n\r\n",
            "bytes",
        ],
        expect![[r#"
            CONNECT h:443 complete -> 407 "no" complete
            CONNECT h:443 complete -> 200 complete
            opaque Client "bytes"
            closed Finished
            142 bytes: message 137 framing 0 opaque 5
        "#]],
    );
}

#[test]
fn http_0_9() {
    check(
        &["GET /a\r\n", "<html>what HTTP/0.9 sends</html>"],
        expect![[r#"
            GET /a complete [no_version] -> ? "<html>what HTTP/0.9 sends</html>" complete
            closed Finished
            40 bytes: message 40 framing 0
        "#]],
    );
}

#[test]
fn empty_lines_before_messages() {
    check(
        &[
            "\r\n\r\nGET /a HTTP/1.1\r\n\r\n",
            OK,
            "\nGET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            123 bytes: message 118 framing 5
        "#]],
    );
}

#[test]
fn line_feeds_alone() {
    check(
        &[
            "GET /a HTTP/1.1\nHost: h\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        ],
        expect![[r#"
            GET /a complete [bare_lf] -> 200 "ok" complete [bare_lf]
            closed Finished
            62 bytes: message 62 framing 0
        "#]],
    );
}

#[test]
fn obsolete_fold() {
    check(
        &[
            "GET /a HTTP/1.1\r\nX: one\r\n\ttwo\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a complete [obs_fold] -> 200 "ok" complete
            closed Finished
            108 bytes: message 103 framing 5
        "#]],
    );
}

#[test]
fn two_lengths_that_agree() {
    check(
        &[
            "POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3, 3\r\n\r\nabc",
            OK,
        ],
        expect![[r#"
            POST /a "abc" complete [duplicate_length] -> 200 "ok" complete
            closed Finished
            104 bytes: message 104 framing 0
        "#]],
    );
}

#[test]
fn two_lengths_that_disagree() {
    check(
        &[
            "POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            OK,
        ],
        expect![[r#"
            POST /a "abc" complete [conflicting_length] -> 200 "ok" complete
            closed Finished
            101 bytes: message 101 framing 0
        "#]],
    );
}

#[test]
fn length_and_chunked() {
    check(
        &[
            "POST /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a complete [length_and_coding] -> 200 "ok" complete
            GET /smuggled complete -> ? absent
            closed Finished
            138 bytes: message 133 framing 5
        "#]],
    );
}

#[test]
fn coding_hidden_from_one_side() {
    check(
        &[
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            OK,
            "POST /b HTTP/1.1\r\nTransfer-Encoding : xchunked\r\n\r\n0\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a complete [identity_coding] -> 200 "ok" complete
            POST /b "0\r\n\r\n" incomplete [space_before_colon unknown_coding] -> 200 "ok" complete
            closed Finished
            217 bytes: message 212 framing 5
        "#]],
    );
}

#[test]
fn lengths_that_are_none() {
    check(
        &["POST /a HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", OK],
        expect![[r#"
            POST /a "abc" incomplete [bad_length] -> 200 "ok" complete
            closed Finished
            83 bytes: message 83 framing 0
        "#]],
    );
    check(
        &[
            "POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
            OK,
        ],
        expect![[r#"
            POST /a "abc" incomplete [bad_length] -> 200 "ok" complete
            closed Finished
            101 bytes: message 101 framing 0
        "#]],
    );
}

#[test]
fn chunk_sizes_that_are_none() {
    check(
        &[
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nabc",
            OK,
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a incomplete [bad_chunk] -> 200 "ok" complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            169 bytes: message 147 framing 0 malformed 19 resync 3
        "#]],
    );
    check(
        &[
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            OK,
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            POST /a "abc" incomplete [bad_chunk] -> 200 "ok" complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            161 bytes: message 150 framing 3 malformed 3 resync 5
        "#]],
    );
}

#[test]
fn odd_fields() {
    check(
        &[
            "GET /a HTTP/1.1\r\nno colon\r\nX : y\r\nX:\r\nX:y \r\n: z\r\nb@d: 1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a complete [no_colon space_before_colon no_field_name bad_field_name] -> 200 "ok" complete
            closed Finished
            99 bytes: message 99 framing 0
        "#]],
    );
}

#[test]
fn odd_request_lines() {
    check(
        &[
            "GET  /a b\tc  HTTP/1.1\r\n\r\n",
            OK,
            "get /lower HTTP/1.1\r\n\r\n",
            OK,
            "GET /c HTTP/1.0\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a b	c complete [space_in_target control_in_target unusual_start_line] -> 200 "ok" complete
            get /lower complete -> 200 "ok" complete
            GET /c complete -> 200 "ok" complete
            closed Finished
            187 bytes: message 187 framing 0
        "#]],
    );
}

#[test]
fn garbage_after_a_request() {
    check(
        &[
            "GET /a HTTP/1.1\r\n\r\n",
            OK,
            "}}}garbage\r\n\r\n",
            OK,
            "GET /b HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            ? absent -> 200 "ok" complete [pairing_unknown]
            GET /b complete -> 200 "ok" complete
            closed Finished
            172 bytes: message 158 framing 0 malformed 14
        "#]],
    );
}

#[test]
fn garbage_for_a_response() {
    check(
        &[
            "GET /a HTTP/1.1\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n",
            "more",
            "binary",
        ],
        expect![[r#"
            GET /a complete -> ? incomplete [malformed_status_line]
            ? incomplete -> ? absent
            closed Finished
            46 bytes: message 19 framing 0 malformed 17 resync 6 unfinished_head 4
        "#]],
    );
}

#[test]
fn response_line_without_a_reason() {
    check(
        &[
            "GET /a HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        ],
        expect![[r#"
            GET /a complete -> 200 complete
            closed Finished
            54 bytes: message 54 framing 0
        "#]],
    );
}

#[test]
fn other_protocols() {
    check(
        &["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", "\0\0\u{12}\u{4}"],
        expect![[r#"
            closed Finished
            30 bytes: message 0 framing 24 unfinished_head 6
        "#]],
    );
    check(
        &["\u{16}\u{3}\u{1}\u{2}", "\u{16}\u{3}\u{3}"],
        expect![[r#"
            opaque Client "\u{16}\u{3}\u{1}\u{2}"
            opaque Server "\u{16}\u{3}\u{3}"
            closed Finished
            7 bytes: message 0 framing 0 opaque 7
        "#]],
    );
    check(
        &["*1\r\n$4\r\nPING\r\n", "+PONG\r\n"],
        expect![[r#"
            PING complete -> Done "PONG" complete
            closed Finished
            21 bytes: message 21 framing 0
        "#]],
    );
    check(
        &[
            "USER me\r\n",
            "331 Password\r\n",
            "PASS you\r\n",
            "230 In\r\n",
        ],
        expect![[r#"
            opaque Client "USER me\r\n"
            opaque Server "331 Password\r\n"
            opaque Client "PASS you\r\n"
            opaque Server "230 In\r\n"
            closed Finished
            41 bytes: message 0 framing 0 opaque 41
        "#]],
    );
}

#[test]
fn behind_another_handshake() {
    check(
        &[
            "\u{5}\u{1}\0",
            "\u{5}\0",
            "\u{5}\u{1}\0\u{1}",
            "\u{5}\0\0\u{1}",
            "GET /a HTTP/1.1\r\n\r\n",
            OK,
        ],
        expect![[r#"
            opaque Client "\u{5}\u{1}\0"
            opaque Server "\u{5}\0"
            opaque Client "\u{5}\u{1}\0\u{1}"
            opaque Server "\u{5}\0\0\u{1}"
            GET /a complete -> 200 "ok" complete
            closed Finished
            72 bytes: message 59 framing 0 opaque 13
        "#]],
    );
}

#[test]
fn head_beyond_the_limit() {
    let long = format!("GET /a HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(300));
    let talk = Talk::new()
        .handshake()
        .ask(&long)
        .answer(OK)
        .ask("GET /b HTTP/1.1\r\n\r\n")
        .answer(OK)
        .close();
    let limits = Limits {
        max_head_bytes: 200,
        ..Limits::default()
    };
    expect![[r#"
        ? incomplete -> 200 "ok" complete
        GET /b complete -> 200 "ok" complete
        closed Finished
        423 bytes: message 99 framing 0 head_too_large 324
    "#]]
    .assert_eq(&run(talk.segments(), limits));
}
