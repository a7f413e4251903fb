//! Order across sessions by what they share.
//!
//! Each flow here is a session of its own.

use expect_test::{Expect, expect};
use twintap_plan::{OrderRule, PlanOptions};

use crate::dsl::{capture, plan_of, render};

/// Checks the edges and races: one request a line, with its method and path.
#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(&PlanOptions::default(), text, expected);
}

#[track_caller]
pub fn check_with(options: &PlanOptions, text: &str, expected: Expect) {
    let plan = plan_of(&capture(text), options);
    let lines: Vec<String> = render(&plan)
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let edges = words[4..].join(" ");
            format!("{} {} {edges}", words[0], words[2])
                .trim_end()
                .to_owned()
                + "\n"
        })
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn a_reader_comes_after_the_last_writer() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 PATCH /orders/17 -> 7
         10 f3 GET /orders/17 -> 12
         10 f4 GET /orders/18 -> 12",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 1(resource)
            3 f4.0
        "#]],
    );
}

#[test]
fn a_writer_comes_after_the_readers_since_the_last_write() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 GET /orders/17 -> 7
         5 f3 GET /orders/17 -> 8
         10 f4 DELETE /orders/17 -> 12
         20 f5 GET /orders/17 -> 21 404",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 0(resource)
            3 f4.0 after 1(resource) after 2(resource)
            4 f5.0 after 3(resource)
        "#]],
    );
}

#[test]
fn what_a_request_follows_is_known_beyond_what_it_waits_for() {
    let text = "0 f1 PUT /orders/17 -> 2
         5 f2 GET /orders/17 -> 7
         10 f3 PATCH /orders/17 -> 12
         20 f4 GET /orders/17 -> 22";
    let plan = plan_of(&capture(text), &PlanOptions::default());
    let follows: Vec<&[u32]> = plan
        .requests
        .iter()
        .map(|request| &request.follows[..])
        .collect();
    assert_eq!(follows, [&[][..], &[0], &[0], &[2]]);
    let waits: Vec<u32> = plan.requests[2]
        .waits
        .iter()
        .map(|wait| wait.request)
        .collect();
    assert_eq!(waits, [1], "the reader waits for the first write");
}

