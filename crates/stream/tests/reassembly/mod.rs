//! One test for each shape in which segments can come.

mod begin_and_end;
mod one_side;
mod order;

use crate::common::{MS, Talk, Tap, render, run, run_in_time};
use expect_test::{Expect, expect};
use twintap_stream::Direction::{Client, Server};
use twintap_stream::{Endpoints, FlowId, Limits, Segment, Source, TcpFlags, Timestamp};

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
            GET /b complete -> 200 "ok" complete [paired_by_acknowledgement]
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
            ? absent -> 201 "x" complete [pairing_unknown]
            GET /b complete -> 200 "ok" complete [paired_by_acknowledgement]
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

#[test]
fn contained_overlap() {
    check(
        Talk::new()
            .handshake()
            .client(0, GET)
            .client(5, &GET[5..15])
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            78 bytes: message 68 framing 0 duplicate 10
        "#]],
    );
}

#[test]
fn overlap_in_front() {
    check(
        Talk::new()
            .handshake()
            .client(0, &GET[..12])
            .client(5, &GET[5..])
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            75 bytes: message 68 framing 0 duplicate 7
        "#]],
    );
}

#[test]
fn overlap_that_covers_held_pieces() {
    check(
        Talk::new()
            .handshake()
            .client(4, &GET[4..8])
            .client(12, &GET[12..16])
            .client(0, GET)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            76 bytes: message 68 framing 0 duplicate 8
        "#]],
    );
}

#[test]
fn overlap_that_touches_held_pieces_on_both_sides() {
    check(
        Talk::new()
            .handshake()
            .client(4, &GET[4..8])
            .client(12, &GET[12..])
            .client(6, &GET[6..14])
            .client(0, &GET[..4])
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            72 bytes: message 68 framing 0 duplicate 4
        "#]],
    );
}

