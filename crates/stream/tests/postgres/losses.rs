//! What is missing, malformed or too much.

use super::*;
use expect_test::expect;
use twintap_stream::Direction;

#[test]
fn lengths_that_can_not_be() {
    check(
        &[
            &[startup()],
            &[welcome()],
            &[b"Q\0\0\0\x01select".to_vec()],
            &[error("FATAL", "08P01", "invalid message length")],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Q incomplete [bad_length] -> Error 08P01 "invalid message length" complete
            closed Finished
            147 bytes: message 136 framing 0 malformed 5 resync 6
        "#]],
    );
    check(
        &[
            &[startup()],
            &[welcome()],
            &[query("select 1")],
            &[columns(&["a"]), b"Z\0\0\0\x09I".to_vec()],
            &[query("select 2")],
            &[columns(&["b"]), done("SELECT 0"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Query "select 1" complete -> Rows a incomplete [bad_length]
            Query "select 2" complete -> Rows "SELECT 0" b complete [pairing_uncertain]
            closed Finished
            193 bytes: message 187 framing 0 malformed 5 resync 1
        "#]],
    );
}

#[test]
fn a_gap_in_rows() {
    let rows = [row(&["1"]), row(&["2"]), row(&["3"])].concat();
    let talk = Talk::new()
        .handshake()
        .ask(startup())
        .answer(welcome())
        .ask(query("select a from t"))
        .answer(columns(&["a"]))
        .unseen(Direction::Server, &rows)
        .answer([row(&["4"]), done("SELECT 4"), ready('I')].concat())
        .ask(query("select 2"))
        .answer([done("SELECT 0"), ready('I')].concat());
    expect![[r#"
        Startup "user" "ann" "database" "shop" complete -> Done complete
        gap Server 80+36
        Query "select a from t" complete -> Rows "SELECT 4" a rows=1 incomplete
        Query "select 2" complete -> Done "SELECT 0" complete
        closed Finished
        199 bytes: message 199 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn a_whole_answer_lost() {
    let answer = [done("SELECT 0"), ready('I')].concat();
    let talk = Talk::new()
        .handshake()
        .ask(startup())
        .answer(welcome())
        .ask(query("select 1"))
        .unseen(Direction::Server, &answer)
        .ask(query("select 2"))
        .answer([columns(&["b"]), answer.clone()].concat())
        .ask(query("select 3"))
        .answer([columns(&["c"]), answer].concat());
    expect![[r#"
        Startup "user" "ann" "database" "shop" complete -> Done complete
        gap Server 53+20
        Query "select 1" complete -> ? absent
        Query "select 2" complete -> Rows "SELECT 0" b complete [pairing_uncertain]
        Query "select 3" complete -> Rows "SELECT 0" c complete
        closed Finished
        221 bytes: message 221 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn a_query_lost() {
    let answer = [done("SELECT 0"), ready('I')].concat();
    let talk = Talk::new()
        .handshake()
        .ask(startup())
        .answer(welcome())
        .unseen(Direction::Client, query("select 1"))
        .answer([columns(&["a"]), answer.clone()].concat())
        .ask(query("select 2"))
        .answer([columns(&["b"]), answer].concat());
    expect![[r#"
        Startup "user" "ann" "database" "shop" complete -> Done complete
        gap Client 32+14
        ? absent -> Rows "SELECT 0" a complete
        Query "select 2" complete -> Rows "SELECT 0" b complete
        closed Finished
        193 bytes: message 193 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn answers_of_a_pipeline_lost() {
    let answer = |name| [columns(&[name]), done("SELECT 0"), ready('I')].concat();
    let talk = Talk::new()
        .handshake()
        .ask(startup())
        .answer(welcome())
        .ask([query("select 1"), query("select 2"), query("select 3")].concat())
        .unseen(Direction::Server, answer("a"))
        .answer(answer("b"))
        .answer(answer("c"))
        .ask(query("select 4"))
        .answer(answer("d"));
    expect![[r#"
        Startup "user" "ann" "database" "shop" complete -> Done complete
        gap Server 53+47
        ? absent -> Rows "SELECT 0" b complete
        Query "select 1" complete -> ? absent [reply_unknown]
        Query "select 2" complete -> ? absent [reply_unknown]
        Query "select 3" complete -> ? absent [reply_unknown]
        ? absent -> Rows "SELECT 0" c complete
        Query "select 4" complete -> Rows "SELECT 0" d complete
        closed Finished
        282 bytes: message 282 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn one_side_alone() {
    let talk = Talk::new()
        .handshake()
        .ask(startup())
        .unseen(Direction::Server, welcome())
        .ask(query("select 1"))
        .unseen(Direction::Server, ready('I'))
        .ask(query("select 2"))
        .unseen(Direction::Server, ready('I'));
    expect![[r#"
        gap Server 0+65
        Startup "user" "ann" "database" "shop" complete -> ? absent
        Query "select 1" complete -> ? absent
        Query "select 2" complete -> ? absent
        closed Finished
        60 bytes: message 60 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
    let talk = Talk::new()
        .handshake()
        .unseen(Direction::Client, startup())
        .answer(welcome())
        .unseen(Direction::Client, query("select 1"))
        .answer([columns(&["a"]), done("SELECT 0"), ready('I')].concat());
    expect![[r#"
        gap Client 0+46
        ? absent -> Done complete
        ? absent -> Rows "SELECT 0" a complete
        closed Finished
        100 bytes: message 100 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn from_the_middle() {
    let talk = Talk::new()
        .answer([row(&["1"]), row(&["2"]), done("SELECT 2"), ready('T')].concat())
        .ask([bind("", "s", &[(0, Some(b"x"))]), execute("", 0), bare('S')].concat())
        .answer([bare('2'), done("UPDATE 1"), ready('T')].concat())
        .ask(query("commit"))
        .answer([done("COMMIT"), ready('I')].concat());
    expect![[r#"
        began before
        ? absent -> Rows "SELECT 2" rows=2 complete
        Execute "x" <0 Inside> complete [statement_unknown] -> Done "UPDATE 1" affected=1 complete
        Query "commit" <0 Commit> complete -> Done "COMMIT" complete
        closed Finished
        135 bytes: message 135 framing 0
    "#]]
    .assert_eq(&run(talk.close().segments(), Limits::default()));
}

#[test]
fn too_many_statements_and_values() {
    let limits = Limits {
        max_head_bytes: 600,
        flow_buffer_bytes: 4000,
        ..Limits::default()
    };
    let long = format!("select '{}'", "x".repeat(300));
    let longer = format!("select '{}'", "x".repeat(900));
    check_with(
        limits,
        &[
            &[startup()],
            &[welcome()],
            &[parse("a", &long, &[]), parse("b", &long, &[]), bare('S')],
            &[bare('1'), bare('1'), ready('I')],
            &[bind("", "b", &[]), execute("", 0), bare('S')],
            &[bare('2'), done("SELECT 0"), ready('I')],
            &[query(&longer)],
            &[done("SELECT 0"), ready('I')],
        ],
        expect![[r#"
            Startup "user" "ann" "database" "shop" complete -> Done complete
            Parse #a "select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" complete -> Done complete
            Parse #b "select 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'" complete -> Done complete
            Execute complete [statement_unknown] -> Done "SELECT 0" complete
            Query complete [statement_cut] -> Done "SELECT 0" complete
            closed Finished
            1733 bytes: message 1733 framing 0
        "#]],
    );
}