#[test]
fn readers_have_no_order() {
    check(
        "0 f1 GET /orders/17 -> 2
         5 f2 GET /orders/17 -> 7",
        expect![[r#"
            0 f1.0
            1 f2.0
        "#]],
    );
}

#[test]
fn what_overlapped_is_left_open() {
    check(
        "0 f1 PUT /orders/17 -> 10
         5 f2 GET /orders/17 -> 7
         6 f3 PATCH /orders/17 -> 12
         20 f4 GET /orders/17 -> 22
         30 f5 PUT /orders/17 -> 32
         40 f6 GET /orders/17 -> 42",
        expect![[r#"
            0 f1.0 races 2(order/*)
            1 f2.0 races 0(order/*) races 2(order/*)
            2 f3.0 races 0(order/*)
            3 f4.0 after 0(resource) after 2(resource) races 0(order/*) races 2(order/*)
            4 f5.0 after 1(resource) after 3(resource) races 0(order/*) races 2(order/*)
            5 f6.0 after 4(resource)
        "#]],
    );
}

#[test]
fn clocks_of_one_session_need_not_be_asked_where_one_flow_says_it() {
    check(
        "0 f1 PUT /orders/17 -> 2
         3 f1 GET /orders/17 -> 4
         6 f2 GET /orders/17 -> 7",
        expect![[r#"
            0 f1.0
            1 f1.1 after 0(connection)
            2 f2.0 after 0(resource)
        "#]],
    );
}

#[test]
fn a_small_number_counts_within_its_collection_alone() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 GET /customers/17 -> 7
         6 f3 GET /search?page=17 -> 8
         7 f4 GET /17 -> 9
         8 f5 GET /orders/17/items/3 -> 10
         20 f6 PUT /orders/18/items/3 -> 22
         30 f7 GET /orders/17/items/3 -> 32",
        expect![[r#"
            0 f1.0
            1 f2.0
            2 f3.0
            3 f4.0
            4 f5.0 after 0(resource)
            5 f6.0
            6 f7.0 after 0(resource)
        "#]],
    );
}

#[test]
fn paths_queries_and_bodies_name_one_resource() {
    check(
        "0 f1 POST /orders/cancel json./order_id=17 -> 2
         5 f2 GET /api/v2/orders/17 -> 7
         10 f3 GET /receipt?orderId=17 -> 12
         20 f4 POST /orders/cancel form.order_id=17 -> 22",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 0(resource)
            3 f4.0 after 1(resource) after 2(resource)
        "#]],
    );
}

#[test]
fn an_id_in_a_body_is_read_where_the_path_names_something_else() {
    check(
        "0 f1 POST /cart json./product_id=5 -> 2
         5 f2 POST /cart json./product_id=5 -> 7
         10 f3 PUT /products/5 -> 12
         20 f4 POST /cart json./product_id=5 -> 22",
        expect![[r#"
            0 f1.0
            1 f2.0
            2 f3.0 after 0(resource) after 1(resource)
            3 f4.0 after 2(resource)
        "#]],
    );
}

#[test]
fn what_was_made_is_known_by_its_location_or_its_id() {
    check(
        "0 f1 POST /orders -> 2 201 location=/orders/17
         5 f2 POST /orders -> 7 201 json./id=#18
         10 f3 GET /orders/17 -> 12
         11 f4 GET /orders/18 -> 12",
        expect![[r#"
            0 f1.0
            1 f2.0
            2 f3.0 after 0(resource)
            3 f4.0 after 1(resource)
        "#]],
    );
}

#[test]
fn a_listing_comes_after_what_changed_what_it_shows() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 GET /admin/orders -> 7 json./orders/0/id=#17 json./orders/1/id=#18
         6 f3 GET /admin/orders -> 8 json./orders/0/id=#18",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0
        "#]],
    );
}

#[test]
fn a_collection_orders_sessions_where_its_members_cross_them() {
    check(
        "0 f1 POST /orders -> 2 201 json./id=#17
         5 f2 DELETE /orders/17 -> 7
         10 f3 GET /orders -> 12
         20 f4 POST /orders -> 22 201 json./id=#18
         30 f5 POST /orders -> 32 201 json./id=#19
         40 f6 GET /orders -> 42",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 1(resource)
            3 f4.0 after 2(resource)
            4 f5.0 after 2(resource)
            5 f6.0 after 3(resource) after 4(resource)
        "#]],
    );
}

#[test]
fn what_each_session_has_its_own_of_orders_none() {
    check(
        "0 f1 POST /orders -> 2 201 json./id=#17
         3 f1 GET /orders/17 -> 4
         5 f2 POST /orders -> 7 201 json./id=#18
         10 f3 GET /orders -> 12
         20 f4 PUT /cart/items/1 -> 22
         30 f5 DELETE /cart/items/1 -> 32
         40 f6 POST /login -> 42 json./user/id=#3
         50 f7 POST /login -> 52 json./user/id=#4
         60 f8 PUT /users/me -> 62
         70 f9 GET /users/me -> 72",
        expect![[r#"
            0 f1.0
            1 f1.1 after 0(binding) path.1<-0:json./id
            2 f2.0
            3 f3.0
            4 f4.0
            5 f5.0
            6 f6.0
            7 f7.0
            8 f8.0
            9 f9.0
        "#]],
    );
}

#[test]
fn what_a_session_has_of_its_own_can_race() {
    check(
        "0 f1 POST /login -> 1 set-cookie.sid=4bf92f3577b34da6a1b2c3d4
         5 f2 POST /cart/items cookie.sid=4bf92f3577b34da6a1b2c3d4 -> 20
         6 f3 GET /cart cookie.sid=4bf92f3577b34da6a1b2c3d4 -> 10
         7 f4 POST /cart/items -> 9",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(binding) cookie.sid<-0:set-cookie.sid
            2 f3.0 after 0(binding) races 1(/cart) cookie.sid<-0:set-cookie.sid
            3 f4.0
        "#]],
    );
}

#[test]
fn a_named_resource_is_one_that_is_replaced() {
    check(
        "0 f1 PUT /products/blue-shirt -> 2
         5 f2 GET /products/blue-shirt -> 7
         6 f3 GET /products/red-shirt -> 8
         10 f4 POST /products/reindex -> 12
         20 f5 GET /products/reindex -> 22",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0
            3 f4.0
            4 f5.0
        "#]],
    );
}

#[test]
fn what_was_refused_has_changed_nothing() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 PUT /orders/17 -> 7 409
         10 f3 GET /orders/17 -> 12",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 0(resource)
        "#]],
    );
}

#[test]
fn what_is_not_fired_orders_nothing() {
    check(
        "0 f1 PUT /orders/17 -> 2
         5 f2 !part PUT /orders/17 -> 7
         10 f3 GET /orders/17 -> 12",
        expect![[r#"
            0 f1.0
            1 f2.0 incomplete
            2 f3.0 after 0(resource)
        "#]],
    );
}

#[test]
fn graphql_says_by_the_fields_of_its_answer_what_it_does() {
    check(
        "0 f1 POST /graphql json./query=q -> 2 json./data/createOrder/id=#17
         5 f2 POST /graphql json./variables/id=#17 -> 7 json./data/order/id=#17
         10 f3 POST /graphql json./variables/orderId=#17 -> 12 json./data/cancelOrder/state=ok
         20 f4 POST /graphql json./query=q -> 22 json./data/orders/0/id=#17
         21 f5 POST /graphql json./query=q -> 22 json./data/products/0/id=#17",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 1(resource)
            3 f4.0 after 2(resource)
            4 f5.0
        "#]],
    );
}

#[test]
fn edges_are_limited() {
    let options = PlanOptions {
        max_resource: 2,
        ..PlanOptions::default()
    };
    check_with(
        &options,
        "0 f1 PUT /orders/17 -> 1
         2 f2 GET /orders/17 -> 5
         2 f3 GET /orders/17 -> 6
         2 f4 GET /orders/17 -> 7
         10 f5 PUT /orders/17 -> 12",
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 0(resource)
            3 f4.0 after 0(resource)
            4 f5.0 after 2(resource) after 3(resource)
        "#]],
    );
}

#[test]
fn the_order_can_be_that_of_sessions_or_none() {
    let text = "0 f1 PUT /orders/17 -> 2
         5 f2 PUT /orders/17 -> 7
         10 f3 GET /orders/17 -> 12";
    for order in [OrderRule::Session, OrderRule::None] {
        let options = PlanOptions {
            order,
            ..PlanOptions::default()
        };
        check_with(
            &options,
            text,
            expect![[r#"
                0 f1.0
                1 f2.0
                2 f3.0
            "#]],
        );
    }
}

/// A call of gRPC: each line has its method and leaves, those of the answer behind the time.
#[track_caller]
fn check_grpc(lines: &[&str], expected: Expect) {
    const TYPE: &str = "header.content-type=application/grpc";
    let lines = lines.iter().map(|line| {
        let (request, response) = line.split_once("->").expect("an answer");
        format!("{request} {TYPE} -> {response}\n")
    });
    check(&lines.collect::<String>(), expected);
}

#[test]
fn methods_of_grpc_read_and_write_by_their_verbs() {
    check_grpc(
        &[
            "0 f1 !http2 POST /shop.Orders/CreateOrder grpc.0>proto./2=pen -> 2 header.grpc-status=0 grpc.0>proto./1=17",
            "5 f2 !http2 POST /shop.Orders/UpdateOrder grpc.0>proto./1/1=17 -> 7 header.grpc-status=0",
            "10 f3 !http2 POST /shop.Orders/GetOrder grpc.0>proto./1=17 -> 12 header.grpc-status=0",
            "10 f4 !http2 POST /shop.Orders/GetOrder grpc.0>proto./1=18 -> 12 header.grpc-status=0",
            "20 f5 !http2 POST /shop.Orders/CancelOrder grpc.0>proto./1=17 -> 22 header.grpc-status=0",
            "30 f6 !http2 POST /shop.Orders/ListOrders grpc.0>proto./1=9 -> 32 header.grpc-status=0 grpc.0>proto./1/1=17 grpc.0>proto./1/1#1=18",
        ],
        expect![[r#"
            0 f1.0
            1 f2.0 after 0(resource)
            2 f3.0 after 1(resource)
            3 f4.0
            4 f5.0 after 2(resource)
            5 f6.0 after 4(resource)
        "#]],
    );
}

#[test]
fn what_grpc_refused_has_read_and_unknown_verbs_touch_nothing() {
    check_grpc(
        &[
            "0 f1 !http2 POST /shop.Orders/CancelOrder grpc.0>proto./1=17 -> 2 header.grpc-status=9",
            "5 f2 !http2 POST /shop.Orders/GetOrder grpc.0>proto./1=17 -> 7 header.grpc-status=0",
            "10 f3 !http2 POST /shop.Orders/Ponder grpc.0>proto./1=17 -> 12 header.grpc-status=0",
            "20 f4 !http2 POST /shop.Orders/GetOrder grpc.0>proto./1=17 -> 22 header.grpc-status=0",
        ],
        expect![[r#"
            0 f1.0
            1 f2.0
            2 f3.0
            3 f4.0
        "#]],
    );
}

#[test]
fn who_logs_out_does_so_after_what_came_back_before() {
    let (sent, gone) = ("cookie.sid=s3cr3t-0123456789", "set-cookie.sid=;Max-Age=0");
    let of = |answer: &str| {
        format!(
            "0 f1 POST /login -> 2 200 set-cookie.sid=s3cr3t-0123456789
             10 f1 GET /profile {sent} -> 12
             10 f2 GET /orders {sent} -> 11
             13 f2 POST /logout {sent} -> 14 204 {answer}
             20 f1 GET /profile {sent} -> 21 401"
        )
    };
    check(
        &of(gone),
        expect![[r#"
        0 f1.0
        1 f1.1 after 0(binding) cookie.sid<-0:set-cookie.sid
        2 f2.0 after 0(binding) cookie.sid<-0:set-cookie.sid
        3 f2.1 after 0(binding) after 1(resource) after 2(connection) cookie.sid<-0:set-cookie.sid
        4 f1.2 after 0(binding) after 1(connection) after 3(resource) cookie.sid<-0:set-cookie.sid
    "#]],
    );
    // A cookie that goes on orders nothing.
    check(
        &of("set-cookie.sid=s3cr3t-0123456789"),
        expect![[r#"
        0 f1.0
        1 f1.1 after 0(binding) cookie.sid<-0:set-cookie.sid
        2 f2.0 after 0(binding) cookie.sid<-0:set-cookie.sid
        3 f2.1 after 0(binding) after 2(connection) cookie.sid<-0:set-cookie.sid
        4 f1.2 after 1(connection) after 3(binding) cookie.sid<-3:set-cookie.sid
    "#]],
    );
    check(
        &format!(
            "0 f1 POST /login -> 2 200 set-cookie.sid=s3cr3t-0123456789
             10 f1 GET /profile {sent} -> 12
             11 f2 POST /logout {sent} -> 14 204 {gone}"
        ),
        expect![[r#"
            0 f1.0
            1 f1.1 after 0(binding) cookie.sid<-0:set-cookie.sid
            2 f2.0 after 0(binding) cookie.sid<-0:set-cookie.sid
        "#]],
    );
}
