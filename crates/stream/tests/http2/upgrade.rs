//! Connections that begin with HTTP/1.

use super::build::{Say::*, *};
use crate::common::Talk;
use expect_test::{Expect, expect};

const ASK: &str = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAQAAAAK\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

#[track_caller]
fn check(says: Vec<Say>, expected: Expect) {
    check_talk(Talk::new().handshake(), says, expected);
}

#[test]
fn the_request_of_http1_is_answered_in_http2() {
    check(
        vec![
            Client(b"GET /before HTTP/1.1\r\nHost: h\r\n\r\n".to_vec()),
            Server(b"HTTP/1.1 204 No\r\n\r\n".to_vec()),
            Client(ASK.into()),
            Server([SWITCH.as_bytes(), &settings(&[])].concat()),
            Client([PREFACE, &settings(&[]), &ask(3, "/b")].concat()),
            Server([answer(3, "b"), answer(1, "a")].concat()),
        ],
        expect![[r#"
            GET /before complete -> 204 complete
            GET /b complete -> 200 "b" complete
            GET /a complete -> 101 200 "a" complete
            closed Finished
            331 bytes: message 244 framing 87
        "#]],
    );
}

#[test]
fn the_settings_of_the_request_hold() {
    // The window is 10.
    check(
        vec![
            Client(ASK.into()),
            Server([SWITCH.as_bytes(), &settings(&[]), &answer(1, "0123456789a")].concat()),
            Client(PREFACE.to_vec()),
        ],
        expect![[r#"
            GET /a complete -> 101 200 "0123456789a" complete [window_exceeded]
            closed Finished
            239 bytes: message 188 framing 51
        "#]],
    );
    check(
        vec![
            Client(ASK.replace("AAQAAAAK", "!").into_bytes()),
            Server([SWITCH.as_bytes(), &answer(1, "a")].concat()),
        ],
        expect![[r#"
            GET /a complete [bad_http2_settings] -> 101 200 "a" complete
            closed Finished
            189 bytes: message 171 framing 18
        "#]],
    );
}

#[test]
fn an_answer_before_the_end_of_the_request() {
    let long = ASK
        .replace("GET /a", "POST /a")
        .replace("Host", "Content-Length: 8\r\nHost");
    check(
        vec![
            Client([long.as_bytes(), b"body"].concat()),
            Server([SWITCH.as_bytes(), &settings(&[]), &answer(1, "a")].concat()),
            Client([b"more", PREFACE, &settings(&[]), &ask(3, "/b")[..]].concat()),
            Server(answer(3, "b")),
        ],
        expect![[r#"
            POST /a "bodymore" complete -> 101 200 "a" complete
            GET /b complete -> 200 "b" complete
            closed Finished
            307 bytes: message 220 framing 87
        "#]],
    );
    check(
        vec![
            Client([long.as_bytes(), b"body"].concat()),
            Server([SWITCH.as_bytes(), &settings(&[]), &answer(1, "a")].concat()),
        ],
        expect![[r#"
            POST /a "body" incomplete -> 101 200 "a" complete
            closed Finished
            229 bytes: message 202 framing 27
        "#]],
    );
}

#[test]
fn an_answer_that_never_comes() {
    check(
        vec![Client(ASK.into()), Server(SWITCH.into())],
        expect![[r#"
            GET /a complete -> 101 ? absent
            closed Finished
            176 bytes: message 176 framing 0
        "#]],
    );
}

#[test]
fn another_protocol() {
    check(
        vec![
            Client(ASK.replace("h2c", "echo").into_bytes()),
            Server(SWITCH.replace("h2c", "echo").into_bytes()),
            Client(b"hello".to_vec()),
        ],
        expect![[r#"
            GET /a complete -> 101 complete
            closed Finished
            183 bytes: message 178 framing 0 opaque 5
        "#]],
    );
}