#[test]
fn first_of_two_conflicting_overlaps_wins() {
    let talk = Talk::new()
        .handshake()
        .client(5, "first HTTP/1.1\r\n\r\n")
        .client(5, "other HTTP/1.1\r\n\r\n")
        .client(0, "GET /")
        .answer(OK)
        .close();
    let mut tap = Tap::new(Limits::default());
    talk.segments()
        .into_iter()
        .for_each(|segment| tap.segment(segment));
    assert_eq!(tap.streams.counts().conflicting_overlaps, 1);
    check(
        talk,
        expect![[r#"
        GET /first complete -> 200 "ok" complete
        closed Finished
        81 bytes: message 63 framing 0 duplicate 18
    "#]],
    );
}

#[test]
fn sequence_numbers_wrap() {
    let mut talk = Talk::at(u32::MAX - 10, u32::MAX - 3).handshake();
    for _ in 0..3 {
        talk = talk.ask(GET).answer(OK);
    }
    check(
        talk.close(),
        expect![[r#"
        GET /a complete -> 200 "ok" complete
        GET /a complete -> 200 "ok" complete
        GET /a complete -> 200 "ok" complete
        closed Finished
        204 bytes: message 204 framing 0
    "#]],
    );
}

#[test]
fn keep_alive_probes() {
    check(
        Talk::new()
            .handshake()
            .raw(Client, -1, TcpFlags::ACK, "\0", None)
            .ask(GET)
            .answer(OK)
            .raw(Client, GET.len() as i64 - 1, TcpFlags::ACK, "\0", None)
            .raw(Client, GET.len() as i64 - 1, TcpFlags::ACK, "", None)
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /a complete -> 200 "ok" complete
            closed Finished
            138 bytes: message 136 framing 0 duplicate 2
        "#]],
    );
}

#[test]
fn half_close_by_the_client() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .fin(Client)
            .answer("HTTP/1.0 200 OK\r\n\r\nuntil ")
            .answer("the end")
            .fin(Server),
        expect![[r#"
            GET /a complete -> 200 "until the end" complete
            closed Finished
            60 bytes: message 60 framing 0
        "#]],
    );
}

#[test]
fn half_close_by_the_server() {
    check(
        Talk::new()
            .handshake()
            .ask("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
            .answer("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            .fin(Server)
            .ask("def")
            .fin(Client),
        expect![[r#"
            POST / "abcdef" complete -> 413 complete
            closed Finished
            82 bytes: message 82 framing 0
        "#]],
    );
}

#[test]
fn simultaneous_close() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer(OK)
            .fin(Server)
            .fin(Client)
            .fin(Server)
            .fin(Client),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn fin_before_the_last_data() {
    let length = OK.len() as i64;
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .server(0, &OK[..20])
            .raw(Server, length, TcpFlags::FIN | TcpFlags::ACK, "", None)
            .server(20, &OK[20..])
            .fin(Client),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn data_after_a_forged_fin() {
    check(
        Talk::new()
            .handshake()
            .raw(Client, 500, TcpFlags::FIN | TcpFlags::ACK, "", None)
            .client(0, GET)
            .client(GET.len() as i64, format!("{GET:}{}", "x".repeat(600)))
            .answer(OK)
            .answer(OK),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            GET /a complete -> 200 "ok" complete
            closed CaptureEnded
            736 bytes: message 136 framing 0 malformed 600
        "#]],
    );
}

#[test]
fn reset_ends_the_flow() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer("HTTP/1.0 200 OK\r\n\r\nuntil ")
            .rst(Server, 25),
        expect![[r#"
            GET /a complete -> 200 "until " incomplete
            closed Reset
            53 bytes: message 53 framing 0
        "#]],
    );
}

#[test]
fn reset_outside_the_window() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .rst(Server, 400_000)
            .rst(Client, -900)
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
fn forged_reset_inside_the_window() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .rst(Server, 0)
            .wait(500)
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
fn data_under_way_when_the_server_resets() {
    check(
        Talk::new()
            .handshake()
            .ask("POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
            .answer("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            .rst(Server, 38)
            .ask("def"),
        expect![[r#"
            POST / "abcdef" complete -> 413 complete
            closed Reset
            82 bytes: message 82 framing 0
        "#]],
    );
}

#[test]
fn same_ends_again() {
    let mut segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    let again = Talk::at(77_000, 88_000)
        .wait(5000)
        .handshake()
        .ask(GET)
        .answer(OK)
        .close();
    segments.extend(again.segments());
    expect![[r#"
        1 GET /a complete -> 200 "ok" complete
        1 closed Finished
        2 GET /a complete -> 200 "ok" complete
        2 closed Finished
        136 bytes: message 136 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn same_ends_again_without_an_end_of_the_first() {
    let mut segments = Talk::new().handshake().ask(GET).answer(OK).segments();
    let again = Talk::at(77_000, 88_000)
        .wait(5000)
        .handshake()
        .ask(GET)
        .answer(OK);
    segments.extend(again.segments());
    expect![[r#"
        1 GET /a complete -> 200 "ok" complete
        1 closed Reused
        2 GET /a complete -> 200 "ok" complete
        2 closed CaptureEnded
        136 bytes: message 136 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn forged_syn_inside_a_flow() {
    let mut segments = Talk::new().handshake().ask(GET).segments();
    let forged = Talk::at(999, 0)
        .wait(50)
        .raw(Client, -1, TcpFlags::SYN, "", None);
    segments.extend(forged.segments());
    let all = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    segments.extend(all[4..].iter().cloned());
    expect![[r#"
        GET /a complete -> 200 "ok" complete
        closed Finished
        68 bytes: message 68 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn syn_twice_and_syn_ack_with_another_number() {
    check(
        Talk::new()
            .raw(Client, -1, TcpFlags::SYN, "", None)
            .raw(Client, -1, TcpFlags::SYN, "", None)
            .raw(Server, 4000, TcpFlags::SYN | TcpFlags::ACK, "", Some(0))
            .raw(Server, -1, TcpFlags::SYN | TcpFlags::ACK, "", Some(0))
            .raw(Client, 0, TcpFlags::ACK, "", Some(0))
            .client(0, GET)
            .server(0, OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn data_on_the_syn() {
    check(
        Talk::new()
            .raw(Client, -1, TcpFlags::SYN, GET, None)
            .raw(Server, -1, TcpFlags::SYN | TcpFlags::ACK, "", Some(28))
            .raw(Client, 28, TcpFlags::ACK, "", Some(0))
            .server(0, OK)
            .close(),
        expect![[r#"
            GET /a complete -> 200 "ok" complete
            closed Finished
            68 bytes: message 68 framing 0
        "#]],
    );
}

#[test]
fn only_the_client_is_seen() {
    let mut segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    segments.retain(|segment| segment.endpoints.client.port() == 40_000);
    expect![[r#"
        gap Server 0+80
        GET /a complete -> ? absent
        GET /a complete -> ? absent
        closed CaptureEnded
        56 bytes: message 56 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn only_the_server_is_seen() {
    let mut segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer(OK)
        .ask(GET)
        .answer(OK)
        .close()
        .segments();
    segments.retain(|segment| segment.endpoints.client.port() != 40_000);
    expect![[r#"
        gap Client 0+56
        ? absent -> 200 "ok" complete [pairing_unknown]
        ? absent -> 200 "ok" complete [pairing_unknown]
        closed CaptureEnded
        80 bytes: message 80 framing 0
    "#]]
    .assert_eq(&run(segments, Limits::default()));
}

#[test]
fn segment_cut_by_the_capture() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n01234567890123456789")
            .cut(49)
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 49+10
            GET /a complete -> 200 "0123456789" incomplete
            GET /a complete -> 200 "ok" complete
            closed Finished
            145 bytes: message 145 framing 0
        "#]],
    );
}

#[test]
fn tail_lost_and_acknowledged() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n012")
            .unseen(Server, "345678")
            .close(),
        expect![[r#"
            gap Server 41+6
            GET /a complete -> 200 "012" incomplete
            closed Finished
            69 bytes: message 69 framing 0
        "#]],
    );
}

#[test]
fn gap_over_the_end_of_a_message() {
    check(
        Talk::new()
            .handshake()
            .ask("GET /1 HTTP/1.1\r\n\r\n")
            .answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n012")
            .unseen(Server, "345678")
            .ask("GET /2 HTTP/1.1\r\n\r\n")
            .unseen(Server, "HTTP/1.1 200 OK\r\nContent-Len")
            .answer("gth: 7\r\n\r\ngarbage")
            .ask("GET /3 HTTP/1.1\r\n\r\n")
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 41+34
            GET /1 complete -> 200 "012" incomplete
            GET /2 complete -> ? absent
            GET /3 complete -> 200 "ok" complete [paired_by_acknowledgement]
            closed Finished
            155 bytes: message 138 framing 0 resync 17
        "#]],
    );
}

#[test]
fn gap_within_a_head() {
    check(
        Talk::new()
            .handshake()
            .ask("GET /1 HTTP/1.1\r\nHo")
            .unseen(Client, "st: h\r\n")
            .ask("Accept: x\r\n\r\n")
            .answer(OK)
            .ask("GET /2 HTTP/1.1\r\n\r\n")
            .answer(OK)
            .close(),
        expect![[r#"
            gap Client 19+7
            ? incomplete -> 200 "ok" complete
            GET /2 complete -> 200 "ok" complete [paired_by_acknowledgement]
            closed Finished
            131 bytes: message 99 framing 0 gap_in_head 19 resync 13
        "#]],
    );
}

#[test]
fn gap_within_a_chunk() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n012")
            .unseen(Server, "345")
            .answer("6789\r\n0\r\n\r\n")
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 53+3
            GET /a complete -> 200 "0126789" incomplete
            GET /a complete -> 200 "ok" complete
            closed Finished
            160 bytes: message 150 framing 10
        "#]],
    );
}

#[test]
fn gap_over_a_chunk_boundary() {
    check(
        Talk::new()
            .handshake()
            .ask(GET)
            .answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n012")
            .unseen(Server, "3456789\r\n5\r\nhe")
            .answer("llo\r\n0\r\n\r\n")
            .ask(GET)
            .answer(OK)
            .close(),
        expect![[r#"
            gap Server 53+14
            GET /a complete -> 200 "012" incomplete
            GET /a complete -> 200 "ok" complete [paired_by_acknowledgement]
            closed Finished
            159 bytes: message 146 framing 3 resync 10
        "#]],
    );
}

#[test]
fn idle_flow() {
    let segments = Talk::new().handshake().ask(GET).segments();
    let mut tap = Tap::new(Limits::default());
    segments
        .into_iter()
        .for_each(|segment| tap.segment(segment));
    let due = tap
        .streams
        .poll_timeout()
        .expect("a flow that can become idle");
    tap.timeout(due);
    tap.timeout(Timestamp(2000 * 1000 * MS));
    expect![[r#"
        GET /a complete -> ? absent
        closed Idle
    "#]]
    .assert_eq(&render(&tap.events));
    assert_eq!(tap.streams.poll_timeout(), None);
}

#[test]
fn hole_becomes_a_gap_by_time() {
    let segments = Talk::new()
        .handshake()
        .ask(GET)
        .answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n012")
        .unseen(Server, "345")
        .answer("678")
        .raw(Client, GET.len() as i64, TcpFlags::ACK, "", None)
        .segments();
    let mut tap = Tap::new(Limits::default());
    segments
        .into_iter()
        .for_each(|segment| tap.segment(segment));
    assert!(!render(&tap.events).contains("gap"));
    let due = tap.streams.poll_timeout().expect("a hole");
    tap.timeout(due);
    expect![[r#"
        gap Server 41+3
        GET /a complete -> 200 "012678" incomplete
    "#]]
    .assert_eq(&render(&tap.events));
}

#[test]
fn evicts_the_least_recently_active_flow() {
    let mut tap = Tap::new(Limits {
        max_flows: 2,
        ..Limits::default()
    });
    for port in [1, 2, 1, 3] {
        for mut segment in Talk::new()
            .wait(1000 * port)
            .handshake()
            .ask(&GET[..9])
            .segments()
        {
            let end = match segment.endpoints.client.port() {
                40_000 => &mut segment.endpoints.client,
                _ => &mut segment.endpoints.server,
            };
            end.set_port(port as u16);
            tap.segment(segment);
        }
    }
    assert_eq!(tap.streams.counts().evicted_flows, 1);
    expect![[r#"
        2 closed Evicted
    "#]]
    .assert_eq(&render(&tap.events));
}

#[test]
fn a_flow_holds_no_more_than_its_limit() {
    let limits = Limits {
        flow_buffer_bytes: 10_000,
        ..Limits::default()
    };
    let mut talk = Talk::new().handshake().unseen(Client, "?");
    for _ in 0..50 {
        talk = talk.ask("x".repeat(1000));
    }
    let mut tap = Tap::new(limits);
    for segment in talk.segments() {
        tap.segment(segment);
        assert!(tap.streams.held().1 <= 11_200, "{:?}", tap.streams.held());
    }
    expect![[r#"
        gap Client 0+1
    "#]]
    .assert_eq(&render(&tap.events));
}

#[test]
fn marks_are_held_until_an_exchange_is_over() {
    let segments = Talk::new()
        .handshake()
        .ask(&GET[..9])
        .ask(&GET[9..])
        .answer(&OK[..20])
        .answer(&OK[20..])
        .segments();
    let mut tap = Tap::new(Limits::default());
    let mut held = Vec::new();
    for segment in segments {
        tap.segment(segment);
        let mut marks = Vec::new();
        tap.streams
            .held_marks(&mut |first, last| marks.extend(first..=last));
        held.push(marks);
    }
    let none: Vec<u64> = Vec::new();
    assert_eq!(
        held,
        [
            none.clone(),
            none.clone(),
            none.clone(),
            vec![3],
            vec![3, 4],
            vec![3, 4, 5],
            none
        ]
    );
}

#[test]
fn the_kernel_closes_a_flow() {
    let flow = FlowId(9);
    let direct = |direction, offset, text: &str, ends: Endpoints| Segment {
        time: Timestamp(offset),
        endpoints: ends,
        source: Source::Kernel {
            flow,
            direction,
            offset,
        },
        sequence_number: offset as u32,
        acknowledgement: 0,
        flags: TcpFlags(0),
        payload: bytes::Bytes::copy_from_slice(text.as_bytes()),
        wire_bytes: text.len() as u32,
        mark: 0,
    };
    let ends = Endpoints {
        client: "10.0.0.1:40000".parse().expect("an address"),
        server: "10.0.0.2:8080".parse().expect("an address"),
    };
    let mut tap = Tap::new(Limits::default());
    tap.segment(direct(Client, 0, GET, ends));
    tap.segment(direct(
        Server,
        0,
        "HTTP/1.0 200 OK\r\n\r\nall",
        ends.swapped(),
    ));
    // Three bytes were dropped in the kernel: only the final offset tells.
    tap.streams
        .handle_close(flow, Timestamp(100), Some((28, 25)));
    tap.settle();
    assert!(!render(&tap.events).contains("closed"));
    tap.timeout(Timestamp(100 + Limits::default().linger_ns));
    expect![[r#"
        gap Server 22+3
        GET /a complete -> 200 "all" incomplete
        closed Closed
    "#]]
    .assert_eq(&render(&tap.events));
}

#[test]
fn joined_in_the_middle_by_the_kernel() {
    let base = 1 << 40;
    let ends = Endpoints {
        client: "10.0.0.1:40000".parse().expect("an address"),
        server: "10.0.0.2:8080".parse().expect("an address"),
    };
    let mut tap = Tap::new(Limits::default());
    for (direction, offset, text) in [
        (Server, base, "rest of a body"),
        (Client, base, GET),
        (Server, base + 14, OK),
    ] {
        tap.segment(Segment {
            time: Timestamp(1),
            endpoints: if direction == Client {
                ends
            } else {
                ends.swapped()
            },
            source: Source::Kernel {
                flow: FlowId(1),
                direction,
                offset,
            },
            sequence_number: offset as u32,
            acknowledgement: if direction == Client {
                base as u32 + 14
            } else {
                base as u32 + 19
            },
            flags: TcpFlags(TcpFlags::ACK),
            payload: bytes::Bytes::copy_from_slice(text.as_bytes()),
            wire_bytes: text.len() as u32,
            mark: 0,
        });
    }
    tap.finish(Timestamp(2));
    expect![[r#"
        began before
        GET /a complete -> 200 "ok" complete
        closed CaptureEnded
    "#]]
    .assert_eq(&render(&tap.events));
}

#[test]
fn a_gap_settles_where_a_direction_begins() {
    check(
        Talk::new()
            .raw(Server, 0, TcpFlags::ACK, "other\r\n", Some(0))
            .raw(Server, 7, TcpFlags::ACK, "", Some(870))
            .wait(1000)
            .raw(Server, 7, TcpFlags::ACK, "", Some(870))
            .raw(
                Server,
                7,
                TcpFlags::ACK,
                "",
                Some(u64::from(u32::MAX - 400)),
            )
            .client(870, GET)
            .server(7, OK),
        expect![[r#"
            began before
            gap Client 0+870
            GET /a complete -> ? absent [pairing_unknown]
            ? absent -> 200 "ok" complete [pairing_unknown]
            closed CaptureEnded
            75 bytes: message 68 framing 0 opaque 7
        "#]],
    );
}
