//! Which values a run replaces by the twin's own.

use expect_test::{Expect, expect};
use twintap_plan::{PlanOptions, UnboundRule};

use crate::dsl::{capture, plan_of, render};

#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(&PlanOptions::default(), text, expected);
}

#[track_caller]
fn check_with(options: &PlanOptions, text: &str, expected: Expect) {
    let text = text
        .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
        .replace("$B", "0f9e8d7c6b5a49382716f5e4d3c2b1a0")
        .replace("$T", "q8Zr2LmX7vKc0PdW5nJt")
        .replace("$ID", "ord_5d41402abc4b2a76");
    let plan = plan_of(&capture(&text), options);
    expected.assert_eq(&render(&plan));
}

#[test]
fn cookie_csrf_header_and_path_bind() {
    check(
        "0 f1 POST /login -> 2 set-cookie.sid=$A json./csrf=$T
         10 f1 POST /orders cookie.sid=$A header.x-csrf-token=$T -> 12 201 json./id=$ID location.path.1=$ID
         20 f1 GET /orders/$ID cookie.sid=$A -> 22
         30 f1 GET /orders?after=$ID cookie.sid=$A -> 32",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) cookie.sid<-0:set-cookie.sid header.x-csrf-token<-0:json./csrf
            2 20ms f1.2 A after 0(binding) after 1(binding) path.1<-1:json./id cookie.sid<-0:set-cookie.sid
            3 30ms f1.3 A after 0(binding) after 1(binding) after 2(connection) query.after<-1:json./id cookie.sid<-0:set-cookie.sid
        "#]],
    );
}

#[test]
fn a_form_token_of_a_page_binds() {
    check(
        "0 f1 GET /login -> 2 html.input.csrf_token=$T
         10 f1 POST /login form.csrf_token=$T form.name=somebody -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) form.csrf_token<-0:html.input.csrf_token
        "#]],
    );
}

#[test]
fn an_etag_binds_and_a_content_type_does_not() {
    check(
        r#"0 f1 GET /a -> 2 header.etag="5d41402abc4b" header.content-type=application/vnd.a1+json
         10 f1 PUT /a header.if-none-match="5d41402abc4b" header.content-type=application/vnd.a1+json -> 12"#,
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) header.if-none-match<-0:header.etag
        "#]],
    );
}

#[test]
fn the_newest_producer_before_the_first_byte_binds() {
    check(
        "0 f1 POST /orders -> 2 json./id=$ID
         10 f1 GET /last -> 12 json./id=$ID
         20 f1 GET /orders/$ID -> 22
         21 f2 GET /x -> 40",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
            2 20ms f1.2 A after 1(binding) path.1<-1:json./id
            3 21ms f2.0 B
        "#]],
    );
}

#[test]
fn a_response_that_ends_with_the_request_is_too_late() {
    check(
        "0 f1 GET /a -> 10 json./id=$ID
         10 f2 GET /b/$ID -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
        "#]],
    );
}

#[test]
fn a_list_does_not_replace_what_made_the_value() {
    check(
        "0 f1 POST /orders -> 2 json./id=$ID
         10 f1 GET /orders -> 12 json./items/3/id=$ID
         20 f1 GET /orders/$ID -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
            2 20ms f1.2 A after 0(binding) after 1(connection) path.1<-0:json./id
        "#]],
    );
}

#[test]
fn what_the_client_sent_first_is_its_own() {
    check(
        "0 f1 PUT /carts/$ID -> 2 json./id=$ID
         10 f1 GET /carts/$ID -> 12 json./id=$ID
         20 f1 GET /carts/$ID -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
            2 20ms f1.2 A after 1(connection)
        "#]],
    );
}

#[test]
fn short_values_words_and_small_numbers_do_not_bind() {
    check(
        "0 f1 GET /list -> 2 json./id=#1042 json./state=completed json./kind=shirts json./ok=#false json./total=#129900
         10 f1 GET /items/1042/shirts json./state=completed json./ok=#false -> 12
         20 f1 POST /pay json./total=#129900 -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
            2 20ms f1.2 A after 0(binding) after 1(connection) json./total<-0:json./total
        "#]],
    );
}

