//! Documents of commands of databases.

use bytes::Bytes;
use expect_test::{Expect, expect};
use twintap_scrub::{BodyFate, SnapshotFormat};
use twintap_stream::document::CONTENT_TYPE;
use twintap_stream::{RequestHead, ResponseHead};

use crate::hostile;
use crate::support::{Scrubbed, exchange, request, response, scrub, scrubber, scrubber_of};

/// The head of a command's document: it has no version, as no peer can send it.
fn command(name: &str) -> RequestHead {
    RequestHead {
        version: Bytes::new(),
        ..request(&format!("{name} /"), &[("content-type", CONTENT_TYPE)])
    }
}

/// The head of a reply's document.
fn reply() -> ResponseHead {
    ResponseHead {
        version: Bytes::new(),
        ..response(200, "", &[("content-type", CONTENT_TYPE)])
    }
}

#[test]
fn what_a_peer_calls_a_command_is_json() {
    let head = request("POST /a", &[("content-type", CONTENT_TYPE)]);
    let answer = response(200, "", &[("content-type", CONTENT_TYPE)]);
    let scrubbed = scrub(
        &scrubber(),
        exchange(head, answer),
        br#"{"statement":"ada lovelace lives in berlin"}"#,
        br#"{"error":{"code":"4929123412341234"}}"#,
    );
    for (body, raw) in [
        (&scrubbed.request_body, "lovelace"),
        (&scrubbed.response_body, "4929123412341234"),
    ] {
        let text = String::from_utf8_lossy(body);
        assert!(!text.is_empty() && !text.contains(raw), "{text}");
    }
}

/// The command `name`, with its document and that of its reply.
fn scrubbed(name: &str, asked: &str, answered: &str) -> Scrubbed {
    scrub(
        &scrubber(),
        exchange(command(name), reply()),
        asked.as_bytes(),
        answered.as_bytes(),
    )
}

/// Both documents after scrubbing.
#[track_caller]
fn check(name: &str, asked: &str, answered: &str, expected: Expect) {
    let scrubbed = scrubbed(name, asked, answered);
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let (asked, answered) = (text(&scrubbed.request_body), text(&scrubbed.response_body));
    expected.assert_eq(&format!("{asked}\n{answered}\n"));
    // Leaves stand where their values do.
    for (leaf, value) in scrubbed.request_values() {
        assert!(!value.contains(&b'\''), "{leaf:?}");
    }
}

