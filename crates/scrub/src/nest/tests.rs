use expect_test::{Expect, expect};

use super::*;

fn base64(text: &str) -> String {
    URL_SAFE.encode(text)
}

fn token(claims: &str) -> String {
    format!("{}.{}.c2ln", base64(r#"{"alg":"HS256"}"#), base64(claims))
}

/// The frame of a message of these bytes.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, message.len() as u8];
    frame.extend_from_slice(message);
    frame
}

#[track_caller]
fn check(path: &str, raw: &[u8], expected: Expect) {
    let mut found = String::new();
    values(raw, path, &mut |_| None, &mut |path, raw| {
        found.push_str(&format!("{path} = {}\n", String::from_utf8_lossy(raw)));
    });
    expected.assert_eq(&found);
}

#[test]
fn json_in_a_string_has_values() {
    check(
        "json./state",
        br#"{"id":"a\"b","list":[1,{"x":null}],"more":"{\"deep\":\"yes\"}"}"#,
        expect![[r#"
            json./state>json./id = a"b
            json./state>json./list/0 = 1
            json./state>json./list/1/x = null
            json./state>json./more = {"deep":"yes"}
            json./state>json./more>json./deep = yes
        "#]],
    );
    check("json./a", b"{no json}", expect![""]);
    check("json./a", b"42", expect![""]);
}

#[test]
fn links_have_values() {
    check(
        "json./next",
        b"https://ada@shop.example:8443/orders/ord_1?page=2&q=a%20b#top",
        expect![[r#"
            json./next>uri.userinfo = ada
            json./next>uri.path.0 = orders
            json./next>uri.path.1 = ord_1
            json./next>uri.query.page = 2
            json./next>uri.query.q = a b
            json./next>uri.fragment = top
        "#]],
    );
    check(
        "query.next",
        b"/orders/7",
        expect![[r#"
            query.next>uri.path.0 = orders
            query.next>uri.path.1 = 7
        "#]],
    );
    check("json./a", b"half a sentence / and more", expect![""]);
    check("json./a", b"//elsewhere.example/x", expect![""]);
}

#[test]
fn base64_and_percent_of_json_have_values() {
    let state = base64(r#"{"csrf":"Zq81","page":3}"#);
    check(
        "query.state",
        state.as_bytes(),
        expect![[r#"
            query.state>base64 = {"csrf":"Zq81","page":3}
            query.state>base64>json./csrf = Zq81
            query.state>base64>json./page = 3
        "#]],
    );
    check(
        "cookie.prefs",
        b"%7B%22a%22%3A%22b%20c%22%7D",
        expect![[r#"
            cookie.prefs>percent = {"a":"b c"}
            cookie.prefs>percent>json./a = b c
        "#]],
    );
}

#[test]
fn tokens_have_claims() {
    check(
        "header.authorization.bearer",
        token(r#"{"sub":"u-17","exp":1700000000}"#).as_bytes(),
        expect![[r#"
            header.authorization.bearer>jwt.header./alg = HS256
            header.authorization.bearer>jwt./sub = u-17
            header.authorization.bearer>jwt./exp = 1700000000
        "#]],
    );
}

#[test]
fn scripts_have_named_strings() {
    check(
        "html.script",
        br#"window.config = { appUrl: '/a', "csrfToken": "t\"1" }; // it's
            var x = f("no name"); let next = `later`; next = "again";"#,
        expect![[r#"
            html.script>js.appUrl = /a
            html.script>js.csrfToken = t"1
            html.script>js.next = later
            html.script>js.next#1 = again
        "#]],
    );
    check("json./code", b"x = 'y'", expect![""]);
}

#[test]
fn messages_have_fields() {
    // 1: "ord_1", 2: 300, 3: {1: "inside"}, 1: "again"
    let message = b"\x0a\x05ord_1\x10\xac\x02\x1a\x08\x0a\x06inside\x0a\x05again";
    check(
        "grpc.0",
        &frame(message),
        expect![[r#"
            grpc.0>proto./1 = ord_1
            grpc.0>proto./2 = 300
            grpc.0>proto./3/1 = inside
            grpc.0>proto./1#1 = again
        "#]],
    );
    let new = replace_inside(
        &frame(message),
        &[
            ("proto./1", b"a longer id"),
            ("proto./2", b"5"),
            ("proto./3/1", b"out"),
        ],
    );
    let expected = b"\x0a\x0ba longer id\x10\x05\x1a\x05\x0a\x03out\x0a\x05again";
    assert_eq!(new, Some(frame(expected)));
    let no_number = replace_inside(&frame(message), &[("proto./2", b"five")]);
    assert_eq!(no_number, None);
}

#[track_caller]
fn check_replaced(raw: &str, edits: &[(&str, &str)], expected: Option<&str>) {
    let edits: Vec<(&str, &[u8])> = edits
        .iter()
        .map(|(path, new)| (*path, new.as_bytes()))
        .collect();
    let new = replace_inside(raw.as_bytes(), &edits);
    let new = new.map(|new| String::from_utf8(new).expect("UTF-8"));
    assert_eq!(new.as_deref(), expected);
}

#[test]
fn values_inside_are_replaced_the_way_they_are_written() {
    check_replaced(
        r#"{"id":7,"name":"x","more":"{\"deep\":\"yes\"}"}"#,
        &[
            ("json./id", "ab\"c"),
            ("json./more>json./deep", "no \"way\""),
        ],
        Some(r#"{"id":"ab\"c","name":"x","more":"{\"deep\":\"no \\\"way\\\"\"}"}"#),
    );
    check_replaced(
        "/orders/ord_1?next=%2Fa%3Fid%3D1",
        &[
            ("uri.path.1", "b/c"),
            ("uri.query.next>uri.query.id", "2&3"),
        ],
        Some("/orders/b%2Fc?next=%2Fa%3Fid%3D2%25263"),
    );
    check_replaced(
        &base64(r#"{"csrf":"Zq81"}"#),
        &[("base64>json./csrf", "another one")],
        Some(&base64(r#"{"csrf":"another one"}"#)),
    );
    check_replaced(
        "%7B%22a%22%3A%22b%22%7D",
        &[("percent>json./a", "c d")],
        Some("%7B%22a%22%3A%22c%20d%22%7D"),
    );
}

#[test]
fn what_is_not_there_or_signed_is_not_replaced() {
    check_replaced(r#"{"id":7}"#, &[("json./other", "8")], None);
    check_replaced("plain", &[("json./id", "8")], None);
    check_replaced(&token(r#"{"sub":"u-17"}"#), &[("jwt./sub", "u-18")], None);
}

#[test]
fn paths_are_split_at_the_outermost_container() {
    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        assert_eq!(split_path(path), expected);
    }
    check("json./id", None);
    check("json./a>b", None);
    check(
        "json./a>json./b>json./c",
        Some(("json./a", "json./b>json./c")),
    );
    check("json./a>b>uri.path.1", Some(("json./a>b", "uri.path.1")));
    check("grpc.0>proto./1/2", Some(("grpc.0", "proto./1/2")));
}