#[test]
fn another_session_produces_where_it_is_the_only_one() {
    check(
        "0 f1 POST /orders -> 2 json./id=$ID
         10 f2 GET /orders/$ID -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B after 0(binding) path.1<-0:json./id
        "#]],
    );
}

#[test]
fn a_value_of_many_sessions_does_not_bind() {
    check(
        "0 f1 GET /products -> 2 json./items/0/id=$ID
         10 f2 GET /products -> 12 json./items/0/id=$ID
         20 f3 GET /products/$ID -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f3.0 C
        "#]],
    );
}

#[test]
fn a_value_of_many_sessions_binds_where_it_was_made() {
    check(
        "0 f1 POST /orders -> 2 json./id=$ID
         10 f2 GET /orders -> 12 json./items/0/id=$ID
         20 f3 GET /orders/$ID -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B after 0(resource)
            2 20ms f3.0 C after 0(binding) path.1<-0:json./id
        "#]],
    );
}

#[test]
fn a_deleted_cookie_produces_nothing() {
    check(
        "0 f1 POST /login -> 2 set-cookie.sid=$A;Path=/;HttpOnly
         10 f1 POST /logout cookie.sid=$A -> 12 set-cookie.sid=$B;Max-Age=0 set-cookie.was=$T;Expires=Thu,01-Jan-1970
         20 f1 GET / cookie.sid=$B cookie.was=$T -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) cookie.sid<-0:set-cookie.sid
            2 20ms f1.2 B unbound(cookie.sid)
        "#]],
    );
}

