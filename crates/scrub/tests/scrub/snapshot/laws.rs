//! Laws that hold for all snapshots.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use twintap_scrub::SnapshotFormat::{self, Csv, JsonLines, Mysql, Postgres, Redis};

use crate::hostile;
use crate::support::scrubber_of;

/// Pieces that formats are made of, so that what is put together of them is nearly sound.
const PIECES: &[&str] = &[
    "{\"a\":",
    "\"x\"",
    "}",
    "[",
    "]",
    ",",
    "\n",
    "\r\n",
    "\t",
    " ",
    "'",
    "''",
    "\"",
    "\\",
    "\\.\n",
    "\\N",
    "(",
    ")",
    ";",
    "--",
    "-",
    "/*",
    "*/",
    "/*!40101 ",
    "#",
    "$$",
    "$a$",
    "`t`",
    "1",
    "1.5e3",
    "0x61",
    "E'",
    "NULL",
    "::text",
    "INSERT INTO t (a, b) VALUES ",
    "('x', 1)",
    "CREATE TABLE t (",
    "a int",
    "COPY t (a) FROM stdin;\n",
    "SET ",
    "DELIMITER ",
    ";;",
    "SELECT pg_catalog.setval(",
    "SET k v\n",
    "HSET k f v\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "a,b",
    "ada@example.org",
    "é",
];

/// Texts with what formats give a meaning to, but for bytes as PostgreSQL writes them.
fn text() -> impl Strategy<Value = String> {
    "([a-zA-Z0-9 @.,;:'\"\\\\\t\n\r%$_-]|é|日){0,12}"
        .prop_filter("bytes", |text| !text.starts_with("\\x"))
}

/// Values as a format writes them, with other things between them.
fn written(format: SnapshotFormat, values: &[String]) -> String {
    let rows = values.iter().map(|value| match format {
        JsonLines => format!("{{\"a\" : {}}}\n", serde_json::json!(value)),
        Csv => format!("\"{}\",7\r\n", value.replace('"', "\"\"")),
        Postgres => format!(
            "INSERT INTO s.t (a, b)\n VALUES ('{}', NULL), (E'{}' /* ' */, 7);\n",
            value.replace('\'', "''"),
            backslashed(value)
        ),
        Mysql => format!(
            "INSERT INTO `t` (`a`) VALUES ('{}');# it's\n",
            backslashed(value)
        ),
        Redis => format!(
            "*3\r\n$5\r\nlpush\r\n$1\r\nk\r\n${}\r\n{value}\r\n",
            value.len()
        ),
    });
    let head = match format {
        Csv => "a,b\r\n",
        _ => "",
    };
    head.chars()
        .chain(rows.flat_map(|row| row.chars().collect::<Vec<_>>()))
        .collect()
}

fn backslashed(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('\'', "''");
    value.replace('\n', "\\n").replace('\r', "\\r")
}

/// The rows of a COPY, whose escapes are others.
fn copied(values: &[String]) -> String {
    let field = |value: &String| {
        let value = value.replace('\\', "\\\\").replace('\t', "\\t");
        format!("{}\t\\N\n", value.replace('\n', "\\n").replace('\r', "\\r"))
    };
    let rows: String = values.iter().map(field).collect();
    format!("COPY t (a, b) FROM stdin;\n{rows}\\.\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn any_bytes_are_scrubbed_or_refused(format in 0_u8..5, piece: u8, bytes in vec(any::<u8>(), 0..64)) {
        hostile::snapshot(&[&[format, piece], &*bytes].concat());
    }

    #[test]
    fn nearly_sound_snapshots_are_scrubbed_or_refused(
        format in 0_u8..5,
        piece: u8,
        pieces in vec(select(PIECES), 0..16),
    ) {
        hostile::snapshot(&[&[format, piece], pieces.concat().as_bytes()].concat());
    }

    /// What stands around the values stays byte for byte, and each value is its pseudonym.
    #[test]
    fn values_are_replaced_and_nothing_else(values in vec(text(), 1..6), piece in 1_usize..32) {
        let scrubber = scrubber_of("version: 1\nbase: none\nclasses: {number: allow}\nrules:\n- at: [json./a, csv.a, sql.t.a, redis.value]\n  do: pseudonym\n");
        let made: Vec<String> = values
            .iter()
            .map(|value| String::from_utf8(scrubber.pseudonym(value.as_bytes())).expect("text becomes text"))
            .collect();
        for format in hostile::FORMATS {
            let input = written(format, &values);
            let out = hostile::in_pieces(&scrubber, format, input.as_bytes(), piece);
            let out = out.map_err(|error| TestCaseError::fail(format!("{format:?} {input:?} {error}")))?;
            // The key of Redis' lists is a value of its own, and a word.
            let expected = written(format, &made);
            let expected = match format {
                Redis => {
                    let key = scrubber.pseudonym(b"k");
                    let key = String::from_utf8_lossy(&key);
                    expected.replace("$1\r\nk\r\n$", &format!("$1\r\n{key}\r\n$"))
                }
                _ => expected,
            };
            prop_assert_eq!(String::from_utf8_lossy(&out), expected, "{:?}", format);
        }
        let out = hostile::in_pieces(&scrubber, Postgres, copied(&values).as_bytes(), piece);
        let out = out.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(String::from_utf8_lossy(&out), copied(&made));
    }
}
