//! Logging in, and the text protocol.

use super::build::*;
use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use twintap_stream::{Direction, Limits};

#[track_caller]
fn check(talk: Talk, expect: Expect) {
    let limits = Limits {
        emit_opaque: true,
        ..Limits::default()
    };
    expect.assert_eq(&run(talk.close().segments(), limits));
}

fn results(end: &[u8]) -> Vec<u8> {
    packets(1, &[&[1], &column("a"), &eof(2), b"\x011", b"\x012", end])
}

#[test]
fn login_and_query() {
    let turns = [query("SELECT a FROM t"), results(&eof(2)), command(1, "")];
    check(
        talk(connected(PLAIN), &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete
        COM_QUIT complete -> None complete
        closed Finished
        255 bytes: message 211 framing 44
    "#]],
    );
}

#[test]
fn switch_of_the_method() {
    let start = Talk::new()
        .handshake()
        .answer(greeting(PLAIN))
        .ask(login(PLAIN))
        .answer(packet(
            2,
            b"\xfemysql_native_password\0saltsaltsaltsaltsalt\0",
        ))
        .ask(packet(3, "hashhashhashhashhash"))
        .answer(packet(4, ok(0, 2)));
    check(
        start,
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        closed Finished
        233 bytes: message 213 framing 20
    "#]],
    );
}

#[test]
fn full_authentication() {
    let start = Talk::new()
        .handshake()
        .answer(greeting(PLAIN))
        .ask(login(PLAIN))
        .answer(packet(2, [1, 4]))
        .ask(packet(3, [2]))
        .answer(packet(4, "\u{1}-----BEGIN PUBLIC KEY-----"))
        .ask(packet(5, "encrypted"))
        .answer(packet(6, error(1045, "#28000Access denied")));
    check(
        start,
        expect![[r##"
        Handshake "ann" "shop" complete -> Error 1045 "#28000Access denied" complete
        closed Finished
        231 bytes: message 203 framing 28
    "##]],
    );
}

#[test]
fn tls() {
    let mut request = (PLAIN | SSL).to_le_bytes().to_vec();
    request.extend_from_slice(&[0; 28]);
    let start = Talk::new()
        .handshake()
        .answer(greeting(PLAIN | SSL))
        .ask(packet(1, request))
        .ask("\u{16}\u{3}\u{1}")
        .answer("\u{16}\u{3}\u{3}");
    check(
        start,
        expect![[r#"
        SSLRequest complete -> None complete
        opaque Client "\u{16}\u{3}\u{1}"
        opaque Server "\u{16}\u{3}\u{3}"
        closed Finished
        120 bytes: message 106 framing 8 opaque 6
    "#]],
    );
}

#[test]
fn refused_before_the_greeting() {
    let start = Talk::new()
        .handshake()
        .answer(packet(0, error(1040, "Too many connections")));
    check(
        start,
        expect![[r#"
        ? absent -> Error 1040 "Too many connections" complete
        closed Finished
        27 bytes: message 23 framing 4
    "#]],
    );
}

#[test]
fn behind_a_proxy() {
    let start = Talk::new()
        .handshake()
        .ask("PROXY TCP4 10.0.0.9 10.0.0.2 4000 3306\r\n")
        .answer(greeting(PLAIN))
        .ask(login(PLAIN))
        .answer(packet(2, ok(0, 2)));
    check(
        start,
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        closed Finished
        201 bytes: message 149 framing 52
    "#]],
    );
}

#[test]
fn without_eof() {
    let reply = packets(1, &[&[1], &column("a"), b"\x011", &ok_at_end(2)]);
    let turns = [query("SELECT 1"), reply, query("DO 1"), packet(1, ok(0, 2))];
    check(
        talk(connected(PLAIN | DEPRECATE_EOF), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT 1" complete -> Rows a rows=1 complete
            COM_QUERY "DO 1" complete -> Done affected=0 complete
            closed Finished
            250 bytes: message 210 framing 40
        "#]],
    );
}

#[test]
fn several_results() {
    let reply = packets(
        1,
        &[
            &[1],
            &column("a"),
            &eof(10),
            b"\x011",
            &eof(10),
            &ok(3, 10),
            &[1],
            &column("b"),
            &eof(2),
            b"\x012",
            &eof(2),
        ],
    );
    check(
        talk(connected(PLAIN), &[query("CALL p()"), reply]),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "CALL p()" complete -> Rows b rows=2 affected=3 complete
            closed Finished
            311 bytes: message 251 framing 60
        "#]],
    );
}

#[test]
fn error_among_rows() {
    let reply = packets(
        1,
        &[
            &[1],
            &column("a"),
            &eof(2),
            b"\x011",
            &error(1317, "#70100Query execution was interrupted"),
        ],
    );
    check(
        talk(connected(PLAIN), &[query("SELECT a FROM t"), reply]),
        expect![[r##"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Error 1317 "#70100Query execution was interrupted" a rows=1 complete
            closed Finished
            279 bytes: message 243 framing 36
        "##]],
    );
}

#[test]
fn file_of_the_client() {
    let turns = [
        query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"),
        packet(1, b"\xfbx"),
        packets(2, &[b"1,2\n", b"3,4\n", b""]),
        packet(5, [&ok(2, 2)[..], &text("Records: 2")].concat()),
        query("SELECT 1"),
        results(&eof(2)),
    ];
    check(
        talk(connected(PLAIN), &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_QUERY "LOAD DATA LOCAL INFILE 'x' INTO TABLE t" complete -> Done "Records: 2" affected=2 complete [local_infile]
        COM_QUERY "SELECT 1" complete -> Rows a rows=2 complete
        closed Finished
        335 bytes: message 271 framing 64
    "#]],
    );
}

#[test]
fn session_tracking() {
    let reply = [&ok(1, 0x4002)[..], &text("Changed"), &text("\u{5}state")].concat();
    let turns = [query("UPDATE t SET a = 1"), packet(1, reply)];
    check(
        talk(connected(PLAIN | SESSION_TRACK), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "UPDATE t SET a = 1" complete -> Done "Changed" affected=1 complete
            closed Finished
            210 bytes: message 190 framing 20
        "#]],
    );
}

#[test]
fn attributes() {
    let attributes = b"\x02\x01\0\x01\xfe\0\x02n1\x08\0\x02n2\x02v1\x07\0\0\0\0\0\0\0SELECT 1";
    let turns = [
        command(3, attributes),
        results(&eof(2)),
        command(3, "\0\u{1}DO 1"),
        packet(1, ok(0, 2)),
    ];
    check(
        talk(connected(PLAIN | QUERY_ATTRIBUTES), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT 1" "v1" 7 complete -> Rows a rows=2 complete
            COM_QUERY "DO 1" complete -> Done affected=0 complete
            closed Finished
            290 bytes: message 242 framing 48
        "#]],
    );
}

#[test]
fn other_commands() {
    let turns = [
        command(2, "shop"),
        packet(1, ok(0, 2)),
        command(0x0e, ""),
        packet(1, ok(0, 2)),
        command(9, ""),
        packet(1, "Uptime: 5"),
        command(4, "t\0%"),
        packets(1, &[&column("a"), &column("b"), &eof(2)]),
        command(0x0c, [7, 0, 0, 0]),
        packet(1, error(1094, "#HY000Unknown thread id: 7")),
        command(0x1b, [0, 0]),
        packet(1, eof(2)),
        command(0x0d, ""),
        packet(1, eof(2)),
        command(0x1f, ""),
        packet(1, ok(0, 2)),
        command(0x11, "bob\0\u{4}hashother\0\u{ff}\0"),
        packet(1, ok(0, 2)),
        command(0x77, "?"),
        packet(1, error(1047, "#08S01Unknown command")),
    ];
    check(
        talk(connected(PLAIN), &turns),
        expect![[r##"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_INIT_DB "shop" complete -> Done affected=0 complete
        COM_PING complete -> Done affected=0 complete
        COM_STATISTICS complete -> Value "Uptime: 5" complete
        COM_FIELD_LIST "t" "%" complete -> Rows a,b complete
        COM_PROCESS_KILL 7 complete -> Error 1094 "#HY000Unknown thread id: 7" complete
        COM_SET_OPTION 0 complete -> Done complete
        COM_DEBUG complete -> Done complete
        COM_RESET_CONNECTION complete -> Done affected=0 complete
        COM_CHANGE_USER "bob" "other" complete -> Done affected=0 complete
        COM_0x77 complete [unknown_command] -> Error 1047 "#08S01Unknown command" complete
        closed Finished
        456 bytes: message 356 framing 100
    "##]],
    );
}

#[test]
fn replication_is_a_stream() {
    let turns = [
        command(0x15, "slave"),
        packet(1, ok(0, 2)),
        command(0x12, "\u{4}\0\0\0\0\0\u{1}\0\0\0bin.1"),
        packets(1, &[b"\0event", b"\0event"]),
    ];
    check(
        talk(connected(PLAIN), &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_REGISTER_SLAVE complete -> Done affected=0 complete
        COM_BINLOG_DUMP complete -> Done complete [stream_follows]
        opaque Server "\u{6}\0\0\u{2}\0event"
        closed Finished
        222 bytes: message 184 framing 28 opaque 10
    "#]],
    );
}

#[test]
fn large_packets() {
    let long = format!("SELECT '{}'", "x".repeat(0xff_ffff));
    let mut payload = vec![3];
    payload.extend_from_slice(long.as_bytes());
    let wire = packets(0, &[&payload[..0xff_ffff], &payload[0xff_ffff..]]);
    let limits = Limits {
        max_head_bytes: 200,
        ..Limits::default()
    };
    let mut field = vec![0xfe, 0xf6, 0xff, 0xff, 0, 0, 0, 0, 0];
    field.resize(0xff_ffff, b'x');
    let row = packets(5, &[&field, b""]);
    let reply = [
        packets(2, &[&[1], &column("a"), &eof(2)]),
        row,
        packet(7, eof(2)),
    ]
    .concat();
    let talk = connected(PLAIN).ask(wire).answer(reply);
    expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_QUERY "SELECT 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" complete [statement_cut] -> Rows a rows=1 complete
        closed Finished
        33554674 bytes: message 33554630 framing 44
    "#]].assert_eq(&run(talk.close().segments(), limits));
}

#[test]
fn transactions() {
    let turns = [
        query("BEGIN"),
        packet(1, ok(0, 3)),
        query("INSERT INTO t VALUES (1)"),
        packet(1, ok(1, 3)),
        query("COMMIT"),
        packet(1, ok(0, 2)),
        query("/* x */ start transaction"),
        packet(1, ok(0, 3)),
        query("ROLLBACK TO a"),
        packet(1, ok(0, 3)),
        query("rollback"),
        packet(1, ok(0, 2)),
        query("SET autocommit = 0"),
        packet(1, ok(0, 0)),
        query("UPDATE t SET a = 1"),
        packet(1, ok(1, 1)),
        query("UPDATE t SET a = 2"),
        packet(1, error(1213, "#40001Deadlock found")),
        query("SELECT 1"),
        results(&eof(0)),
        query("UPDATE t SET a = 3"),
        packet(1, ok(1, 1)),
        command(1, ""),
    ];
    check(
        talk(connected(PLAIN), &turns),
        expect![[r##"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_QUERY "BEGIN" <0 Begin> complete -> Done affected=0 complete
        COM_QUERY "INSERT INTO t VALUES (1)" <0 Inside> complete -> Done affected=1 complete
        COM_QUERY "COMMIT" <0 Commit> complete -> Done affected=0 complete
        COM_QUERY "/* x */ start transaction" <1 Begin> complete -> Done affected=0 complete
        COM_QUERY "ROLLBACK TO a" <1 Inside> complete -> Done affected=0 complete
        COM_QUERY "rollback" <1 Rollback> complete -> Done affected=0 complete
        COM_QUERY "SET autocommit = 0" complete -> Done affected=0 complete
        COM_QUERY "UPDATE t SET a = 1" <2 Begin> complete -> Done affected=1 complete
        COM_QUERY "UPDATE t SET a = 2" <2 Rollback> complete -> Error 1213 "#40001Deadlock found" complete
        COM_QUERY "SELECT 1" complete -> Rows a rows=2 complete
        COM_QUERY "UPDATE t SET a = 3" <3 Begin> complete -> Done affected=1 complete
        COM_QUIT <3 Rollback> complete -> None complete
        closed Finished
        577 bytes: message 453 framing 124
    "##]],
    );
}

#[test]
fn in_the_middle() {
    let turns = [
        query("SELECT a FROM t"),
        results(&eof(2)),
        command(0x0e, ""),
        packet(1, ok(0, 2)),
    ];
    check(
        talk(Talk::new(), &turns),
        expect![[r#"
        began before
        COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete [capabilities_unknown]
        COM_PING complete -> Done affected=0 complete [capabilities_unknown]
        closed Finished
        105 bytes: message 69 framing 36
    "#]],
    );
}

#[test]
fn loss_in_a_reply() {
    let reply = results(&eof(2));
    let turns = [query("SELECT a FROM t"), reply[..20].to_vec()];
    let lossy = talk(connected(PLAIN), &turns).unseen(Direction::Server, &reply[20..]);
    let turns = [query("SELECT b FROM t"), results(&eof(2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        gap Server 109+49
        COM_QUERY "SELECT a FROM t" complete -> Rows incomplete
        COM_QUERY "SELECT b FROM t" complete -> Rows a rows=2 complete
        closed Finished
        290 bytes: message 238 framing 52
    "#]],
    );
}

#[test]
fn loss_of_a_whole_reply() {
    let lossy = connected(PLAIN)
        .ask(query("SELECT a FROM t"))
        .unseen(Direction::Server, results(&eof(2)));
    let turns = [query("SELECT b FROM t"), results(&eof(2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            gap Server 89+69
            COM_QUERY "SELECT a FROM t" complete -> ? absent
            COM_QUERY "SELECT b FROM t" complete -> Rows a rows=2 complete
            closed Finished
            270 bytes: message 226 framing 44
        "#]],
    );
}

#[test]
fn loss_of_a_command() {
    let lossy = connected(PLAIN)
        .unseen(Direction::Client, query("SELECT a FROM t"))
        .answer(results(&eof(2)));
    let turns = [query("SELECT b FROM t"), results(&eof(2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        gap Client 72+20
        ? absent -> Rows a rows=2 complete
        COM_QUERY "SELECT b FROM t" complete -> Rows a rows=2 complete
        closed Finished
        319 bytes: message 255 framing 64
    "#]],
    );
}

#[test]
fn hole_within_a_row() {
    let row = [&[200][..], &[b'x'; 200]].concat();
    let reply = packets(1, &[&[1], &column("a"), &eof(2), &row, b"\x012", &eof(2)]);
    let lossy = connected(PLAIN)
        .ask(query("SELECT a FROM t"))
        .answer(&reply[..80])
        .unseen(Direction::Server, &reply[80..100])
        .answer(&reply[100..]);
    let turns = [query("DO 1"), packet(1, ok(0, 2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        gap Server 169+20
        COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 incomplete [gap_in_message]
        COM_QUERY "DO 1" complete -> Done affected=0 complete
        closed Finished
        449 bytes: message 401 framing 48
    "#]],
    );
}

#[test]
fn hole_within_a_statement() {
    let ask = query("INSERT INTO t VALUES ('some text that is lost')");
    let lossy = connected(PLAIN)
        .ask(&ask[..20])
        .unseen(Direction::Client, &ask[20..30])
        .ask(&ask[30..])
        .answer(packet(1, ok(1, 2)));
    let turns = [query("DO 1"), packet(1, ok(0, 2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        gap Client 92+10
        COM_QUERY "INSERT INTO t V" incomplete [gap_in_message statement_cut] -> Done affected=1 complete
        COM_QUERY "DO 1" complete -> Done affected=0 complete
        closed Finished
        234 bytes: message 206 framing 28
    "#]],
    );
}

#[test]
fn hole_over_two_commands() {
    let both = [query("SELECT a FROM t"), query("SELECT b FROM t")].concat();
    let lossy = connected(PLAIN)
        .ask(&both[..10])
        .unseen(Direction::Client, &both[10..30])
        .ask(&both[30..])
        .answer(results(&eof(2)));
    let turns = [query("DO 1"), packet(1, ok(0, 2))];
    check(
        talk(lossy, &turns),
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        gap Client 82+20
        ? incomplete -> Rows a rows=2 complete
        COM_QUERY "DO 1" complete -> Done affected=0 complete
        closed Finished
        270 bytes: message 212 framing 48 resync 10
    "#]],
    );
}

#[test]
fn reply_that_nobody_asked_for() {
    let start =
        connected(PLAIN).answer(packet(0, error(4031, "#HY000The client was disconnected")));
    check(
        start,
        expect![[r##"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        ? absent -> Error 4031 "#HY000The client was disconnected" complete
        closed Finished
        201 bytes: message 185 framing 16
    "##]],
    );
}

#[test]
fn a_reply_comes_first() {
    let start = Talk::new().answer(results(&eof(2)));
    let turns = [query("DO 1"), packet(1, ok(0, 2))];
    check(
        talk(start, &turns),
        expect![[r#"
        began before
        ? absent -> Rows a rows=2 complete [capabilities_unknown]
        COM_QUERY "DO 1" complete -> Done affected=0 complete [capabilities_unknown]
        closed Finished
        89 bytes: message 57 framing 32
    "#]],
    );
}

#[test]
fn a_reply_too_many_before_the_login() {
    // The client's first bytes were none that could be read, so its login is not found.
    let start = Talk::new()
        .handshake()
        .ask([0xff; 20])
        .answer(greeting(PLAIN))
        .answer(packet(2, ok(0, 2)))
        .answer(packet(1, ok(0, 2)));
    check(
        start,
        expect![[r#"
        opaque Client "��������������������"
        ? absent -> Done affected=0 complete [capabilities_unknown]
        ? absent -> Done affected=0 complete
        closed Finished
        120 bytes: message 88 framing 12 opaque 20
    "#]],
    );
}

#[test]
fn a_command_where_the_login_was_not_found() {
    let start = Talk::new()
        .handshake()
        .ask([0xff; 20])
        .answer(greeting(PLAIN))
        .answer(packet(2, ok(0, 2)))
        .ask(query("SELECT 1"))
        .answer(packet(1, ok(0, 2)));
    check(
        start,
        expect![[r#"
        opaque Client "��������������������"
        ? absent -> Done affected=0 complete
        COM_QUERY "SELECT 1" complete -> Done affected=0 complete [capabilities_unknown]
        closed Finished
        133 bytes: message 97 framing 16 opaque 20
    "#]],
    );
}

#[test]
fn compression_begins_though_the_login_seems_to_go_on() {
    const MORE_RESULTS: u16 = 8;
    let outcome = packet(2, ok(0, 2 | MORE_RESULTS));
    let start = Talk::new()
        .handshake()
        .answer(greeting(PLAIN | COMPRESS))
        .ask(login(PLAIN | COMPRESS))
        .answer([&outcome[..], b"\x05\0\0"].concat());
    check(
        start,
        expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 incomplete
        closed Finished
        164 bytes: message 149 framing 12 unfinished_head 3
    "#]],
    );
}
