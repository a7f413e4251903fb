//! Conversations of each shape, whole.

use super::*;
use expect_test::expect;

#[test]
fn start_up_with_scram() {
    check(
        &[
            &[startup()],
            &[message('R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")],
            &[message('p', b"SCRAM-SHA-256\0\0\0\0\x03n,,")],
            &[message('R', b"\0\0\0\x0br=x")],
            &[message('p', "c=biws")],
            &[message('R', b"\0\0\0\x0cv=y"), welcome()],
            &[bare('X')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Terminate complete -> None complete
            closed Finished
            175 bytes: message 175 framing 0
        "#]],
    );
}

#[test]
fn encryption_refused() {
    check(
        &[
            &[untagged(80_877_104, b"")],
            &[b"N".to_vec()],
            &[ssl_request()],
            &[b"N".to_vec()],
            &[startup()],
            &[welcome()],
        ],
        expect![[r#"
            GSSENCRequest complete -> Done "N" complete
            SSLRequest complete -> Done "N" complete
            Startup "user" "ann" "database" "shop" complete -> Done complete
            closed Finished
            103 bytes: message 103 framing 0
        "#]],
    );
}

#[test]
fn encryption_granted() {
    check(
        &[
            &[ssl_request()],
            &[b"S".to_vec()],
            &[b"\x16\x03\x01hello".to_vec()],
            &[b"\x16\x03\x03hello".to_vec()],
        ],
        expect![[r#"
            SSLRequest complete -> Done "S" complete
            opaque Client "\u{16}\u{3}\u{1}hello"
            opaque Server "\u{16}\u{3}\u{3}hello"
            closed Finished
            25 bytes: message 9 framing 0 opaque 16
        "#]],
    );
}

#[test]
fn encryption_answered_by_an_error() {
    check(
        &[
            &[ssl_request()],
            &[error("FATAL", "0A000", "unsupported protocol")],
        ],
        expect![[r#"
            SSLRequest complete -> Error 0A000 "unsupported protocol" complete
            closed Finished
            57 bytes: message 57 framing 0
        "#]],
    );
}

#[test]
fn version_negotiated_and_a_wrong_password() {
    check(
        &[
            &[untagged(0x0003_0002, b"user\0ann\0_pq_.x\x001\0\0")],
            &[
                message('v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0"),
                message('R', b"\0\0\0\x03"),
            ],
            &[message('p', b"secret\0")],
            &[error("FATAL", "28P01", "password authentication failed")],
        ],
        expect![[r#"
            Startup "user" "ann" "_pq_.x" "1" complete -> Error 28P01 "password authentication failed" complete [version_negotiated]
            closed Finished
            127 bytes: message 127 framing 0
        "#]],
    );
}

#[test]
fn cancel() {
    let key: Vec<u8> = [0, 0, 0, 7].into_iter().chain(0..32).collect();
    check(
        &[&[untagged(80_877_102, &key)]],
        expect![[r#"
        CancelRequest 7 complete -> None complete
        closed Finished
        44 bytes: message 44 framing 0
    "#]],
    );
}

#[test]
fn simple_queries() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("select 1 as a, 2 as b")],
            &[
                columns(&["a", "b"]),
                row(&["1", "2"]),
                row(&["3", "4"]),
                done("SELECT 2"),
                ready('I'),
            ],
            &[query("update t set a = 1; delete from t; select a from u")],
            &[
                done("UPDATE 3"),
                done("DELETE 4"),
                columns(&["a"]),
                row(&["x"]),
                done("SELECT 1"),
                ready('I'),
            ],
            &[query("")],
            &[bare('I'), ready('I')],
            &[query("selec")],
            &[
                message('N', "SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
                error("ERROR", "42601", "syntax error"),
                ready('I'),
            ],
            &[query("create table v as select 1")],
            &[done("SELECT 5"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "select 1 as a, 2 as b" complete -> Rows "SELECT 2" a,b rows=2 complete
            Query "update t set a = 1; delete from t; select a from u" complete -> Rows "SELECT 1" a rows=1 affected=7 complete
            Query "" complete -> Done complete
            Query "selec" complete -> Error 42601 "syntax error" complete
            Query "create table v as select 1" complete -> Done "SELECT 5" affected=5 complete
            closed Finished
            519 bytes: message 519 framing 0
        "#]],
    );
}

#[test]
fn transactions() {
    let turn =
        |text: &str, tag: &str, status: char| [vec![query(text)], vec![done(tag), ready(status)]];
    let talk: Vec<Vec<Vec<u8>>> = [
        [vec![startup()], vec![welcome()]],
        turn("begin", "BEGIN", 'T'),
        turn("insert into t values (1)", "INSERT 0 1", 'T'),
        turn("savepoint a", "SAVEPOINT", 'T'),
        [
            vec![query("bad")],
            vec![error("ERROR", "42601", "syntax"), ready('E')],
        ],
        turn("rollback to a", "ROLLBACK", 'T'),
        turn("commit", "COMMIT", 'I'),
        turn("start transaction", "START TRANSACTION", 'T'),
        [
            vec![query("bad")],
            vec![error("ERROR", "42601", "syntax"), ready('E')],
        ],
        turn("commit", "ROLLBACK", 'I'),
        turn("begin", "BEGIN", 'T'),
        [
            vec![query("commit")],
            vec![error("ERROR", "23503", "deferred"), ready('I')],
        ],
        turn("select", "SELECT 0", 'I'),
        turn("begin", "BEGIN", 'T'),
        turn("commit and chain", "COMMIT", 'T'),
        turn("rollback", "ROLLBACK", 'I'),
        [
            vec![query("begin; insert into t values (1); commit")],
            vec![
                done("BEGIN"),
                done("INSERT 0 1"),
                done("COMMIT"),
                ready('I'),
            ],
        ],
    ]
    .concat();
    let turns: Vec<&[Vec<u8>]> = talk.iter().map(|turn| &turn[..]).collect();
    check(
        &turns,
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "begin" <0 Begin> complete -> Done "BEGIN" complete
            Query "insert into t values (1)" <0 Inside> complete -> Done "INSERT 0 1" affected=1 complete
            Query "savepoint a" <0 Inside> complete -> Done "SAVEPOINT" complete
            Query "bad" <0 Inside> complete -> Error 42601 "syntax" complete [transaction_failed]
            Query "rollback to a" <0 Inside> complete -> Done "ROLLBACK" complete
            Query "commit" <0 Commit> complete -> Done "COMMIT" complete
            Query "start transaction" <1 Begin> complete -> Done "START TRANSACTION" complete
            Query "bad" <1 Inside> complete -> Error 42601 "syntax" complete [transaction_failed]
            Query "commit" <1 Rollback> complete -> Done "ROLLBACK" complete
            Query "begin" <2 Begin> complete -> Done "BEGIN" complete
            Query "commit" <2 Rollback> complete -> Error 23503 "deferred" complete [implicit_rollback]
            Query "select" complete -> Done "SELECT 0" complete
            Query "begin" <3 Begin> complete -> Done "BEGIN" complete
            Query "commit and chain" <3 Commit> complete -> Done "COMMIT" complete
            Query "rollback" <4 Rollback> complete -> Done "ROLLBACK" complete
            Query "begin; insert into t values (1); commit" <5 Commit> complete -> Done "COMMIT" affected=1 complete
            closed Finished
            763 bytes: message 763 framing 0
        "#]],
    );
}

#[test]
fn extended_query() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[
                parse("s1", "select a from t where b = $1 and c = $2", &[23, 0]),
                describe("Ss1"),
                bare('S'),
            ],
            &[bare('1'), types(&[23, 701]), columns(&["a"]), ready('I')],
            &[
                bind(
                    "",
                    "s1",
                    &[
                        (1, Some(&7_i32.to_be_bytes())),
                        (1, Some(&1.5_f64.to_be_bytes())),
                    ],
                ),
                execute("", 0),
                bare('S'),
            ],
            &[bare('2'), row(&["x"]), done("SELECT 1"), ready('I')],
            &[
                parse("", "insert into t values ($1, $2, $3)", &[]),
                bind("", "", &[(0, Some(b"text")), (0, None), (1, Some(b"\x01"))]),
                describe("P"),
                execute("", 0),
                bare('S'),
            ],
            &[
                bare('1'),
                bare('2'),
                bare('n'),
                done("INSERT 0 1"),
                ready('I'),
            ],
            &[close("Ss1"), bare('S')],
            &[bare('3'), ready('I')],
            &[bind("", "s1", &[]), execute("", 0), bare('S')],
            &[
                error("ERROR", "26000", "prepared statement \"s1\" does not exist"),
                ready('I'),
            ],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Parse #s1 "select a from t where b = $1 and c = $2" complete -> Rows a complete
            Execute #s1 "select a from t where b = $1 and c = $2" 7 1.5 complete -> Rows "SELECT 1" a rows=1 complete
            Execute "insert into t values ($1, $2, $3)" "text" null b"\x01" complete -> Done "INSERT 0 1" affected=1 complete
            Close #s1 "select a from t where b = $1 and c = $2" complete -> Done complete
            Execute complete [statement_unknown] -> Error 26000 "prepared statement \"s1\" does not exist" complete
            closed Finished
            566 bytes: message 566 framing 0
        "#]],
    );
}

#[test]
fn a_pipeline_with_an_error() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[
                parse("p", "insert into t values ($1)", &[]),
                bind("", "p", &[(0, Some(b"1"))]),
                execute("", 0),
                bind("", "p", &[(0, Some(b"2"))]),
                execute("", 0),
                bind("", "p", &[(0, Some(b"3"))]),
                execute("", 0),
                parse("p", "select 1", &[]),
                bare('S'),
                bind("", "p", &[(0, Some(b"4"))]),
                execute("", 0),
                bare('S'),
            ],
            &[
                bare('1'),
                bare('2'),
                done("INSERT 0 1"),
                bare('2'),
                error("ERROR", "23505", "duplicate key"),
                ready('I'),
                bare('2'),
                done("INSERT 0 1"),
                ready('I'),
            ],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Execute #p "insert into t values ($1)" "1" complete -> Done "INSERT 0 1" affected=1 complete
            Execute #p "insert into t values ($1)" "2" complete -> Error 23505 "duplicate key" complete
            Execute #p "insert into t values ($1)" "3" complete [skipped_after_error] -> None complete
            Parse #p "select 1" complete [skipped_after_error] -> None complete
            Execute #p "select 1" "4" complete -> Done "INSERT 0 1" affected=1 complete
            closed Finished
            378 bytes: message 378 framing 0
        "#]],
    );
}

#[test]
fn an_error_before_the_sync_is_sent() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[parse("", "bad", &[]), describe("S"), bare('H')],
            &[error("ERROR", "42601", "syntax error")],
            &[bind("", "", &[]), execute("", 0), bare('H')],
            &[],
            &[bare('S'), bare('H')],
            &[ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Parse "bad" complete -> Error 42601 "syntax error" complete
            Execute complete [skipped_after_error] -> None complete
            Sync complete -> Done complete
            Flush complete -> None complete
            closed Finished
            194 bytes: message 194 framing 0
        "#]],
    );
}

#[test]
fn portals_in_portions() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("begin")],
            &[done("BEGIN"), ready('T')],
            &[
                parse("", "select a from t", &[]),
                bind("c", "", &[]),
                execute("c", 1),
                bare('H'),
            ],
            &[bare('1'), bare('2'), row(&["1"]), bare('s')],
            &[execute("c", 1), bare('S')],
            &[row(&["2"]), bare('s'), ready('T')],
            &[execute("c", 1), close("Pc"), bare('S')],
            &[done("SELECT 0"), bare('3'), ready('T')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "begin" <0 Begin> complete -> Done "BEGIN" complete
            Execute "select a from t" complete -> Rows rows=1 complete [portal_suspended]
            Execute "select a from t" <0 Inside> complete -> Rows rows=1 complete [portal_suspended]
            Execute "select a from t" <0 Inside> complete -> Done "SELECT 0" complete
            Close <0 Inside> complete -> Done complete
            closed Finished
            282 bytes: message 282 framing 0
        "#]],
    );
}

#[test]
fn copies() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("copy t from stdin")],
            &[message('G', [0, 0, 0])],
            &[message('d', "1\n2\n"), message('d', "3\n"), bare('c')],
            &[done("COPY 3"), ready('I')],
            &[query("copy t to stdout")],
            &[
                message('H', [0, 0, 0]),
                message('d', "1\n"),
                message('d', "2\n"),
                bare('c'),
                done("COPY 2"),
                ready('I'),
            ],
            &[query("copy t from stdin")],
            &[message('G', [0, 0, 0])],
            &[message('d', "1\n"), message('f', "no more\0")],
            &[
                error("ERROR", "57014", "COPY from stdin failed: no more"),
                ready('I'),
            ],
            &[query("copy t from stdin")],
            &[message('G', [0, 0, 0])],
            &[message('d', "bad\n")],
            &[error("ERROR", "22P02", "invalid input"), ready('I')],
            &[message('d', "more\n"), bare('c'), query("select 1")],
            &[columns(&["a"]), row(&["1"]), done("SELECT 1"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "copy t from stdin" complete -> Done "COPY 3" affected=3 complete
            Query "copy t to stdout" complete -> Rows "COPY 2" rows=2 complete
            Query "copy t from stdin" complete -> Error 57014 "COPY from stdin failed: no more" complete
            Query "copy t from stdin" complete -> Error 22P02 "invalid input" complete
            Query "select 1" complete -> Rows "SELECT 1" a rows=1 complete
            closed Finished
            515 bytes: message 515 framing 0
        "#]],
    );
}

#[test]
fn copy_by_the_extended_protocol() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[
                parse("", "copy t from stdin", &[]),
                bind("", "", &[]),
                execute("", 0),
                bare('S'),
            ],
            &[bare('1'), bare('2'), message('G', [0, 0, 0])],
            &[message('d', "1\n"), bare('c'), bare('S')],
            &[done("COPY 1"), ready('I')],
            &[query("select 1")],
            &[done("SELECT 1"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Execute "copy t from stdin" complete -> Done "COPY 1" affected=1 complete
            Query "select 1" complete -> Done "SELECT 1" affected=1 complete
            closed Finished
            226 bytes: message 226 framing 0
        "#]],
    );
}

#[test]
fn replication() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("START_REPLICATION SLOT s LOGICAL 0/0")],
            &[
                message('W', [0, 0, 0]),
                message('d', "w1"),
                message('d', "w2"),
            ],
            &[message('d', "r1")],
            &[message('d', "w3")],
            &[message('d', "r2"), bare('c')],
            &[bare('c'), done("COPY 0"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "START_REPLICATION SLOT s LOGICAL 0/0" complete -> Rows "COPY 0" rows=3 complete
            closed Finished
            198 bytes: message 198 framing 0
        "#]],
    );
}

#[test]
fn what_nobody_asked_for() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("listen a")],
            &[
                done("LISTEN"),
                message('A', b"\0\0\0\x09a\0hello\0"),
                ready('I'),
            ],
            &[],
            &[message('A', b"\0\0\0\x09a\0again\0")],
            &[],
            &[
                message('S', b"TimeZone\0UTC\0"),
                message('N', "SWARNING\0VWARNING\0C01000\0Mcareful\0\0"),
                error("FATAL", "57P01", "terminating connection"),
            ],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            ? absent -> Push "a hello" complete
            Query "listen a" complete -> Done "LISTEN" complete
            ? absent -> Push "a again" complete
            ? absent -> Push "TimeZone=UTC" complete
            ? absent -> Push 01000 "careful" complete
            ? absent -> Error 57P01 "terminating connection" complete
            closed Finished
            260 bytes: message 260 framing 0
        "#]],
    );
}

#[test]
fn function_call_and_unknown_messages() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[message('F', b"\0\0\x04\xd2\0\0\0\0\0\0")],
            &[message('V', b"\0\0\0\x01x"), ready('I')],
            &[message('y', "what")],
            &[
                message('z', "that"),
                error("FATAL", "08P01", "invalid frontend message type 121"),
            ],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            FunctionCall 1234 complete -> Value complete
            y complete [unknown_message] -> Error 08P01 "invalid frontend message type 121" complete [unknown_message]
            closed Finished
            196 bytes: message 196 framing 0
        "#]],
    );
}
