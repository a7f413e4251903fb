//! What requests are called together by.

use super::*;

fn endpoints(report: &Report) -> Vec<&str> {
    let endpoints = report.scope.endpoints.iter();
    endpoints
        .map(|endpoint| endpoint.endpoint.as_str())
        .collect()
}

fn call(method: &str, target: &str, reply: Reply) -> Call {
    Call::new("s", method, target, reply)
}

#[test]
fn patterns_win_over_what_is_inferred() {
    let calls = [
        call("GET", "/api/v1/items/red", ok(json!({}))),
        call("GET", "/api/v2/items/17", ok(json!({}))),
        call("GET", "/api/v2/users/17", ok(json!({}))),
    ];
    let options = serde_json::from_value(json!({"endpoints": ["GET /api/{version}/items/{item}"]}));
    let options: Options = options.expect("options");
    let report = judge_with(options, RunFacts::default(), observations(&calls));
    assert_eq!(
        endpoints(&report),
        ["GET /api/v2/users/{id}", "GET /api/{version}/items/{item}"]
    );
    let wrong = serde_json::from_value::<Options>(json!({"endpoints": ["items"]}));
    assert!(wrong.is_err_and(|error| error.to_string().contains("no endpoint")));
}

#[test]
fn operations_of_graphql_are_endpoints() {
    let asks = |query: &str| json!({"query": query, "variables": {}});
    let data = |name: &str| ok(json!({"data": {name: [{"name": "Tea"}]}}));
    let calls = [
        call("POST", "/graphql", data("products"))
            .asking(&asks("query Products { products { name } }")),
        call("POST", "/graphql", data("cart")).asking(&asks("mutation Add { cart { name } }")),
        call("POST", "/graphql", data("me")).asking(&asks("{ me { name } }")),
        call("POST", "/search", data("found")).asking(&asks("green tea")),
        call("GET", "/graphql?query=%7Bme%7Bname%7D%7D", data("me")),
    ];
    let report = judge(&calls);
    assert_eq!(
        endpoints(&report),
        [
            "GET /graphql query {me}",
            "POST /graphql mutation Add",
            "POST /graphql query Products",
            "POST /graphql query {me}",
            "POST /search",
        ]
    );
}

#[test]
fn fields_of_one_operation_are_places_in_its_data() {
    let asks = json!({"query": "query Products { products { name } }"});
    let data = |name: &str| ok(json!({"data": {"products": [{"name": name}]}}));
    let mut calls = one_in_many(&data("Tea"), data("Milk"));
    for call in &mut calls {
        call.method = "POST".to_owned();
        call.target = "/graphql".to_owned();
        *call = call.clone().asking(&asks);
    }
    check(
        &calls,
        expect![[r#"
            POST /graphql query Products body_changed /data/products/*/name x1
        "#]],
    );
}
