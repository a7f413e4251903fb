//! What is stored of commands and replies.

use super::build::*;
use crate::common::{Tap, made, render_documents};
use expect_test::{Expect, expect};
use twintap_stream::document::DocumentLimits;
use twintap_stream::{Limits, Timestamp};

#[track_caller]
fn documents(capabilities: u32, turns: &[Vec<u8>], expect: Expect) {
    let mut tap = Tap::new(Limits::default());
    for segment in talk(connected(capabilities), turns).close().segments() {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    let made = made(&tap.events, DocumentLimits::default());
    expect.assert_eq(&render_documents(made.get(1..).expect("after the login")));
}

/// A column of this type.
fn typed(name: &str, kind: u8, flags: u8) -> Vec<u8> {
    let mut bytes = column(name);
    let at = bytes.len() - 6;
    bytes[at] = kind;
    bytes[at + 1] = flags;
    bytes
}

#[test]
fn results_and_errors() {
    documents(
        PLAIN,
        &[
            query("SELECT a, b, b FROM t"),
            packets(
                1,
                &[
                    &[3],
                    &column("a"),
                    &column("b"),
                    &column("b"),
                    &eof(2),
                    b"\x011\x03ann\xfb",
                    b"\x012\x02\xff\xfe\x00",
                    &eof(2),
                ],
            ),
            query("INSERT INTO t VALUES (1)"),
            packet(1, [0, 1, 7, 2, 0, 0, 0]),
            query("INSERT INTO t VALUES (1)"),
            packet(
                1,
                error(1062, "#23000Duplicate entry '1' for key 't.PRIMARY'"),
            ),
            query("UPDATE t SET a = 2"),
            packet(1, error(1213, "#40001Deadlock found")),
            query("CALL p()"),
            packets(
                1,
                &[&[1], &column("a"), &eof(10), b"\x011", &eof(10), &ok(2, 2)],
            ),
            command(9, ""),
            packet(1, "Uptime: 5"),
            command(1, ""),
        ],
        expect![[r#"
            COM_QUERY {"statement":"SELECT a, b, b FROM t"}
              200 {"results":[{"table":"t","columns":["a","b","b#2"],"rows":[{"a":"1","b":"ann","b#2":null},{"a":"2","b":{"base64":"//4="},"b#2":""}],"unordered":true}]}
            COM_QUERY {"statement":"INSERT INTO t VALUES (1)"}
              200 {"results":[{"table":"t","affected":1,"last_insert_id":7}]}
            COM_QUERY {"statement":"INSERT INTO t VALUES (1)"}
              400 {"error":{"code":"1062","state":"23000","message":"Duplicate entry '1' for key 't.PRIMARY'"}}
            COM_QUERY {"statement":"UPDATE t SET a = 2"}
              500 {"error":{"code":"1213","state":"40001","message":"Deadlock found"}}
            COM_QUERY {"statement":"CALL p()"}
              200 {"results":[{"columns":["a"],"rows":[{"a":"1"}]},{"affected":2}]}
            COM_STATISTICS {}
              200 {"text":"Uptime: 5"}
            COM_QUIT {}
              204 -
        "#]],
    );
}

#[test]
fn prepared_statements() {
    let prepared = packets(
        1,
        &[
            &[0, 1, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0],
            &column("?"),
            &typed("id", 3, 0),
            &typed("at", 12, 0),
        ],
    );
    let rows = packets(
        1,
        &[
            &[3],
            &typed("id", 3, 0),
            &typed("at", 12, 0),
            &typed("n", 1, 0x20),
            b"\0\0\xff\xff\xff\xff\x07\xe8\x07\x02\x1d\x0a\x0b\x0c\xff",
            b"\0\x08\x05\0\0\0\x07",
            &ok_at_end(2),
        ],
    );
    documents(
        PLAIN | DEPRECATE_EOF,
        &[
            command(0x16, "SELECT id, at, n FROM t WHERE a = ?"),
            prepared,
            command(0x17, b"\x01\0\0\0\0\x01\0\0\0\0\x01\xfd\0\x02hi"),
            rows,
        ],
        expect![[r#"
            COM_STMT_PREPARE {"statement":"SELECT id, at, n FROM t WHERE a = ?","prepared":"1"}
              200 {"results":[{"table":"t","columns":["id","at"],"rows":[],"unordered":true,"parameters":1}]}
            COM_STMT_EXECUTE {"statement":"SELECT id, at, n FROM t WHERE a = ?","prepared":"1","arguments":["hi"]}
              200 {"results":[{"table":"t","columns":["id","at","n"],"rows":[{"id":"-1","at":"2024-02-29 10:11:12","n":"255"},{"id":"5","at":null,"n":"7"}],"unordered":true}]}
        "#]],
    );
}

#[test]
fn the_text_of_a_value_is_no_name() {
    let rows = packets(1, &[&[1], &column("ann"), &eof(2), b"\x03ann", &eof(2)]);
    documents(
        PLAIN,
        &[
            query("SELECT 'ann'"),
            rows.clone(),
            query("SELECT ann FROM t"),
            rows,
        ],
        expect![[r#"
            COM_QUERY {"statement":"SELECT 'ann'"}
              200 {"results":[{"columns":["column1"],"rows":[{"column1":"ann"}],"unordered":true}]}
            COM_QUERY {"statement":"SELECT ann FROM t"}
              200 {"results":[{"table":"t","columns":["ann"],"rows":[{"ann":"ann"}],"unordered":true}]}
        "#]],
    );
}

#[test]
fn in_compressed_frames() {
    let rows = packets(1, &[&[1], &column("a"), &eof(2), b"\x03ann", &eof(2)]);
    documents(
        PLAIN | COMPRESS,
        &[
            zlib_frame(0, &query("SELECT a FROM t")),
            zlib_frame(1, &rows),
            frame(0, 0, &query("SELECT 1")),
            frame(1, 0, &packet(1, ok(0, 2))),
        ],
        expect![[r#"
            COM_QUERY {"statement":"SELECT a FROM t"}
              200 {"results":[{"table":"t","columns":["a"],"rows":[{"a":"ann"}],"unordered":true}]}
            COM_QUERY {"statement":"SELECT 1"}
              200 {"results":[{"affected":0}]}
        "#]],
    );
}
