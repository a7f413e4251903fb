//! Which service a request goes to, and what that does to waits.

use twintap_plan::{Filter, OrderRule, PlanOptions, Route, RouteTo, WaitReason};

use crate::dsl::{capture, plan_of};

fn route(authority: &str, port: u16, path: &str, to: RouteTo) -> Route {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Route {
        authority: some(authority),
        port: (port != 0).then_some(port),
        path: some(path),
        to,
    }
}

/// What the routes make of a capture: for each request its route, its service and
/// whether it is fired.
#[track_caller]
fn check(routes: Vec<Route>, text: &str, expected: &[(u16, u16, bool)]) {
    let options = PlanOptions {
        routes,
        ..PlanOptions::default()
    };
    let plan = plan_of(&capture(text), &options);
    let found: Vec<(u16, u16, bool)> = plan
        .requests
        .iter()
        .map(|request| (request.route, request.service, request.skip.is_none()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_first_route_that_takes_a_request_decides() {
    check(
        vec![
            route("", 0, "/cart/private", RouteTo::Nowhere),
            route("cart.example", 0, "/cart", RouteTo::Service(2)),
            route("*.example", 8080, "", RouteTo::Service(1)),
            route("", 0, "/home", RouteTo::Service(0)),
            route("", 9090, "", RouteTo::Nowhere),
        ],
        "0 f1 GET /cart/private header.host=cart.example -> 1
         2 f2 GET /cart/1 header.host=cart.example -> 3
         4 f3 >10.0.0.9:8080 GET /x header.host=cart.example -> 5
         6 f4 GET /home header.host=shop.example -> 7
         8 f5 GET /other header.host=shop.example -> 9
         10 f6 >10.0.0.9:9090 GET /other -> 11",
        &[
            (1, 0, false),
            (2, 2, true),
            (3, 1, true),
            (4, 0, true),
            (0, 0, true),
            (5, 0, false),
        ],
    );
}

#[test]
fn what_is_not_asked_for_takes_no_route() {
    let options = PlanOptions {
        routes: vec![route("", 0, "", RouteTo::Service(1))],
        filter: Filter {
            methods: vec!["GET".to_owned()],
            ..Filter::default()
        },
        ..PlanOptions::default()
    };
    let text = "0 f1 GET / -> 1
        2 f2 POST / -> 3";
    let summary = plan_of(&capture(text), &options).summary();
    assert_eq!(summary.routes, [(1, 1)].into());
    assert_eq!((summary.planned, summary.fired), (2, 1));
}

/// A flow whose third request goes elsewhere.
const MIXED: &str = "0 f1 GET /a -> 5
    10 f1 GET /b -> 15
    20 f1 GET /cart -> 25
    30 f1 GET /c -> 35";

fn waits(order: OrderRule) -> Vec<Vec<(u32, WaitReason)>> {
    let options = PlanOptions {
        routes: vec![route("", 0, "/cart", RouteTo::Service(1))],
        order,
        ..PlanOptions::default()
    };
    let plan = plan_of(&capture(MIXED), &options);
    let waits = plan.requests.iter().map(|request| {
        let waits = request.waits.iter();
        waits.map(|wait| (wait.request, wait.reason)).collect()
    });
    waits.collect()
}

#[test]
fn a_flow_keeps_its_order_at_each_service_and_what_its_client_had_across_them() {
    use WaitReason::{ClientHad, Connection};
    assert_eq!(
        waits(OrderRule::Session),
        [
            vec![],
            vec![(0, Connection)],
            vec![(1, ClientHad)],
            vec![(1, Connection), (2, ClientHad)],
        ]
    );
    assert_eq!(
        waits(OrderRule::None),
        [vec![], vec![(0, Connection)], vec![], vec![(1, Connection)]]
    );
}
