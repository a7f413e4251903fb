//! How connections begin, end, and follow each other.

use super::*;

#[test]
fn syn_ack_is_lost() {
    let mut segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    segments.remove(1);
    expect![[r#"
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn syn_is_lost() {
    let mut segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    segments.remove(0);
    expect![[r#"
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn syn_after_the_first_data() {
    let talk = || Talk::new().handshake().ask(GET).answer(OK).close();
    check(
        talk().swap(0, 3),
        expect![[r#"
        began before
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]],
    );
    check(
        talk().swap(0, 2),
        expect![[r#"
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]],
    );
    check(
        talk().swap(1, 4),
        expect![[r#"
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]],
    );
}

#[test]
fn simultaneous_open() {
    check(
        Talk::new()
            .raw(Client, -1, TcpFlags::SYN, "", None)
            .raw(Server, -1, TcpFlags::SYN, "", None)
            .raw(Client, -1, TcpFlags::SYN | TcpFlags::ACK, "", None)
            .raw(Server, -1, TcpFlags::SYN | TcpFlags::ACK, "", None)
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn data_on_the_syn_ack() {
    check(
        Talk::new()
            .raw(Client, -1, TcpFlags::SYN, GET, None)
            .raw(Server, -1, TcpFlags::SYN | TcpFlags::ACK, OK, Some(28))
            .raw(Client, 28, TcpFlags::ACK, "", None)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn data_on_the_syn_is_refused_and_sent_again() {
    check(
        Talk::new()
            .raw(Client, -1, TcpFlags::SYN, GET, None)
            .raw(Server, -1, TcpFlags::SYN | TcpFlags::ACK, "", Some(0))
            .client(0, GET)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            96 bytes: message 68 framing 0 duplicate 28
        "#]],
    );
}

#[test]
fn fin_again_and_data_after_it() {
    let end = GET.len() as i64;
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .fin(Client)
            .fin(Client)
            .client(end, "late")
            .client(end - 3, "\n\r\nlate")
            .answer(OK)
            .fin(Server)
            .fin(Server)
            .client(end + 1, "later"),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            84 bytes: message 68 framing 0 duplicate 3 after_close 5 after_end 8
        "#]],
    );
}

#[test]
fn reset_with_a_text() {
    check(
        Talk::new().handshake().ask(GET).raw(
            Server,
            0,
            TcpFlags::RST | TcpFlags::ACK,
            "go away",
            None,
        ),
        expect![[r#"
            GET /a complete -> ? absent
            closed Reset
            35 bytes: message 28 framing 0 reset_payload 7
        "#]],
    );
}

#[test]
fn same_ends_again_after_a_reset() {
    let mut segments = Talk::new().handshake().ask(GET).rst(Server, 0).segments();
    let again = Talk::at(77_000, 88_000)
        .wait(10)
        .handshake()
        .ask(GET)
        .answer(OK)
        .close();
    segments.extend(again.segments());
    expect![[r#"
        1 GET /a complete -> ? absent
        1 closed Reused
        2 GET /a complete -> 200 "ok" complete
        2 closed Finished
        96 bytes: message 96 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn late_duplicates_of_the_connection_before() {
    let first = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    // The old sequence numbers lie behind the new connection's, far ahead of them, far behind.
    for base in [77_000, 4_290_000_000, 900_000_000] {
        let again = Talk::at(base, base)
            .wait(100)
            .handshake()
            .ask(GET)
            .answer(OK)
            .wait(500)
            // Who gets them says what it has.
            .raw(Server, OK.len() as i64, TcpFlags::ACK, "", None)
            .raw(Client, GET.len() as i64, TcpFlags::ACK, "", None)
            .wait(90_000)
            .ask(GET)
            .answer(OK)
            .close();
        let mut segments = first.clone();
        let mut second = again.segments();
        let mut late = first[3..5].to_vec();
        let now = second[4].time;
        late.iter_mut().for_each(|segment| segment.time = now);
        segments.extend(second.drain(..5));
        segments.extend(late);
        segments.extend(second);
        let text = run_in_time(segments, Limits::default());
        let (events, bytes) = text.split_at(text.find("272 bytes").expect("a sum"));
        expect![[r#"
            1 GET /a complete -> 200 "ok" complete
            1 closed Finished
            2 GET /a complete -> 200 "ok" complete
            2 GET /a complete -> 200 "ok" complete
            2 closed Finished
        "#]]
        .assert_eq(events);
        let cause = match base {
            4_290_000_000 => "unacknowledged 68",
            _ => "before_begin 68",
        };
        assert_eq!(bytes, format!("272 bytes: message 204 framing 0 {cause}\n"));
    }
}

/// Bytes in the window that come from elsewhere: the receiver says that it lacks what is before.
fn with_foreign_bytes() -> Talk {
    let foreign = "GET /foreign HTTP/1.1\r\n\r\n";
    let end = GET.len() as i64;
    let mut talk = Talk::new().handshake().ask(GET).answer(OK).wait(1000);
    let sent = talk.segments().len();
    talk = talk.client(900_000, foreign);
    assert_eq!(talk.segments().len(), sent + 1);
    talk.raw(Server, OK.len() as i64, TcpFlags::ACK, "", Some(end as u64))
}

#[test]
fn bytes_far_ahead_that_nobody_acknowledges() {
    let talk = with_foreign_bytes()
        .wait(90_000)
        .client(GET.len() as i64, GET)
        .raw(
            Server,
            OK.len() as i64,
            TcpFlags::ACK,
            OK,
            Some(2 * GET.len() as u64),
        );
    let fin = TcpFlags::FIN | TcpFlags::ACK;
    let talk = talk
        .raw(Client, 2 * GET.len() as i64, fin, "", None)
        .fin(Server);
    expect![[r#"
        GET /a complete -> 200 "ok" complete
        GET /a complete -> 200 "ok" complete
        closed Finished
        161 bytes: message 136 framing 0 unacknowledged 25
    "#]]
    .assert_eq(&run_in_time(talk.segments(), Limits::default()));
}

#[test]
fn end_before_bytes_that_nobody_acknowledges() {
    let end = GET.len() as i64;
    check(
        with_foreign_bytes()
            .raw(Client, end, TcpFlags::FIN | TcpFlags::ACK, "", None)
            .fin(Server),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            93 bytes: message 68 framing 0 after_end 25
        "#]],
    );
}
