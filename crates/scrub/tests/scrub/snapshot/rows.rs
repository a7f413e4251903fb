//! Formats that are rows and commands: JSON lines, CSV, Redis.

use twintap_scrub::SnapshotFormat;

use super::{check, check_error, check_filler};
use crate::support::scrubber_of;

#[test]
fn json_lines_keep_all_but_values() {
    let check = |input, expected| check_filler(SnapshotFormat::JsonLines, input, expected);
    check("", "");
    check(
        "{ \"a\" : \"ada\\n\" , \"b\":1.50}\r\n\r\n[ \"Eve\" ]",
        "{ \"a\" : \"xxx\\n\" , \"b\":1.50}\r\n\r\n[ \"Xxx\" ]",
    );
}

#[test]
fn json_lines_that_are_none_are_refused() {
    check_error(
        SnapshotFormat::JsonLines,
        "{}\n{\"a\":\n1}\n",
        "line 2, byte 3: this line is no JSON text",
    );
}

#[test]
fn lines_of_json_have_the_paths_of_bodies() {
    let scrubber = scrubber_of(
        "version: 1\nbase: none\nclasses: {text: replace}\nrules:\n- at: [json./name]\n  do: allow\n- at: [json./secret]\n  do: drop_body\n",
    );
    check(
        &scrubber,
        SnapshotFormat::JsonLines,
        "{\"name\":\"Ada L\",\"secret\":\"Ada L\",\"x\":\"Ada L\"}\n",
        "{\"name\":\"Ada L\",\"secret\":\"Xxx X\",\"x\":\"Xxx X\"}\n",
    );
}

#[test]
fn csv_keeps_quotes_and_ends_of_lines() {
    let check = |input, expected| check_filler(SnapshotFormat::Csv, input, expected);
    check("", "");
    check("a,b", "a,b");
    check(
        "\u{feff}\"a\",b\r\n\"x y\",\r\n",
        "\u{feff}\"a\",b\r\n\"x x\",\r\n",
    );
    check(
        "a,b\n\"say \"\"hi\"\", ada\",12\n\n\"two\nlines\",Eva",
        "a,b\n\"xxx \"\"xx\"\", xxx\",12\n\n\"xxx\nxxxxx\",Xxx",
    );
    check("a,b\nada,", "a,b\nxxx,");
    check("a\nada\n\nEve\n", "a\nxxx\n\nXxx\n");
}

#[test]
fn csv_that_is_none_is_refused() {
    let check = |input, expected| check_error(SnapshotFormat::Csv, input, expected);
    check("ada@example.org,x\n", "line 1, byte 0: the first line");
    check("a,4111111111111111\n", "line 1, byte 2: the first line");
    check("a,b\n1,2,3\n", "line 2, byte 8: this row has more values");
    check(
        "a,b\n1\n",
        "line 2, byte 4: a row of 1 values under 2 names",
    );
    check("a,b\n1,\"x\"y\n", "line 2, byte 9: a value goes on");
    check(
        "a,b\n1,\"x\n",
        "line 2, byte 6: what begins here does not end",
    );
}

#[test]
fn csv_columns_have_paths() {
    let scrubber = scrubber_of(
        "version: 1\nbase: none\nclasses: {text: replace}\nrules:\n- at: [csv.name]\n  do: allow\n- names: [user-name]\n  do: allow\n",
    );
    check(
        &scrubber,
        SnapshotFormat::Csv,
        "name,userName,Note\nAda L,Ada L,Ada L\n",
        "name,userName,Note\nAda L,Ada L,Xxx X\n",
    );
}

#[test]
fn redis_keeps_commands_options_and_words_of_keys() {
    let check = |input, expected| check_filler(SnapshotFormat::Redis, input, expected);
    check(
        "SELECT 3\r\n\r\nset session:Ada:cart 'it\\'s' EX 60 NX\r\n",
        "SELECT 3\r\n\r\nset session:Xxx:cart \"xx'x\" EX 60 NX\r\n",
    );
    check(
        "HSET u:1 name \"Ad\\x61\\n\" \"a b\" Eve\nZADD top NX 1.5 Ada 2 Eve\nXADD log 5-1 who Ada\nRPUSH l Ada Eve",
        "HSET u:1 name \"Xxx\\n\" \"x x\" Xxx\nZADD top NX 1.5 Xxx 2 Xxx\nXADD log 5-1 who Xxx\nRPUSH l Xxx Xxx",
    );
    check(
        "*3\r\n$3\r\nSET\r\n$5\r\nu:Ada\r\n$4\r\nE\r\nx\r\n*1\r\n$5\r\nMULTI\r\n",
        "*3\r\n$3\r\nSET\r\n$5\r\nu:Xxx\r\n$4\r\nX\r\nx\r\n*1\r\n$5\r\nMULTI\r\n",
    );
}

#[test]
fn redis_mends_lengths() {
    check_filler(
        SnapshotFormat::Redis,
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\na@b.c\r\nPING\r\n",
        "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$17\r\nx@x-x.example.com\r\nPING\r\n",
    );
}

#[test]
fn redis_commands_that_may_hold_anything_are_refused() {
    let check = |input, expected| check_error(SnapshotFormat::Redis, input, expected);
    check("PING\nEVAL 'x' 0\n", "line 2, byte 5: a command that can't");
    check("AUTH secret\n", "line 1, byte 0: a command that can't");
    check("SET a\n", "line 1, byte 0: a command that lacks");
    check("SET a b 4111\n", "line 1, byte 8: an argument that");
    check("HSET a f\n", "line 1, byte 0: a command that lacks");
    check("SET a \"b\n", "line 1, byte 6: a quote that does not end");
    check("SET a b\"c\"\n", "line 1, byte 6: a quote inside");
    check(
        "*1\r\n$4\r\nPINGS\r\n",
        "line 3, byte 12: no command in RESP",
    );
    check(
        "*2\r\n$4\r\nPING",
        "line 1, byte 0: what begins here does not end",
    );
}