#[test]
fn literals_of_a_statement_are_values() {
    check(
        "Query",
        r#"{"statement":"SELECT u.name, 'it''s me' FROM users u /* by bob */ WHERE u.email = 'ada@mail.example.org' AND id IN (17, 123456789) AND at > now() - interval '30 days' AND info->>'city' = E'B\\nA' LIMIT 10","transaction":{"index":0,"step":"begin"}}"#,
        r#"{"results":[{"table":"users","columns":["name","count(*)"],"rows":[{"name":"Ada Lovelace","count(*)":"3"}],"tag":"SELECT 1"}]}"#,
        expect![[r#"
            {"statement":"SELECT u.name, 'ci''x gx' FROM users u   WHERE u.email = 'fsr@txjc-ustdlyj-mwy.example.com' AND id IN (50, 661852956) AND at > now() - interval '30 days' AND info->>'city' = E'O\\nL' LIMIT 10","transaction":{"index":0,"step":"begin"}}
            {"results":[{"table":"users","columns":["name","count(*)"],"rows":[{"name":"Cwc Xbhntwmm","count(*)":"3"}],"tag":"SELECT 1"}]}
        "#]],
    );
}

#[test]
fn parameters_have_the_names_of_their_places() {
    let policy = "version: 1\nbase: default\nrules:\n  - at: ['sql.users.email', 'sql.users.nick']\n    do: allow\n";
    let of = |name: &str, asked: &str| {
        let done = scrub(
            &scrubber_of(policy),
            exchange(command(name), reply()),
            asked.as_bytes(),
            b"{}",
        );
        String::from_utf8_lossy(&done.request_body).into_owned()
    };
    let cases = [
        of(
            "Execute",
            r#"{"statement":"INSERT INTO users (id, email, name) VALUES ($1, lower($2), $3)","arguments":[17,"Quiet Words","Ada L"]}"#,
        ),
        of(
            "Execute",
            r#"{"statement":"UPDATE users SET nick = $2 WHERE email = $1","arguments":["Quiet Words","Ada L"]}"#,
        ),
        of(
            "COM_STMT_EXECUTE",
            r#"{"statement":"SELECT `x` FROM users WHERE `email` = ? AND name LIKE ?","prepared":"1","arguments":["Quiet Words","Ada L"]}"#,
        ),
    ];
    expect![[r#"
        {"statement":"INSERT INTO users (id, email, name) VALUES ($1, lower($2), $3)","arguments":[50,"Quiet Words","Yjn Q"]}
        {"statement":"UPDATE users SET nick = $2 WHERE email = $1","arguments":["Quiet Words","Ada L"]}
        {"statement":"SELECT `x` FROM users WHERE `email` = ? AND name LIKE ?","prepared":"1","arguments":["Quiet Words","Yjn Q"]}"#]].assert_eq(&cases.join("\n"));
}

#[test]
fn keys_and_values_of_redis() {
    check(
        "HSET",
        r#"{"arguments":["user:4711:cart","email","ada@mail.example.org","n","12"]}"#,
        r#"{"reply":2}"#,
        expect![[r#"
            {"arguments":["user:3246:cart","email","fsr@txjc-ustdlyj-mwy.example.com","n","12"]}
            {"reply":2}
        "#]],
    );
    check(
        "SET",
        r#"{"arguments":["session:Ada Lovelace","Ada","EX","60"]}"#,
        r#"{"reply":"OK"}"#,
        expect![[r#"
            {"arguments":["session:Cwc Xbhntwmm","Hvi","EX","60"]}
            {"reply":"OK"}
        "#]],
    );
    check(
        "HGETALL",
        r#"{"arguments":["user:4711"]}"#,
        r#"{"reply":{"email":"ada@mail.example.org","Ada Lovelace":"x"}}"#,
        expect![[r#"
            {"arguments":["user:3246"]}
            {"reply":{"email":"fsr@txjc-ustdlyj-mwy.example.com","Cwc Xbhntwmm":"b"}}
        "#]],
    );
}

#[test]
fn secrets_are_replaced_whatever_the_rules_say() {
    let policy = "version: 1\nrules:\n  - at: ['**']\n    do: allow\n";
    let cases = [
        ("AUTH", r#"{"arguments":["ada","Tr0ub4dor"]}"#),
        ("HELLO", r#"{"arguments":["3","AUTH","ada","Tr0ub4dor"]}"#),
        (
            "CONFIG",
            r#"{"arguments":["SET","requirepass","Tr0ub4dor"]}"#,
        ),
        ("ACL", r#"{"arguments":["SETUSER","ada",">Tr0ub4dor"]}"#),
        (
            "Query",
            r#"{"statement":"BEGIN; ALTER USER ada PASSWORD 'Tr0ub4dor'; COMMIT"}"#,
        ),
        (
            "Query",
            r#"{"statement":"ALTER USER ada WITH PASSWORD 'Tr0ub4dor'"}"#,
        ),
        (
            "COM_QUERY",
            r#"{"statement":"SET PASSWORD FOR 'ada' = 'Tr0ub4dor'"}"#,
        ),
        (
            "COM_QUERY",
            r#"{"statement":"create user ada identified by \"Tr0ub4dor\""}"#,
        ),
    ];
    for (name, asked) in cases {
        let head = command(name);
        let answer = reply();
        let done = scrub(
            &scrubber_of(policy),
            exchange(head, answer),
            asked.as_bytes(),
            b"",
        );
        assert_eq!(done.request.body, BodyFate::Scrubbed, "{asked}");
        let stored = String::from_utf8_lossy(&done.request_body).into_owned();
        assert!(!stored.contains("Tr0ub4dor"), "{stored}");
    }
}

#[test]
fn what_cannot_be_read_is_dropped() {
    for statement in ["SELECT 'open", "SELECT U&'x'", "SELECT /* open"] {
        let asked = format!(r#"{{"statement":"{statement}"}}"#);
        let done = scrubbed("Query", &asked, "{}");
        assert_eq!(
            done.request.body,
            BodyFate::Dropped("unparsable".to_owned()),
            "{statement}"
        );
        assert!(done.request_body.is_empty());
    }
    let done = scrubbed(
        "Query",
        r#"{"statement":"SELECT $ 4929123412341234"}"#,
        "{}",
    );
    assert!(!String::from_utf8_lossy(&done.request_body).contains("4929123412341234"));
    let done = scrubbed("Query", r#"{"other":"Ada"}"#, "{}");
    assert!(done.request_body.is_empty());
}

#[test]
fn a_value_has_one_pseudonym_in_commands_traffic_and_snapshots() {
    let email = "ada.lovelace@mail.example.org";
    let new = String::from_utf8(scrubber().pseudonym(email.as_bytes())).expect("text");
    let bodies = [
        (
            "Query",
            format!(r#"{{"statement":"SELECT 1 FROM t WHERE e = '{email}'"}}"#),
            "{}".to_owned(),
        ),
        (
            "Execute",
            format!(r#"{{"statement":"SELECT $1","arguments":["{email}"]}}"#),
            "{}".to_owned(),
        ),
        (
            "GET",
            format!(r#"{{"arguments":["mail:{email}"]}}"#),
            format!(r#"{{"reply":"{email}"}}"#),
        ),
        (
            "Query",
            r#"{"statement":"SELECT 1"}"#.to_owned(),
            format!(r#"{{"results":[{{"rows":[{{"e":"{email}"}}]}}]}}"#),
        ),
    ];
    for (name, asked, answered) in bodies {
        let done = scrubbed(name, &asked, &answered);
        let stored = [done.request_body, done.response_body].concat();
        let stored = String::from_utf8(stored).expect("text");
        let expected = format!("{asked}{answered}").replace(email, &new);
        assert_eq!(stored, expected);
    }
    let dump = format!("INSERT INTO t (e) VALUES ('{email}');\n");
    let out = hostile::in_pieces(
        &scrubber(),
        SnapshotFormat::Postgres,
        dump.as_bytes(),
        dump.len(),
    );
    let out = out.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(String::from_utf8_lossy(&out), dump.replace(email, &new));
}

#[test]
fn any_statement_keeps_its_texts_to_itself() {
    let raw = "Zebediah Q. Xylophone";
    let statements = [
        format!("SELECT '{raw}'"),
        format!("SELECT * FROM t WHERE a LIKE '%{raw}%' OR b = $${raw}$$"),
        format!("INSERT INTO t VALUES ('x', '{raw}') ON CONFLICT DO NOTHING"),
        format!("-- {raw}\nSELECT 1"),
        format!("/*! {raw} */ SELECT 1"),
        format!("/*!999999 {raw} */ SELECT 1"),
        format!("CALL p('{raw}', E'\\t{raw}')"),
        format!("COPY t FROM '{raw}'"),
        format!("CREATE TABLE t (a text DEFAULT '{raw}')"),
    ];
    for statement in statements {
        let asked = serde_json::json!({ "statement": statement }).to_string();
        for name in ["Query", "COM_QUERY"] {
            let stored = scrubbed(name, &asked, "{}").stored();
            let stored = String::from_utf8_lossy(&stored);
            // To MySQL these are names: what it reads in a comment, and between dollars.
            let has_names = statement.starts_with("/*! ") || statement.contains("$$");
            let is_named = name == "COM_QUERY" && has_names;
            assert!(is_named || !stored.contains("Xylophone"), "{stored}");
        }
    }
}
