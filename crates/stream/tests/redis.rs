//! Commands and replies of Redis.

use crate::common::{Talk, Tap, made, render, render_documents, run};
use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::document::DocumentLimits;
use twintap_stream::{Direction, EventKind, Limits, Timestamp};
use twintap_tests::corpus::{Corpus, replay};

const CLIENT: Direction = Direction::Client;
const SERVER: Direction = Direction::Server;

/// A command as clients write it.
fn command(words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    text
}

/// Each command in its own segment, with what the server says to it.
#[track_caller]
fn check(turns: &[(&str, &str)], expect: Expect) {
    let talk = turns
        .iter()
        .fold(Talk::new().handshake(), |talk, (words, answer)| {
            let talk = match words.is_empty() {
                true => talk,
                false => talk.ask(command(words)),
            };
            match answer.is_empty() {
                true => talk,
                false => talk.answer(answer),
            }
        });
    check_talk(talk.close(), expect);
}

#[track_caller]
fn check_talk(talk: Talk, expect: Expect) {
    let limits = Limits {
        emit_opaque: true,
        ..Limits::default()
    };
    expect.assert_eq(&run(talk.segments(), limits));
}

#[test]
fn replies_of_each_kind() {
    check(
        &[
            ("SET key value", "+OK\r\n"),
            ("get key", "$5\r\nvalue\r\n"),
            ("GET nothing", "$-1\r\n"),
            ("INCR n", ":42\r\n"),
            (
                "INCR key",
                "-ERR value is not an integer or out of range\r\n",
            ),
            ("LRANGE l 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
            ("BLPOP l 1", "*-1\r\n"),
            ("LRANGE none 0 -1", "*0\r\n"),
            ("COMMAND", "*1\r\n*2\r\n*1\r\n:1\r\n*0\r\n"),
        ],
        expect![[r#"
            SET "key" "value" complete -> Done "OK" complete
            GET "key" complete -> Value complete
            GET "nothing" complete -> Value complete
            INCR "n" complete -> Value "42" complete
            INCR "key" complete -> Error ERR "ERR value is not an integer or out of range" complete
            LRANGE "l" "0" "-1" complete -> Rows rows=2 complete
            BLPOP "l" "1" complete -> Value complete
            LRANGE "none" "0" "-1" complete -> Rows complete
            COMMAND complete -> Rows rows=1 complete
            closed Finished
            369 bytes: message 369 framing 0
        "#]],
    );
}

#[test]
fn replies_of_resp3() {
    check(
        &[
            ("HELLO 3 AUTH user pw", "%1\r\n+proto\r\n:3\r\n"),
            ("A.A", "_\r\n"),
            ("A.B", "#t\r\n"),
            ("A.C", ",1.5\r\n"),
            ("A.D", "(3492890328409238509324850943850943825024385\r\n"),
            ("A.E", "!21\r\nSYNTAX invalid syntax\r\n"),
            ("A.F", "=15\r\ntxt:Some string\r\n"),
            ("A.G", "~2\r\n:1\r\n:2\r\n"),
            ("A.H", "%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n_\r\n"),
            (
                "A.I",
                "|1\r\n+ttl\r\n:3600\r\n*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
            ),
            ("A.J", "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n"),
            ("A.K", "*?\r\n:1\r\n%?\r\n+a\r\n:1\r\n.\r\n:3\r\n.\r\n"),
            ("A.L", "%?\r\n+a\r\n:1\r\n.\r\n"),
            ("A.M", "|0\r\n+OK\r\n"),
        ],
        expect![[r#"
            HELLO "3" "AUTH" "user" "pw" complete -> Rows rows=1 complete
            A.A complete -> Value complete
            A.B complete -> Value "t" complete
            A.C complete -> Value "1.5" complete
            A.D complete -> Value "3492890328409238509324850943850943825024385" complete
            A.E complete -> Error SYNTAX "SYNTAX invalid syntax" complete
            A.F complete -> Value complete
            A.G complete -> Rows rows=2 complete
            A.H complete -> Rows rows=2 complete
            A.I complete -> Rows rows=1 complete
            A.J complete -> Value complete
            A.K complete -> Rows rows=3 complete
            A.L complete -> Rows rows=1 complete
            A.M complete -> Done "OK" complete
            closed Finished
            495 bytes: message 495 framing 0
        "#]],
    );
}

#[test]
fn pipelines() {
    let asked = [command("SET a 1"), command("GET a"), command("GET b")].concat();
    check_talk(
        Talk::new()
            .handshake()
            .ask(asked)
            .answer("+OK\r\n$1\r\n1\r\n$-1")
            .answer("\r\n")
            .close(),
        expect![[r#"
            SET "a" "1" complete -> Done "OK" complete
            GET "a" complete -> Value complete
            GET "b" complete -> Value complete
            closed Finished
            84 bytes: message 84 framing 0
        "#]],
    );
}

#[test]
fn commands_by_hand() {
    check_talk(
        Talk::new()
            .handshake()
            .ask("set a \"b \\x41\"\r\n\r\nGET a\n")
            .answer("+OK\r\n$3\r\nb A\r\n")
            .ask("GET \"a\r\n")
            .answer("-ERR Protocol error: unbalanced quotes in request\r\n")
            .close(),
        expect![[r#"
            SET "a" "b A" complete -> Done "OK" complete
            GET "a" complete -> Value complete
            GET "A complete [unbalanced_quotes] -> Error ERR "ERR Protocol error: unbalanced quotes in request" complete
            closed Finished
            97 bytes: message 95 framing 2
        "#]],
    );
}

#[test]
fn what_only_looks_like_commands() {
    for (asked, answered) in [
        ("get a\r\n", "VALUE a 0 1\r\nb\r\nEND\r\n"),
        ("PING\r\n", "PONG\r\n"),
        ("AUTH PLAIN\r\n", "334 \r\n"),
        ("*3\r\n$x\r\n", ":1\r\n"),
    ] {
        let talk = Talk::new().handshake().ask(asked).answer(answered).close();
        let text = run(talk.segments(), Limits::default());
        let bytes = asked.len() + answered.len();
        assert!(text.contains(&format!("opaque {bytes}")), "{text}");
    }
    // The server speaks first.
    let talk = Talk::new()
        .handshake()
        .answer("+OK POP3\r\n")
        .ask("QUIT\r\n");
    let text = run(talk.answer("+OK\r\n").close().segments(), Limits::default());
    assert!(text.contains("opaque 21"), "{text}");
}

#[test]
fn subscriptions() {
    check(
        &[
            (
                "SUBSCRIBE a b",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
            ),
            ("", "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
            (
                "PING",
                "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nho\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n",
            ),
            (
                "UNSUBSCRIBE",
                "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n",
            ),
            (
                "LRANGE l 0 -1",
                "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n",
            ),
        ],
        expect![[r#"
            SUBSCRIBE "a" "b" complete -> Done "subscribe" rows=2 complete
            ? absent -> Push "message" rows=3 complete
            ? absent -> Push "message" rows=3 complete
            PING complete -> Rows rows=2 complete
            UNSUBSCRIBE complete -> Done "unsubscribe" rows=2 complete
            LRANGE "l" "0" "-1" complete -> Rows rows=3 complete
            closed Finished
            349 bytes: message 349 framing 0
        "#]],
    );
}

#[test]
fn pushes_of_resp3_between_replies() {
    check(
        &[
            ("HELLO 3", "%1\r\n+proto\r\n:3\r\n"),
            ("SUBSCRIBE a", ">3\r\n+subscribe\r\n+a\r\n:1\r\n"),
            ("GET k", ">3\r\n+message\r\n+a\r\n+hi\r\n$1\r\nv\r\n"),
            ("", ">2\r\n+invalidate\r\n*1\r\n+k\r\n"),
            ("PUNSUBSCRIBE", ">3\r\n+punsubscribe\r\n_\r\n:1\r\n"),
            ("GET k", "$1\r\nv\r\n"),
        ],
        expect![[r#"
            HELLO "3" complete -> Rows rows=1 complete
            SUBSCRIBE "a" complete -> Done "subscribe" rows=1 complete
            ? absent -> Push "message" rows=3 complete
            GET "k" complete -> Value complete
            ? absent -> Push "invalidate" rows=2 complete
            PUNSUBSCRIBE complete -> Done "punsubscribe" rows=1 complete
            GET "k" complete -> Value complete
            closed Finished
            239 bytes: message 239 framing 0
        "#]],
    );
}

#[test]
fn transactions() {
    check(
        &[
            ("WATCH k", "+OK\r\n"),
            ("MULTI", "+OK\r\n"),
            ("SET k 1", "+QUEUED\r\n"),
            ("INCR x", "+QUEUED\r\n"),
            ("EXEC", "*2\r\n+OK\r\n-WRONGTYPE no number\r\n"),
            ("MULTI", "+OK\r\n"),
            ("EXEC", "*-1\r\n"),
            ("MULTI", "+OK\r\n"),
            ("NO", "-ERR unknown command\r\n"),
            ("EXEC", "-EXECABORT Transaction discarded\r\n"),
            ("MULTI", "+OK\r\n"),
            ("DISCARD", "+OK\r\n"),
            ("MULTI", "-NOAUTH Authentication required.\r\n"),
            ("GET a", "+QUEUED\r\n"),
            ("EXEC", "*1\r\n$1\r\n1\r\n"),
            ("GET a", "$1\r\n1\r\n"),
        ],
        expect![[r#"
            WATCH "k" complete -> Done "OK" complete
            MULTI <0 Begin> complete -> Done "OK" complete
            SET "k" "1" <0 Inside> complete -> Done "QUEUED" complete
            INCR "x" <0 Inside> complete -> Done "QUEUED" complete
            EXEC <0 Commit> complete -> Rows WRONGTYPE "WRONGTYPE no number" rows=2 complete
            MULTI <1 Begin> complete -> Done "OK" complete
            EXEC <1 Rollback> complete -> Value complete
            MULTI <2 Begin> complete -> Done "OK" complete
            NO <2 Inside> complete -> Error ERR "ERR unknown command" complete
            EXEC <2 Rollback> complete -> Error EXECABORT "EXECABORT Transaction discarded" complete
            MULTI <3 Begin> complete -> Done "OK" complete
            DISCARD <3 Rollback> complete -> Done "OK" complete
            MULTI complete -> Error NOAUTH "NOAUTH Authentication required." complete
            GET "a" <5 Inside> complete -> Done "QUEUED" complete
            EXEC <5 Commit> complete -> Rows rows=1 complete
            GET "a" complete -> Value complete
            closed Finished
            471 bytes: message 471 framing 0
        "#]],
    );
}

#[test]
fn replies_that_the_client_does_not_want() {
    let talk = [
        "CLIENT REPLY OFF",
        "SET a 1",
        "CLIENT REPLY ON",
        "GET a",
        "CLIENT REPLY SKIP",
        "GET b",
        "GET c",
    ];
    let asked: String = talk.iter().map(|words| command(words)).collect();
    check_talk(
        Talk::new()
            .handshake()
            .ask(asked)
            .answer("+OK\r\n$1\r\n1\r\n$1\r\nc\r\n")
            .close(),
        expect![[r#"
            CLIENT "REPLY" "OFF" complete -> None absent
            SET "a" "1" complete -> None absent
            CLIENT "REPLY" "ON" complete -> Done "OK" complete
            GET "a" complete -> Value complete
            CLIENT "REPLY" "SKIP" complete -> None absent
            GET "b" complete -> None absent
            GET "c" complete -> Value complete
            closed Finished
            214 bytes: message 214 framing 0
        "#]],
    );
}

#[test]
fn monitor() {
    check(
        &[
            (
                "MONITOR",
                "+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n+13",
            ),
            ("PING", "39518083.2 [0 a] \"x\"\r\n+PONG\r\n"),
            ("RESET", "+RESET\r\n"),
        ],
        expect![[r#"
            MONITOR complete -> Done "OK" complete
            ? absent -> Push "1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"" complete
            ? absent -> Push "1339518083.2 [0 a] \"x\"" complete
            PING complete -> Done "PONG" complete
            RESET complete -> Done "RESET" complete
            closed Finished
            142 bytes: message 142 framing 0
        "#]],
    );
}

#[test]
fn replication() {
    check(
        &[
            ("PING", "+PONG\r\n"),
            ("PSYNC ? -1", "+FULLRESYNC abc 0\r\n"),
            ("", "$9\r\nREDIS0011"),
            ("REPLCONF ACK 0", "*1\r\n$4\r\nPING\r\n"),
        ],
        expect![[r#"
            PING complete -> Done "PONG" complete
            PSYNC "?" "-1" complete -> Done "FULLRESYNC abc 0" complete
            opaque Server "$9\r\nREDIS0011"
            opaque Client "*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n"
            opaque Server "*1\r\n$4\r\nPING\r\n"
            closed Finished
            131 bytes: message 70 framing 0 opaque 61
        "#]],
    );
    check(
        &[("SYNC", "\n"), ("", "\n$9\r\nREDIS0011")],
        expect![[r#"
        SYNC complete -> ? absent [replication]
        opaque Server "$9\r\nREDIS0011"
        closed Finished
        29 bytes: message 14 framing 2 opaque 13
    "#]],
    );
}

#[test]
fn a_transaction_that_began_before_the_capture() {
    check_talk(
        Talk::new()
            .ask(command("GET a"))
            .answer("+QUEUED\r\n")
            .ask([command("GET b"), command("EXEC"), command("GET c")].concat())
            .answer("+QUEUED\r\n*2\r\n:1\r\n:2\r\n$-1\r\n")
            .close(),
        expect![[r#"
            began before
            GET "a" <0 Inside> complete -> Done "QUEUED" complete
            GET "b" <0 Inside> complete -> Done "QUEUED" complete
            EXEC <0 Commit> complete -> Rows rows=2 complete
            GET "c" complete -> Value complete
            closed Finished
            109 bytes: message 109 framing 0
        "#]],
    );
}

#[test]
fn confirmations_that_do_not_come() {
    check(
        &[
            (
                "SUBSCRIBE a b",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
            ),
            ("PSUBSCRIBE", "-ERR wrong number of arguments\r\n"),
            (
                "UNSUBSCRIBE",
                "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n",
            ),
        ],
        expect![[r#"
            SUBSCRIBE "a" "b" complete -> Done "subscribe" rows=1 incomplete
            PSUBSCRIBE complete -> Error ERR "ERR wrong number of arguments" complete
            UNSUBSCRIBE complete -> Done "unsubscribe" rows=1 complete
            closed Finished
            171 bytes: message 171 framing 0
        "#]],
    );
}

#[test]
fn what_the_server_says_unasked_does_not_pile_up() {
    let talk = Talk::new()
        .handshake()
        .ask(command("PING"))
        .answer("+PONG\r\n")
        .ask("*2\r\n$3\r\nGET\r\n$99999999\r\n")
        .answer("-ERR no\r\n:1\r\n:2\r\n")
        .ask("abc");
    check_talk(
        talk.close(),
        expect![[r#"
        PING complete -> Done "PONG" complete
        ? absent -> Value "1" complete [unpaired]
        ? absent -> Value "2" complete [unpaired]
        ? incomplete -> Error ERR "ERR no" complete
        closed Finished
        65 bytes: message 65 framing 0
    "#]],
    );
}

#[test]
fn commands_that_nobody_answers_are_given_up() {
    let talk = (0..8).fold(Talk::new().handshake(), |talk, number| {
        talk.ask(command(&format!("GET {number}")))
    });
    let limits = Limits {
        flow_buffer_bytes: 4000,
        ..Limits::default()
    };
    let text = run(talk.answer("$1\r\na\r\n").close().segments(), limits);
    expect![[r#"
        GET "0" complete -> ? absent [not_awaited]
        GET "1" complete -> ? absent [not_awaited]
        ? absent -> Value complete [unpaired]
        GET "2" complete -> ? absent
        GET "3" complete -> ? absent
        GET "4" complete -> ? absent
        GET "5" complete -> ? absent
        GET "6" complete -> ? absent
        GET "7" complete -> ? absent
        closed Finished
        167 bytes: message 167 framing 0
    "#]]
    .assert_eq(&text);
}

#[test]
fn what_is_no_resp() {
    check(
        &[
            ("GET a", "hello\r\n"),
            ("GET b", "$1\r\nb\r\n"),
            ("GET c", "$1\r\nlong\r\n"),
            ("GET d", "$1\r\nd\r\n"),
            ("DEEP", &"*1\r\n".repeat(130)),
            ("GET e", "$1\r\ne\r\n"),
        ],
        expect![[r#"
            GET "a" complete -> ? incomplete [malformed]
            GET "b" complete -> Value complete
            GET "c" complete -> ? incomplete [malformed]
            GET "d" complete -> Value complete
            DEEP complete -> ? incomplete [nested_too_deep]
            GET "e" complete -> Value complete
            closed Finished
            672 bytes: message 658 framing 0 resync 14
        "#]],
    );
    check_talk(
        Talk::new()
            .handshake()
            .ask(command("GET a"))
            .answer("$-1\r\n")
            .ask("*1\r\nPING\r\n")
            .answer("-ERR Protocol error: expected '$', got 'P'\r\n")
            .ask(command("GET b"))
            .answer("$-1\r\n")
            .close(),
        expect![[r#"
            GET "a" complete -> Value complete
            ? incomplete [malformed] -> Error ERR "ERR Protocol error: expected '$', got 'P'" complete
            GET "b" complete -> Value complete
            closed Finished
            104 bytes: message 99 framing 0 resync 5
        "#]],
    );
}

#[test]
fn long_values_flow_and_long_arguments_are_cut() {
    let long = "x".repeat(3000);
    let talk = Talk::new()
        .handshake()
        .ask(command(&format!("SET k {long} EX 10")))
        .answer("+OK\r\n")
        .ask(command("GET k"))
        .answer(format!("${}\r\n{long}", long.len()))
        .answer("\r\n")
        .close();
    let limits = Limits {
        max_head_bytes: 1000,
        ..Limits::default()
    };
    expect![[r#"
        SET "k" complete [arguments_cut] -> Done "OK" complete
        GET "k" complete -> Value complete
        closed Finished
        6079 bytes: message 6079 framing 0
    "#]]
    .assert_eq(&run(talk.segments(), limits));
}

#[test]
fn a_flow_that_began_before_the_capture() {
    // Nothing is known of the first replies; commands are found where a segment starts.
    check_talk(
        Talk::new()
            .answer("alue of something\r\n")
            .ask("rest of a command\r\n")
            .ask(command("GET a"))
            .answer("$1\r\na\r\n")
            .ask([command("GET b"), command("GET c")].concat())
            .answer("$1\r\nb\r\n$1\r\nc\r\n")
            .close(),
        expect![[r#"
            began before
            opaque Server "alue of something\r\n"
            opaque Client "rest of a command\r\n"
            GET "a" complete -> Value complete
            GET "b" complete -> Value complete
            GET "c" complete -> Value complete
            closed Finished
            119 bytes: message 81 framing 0 opaque 38
        "#]],
    );
    // Two are open when the capture begins to see replies: which is the first is unknown.
    check_talk(
        Talk::new()
            .ask([command("GET a"), command("GET b")].concat())
            .answer("$1\r\na\r\n$1\r\nb\r\n")
            .ask([command("GET c"), command("GET d")].concat())
            .answer("$1\r\nc\r\n$1\r\nd\r\n")
            .close(),
        expect![[r#"
            began before
            ? absent -> Value complete [unpaired]
            ? absent -> Value complete [unpaired]
            GET "a" complete -> ? absent [reply_lost]
            GET "b" complete -> ? absent [reply_lost]
            GET "c" complete -> Value complete
            GET "d" complete -> Value complete
            closed Finished
            108 bytes: message 108 framing 0
        "#]],
    );
}

#[test]
fn the_client_alone() {
    check_talk(
        Talk::new()
            .handshake()
            .ask(command("GET a"))
            .unseen(SERVER, "$1\r\na\r\n")
            .ask(command("GET b"))
            .unseen(SERVER, "$1\r\nb\r\n")
            .ask(command("GET c"))
            .close(),
        expect![[r#"
            gap Server 0+14
            GET "a" complete -> ? absent
            GET "b" complete -> ? absent
            GET "c" complete -> ? absent
            closed Finished
            60 bytes: message 60 framing 0
        "#]],
    );
}

#[test]
fn a_lost_reply_shifts_nothing() {
    check_talk(
        Talk::new()
            .handshake()
            .ask([command("GET a"), command("GET b"), command("GET c")].concat())
            .unseen(SERVER, "$1\r\na\r\n")
            .answer("$1\r\nb\r\n")
            .answer("$1\r\nc\r\n")
            .ask(command("GET d"))
            .answer("$1\r\nd\r\n")
            .close(),
        expect![[r#"
            gap Server 0+7
            ? absent -> Value complete [unpaired]
            ? absent -> Value complete [unpaired]
            GET "a" complete -> ? absent [reply_lost]
            GET "b" complete -> ? absent [reply_lost]
            GET "c" complete -> ? absent [reply_lost]
            GET "d" complete -> Value complete
            closed Finished
            101 bytes: message 101 framing 0
        "#]],
    );
}

#[test]
fn a_lost_command_shifts_nothing() {
    check_talk(
        Talk::new()
            .handshake()
            .ask(command("GET a"))
            .answer("$1\r\na\r\n")
            .unseen(CLIENT, command("GET b"))
            .ask(command("GET c"))
            .answer("$1\r\nb\r\n")
            .answer("$1\r\nc\r\n")
            .ask(command("GET d"))
            .answer("$1\r\nd\r\n")
            .close(),
        expect![[r#"
            GET "a" complete -> Value complete
            gap Client 20+20
            ? absent -> Value complete [unpaired]
            ? absent -> Value complete [unpaired]
            GET "c" complete -> ? absent [reply_lost]
            GET "d" complete -> Value complete
            closed Finished
            88 bytes: message 88 framing 0
        "#]],
    );
}

#[test]
fn a_gap_within_a_value_costs_that_message() {
    check_talk(
        Talk::new()
            .handshake()
            .ask(command("GET a"))
            .answer("$10\r\n012")
            .unseen(SERVER, "345")
            .answer("6789\r\n")
            .ask(command("GET b"))
            .answer("$1\r\nb\r\n")
            .close(),
        expect![[r#"
            gap Server 8+3
            GET "a" complete -> Value incomplete
            GET "b" complete -> Value complete
            closed Finished
            61 bytes: message 61 framing 0
        "#]],
    );
}

#[test]
fn captures_of_the_corpus() {
    let corpus = match Corpus::find(None) {
        Ok(corpus) => corpus,
        Err(error) => return twintap_tests::skip("captures_of_the_corpus", &error.to_string()),
    };
    let mut text = String::new();
    for name in [
        "zeek/redis/auth.pcap",
        "zeek/redis/pubsub.pcap",
        "zeek/redis/pubsub-resp3.pcap",
        "zeek/redis/reply-off-on.pcap",
        "zeek/redis/reply-off-on-2conn.pcap",
        "zeek/redis/large-requests-responses.pcap",
        "deepflow/redis/redis-debug.pcap",
    ] {
        let replayed = replay(&corpus.capture(name)).expect("the capture is readable");
        text.push_str(&format!("{name}\n"));
        for line in render(&replayed.events).lines() {
            text.extend(line.chars().take(160));
            text.push('\n');
        }
    }
    expect![[r#"
        zeek/redis/auth.pcap
        began before
        AUTH "notauser" "notapassword" complete -> Error WRONGPASS "WRONGPASS invalid username-password pair or user is disabled." complete
        AUTH "default" "defaultpassword" complete -> Done "OK" complete
        AUTH "noone" "password" complete -> Error WRONGPASS "WRONGPASS invalid username-password pair or user is disabled." complete
        closed CaptureEnded
        zeek/redis/pubsub.pcap
        1 began before
        1 SUBSCRIBE "Foo" complete -> Done "subscribe" rows=1 complete
        1 PSUBSCRIBE "F*" complete -> Done "psubscribe" rows=1 complete
        2 PUBLISH "Foo" "Hi there :)" complete -> Value "2" complete
        1 ? absent -> Push "message" rows=3 complete
        1 ? absent -> Push "pmessage" rows=4 complete
        2 closed Finished
        3 PUBLISH "FeeFooFiiFum" "Hello! :)" complete -> Value "1" complete
        1 ? absent -> Push "pmessage" rows=4 complete
        3 closed Finished
        4 SET "sanity_check" "you_are_sane" complete -> Done "OK" complete
        4 closed Finished
        1 RESET complete -> Done "RESET" complete
        1 GET "sanity_check" complete -> Value complete
        1 closed CaptureEnded
        zeek/redis/pubsub-resp3.pcap
        1 HELLO "3" complete -> Rows rows=7 complete
        1 COMMAND "DOCS" complete -> Rows rows=241 complete
        1 SUBSCRIBE "Foo" complete -> Done "subscribe" rows=1 complete
        1 PSUBSCRIBE "F*" complete -> Done "psubscribe" rows=1 complete
        1 SET "random_key" "random_val" complete -> Done "OK" complete
        1 PING complete -> Done "PONG" complete
        2 HELLO "3" complete -> Rows rows=7 complete
        2 COMMAND "DOCS" complete -> Rows rows=241 complete
        2 PUBLISH "Foo" "Hi:)" complete -> Value "2" complete
        1 ? absent -> Push "message" rows=3 complete
        1 ? absent -> Push "pmessage" rows=4 complete
        2 PUBLISH "Foobar" "Hello!" complete -> Value "1" complete
        1 ? absent -> Push "pmessage" rows=4 complete
        1 closed CaptureEnded
        2 closed CaptureEnded
        zeek/redis/reply-off-on.pcap
        PING complete -> Done "PONG" complete
        CLIENT "REPLY" "OFF" complete -> None absent
        PING complete -> None absent
        CLIENT "REPLY" "ON" complete -> Done "OK" complete
        PING complete -> Done "PONG" complete
        CLIENT "REPLY" "SKIP" complete -> None absent
        PING complete -> None absent
        PING complete -> Done "PONG" complete
        closed Finished
        zeek/redis/reply-off-on-2conn.pcap
        1 PING complete -> Done "PONG" complete
        1 CLIENT "REPLY" "OFF" complete -> None absent
        1 PING complete -> None absent
        1 closed Finished
        2 PING complete -> Done "PONG" complete
        2 CLIENT "REPLY" "OFF" complete -> None absent
        2 PING complete -> None absent
        2 closed CaptureEnded
        zeek/redis/large-requests-responses.pcap
        COMMAND "DOCS" complete -> Rows rows=544 complete
        SET "FIVE_HUNDRED_X" "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX
        SET "THOUSAND_X" "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX
        GET "FIVE_HUNDRED_X" complete -> Value complete
        GET "THOUSAND_X" complete -> Value complete
        closed Finished
        deepflow/redis/redis-debug.pcap
        LRANGE "mylist" "0" "299" complete -> Rows rows=300 complete
        closed Finished
    "#]].assert_eq(&text);
}

#[test]
fn other_protocols_are_left_alone() {
    let Ok(corpus) = Corpus::find(None) else {
        return twintap_tests::skip("other_protocols_are_left_alone", "no corpus");
    };
    for path in corpus.files().expect("the corpus was found") {
        let name = corpus.relative(&path);
        let Ok(replayed) = replay(&path) else {
            continue;
        };
        let is_redis = |event: &&twintap_stream::Event| {
            matches!(&event.kind, EventKind::Command(exchange)
                if exchange.protocol == twintap_stream::message::Protocol::Redis)
        };
        let claimed = replayed.events.iter().find(is_redis);
        assert!(
            claimed.is_none() || name.contains("redis"),
            "{name}: {claimed:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same(
        turns in vec((0..COMMANDS.len(), 0..REPLIES.len()), 1..20),
        sizes in vec(1_usize..40, 1..8),
    ) {
        let asked: String = turns.iter().map(|(index, _)| command(COMMANDS[*index])).collect();
        let answered: String = turns.iter().map(|(_, index)| REPLIES[*index]).collect();
        let whole = Talk::new().handshake().ask(&asked).answer(&answered).close();
        let mut split = Talk::new().handshake();
        let mut sizes = sizes.iter().copied().cycle();
        for (direction, text) in [(CLIENT, &asked), (SERVER, &answered)] {
            let mut rest = &text[..];
            while let Some(size) = sizes.next()
                && !rest.is_empty()
            {
                let (part, after) = rest.split_at(size.min(rest.len()));
                split = match direction {
                    Direction::Client => split.ask(part),
                    Direction::Server => split.answer(part),
                };
                rest = after;
            }
        }
        let limits = Limits::default();
        prop_assert_eq!(
            run(split.close().segments(), limits.clone()),
            run(whole.segments(), limits)
        );
    }
}

const COMMANDS: &[&str] = &[
    "GET a",
    "MULTI",
    "EXEC",
    "DISCARD",
    "SUBSCRIBE a b",
    "UNSUBSCRIBE",
    "HELLO 3",
    "MONITOR",
    "CLIENT REPLY SKIP",
    "CLIENT REPLY OFF",
    "CLIENT REPLY ON",
    "RESET",
    "QUIT",
    "PING",
];

const REPLIES: &[&str] = &[
    "+OK\r\n",
    "+QUEUED\r\n",
    "-ERR no\r\n",
    ":5\r\n",
    "$-1\r\n",
    "$5\r\nhello\r\n",
    "*-1\r\n",
    "*2\r\n+a\r\n-B b\r\n",
    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    ">3\r\n+subscribe\r\n+a\r\n:1\r\n",
    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n",
    ">3\r\n+message\r\n+a\r\n+hi\r\n",
    "+1339518083.1 [0 a] \"x\"\r\n",
    "%1\r\n+proto\r\n:3\r\n",
    "|1\r\n+a\r\n+b\r\n:1\r\n",
    "+RESET\r\n",
];

/// What is stored of each command and its reply.
#[track_caller]
fn documents(turns: &[(&str, &str)], expect: Expect) {
    let ask = |talk: Talk, (words, answer): &(&str, &str)| talk.ask(command(words)).answer(answer);
    let talk = turns.iter().fold(Talk::new().handshake(), ask);
    let mut tap = Tap::new(Limits::default());
    for segment in talk.close().segments() {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    let made = made(&tap.events, DocumentLimits::default());
    expect.assert_eq(&render_documents(&made));
}

#[test]
fn documents_of_each_kind() {
    documents(
        &[
            ("SET key value", "+OK\r\n"),
            ("get key", "$5\r\nvalue\r\n"),
            ("GET raw", "$2\r\n\u{7f}\0\r\n"),
            ("GET none", "$-1\r\n"),
            ("INCR n", ":42\r\n"),
            ("LPUSH key 1", "-WRONGTYPE Operation against a key\r\n"),
            ("SET key 1", "-OOM command not allowed\r\n"),
            ("LRANGE l 0 -1", "*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n"),
            ("A.B", "#t\r\n"),
            ("A.C", ",1.5\r\n"),
            ("A.D", ",inf\r\n"),
            ("A.E", "(3492890328409238509324850943850943825024385\r\n"),
            ("A.F", "=15\r\ntxt:Some string\r\n"),
            ("A.G", "~2\r\n:1\r\n:2\r\n"),
            ("A.H", "%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n_\r\n"),
            ("A.I", "%1\r\n:1\r\n+a\r\n"),
            (
                "A.J",
                "|1\r\n+ttl\r\n:3600\r\n*1\r\n|1\r\n+a\r\n+b\r\n:1\r\n",
            ),
            ("A.K", "$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n"),
            ("A.L", "*?\r\n:1\r\n%?\r\n+a\r\n:1\r\n.\r\n:3\r\n.\r\n"),
            ("MULTI", "+OK\r\n"),
            ("INCR key", "+QUEUED\r\n"),
            ("EXEC", "*1\r\n-ERR value is not an integer\r\n"),
            (
                "SUBSCRIBE a b",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n",
            ),
        ],
        expect![[r#"
            SET {"arguments":["key","value"]}
              200 {"reply":"OK"}
            GET {"arguments":["key"]}
              200 {"reply":"value"}
            GET {"arguments":["raw"]}
              200 {"reply":"\u0000"}
            GET {"arguments":["none"]}
              200 {"reply":null}
            INCR {"arguments":["n"]}
              200 {"reply":42}
            LPUSH {"arguments":["key","1"]}
              400 {"error":{"code":"WRONGTYPE","message":"WRONGTYPE Operation against a key"}}
            SET {"arguments":["key","1"]}
              500 {"error":{"code":"OOM","message":"OOM command not allowed"}}
            LRANGE {"arguments":["l","0","-1"]}
              200 {"reply":["a",null,[1]]}
            A.B {}
              200 {"reply":true}
            A.C {}
              200 {"reply":1.5}
            A.D {}
              200 {"reply":"inf"}
            A.E {}
              200 {"reply":"3492890328409238509324850943850943825024385"}
            A.F {}
              200 {"reply":"Some string"}
            A.G {}
              200 {"reply":[1,2]}
            A.H {}
              200 {"reply":{"a":[1],"b":null}}
            A.I {}
              200 {"reply":[[1,"a"]]}
            A.J {}
              200 {"reply":[1]}
            A.K {}
              200 {"reply":"Hello"}
            A.L {}
              200 {"reply":[1,{"a":1},3]}
            MULTI {"transaction":{"index":0,"step":"begin"}}
              200 {"reply":"OK"}
            INCR {"arguments":["key"],"transaction":{"index":0,"step":"inside"}}
              200 {"reply":"QUEUED"}
            EXEC {"transaction":{"index":0,"step":"commit"}}
              200 {"reply":[{"error":"ERR value is not an integer"}]}
            SUBSCRIBE {"arguments":["a","b"]}
              200 {"reply":[["subscribe","a",1],["subscribe","b",2]]}
        "#]],
    );
}