#[test]
fn a_cookie_of_before_the_capture_is_unbound_and_so_is_what_hangs_on_it() {
    check(
        "0 f1 POST /orders cookie.sid=$A -> 2 json./id=$ID
         10 f1 GET /orders/$ID -> 12
         20 f2 GET / -> 22",
        expect![[r#"
            0 0ms f1.0 A unbound(cookie.sid)
            1 0ms f1.1 A unbound(path.1)
            2 0ms f2.0 B
        "#]],
    );
}

#[test]
fn tokens_of_before_the_capture_are_unbound_and_other_values_are_sent() {
    check(
        "0 f1 !began POST /a header.x-csrf-token=$T -> 2
         10 f2 GET /b header.authorization.bearer=$T.$A -> 12
         20 f3 GET /c header.authorization.basic=somebody:0123456789 -> 22
         30 f4 GET /d header.x-api-key=$B -> 32
         40 f5 GET /e cookie._ga=GA1.2.1234567890.1700000000 -> 42
         50 f6 !began GET /products/$ID -> 52",
        expect![[r#"
            0 0ms f1.0 A unbound(header.x-csrf-token)
            1 0ms f2.0 B unbound(header.authorization.bearer)
            2 0ms f3.0 C
            3 10ms f4.0 D
            4 20ms f5.0 E
            5 30ms f6.0 F
        "#]],
    );
}

#[test]
fn the_twins_may_hold_the_sessions_of_before() {
    let options = PlanOptions {
        unbound: UnboundRule::Fire,
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 POST /orders cookie.sid=$A -> 2 json./id=$ID
         10 f1 GET /orders/$ID cookie.sid=$A -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) path.1<-0:json./id
        "#]],
    );
}

#[test]
fn a_lost_login_leaves_its_session_unbound() {
    check(
        "0 f1 GET / -> 2
         10 f1 POST /login
         20 f1 GET /me cookie.sid=$A -> 22 set-cookie.sid=$A
         30 f1 GET /me cookie.sid=$A -> 32",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
            2 20ms f1.2 A unbound(cookie.sid)
            3 30ms f1.3 A unbound(cookie.sid)
        "#]],
    );
}

#[test]
fn an_incomplete_producer_leaves_its_consumers_unbound() {
    check(
        "0 f1 !dropped POST /login -> 2 set-cookie.sid=$A
         10 f1 GET /me cookie.sid=$A -> 12",
        expect![[r#"
            0 0ms f1.0 A incomplete
            1 10ms f1.1 A unbound(cookie.sid)
        "#]],
    );
}

#[test]
fn a_shared_constant_of_before_the_capture_is_sent() {
    check(
        "0 f1 @10.1.0.1 GET / cookie.auth=build-2024-11-05-77 -> 1
         10 f2 @10.1.0.2 GET / cookie.auth=build-2024-11-05-77 -> 11
         20 f3 @10.1.0.3 GET / cookie.auth=build-2024-11-05-77 -> 21
         30 f4 @10.1.0.4 !began GET / cookie.auth=build-2024-11-05-77 -> 31",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f3.0 C
            3 30ms f4.0 D
        "#]],
    );
}

#[test]
fn a_binding_carries_its_span_and_the_producer_its_leaf() {
    let id = "ord_5d41402abc4b2a76";
    let text = format!(
        "0 f1 POST /orders -> 2 json./id={id}
         10 f1 GET /orders/{id}/items -> 12"
    );
    let records = capture(&text);
    let plan = plan_of(&records, &PlanOptions::default());
    let binding = &plan.requests[1].bindings[0];
    let target = &records[1].0.exchange.request.head.as_ref().unwrap().target;
    let span = binding.start as usize..(binding.start + binding.len) as usize;
    assert_eq!(&target[span], id.as_bytes());
    let produced = &plan.requests[0].produces;
    assert_eq!(produced.len(), 1);
    assert_eq!(&*produced[0].path, "json./id");
    assert_eq!(produced[0].tag, crate::dsl::tag_of(id));
}

#[test]
fn what_a_client_sent_first_anywhere_binds_across_no_sessions() {
    check(
        "0 f1 POST /signup json./email=somebody1@example.org -> 2
         10 f2 GET /users -> 12 json./0/email=somebody1@example.org
         20 f3 POST /login json./email=somebody1@example.org -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B
            2 20ms f3.0 C
        "#]],
    );
}

#[test]
fn what_another_session_only_read_does_not_hang_on_it() {
    check(
        "0 f1 GET /products cookie.sid=$A -> 2 json./0/id=$ID
         10 f2 GET /products/$ID -> 12",
        expect![[r#"
            0 0ms f1.0 A unbound(cookie.sid)
            1 0ms f2.0 B
        "#]],
    );
}

#[test]
fn a_claim_inside_a_token_is_not_bound_beside_it() {
    let token = "eyJhbGciOiJIUzI1.NiIsInR5cCI6IkpX.dBjftJeZ4CVPmB92";
    let mut records = capture(&format!(
        "0 f1 POST /login -> 2 json./id=7b1d5a90c2 json./token={token}
         10 f1 GET /me header.authorization.bearer={token} -> 12"
    ));
    let claim = capture("0 f1 GET /x -> 2 header.x=7b1d5a90c2").remove(0).0;
    let mut claim = claim.response.leaves[0].clone();
    claim.path = "header.authorization.bearer.sub".to_owned();
    let leaves = &mut records[1].0.request.leaves;
    let bearer = leaves.last().expect("the token");
    (claim.part, claim.start, claim.len) = (bearer.part, bearer.start + 17, 10);
    leaves.push(claim);
    let expected = expect![[r#"
        0 0ms f1.0 A
        1 10ms f1.1 A after 0(binding) header.authorization.bearer<-0:json./token
    "#]];
    expected.assert_eq(&render(&plan_of(&records, &PlanOptions::default())));
    records[1].0.request.leaves.reverse();
    expected.assert_eq(&render(&plan_of(&records, &PlanOptions::default())));
}

#[test]
fn small_ids_bind_by_what_they_name() {
    // A cart and an order with one number are two things; in lists they bind nothing.
    check(
        "0 f1 POST /orders -> 2 201 json./id=#42 location.path.1=42
         10 f1 GET /orders/42 -> 12 json./id=#42
         20 f1 GET /carts/42 -> 22
         30 f1 GET /pay?order_id=42&page=42 -> 32
         40 f1 GET /products -> 42 json./items/0/id=#57
         50 f1 GET /products/57 -> 52",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) path.1<-0:json./id
            2 20ms f1.2 A after 1(connection)
            3 30ms f1.3 A after 1(binding) after 2(connection) query.order_id<-1:json./id
            4 40ms f1.4 A after 3(connection)
            5 50ms f1.5 A after 4(connection)
        "#]],
    );
}

#[test]
fn small_ids_bind_within_their_session_only() {
    check(
        "0 f1 POST /orders -> 2 201 json./id=#42
         10 f2 GET /orders/42 -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f2.0 B after 0(resource)
        "#]],
    );
}

#[test]
fn small_numbers_that_no_target_shows_do_not_bind() {
    check(
        "0 f1 POST /orders -> 2 201 json./id=#null
         10 f1 POST /pay json./order_id=#null -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(connection)
        "#]],
    );
}

#[test]
fn a_signed_url_is_bound_as_a_whole() {
    check(
        "0 f1 POST /links -> 2 json./url>uri.path.1=$ID json./url>uri.query.part=3 json./url>uri.query.sig=$T json./part=3
         10 f1 GET /files/$ID?part=3&sig=$T&v=3 -> 12
         20 f1 GET /files/$ID?part=3 -> 22",
        expect![[r#"
            0 0ms f1.0 A
            1 10ms f1.1 A after 0(binding) path.1<-0:json./url>uri.path.1 query.part<-0:json./url>uri.query.part query.sig<-0:json./url>uri.query.sig
            2 20ms f1.2 A after 0(binding) after 1(connection) path.1<-0:json./url>uri.path.1
        "#]],
    );
}

#[test]
fn values_inside_of_one_container_bind_side_by_side() {
    let text = "0 f1 POST /login -> 2 json./csrf=$T json./id=$ID json./state=$A
                10 f1 POST /next form.state>json./csrf=$T -> 12";
    let text = text
        .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
        .replace("$T", "q8Zr2LmX7vKc0PdW5nJt")
        .replace("$ID", "ord_5d41402abc4b2a76");
    let mut records = capture(&text);
    let inner = capture(
        "0 f1 GET /x -> 2 json./id=ord_5d41402abc4b2a76 json./state=a1b2c3d4e5f60718293a4b5c6d7e8f90",
    );
    let leaves = &mut records[1].0.request.leaves;
    let place = leaves.last().expect("a leaf of the form").clone();
    let mut more = |leaf: &twintap_scrub::Leaf, path: &str| {
        leaves.push(twintap_scrub::Leaf {
            path: path.to_owned(),
            tag: leaf.tag,
            raw_chars: leaf.raw_chars,
            ..place.clone()
        });
    };
    let of_inner = &inner[0].0.response.leaves;
    more(&of_inner[0], "form.state>json./order_id");
    let expected = expect![[r#"
        0 0ms f1.0 A
        1 10ms f1.1 A after 0(binding) form.state>json./csrf<-0:json./csrf form.state>json./order_id<-0:json./id
    "#]];
    expected.assert_eq(&render(&plan_of(&records, &PlanOptions::default())));
    // The container as a whole goes before what is inside of it.
    let leaves = &mut records[1].0.request.leaves;
    leaves.push(twintap_scrub::Leaf {
        path: "form.state".to_owned(),
        tag: of_inner[1].tag,
        raw_chars: of_inner[1].raw_chars,
        ..place
    });
    let expected = expect![[r#"
        0 0ms f1.0 A
        1 10ms f1.1 A after 0(binding) form.state<-0:json./state
    "#]];
    expected.assert_eq(&render(&plan_of(&records, &PlanOptions::default())));
}

#[test]
fn values_of_a_conversation_bind_as_soon_as_their_message_came() {
    check(
        "0 f1 !http2 POST /watch -> 10..1000 json./0/id=ticket-1111-aaaa json./1/id=ticket-2222-bbbb json./2/id=ticket-3333-cccc
         11 f2 GET /use/ticket-1111-aaaa -> 12
         11 f3 GET /use/ticket-3333-cccc -> 12
         13 f4 GET /use/ticket-2222-bbbb -> 14",
        expect![[r#"
            0 0ms f1.0 A
            1 11ms f2.0 B after 0(binding) path.1<-0:json./0/id
            2 11ms f3.0 C
            3 13ms f4.0 D after 0(binding) path.1<-0:json./1/id
        "#]],
    );
    // Where nothing tells when it came, it came with the end.
    check(
        "0 f1 !http2 POST /watch -> 1000 json./0/id=ticket-1111-aaaa
         11 f2 GET /use/ticket-1111-aaaa -> 12",
        expect![[r#"
            0 0ms f1.0 A
            1 11ms f2.0 B
        "#]],
    );
}
