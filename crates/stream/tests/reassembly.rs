//! One test for each shape in which segments can come.

use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use twintap_stream::Direction::{Client, Server};
use twintap_stream::{Limits, TcpFlags};

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[track_caller]
fn check(talk: Talk, expect: Expect) {
    expect.assert_eq(&run(talk.segments(), Limits::default()));
}

#[test]
fn in_order() {
    check(
        Talk::new().handshake().ask(GET).answer(OK).close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn two_exchanges_after_one_another() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer(OK)
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /a complete -> 200 "ok" complete
            closed Finished
            136 bytes: message 136 framing 0
        "#]],
    );
}

#[test]
fn retransmitted_segment() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .client(0, GET)
            .answer(OK)
            .server(0, OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            136 bytes: message 68 framing 0 duplicate 68
        "#]],
    );
}

#[test]
fn reordered_segments() {
    check(
        Talk::new()
            .handshake()
            .client(10, &GET[10..])
            .client(0, &GET[..10])
            .server(20, &OK[20..])
            .server(0, &OK[..20])
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn response_before_its_request() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer(OK)
            .swap(3, 4)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn gap_in_a_body() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123456789";
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer(response)
            .unseen(Server, "0123456789")
            .answer("0123456789")
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 49+10
            GET /a complete -> 200 "01234567890123456789" incomplete
            GET /a complete -> 200 "ok" complete
            closed Finished
            155 bytes: message 155 framing 0
        "#]],
    );
}

#[test]
fn lost_response() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .unseen(Server, OK)
            .ask("GET /b HTTP/1.1\r\n\r\n")
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 0+40
            GET /a complete -> ? absent
            GET /b complete -> 200 "ok" complete
            closed Finished
            87 bytes: message 87 framing 0
        "#]],
    );
}

#[test]
fn lost_request() {
    check(
        Talk::new()
            .handshake()
            .unseen(Client, GET)
            .answer("HTTP/1.1 201 Made\r\nContent-Length: 1\r\n\r\nx")
            .ask("GET /b HTTP/1.1\r\n\r\n")
            .answer(OK)
            .close(),
        expect![[r#"
            gap Client 0+28
            ? absent -> 201 "x" complete
            GET /b complete -> 200 "ok" complete
            closed Finished
            100 bytes: message 100 framing 0
        "#]],
    );
}

#[test]
fn starts_in_the_middle() {
    check(
        Talk::new()
            .answer("end of a body")
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            began before
            GET /a complete -> 200 "ok" complete
            closed Finished
            81 bytes: message 68 framing 0 opaque 13
        "#]],
    );
}
