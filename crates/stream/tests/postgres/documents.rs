//! What is stored of commands and replies.

use super::*;
use crate::common::{Tap, made, render_documents};
use expect_test::expect;
use twintap_stream::Timestamp;
use twintap_stream::document::DocumentLimits;

/// A conversation in turns, the client first.
#[track_caller]
fn documents(turns: &[&[Vec<u8>]], limits: DocumentLimits, expect: Expect) {
    let mut talk = Talk::new().handshake().ask(startup()).answer(welcome());
    for (index, turn) in turns.iter().enumerate() {
        talk = match index % 2 {
            0 => talk.ask(turn.concat()),
            _ => talk.answer(turn.concat()),
        };
    }
    let mut tap = Tap::new(Limits::default());
    for segment in talk.close().segments() {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    let made = made(&tap.events, limits);
    expect.assert_eq(&render_documents(
        made.get(1..).expect("after the start-up"),
    ));
}

/// Columns with their types, as a statement's description has them.
fn typed(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut content = (columns.len() as u16).to_be_bytes().to_vec();
    for (name, id) in columns {
        content.extend(name.as_bytes());
        content.extend([0; 7]);
        content.extend(id.to_be_bytes());
        content.extend([0; 8]);
    }
    message('T', content)
}

/// A row of values in any form.
fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut content = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| value.len() as i32);
        content.extend(length.to_be_bytes());
        content.extend(value.unwrap_or_default());
    }
    message('D', content)
}

#[test]
fn results_and_errors() {
    documents(
        &[
            &[query("SELECT id, name, name FROM users; DELETE FROM t")],
            &[
                columns(&["id", "name", "name"]),
                values(&[Some(b"1"), Some(b"ann"), None]),
                values(&[Some(b"2"), Some("zoë".as_bytes()), Some(b"\xff\xfe")]),
                done("SELECT 2"),
                done("DELETE 4"),
                ready('I'),
            ],
            &[query("SELECT 1; INSERT INTO users VALUES (1)")],
            &[
                columns(&["?column?"]),
                row(&["1"]),
                done("SELECT 1"),
                error(
                    "ERROR",
                    "23505",
                    "duplicate key value violates unique constraint",
                ),
                ready('I'),
            ],
            &[query("SELECT pg_sleep(9)")],
            &[error("ERROR", "57014", "canceling statement"), ready('I')],
            &[query("")],
            &[bare('I'), ready('I')],
            &[bare('X')],
        ],
        DocumentLimits::default(),
        expect![[r#"
            Query {"statement":"SELECT id, name, name FROM users; DELETE FROM t"}
              200 {"results":[{"columns":["id","name","name#2"],"rows":[{"id":"1","name":"ann","name#2":null},{"id":"2","name":"zoë","name#2":{"base64":"//4="}}],"unordered":true,"tag":"SELECT 2"},{"tag":"DELETE 4","affected":4}]}
            Query {"statement":"SELECT 1; INSERT INTO users VALUES (1)"}
              400 {"results":[{"table":"users","columns":["?column?"],"rows":[{"?column?":"1"}],"unordered":true,"tag":"SELECT 1"}],"error":{"code":"23505","message":"duplicate key value violates unique constraint"}}
            Query {"statement":"SELECT pg_sleep(9)"}
              500 {"error":{"code":"57014","message":"canceling statement"}}
            Query {"statement":""}
              200 {"results":[{}]}
            Terminate {}
              204 -
        "#]],
    );
}

#[test]
fn prepared_before_with_binary_values() {
    let mut bound = b"\0s1\0\0\0\0\x01\0\0\0\x02hi".to_vec();
    // All values in binary form
    bound.extend([0, 1, 0, 1]);
    let types = [
        ("id", 23),
        ("ok", 16),
        ("at", 1184),
        ("price", 1700),
        ("key", 2950),
        ("day", 1082),
        ("raw", 600),
    ];
    documents(
        &[
            &[
                parse("s1", "SELECT id, ok FROM t WHERE a = $1", &[25]),
                describe("Ss1"),
                bare('S'),
            ],
            &[bare('1'), super::types(&[25]), typed(&types), ready('I')],
            &[message('B', bound), execute("", 0), bare('S')],
            &[
                bare('2'),
                values(&[
                    Some(&[0, 0, 1, 0]),
                    Some(&[1]),
                    Some(&[0, 0, 0, 0, 0, 0x0f, 0x42, 0x40]),
                    // -1234.5
                    Some(&[0, 2, 0, 0, 0x40, 0, 0, 1, 0x04, 0xd2, 0x13, 0x88]),
                    Some(&[0xab; 16]),
                    Some(&[0xff, 0xff, 0xff, 0xff]),
                    Some(&[0, 0xff, 1]),
                ]),
                done("SELECT 1"),
                ready('I'),
            ],
        ],
        DocumentLimits::default(),
        expect![[r#"
            Parse {"statement":"SELECT id, ok FROM t WHERE a = $1","prepared":"s1"}
              200 {"results":[]}
            Execute {"statement":"SELECT id, ok FROM t WHERE a = $1","prepared":"s1","arguments":["hi"]}
              200 {"results":[{"table":"t","columns":["id","ok","at","price","key","day","raw"],"rows":[{"id":"256","ok":"t","at":"2000-01-01 00:00:01+00","price":"-1234.5","key":"abababab-abab-abab-abab-abababababab","day":"1999-12-31","raw":{"base64":"AP8B"}}],"unordered":true,"tag":"SELECT 1"}]}
        "#]],
    );
}

#[test]
fn what_is_large_is_cut() {
    let rows: Vec<Vec<u8>> = (0..5).map(|id| row(&[&format!("value {id}")])).collect();
    let answer = [columns(&["v"]), rows.concat(), done("SELECT 5"), ready('I')];
    for (bytes, rows) in [(1000, 3), (60, 100)] {
        documents(
            &[&[query("TABLE t")], &answer],
            DocumentLimits { bytes, rows },
            match rows {
                3 => expect![[r#"
                    Query {"statement":"TABLE t"}
                      200 {"results":[{"columns":["v"],"rows":[{"v":"value 0"},{"v":"value 1"},{"v":"value 2"}],"unordered":true}],"cut":true}
                "#]],
                _ => expect![[r#"
                    Query {"statement":"TABLE t"}
                      200 {"results":[{"columns":["v"],"rows":[{"v":"value 0"}],"unordered":true}],"cut":true}
                "#]],
            },
        );
    }
}

#[test]
fn copies() {
    documents(
        &[
            &[query("COPY t TO STDOUT")],
            &[
                message('H', b"\0\0\x01\0\0"),
                message('d', "1\tann\n"),
                message('d', "2\tbob\n"),
                bare('c'),
                done("COPY 2"),
                ready('I'),
            ],
        ],
        DocumentLimits::default(),
        expect![[r#"
            Query {"statement":"COPY t TO STDOUT"}
              200 {"results":[{"copy":["1\tann\n","2\tbob\n"],"tag":"COPY 2","affected":2}]}
        "#]],
    );
}
