//! Bodies by structure, words and bytes.

use super::*;

#[track_caller]
fn json_change(from: Value, to: Value, expected: Expect) {
    check(&one_in_many(&ok(from), ok(to)), expected);
}

#[test]
fn members_have_no_order() {
    let agreed = Reply::text(200, "application/json", r#"{"a":1,"b":[2,3]}"#);
    let candidate = Reply::text(200, "application/json", "{ \"b\": [2, 3], \"a\": 1 }");
    check(&one_in_many(&agreed, candidate), expect![""]);
}

#[test]
fn values_types_and_members_are_told_apart() {
    json_change(
        json!({"a": {"b~/": 1}}),
        json!({"a": {"b~/": 2}}),
        expect!["GET /a body_changed /a/b~0~1 x1\n"],
    );
    json_change(
        json!({"a": 1, "n": null}),
        json!({"a": "1", "n": null}),
        expect!["GET /a body_type /a x1\n"],
    );
    json_change(
        json!({"n": null}),
        json!({"n": {}}),
        expect!["GET /a body_type /n x1\n"],
    );
    json_change(
        json!({"a": 1, "b": 2}),
        json!({"a": 1}),
        expect!["GET /a body_missing /b x1\n"],
    );
    json_change(
        json!({"a": 1}),
        json!({"a": 1, "b": 2}),
        expect!["GET /a body_added /b x1\n"],
    );
    json_change(
        json!(true),
        json!(false),
        expect!["GET /a body_changed body x1\n"],
    );
}

#[test]
fn a_member_renamed_is_one_finding() {
    json_change(
        json!({"user": {"mail": "a"}}),
        json!({"user": {"email": "a"}}),
        expect![[r#"
            GET /a body_missing /user/mail x1
              also body_added /user/email
        "#]],
    );
}

#[test]
fn one_fault_in_every_element_is_one_finding() {
    json_change(
        json!({"items": [{"n": 1, "s": 1}, {"n": 2, "s": 2}, {"n": 3, "s": 3}]}),
        json!({"items": [{"n": 1, "s": "1"}, {"n": 2, "s": "2"}, {"n": 3, "s": "3"}]}),
        expect!["GET /a body_type /items/*/s x1\n"],
    );
}

#[test]
fn elements_come_go_and_change_places() {
    json_change(
        json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}], "total": 3}),
        json!({"items": [{"n": 1}, {"n": 3}], "total": 2}),
        expect![[r#"
            GET /a body_missing /items/* x1
              also body_changed /total
        "#]],
    );
    json_change(
        json!([1, 2, 3]),
        json!([1, 2, 9, 3]),
        expect!["GET /a body_added /* x1\n"],
    );
    json_change(
        json!({"items": [{"n": 1}, {"n": 2}, {"n": 3}]}),
        json!({"items": [{"n": 3}, {"n": 2}, {"n": 1}]}),
        expect!["GET /a body_order /items (order) x1\n"],
    );
}

#[test]
fn lines_of_json_are_compared_line_by_line() {
    let lines = |step: &str| {
        let body = format!("{{\"step\":1,\"is\":\"paid\"}}\n{{\"step\":2,\"is\":\"{step}\"}}\n");
        Reply::text(200, "application/x-ndjson", &body)
    };
    check(
        &one_in_many(&lines("packed"), lines("lost")),
        expect!["GET /a body_changed /*/is x1\n"],
    );
}

#[test]
fn a_body_that_is_no_json_any_more_has_another_type() {
    let agreed = ok(json!({"a": 1}));
    let broken = Reply::text(200, "application/json", "{\"a\": 1");
    check(
        &one_in_many(&agreed, broken),
        expect!["GET /a body_type body x1\n"],
    );
    let empty = Reply::text(200, "application/json", "");
    check(
        &one_in_many(&agreed, empty),
        expect!["GET /a body_missing body x1\n"],
    );
}

#[test]
fn pages_are_compared_by_words() {
    let page = |price: &str, extra: &str| {
        Reply::text(
            200,
            "text/html",
            &format!("<h1>Tea</h1><p>Price {price}</p>{extra}"),
        )
    };
    check(
        &one_in_many(&page("12.99", ""), page("12.98", "")),
        expect!["GET /a body_changed html > body > p after \"Price\" x1\n"],
    );
    check(
        &one_in_many(&page("free", ""), page("gone", "")),
        expect!["GET /a body_changed html > body > p after \"Price\" x1\n"],
    );
    check(
        &one_in_many(&page("12.99", ""), page("12.99", "<hr>")),
        expect!["GET /a body_added html > body > hr x1\n"],
    );
}

#[test]
fn bytes_are_compared_by_length_and_content() {
    let image = |last: u8| Reply::bytes(200, "image/png", vec![0xff, 0xfe, last]);
    check(&one_in_many(&image(1), image(1)), expect![""]);
    check(
        &one_in_many(&image(1), image(2)),
        expect!["GET /a body_changed body x1\n"],
    );
}

#[test]
fn what_was_not_kept_is_compared_by_digest() {
    let with_digest = |text: &str| {
        let call = Call::new("s-odd", "GET", "/a", ok(json!({})));
        let mut observation = call.observation(0);
        if let Outcome::Answered { answer, .. } = &mut observation.candidate {
            answer.body = Body::Digest {
                bytes: 9,
                tag: Some(crate::support::tag(text)),
            };
        }
        observation.candidate
    };
    let run = |one: &str, other: &str| {
        let mut calls = Vec::new();
        for index in 0..12 {
            calls.push(
                Call::new(&format!("s-{index}"), "GET", "/a", ok(json!({})))
                    .unseen()
                    .outcomes(with_digest(one), with_digest(other)),
            );
        }
        calls
    };
    check(&run("x", "x"), expect![""]);
    check(&run("x", "y"), expect!["GET /a body_changed body x12\n"]);
}
