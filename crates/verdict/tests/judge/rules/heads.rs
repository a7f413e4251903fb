//! Header fields.

use super::*;

#[test]
fn names_have_no_case_and_order_between_names_does_not_count() {
    let agreed = ok(json!({})).with("X-One", "1").with("X-Two", "2");
    let candidate = ok(json!({})).with("x-two", "2").with("x-one", "1");
    check(&one_in_many(&agreed, candidate), expect![""]);
}

#[test]
fn a_field_gone_new_or_changed_is_found() {
    let agreed = ok(json!({}))
        .with("Vary", "accept")
        .with("X-Frame-Options", "DENY");
    let candidate = ok(json!({})).with("Vary", "*").with("Server-Push", "on");
    check(
        &one_in_many(&agreed, candidate),
        expect![[r#"
            GET /a header_missing header.x-frame-options x1
              also header_added header.server-push
            GET /a header_changed header.vary x1
        "#]],
    );
}

#[test]
fn a_repeated_field_counts_each_time() {
    let agreed = ok(json!({})).with("Link", "<a>").with("Link", "<b>");
    let candidate = ok(json!({})).with("Link", "<a>");
    check(
        &one_in_many(&agreed, candidate),
        expect!["GET /a header_changed header.link x1\n"],
    );
}

#[test]
fn volatile_values_pass_but_must_be_there() {
    let agreed = ok(json!({})).with("Date", "one").with("ETag", "\"1\"");
    let other = ok(json!({})).with("Date", "two").with("ETag", "\"2\"");
    check(&one_in_many(&agreed, other), expect![""]);
    let without = ok(json!({})).with("Date", "two");
    check(
        &one_in_many(&agreed, without),
        expect!["GET /a header_missing header.etag x1\n"],
    );
}

#[test]
fn framing_is_not_compared() {
    let agreed = ok(json!({})).with("Content-Length", "2");
    let candidate = ok(json!({}))
        .with("Transfer-Encoding", "chunked")
        .with("Connection", "close");
    check(&one_in_many(&agreed, candidate), expect![""]);
}

#[test]
fn a_cookie_keeps_its_attributes_and_values_that_are_always_the_same() {
    let agreed = ok(json!({})).with("Set-Cookie", "sid=abc; HttpOnly; Path=/; Expires=today");
    let renewed = ok(json!({})).with("Set-Cookie", "sid=abc; path=/; httponly; Expires=tomorrow");
    check(&one_in_many(&agreed, renewed), expect![""]);
    let other = ok(json!({})).with("Set-Cookie", "sid=xyz; HttpOnly; Path=/");
    check(
        &one_in_many(&agreed, other),
        expect!["GET /a header_changed set-cookie.sid= x1\n"],
    );
    let exposed = ok(json!({})).with("Set-Cookie", "sid=xyz; Path=/");
    check(
        &one_in_many(&agreed, exposed),
        expect!["GET /a header_changed set-cookie.sid x1\n"],
    );
    let emptied = ok(json!({})).with("Set-Cookie", "sid=; HttpOnly; Path=/");
    check(
        &one_in_many(&agreed, emptied),
        expect!["GET /a header_changed set-cookie.sid x1\n"],
    );
    check(
        &one_in_many(&agreed, ok(json!({}))),
        expect!["GET /a header_missing set-cookie.sid x1\n"],
    );
}

#[test]
fn trailers_are_compared_as_trailers() {
    let agreed = ok(json!({}))
        .with("Vary", "accept")
        .with_trailer("x-checksum", "aa")
        .with_trailer("x-rows", "3");
    let same = ok(json!({}))
        .with("Vary", "accept")
        .with_trailer("X-Rows", "3")
        .with_trailer("X-Checksum", "aa");
    check(&one_in_many(&agreed, same), expect![""]);
    let gone = ok(json!({}))
        .with("Vary", "accept")
        .with_trailer("x-rows", "3");
    check(
        &one_in_many(&agreed, gone),
        expect!["GET /a header_missing trailer.x-checksum x1\n"],
    );
    let changed = ok(json!({}))
        .with("Vary", "accept")
        .with_trailer("x-checksum", "aa")
        .with_trailer("x-rows", "4");
    check(
        &one_in_many(&agreed, changed),
        expect!["GET /a header_changed trailer.x-rows x1\n"],
    );
    let moved = ok(json!({}))
        .with("Vary", "accept")
        .with("x-checksum", "aa")
        .with_trailer("x-rows", "3");
    let calls = one_in_many(&agreed, moved);
    check(
        &calls,
        expect!["GET /a trailer_moved trailer.x-checksum x1\n"],
    );
    let summary = &judge(&calls).findings[0].summary;
    let expected = "sends the trailer x-checksum with the head, not after the body";
    assert!(summary.contains(expected), "{summary}");
}

#[test]
fn the_status_of_grpc_may_stand_in_either_place() {
    let agreed = ok(json!({})).with_trailer("grpc-status", "0");
    let in_head = ok(json!({})).with("grpc-status", "0");
    check(&one_in_many(&agreed, in_head), expect![""]);
    // With no body there is one head, and all that would follow stands in it.
    let agreed = agreed.with_trailer("x-detail", "7");
    let in_head = in_head_with_detail("7");
    check(&one_in_many(&agreed, in_head), expect![""]);
    check(
        &one_in_many(&agreed, in_head_with_detail("8")),
        expect!["GET /a header_changed header.x-detail x1\n"],
    );
    let agreed = ok(json!({})).with_trailer("grpc-status", "0");
    let other = ok(json!({})).with("grpc-status", "5");
    check(
        &one_in_many(&agreed, other),
        expect!["GET /a header_changed header.grpc-status x1\n"],
    );
}

fn in_head_with_detail(detail: &str) -> Reply {
    ok(json!({}))
        .with("grpc-status", "0")
        .with("x-detail", detail)
}

#[test]
fn a_body_in_another_coding_is_found_where_codings_are_known() {
    let agreed = ok(json!({})).coded(&["gzip"]);
    check(
        &one_in_many(&agreed, ok(json!({})).coded(&[])),
        expect![[r#"
        GET /a header_missing header.content-encoding x1
    "#]],
    );
    check(
        &one_in_many(&agreed, ok(json!({})).coded(&["br"])),
        expect![[r#"
            GET /a header_changed header.content-encoding x1
        "#]],
    );
    check(
        &one_in_many(&ok(json!({})).coded(&[]), agreed.clone()),
        expect![[r#"
            GET /a header_added header.content-encoding x1
        "#]],
    );
    check(&one_in_many(&agreed, ok(json!({}))), expect![""]);
}
