//! Prepared statements.

use super::build::*;
use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use twintap_stream::Limits;

#[track_caller]
fn check(capabilities: u32, turns: &[Vec<u8>], expect: Expect) {
    let talk = talk(connected(capabilities), turns).close();
    expect.assert_eq(&run(talk.segments(), Limits::default()));
}

/// The reply to a preparation: statement 1 with so many parameters and columns.
fn prepared(parameters: u8, columns: u8, with_eof: bool) -> Vec<u8> {
    let head = [0, 1, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
    let mut payloads = vec![head.to_vec()];
    for (count, name) in [(parameters, "?"), (columns, "a")] {
        payloads.extend((0..count).map(|_| column(name)));
        if count > 0 && with_eof {
            payloads.push(eof(2));
        }
    }
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    packets(1, &payloads)
}

/// An execution of statement 1, from the null bitmap on.
fn execute(rest: &[u8]) -> Vec<u8> {
    command(0x17, [b"\x01\0\0\0\0\x01\0\0\0", rest].concat())
}

fn rows() -> Vec<u8> {
    packets(1, &[&[1], &column("a"), &eof(2), b"\0\0\x011", &eof(2)])
}

const ASK: &str = "SELECT a FROM t WHERE a = ?";

#[test]
fn prepare_execute_close() {
    check(
        PLAIN,
        &[
            command(0x16, ASK),
            prepared(1, 1, true),
            execute(b"\0\x01\xfd\0\x02hi"),
            rows(),
            // The types hold on.
            execute(b"\0\0\x02ho"),
            rows(),
            command(0x1a, [1, 0, 0, 0]),
            packet(1, ok(0, 2)),
            [command(0x19, [1, 0, 0, 0]), query("DO 1")].concat(),
            packet(1, ok(0, 2)),
            execute(b"\0\x01\xfd\0\x02hi"),
            packet(1, error(1243, "#HY000Unknown prepared statement")),
        ],
        expect![[r##"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" "hi" complete -> Rows a rows=1 complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" "ho" complete -> Rows a rows=1 complete
            COM_STMT_RESET #1 "SELECT a FROM t WHERE a = ?" complete -> Done affected=0 complete
            COM_STMT_CLOSE #1 "SELECT a FROM t WHERE a = ?" complete -> None complete
            COM_QUERY "DO 1" complete -> Done affected=0 complete
            COM_STMT_EXECUTE #1 complete [statement_unknown parameters_unreadable] -> Error 1243 "#HY000Unknown prepared statement" complete
            closed Finished
            574 bytes: message 462 framing 112
        "##]],
    );
}

#[test]
fn without_eof() {
    check(
        PLAIN | DEPRECATE_EOF,
        &[
            command(0x16, ASK),
            prepared(1, 1, false),
            execute(b"\x01\x01\x06\0"),
            packets(1, &[&[1], &column("a"), b"\0\0\x011", &ok_at_end(2)]),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" null complete -> Rows a rows=1 complete
            closed Finished
            353 bytes: message 305 framing 48
        "#]],
    );
}

#[test]
fn parameters_of_all_types() {
    let types = [
        1u8, 1, 2, 3, 8, 4, 5, 6, 7, 10, 12, 11, 11, 253, 252, 246, 13,
    ];
    let mut rest = vec![0, 0, 0, 1];
    for (index, code) in types.iter().enumerate() {
        rest.extend_from_slice(&[*code, if index == 1 { 0x80 } else { 0 }]);
    }
    rest.extend_from_slice(&[0xff, 0xff, 0xfe, 0xff]);
    rest.extend_from_slice(&(-3i32).to_le_bytes());
    rest.extend_from_slice(&i64::MIN.to_le_bytes());
    rest.extend_from_slice(&1.5f32.to_le_bytes());
    rest.extend_from_slice(&(-0.25f64).to_le_bytes());
    rest.extend_from_slice(b"\x0b\xe8\x07\x02\x1d\x0c\x22\x38\x40\xe2\x01\0");
    rest.extend_from_slice(b"\x04\xe8\x07\x02\x1d");
    rest.extend_from_slice(b"\x07\xe8\x07\x02\x1d\x0c\x22\x38");
    rest.extend_from_slice(b"\x08\x01\x02\0\0\0\x0c\x22\x38");
    rest.extend_from_slice(b"\0");
    rest.extend_from_slice(b"\x02hi\x02\0\xff\x044.50\xe8\x07");
    check(
        PLAIN,
        &[
            command(0x16, "INSERT"),
            prepared(types.len() as u8, 0, true),
            execute(&rest),
            packet(1, ok(1, 2)),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "INSERT" complete -> Done complete
            COM_STMT_EXECUTE #1 "INSERT" -1 255 -2 -3 -9223372036854775808 1.5 -0.25 null "2024-02-29 12:34:56.123456" "2024-02-29" "2024-02-29 12:34:56" "-2 12:34:56" "00:00:00" "hi" b"\0\xff" "4.50" 2024 complete -> Done affected=1 complete
            closed Finished
            914 bytes: message 814 framing 100
        "#]],
    );
}

#[test]
fn values_sent_ahead() {
    check(
        PLAIN,
        &[
            command(0x16, ASK),
            prepared(1, 1, true),
            [
                command(0x18, b"\x01\0\0\0\0\0long "),
                command(0x18, b"\x01\0\0\0\0\0data"),
                execute(b"\0\x01\xfd\0"),
            ]
            .concat(),
            rows(),
            execute(b"\0\0\x02ho"),
            rows(),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_SEND_LONG_DATA #1 "SELECT a FROM t WHERE a = ?" 0 b"long " complete -> None complete
            COM_STMT_SEND_LONG_DATA #1 "SELECT a FROM t WHERE a = ?" 0 b"data" complete -> None complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" "long data" complete -> Rows a rows=1 complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" "ho" complete -> Rows a rows=1 complete
            closed Finished
            493 bytes: message 401 framing 92
        "#]],
    );
}

#[test]
fn cursor() {
    check(
        PLAIN,
        &[
            command(0x16, ASK),
            prepared(0, 1, true),
            command(0x17, b"\x01\0\0\0\x01\x01\0\0\0"),
            packets(1, &[&[1], &column("a"), &eof(0x42)]),
            command(0x1c, b"\x01\0\0\0\x02\0\0\0"),
            packets(1, &[b"\0\0\x011", b"\0\0\x012", &eof(0x42)]),
            command(0x1c, b"\x01\0\0\0\x02\0\0\0"),
            packets(1, &[&eof(0x82)]),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" complete -> Rows a complete
            COM_STMT_FETCH #1 "SELECT a FROM t WHERE a = ?" 2 complete -> Rows rows=2 complete
            COM_STMT_FETCH #1 "SELECT a FROM t WHERE a = ?" 2 complete -> Rows complete
            closed Finished
            374 bytes: message 306 framing 68
        "#]],
    );
}

#[test]
fn attributes_of_an_execution() {
    let rest = b"\x01\0\0\0\x08\x01\0\0\0\x02\0\x01\xfd\0\0\xfd\0\x04name\x02hi\x02v1";
    check(
        PLAIN | QUERY_ATTRIBUTES,
        &[
            command(0x16, ASK),
            prepared(1, 1, true),
            command(0x17, rest),
            rows(),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_EXECUTE #1 "SELECT a FROM t WHERE a = ?" "hi" "v1" complete -> Rows a rows=1 complete
            closed Finished
            393 bytes: message 333 framing 60
        "#]],
    );
}

#[test]
fn the_last_one_by_minus_one() {
    check(
        PLAIN,
        &[
            [
                command(0x16, ASK),
                command(0x17, b"\xff\xff\xff\xff\0\x01\0\0\0\0\x01\xfd\0\x02hi"),
            ]
            .concat(),
            [prepared(1, 1, true), rows()].concat(),
        ],
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete
            COM_STMT_EXECUTE #4294967295 "SELECT a FROM t WHERE a = ?" complete [parameters_unreadable] -> Rows a rows=1 complete
            closed Finished
            381 bytes: message 321 framing 60
        "#]],
    );
}

#[test]
fn prepared_before_the_capture() {
    let turns = [
        execute(b"\0\x01\xfd\0\x02hi"),
        packet(1, ok(1, 2)),
        // Whether EOF comes is not known until the next command does.
        command(0x16, ASK),
        prepared(1, 0, false),
        query("DO 1"),
        packet(1, ok(1, 2)),
        command(0x16, ASK),
        prepared(1, 1, false),
    ];
    let talk = talk(Talk::new(), &turns).close();
    expect![[r#"
        began before
        COM_STMT_EXECUTE #1 complete [statement_unknown parameters_unreadable] -> Done affected=1 complete [capabilities_unknown]
        COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done complete [capabilities_unknown]
        COM_QUERY "DO 1" complete -> Done affected=1 complete [capabilities_unknown]
        COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ?" complete -> Done a complete [capabilities_unknown]
        closed Finished
        250 bytes: message 206 framing 44
    "#]].assert_eq(&run(talk.segments(), Limits::default()));
}

#[test]
fn forgotten_for_room() {
    let limits = Limits {
        max_head_bytes: 256,
        ..Limits::default()
    };
    let long = format!("{ASK} OR a = '{}'", "x".repeat(100));
    let second = {
        let mut reply = prepared(0, 1, true);
        reply[5] = 2;
        reply
    };
    let turns = [
        command(0x16, &long),
        prepared(0, 1, true),
        command(0x16, &long),
        second,
        execute(b""),
        rows(),
    ];
    let talk = talk(connected(PLAIN), &turns).close();
    expect![[r#"
        Handshake "ann" "shop" complete -> Done affected=0 complete
        COM_STMT_PREPARE #1 "SELECT a FROM t WHERE a = ? OR a = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" complete -> Done a complete
        COM_STMT_PREPARE #2 "SELECT a FROM t WHERE a = ? OR a = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" complete -> Done a complete
        COM_STMT_EXECUTE #1 complete [statement_unknown parameters_unreadable] -> Rows a rows=1 complete
        closed Finished
        642 bytes: message 574 framing 68
    "#]].assert_eq(&run(talk.segments(), limits));
}
