//! What follows from what.

use super::*;

fn order(total: u32) -> Reply {
    Reply::json(200, &json!({"total": total}))
}

fn buy(session: &str, shown: u32) -> Vec<Call> {
    vec![
        Call::new(session, "POST", "/checkout", order(10)).candidate(order(shown)),
        Call::new(session, "GET", "/orders/17", order(10)).candidate(order(shown)),
    ]
}

#[test]
fn what_comes_after_a_cause_is_its_consequence() {
    let calls = repeated(12, |index, session| {
        buy(session, if index < 3 { 9 } else { 10 })
    });
    check(
        &calls,
        expect![[r#"
            POST /checkout body_changed /total x3
              then GET /orders/{id} body_changed /total x3
        "#]],
    );
}

#[test]
fn what_shows_without_a_cause_is_a_finding() {
    let calls = repeated(12, |index, session| match index {
        0..3 => buy(session, 9),
        3 => vec![Call::new(session, "GET", "/orders/17", order(10)).candidate(order(9))],
        _ => buy(session, 10),
    });
    check(
        &calls,
        expect![[r#"
            GET /orders/{id} body_changed /total x4
              related F2
            POST /checkout body_changed /total x3
              related F1
        "#]],
    );
}

#[test]
fn a_safe_request_explains_nothing() {
    let calls = repeated(12, |_, session| {
        let page = ok(json!({"n": 1}));
        vec![
            Call::new(session, "GET", "/products", page.clone().with("Vary", "a")).candidate(page),
            Call::new(session, "POST", "/checkout", order(10)).candidate(order(9)),
        ]
    });
    check(
        &calls,
        expect![[r#"
            POST /checkout body_changed /total x12
            GET /products header_missing header.vary x12
        "#]],
    );
}

#[test]
fn a_value_that_later_requests_use_explains_them() {
    let calls = repeated(12, |index, session| {
        let list = |id: &str| ok(json!({"ids": [id]}));
        let is_odd = index == 4;
        vec![
            Call::new(session, "GET", "/list", list("abcdef"))
                .candidate(if is_odd {
                    ok(json!({"ids": []}))
                } else {
                    list("abcdef")
                })
                .produces("json./ids/0"),
            Call::new(session, "GET", "/item", order(1)).candidate(if is_odd {
                Reply::json(404, &json!({}))
            } else {
                order(1)
            }),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /list body_missing /ids/* x1
              then GET /item status status x1
        "#]],
    );
}

#[test]
fn elements_of_a_list_that_take_others_places_explain_what_uses_these() {
    let calls = repeated(12, |index, session| {
        let list = |ids: [&str; 3]| ok(json!({"items": ids.map(|id| json!({"id": id}))}));
        let item = |name: &str| ok(json!({"name": name}));
        let is_odd = index == 4;
        vec![
            Call::new(session, "GET", "/list", list(["bowl", "lamp", "vase"]))
                .candidate(match is_odd {
                    true => list(["lamp", "vase", "tray"]),
                    false => list(["bowl", "lamp", "vase"]),
                })
                .produces("json./items/1/id"),
            Call::new(session, "GET", "/item", item("lamp")).candidate(item(if is_odd {
                "vase"
            } else {
                "lamp"
            })),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /list body_missing /items/* x1
              also body_added /items/*
              then GET /item body_changed /name x1
        "#]],
    );
}

#[test]
fn elements_in_another_order_explain_what_uses_them() {
    let calls = repeated(12, |index, session| {
        let list = |items: [(&str, u32); 2]| {
            ok(json!({"items": items.map(|(id, price)| json!({"id": id, "price": price}))}))
        };
        let is_odd = index == 4;
        let listed = list([("bowl", 3), ("lamp", 5)]);
        let shown = match is_odd {
            true => list([("lamp", 5), ("bowl", 3)]),
            false => listed.clone(),
        };
        vec![
            Call::new(session, "GET", "/list", listed)
                .candidate(shown)
                .produces("json./items/0/id")
                .produces("json./items/1/id"),
            Call::new(session, "GET", "/item", order(5)).candidate(order(if is_odd {
                3
            } else {
                5
            })),
        ]
    });
    check(
        &calls,
        expect![[r#"
            GET /list body_order /items (order) x1
              then GET /item body_changed /total x1
        "#]],
    );
}

#[test]
fn what_could_not_be_fired_follows_from_what_was_not_produced() {
    let calls = repeated(12, |index, session| {
        let login = ok(json!({"token": "abcdef"}));
        let mut calls = vec![
            Call::new(session, "POST", "/login", login.clone()).produces("json./token"),
            Call::new(session, "GET", "/me", order(1)),
        ];
        if index == 4 {
            calls[0].candidate = ok(json!({}));
            calls[1].candidate_outcome = Some(Outcome::Skipped("unbound".to_owned()));
        }
        calls
    });
    check(
        &calls,
        expect![[r#"
            POST /login body_missing /token x1
              then GET /me error answer x1
        "#]],
    );
}
