//! Policies as text, and what their rules do.

use expect_test::{Expect, expect};
use twintap_scrub::{Action, MessageNote, Policy};

use crate::support::{body, demo, exchange, reason, request, response, scrub, scrubber_of};

#[test]
fn shipped_policies_are_read() {
    assert!(!Policy::default_policy().keep_opaque());
    assert!(!Policy::allow_all().keep_opaque());
    assert!(!demo().keep_opaque());
}

#[test]
fn the_example_of_the_documentation_is_a_policy() {
    let page = include_str!("../../../../docs/policy.md");
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let scrubber = scrubber_of(example);
    let before = exchange(
        request("GET /users/ada/orders", &[]),
        response(200, "OK", &[]),
    );
    let scrubbed = scrub(&scrubber, before, b"", b"");
    assert_eq!(action(&scrubbed.request, "path.1"), Action::Pseudonym);
    assert_eq!(action(&scrubbed.request, "path.2"), Action::Allowed);
}

#[track_caller]
fn refused(yaml: &str, expected: Expect) {
    let error = Policy::from_yaml(yaml, "p.yaml").unwrap_err();
    assert!(error.position.is_some());
    expected.assert_eq(&error.to_string());
}

#[test]
fn what_is_no_policy_is_refused_with_its_place() {
    refused(
        "version: 2\n",
        expect![[r#"
            p.yaml: not a policy: line 1 column 10: version 2 is not known, expected version 1
             --> p.yaml:1:10
              |
            1 | version: 2
              |          ^ version 2 is not known, expected version 1"#]],
    );
    refused(
        "rules: []\n",
        expect![[r#"
            p.yaml: not a policy: line 1 column 1: missing field `version`
             --> p.yaml:1:1
              |
            1 | rules: []
              | ^ missing field `version`"#]],
    );
    refused(
        "version: 1\nrulez: []\n",
        expect![[r#"
            p.yaml: not a policy: line 2 column 1: unknown field `rulez`, expected one of version, base, keep_opaque, client_addresses, names, prefixes, limits, second_look, canaries, classes, bodies, rules
             --> p.yaml:2:1
              |
            1 | version: 1
            2 | rulez: []
              | ^ unknown field `rulez`, expected one of version, base, keep_opaque, client_addresses, names, prefixes, limits, second_look, canaries, classes, bodies, rules"#]],
    );
    refused(
        "version: 1\nclasses:\n  text: keep\n",
        expect![[r#"
            p.yaml: not a policy: line 3 column 9: unknown variant `keep`, expected one of allow, pseudonym, replace
             --> p.yaml:3:9
              |
            1 | version: 1
            2 | classes:
            3 |   text: keep
              |         ^ unknown variant `keep`, expected one of allow, pseudonym, replace"#]],
    );
    refused(
        "version: 1\nrules:\n  - at: [\"a***\"]\n    do: allow\n",
        expect![[r#"
            p.yaml: not a policy: line 3 column 10: "a***" is no pattern: write `*` or `**`
             --> p.yaml:3:10
              |
            1 | version: 1
            2 | rules:
            3 |   - at: ["a***"]
              |          ^ "a***" is no pattern: write `*` or `**`
            4 |     do: allow
              |"#]],
    );
    refused(
        "version: 1\nprefixes: [ada]\n",
        expect![[r#"
            p.yaml: not a policy: line 2 column 12: "ada" is no prefix, expected at most 16 ASCII characters that end with _ - : or ., such as ord_
             --> p.yaml:2:12
              |
            1 | version: 1
            2 | prefixes: [ada]
              |            ^ "ada" is no prefix, expected at most 16 ASCII characters that end with _ - : or ., such as ord_"#]],
    );
    refused(
        "version: 1\nlimits: {body_bytes: 1e12}\n",
        expect![[r#"
            p.yaml: not a policy: line 2 column 10: invalid type: floating point `1000000000000.0`, expected a whole number, written with digits alone
             --> p.yaml:2:10
              |
            1 | version: 1
            2 | limits: {body_bytes: 1e12}
              |          ^ invalid type: floating point `1000000000000.0`, expected a whole number, written with digits alone"#]],
    );
    refused(
        "version: 1\nlimits: {body_bytes: 1000000000000}\n",
        expect![[r#"
            p.yaml: not a policy: line 2 column 22: 1000000000000 bytes are too many, expected at most 268435456
             --> p.yaml:2:22
              |
            1 | version: 1
            2 | limits: {body_bytes: 1000000000000}
              |                      ^ 1000000000000 bytes are too many, expected at most 268435456"#]],
    );
}

#[test]
fn pseudo_header_fields_of_http2_are_known() {
    let fields = [
        (":scheme", "https"),
        (":authority", "shop.example"),
        ("te", "trailers"),
        ("grpc-message", "no such user: ada"),
    ];
    let before = exchange(request("POST /users", &fields), response(200, "", &[]));
    let scrubbed = scrub(&crate::support::scrubber(), before, b"", b"");
    assert_eq!(action(&scrubbed.request, "header.host"), Action::Allowed);
    assert_eq!(
        action(&scrubbed.request, "header.grpc-message"),
        Action::Pseudonym
    );
    let head = scrubbed.exchange.request.head.unwrap();
    let kept: Vec<_> = head.fields[..3]
        .iter()
        .map(|field| &field.value[..])
        .collect();
    assert_eq!(kept, [&b"https"[..], b"shop.example", b"trailers"]);
}

fn action(note: &MessageNote, path: &str) -> Action {
    note.leaves
        .iter()
        .find(|leaf| leaf.path == path)
        .unwrap()
        .action
}

#[test]
fn the_first_rule_that_matches_counts() {
    let scrubber = scrubber_of(
        "version: 1
base: none
rules:
  - at: [json./items/*/name]
    do: replace
  - names: [name, \"*-name\"]
    do: allow
  - at: [json.**]
    do: pseudonym
",
    );
    let json = br#"{"name":"Ada","lastName":"Byron","items":[{"name":"Blue"}],"n":1}"#;
    let (kept, note) = body(&scrubber, "application/json", json);
    assert_eq!(action(&note, "json./name"), Action::Allowed);
    assert_eq!(action(&note, "json./lastName"), Action::Allowed);
    assert_eq!(action(&note, "json./items/0/name"), Action::Replaced);
    assert_eq!(action(&note, "json./n"), Action::Pseudonym);
    assert!(String::from_utf8_lossy(&kept.unwrap()).contains("Xxxx"));
}

#[test]
fn rules_hold_for_their_routes() {
    let scrubber = scrubber_of(
        "version: 1
base: none
rules:
  - on: {methods: [GET], paths: [/products/*]}
    at: [path.*, json./name]
    do: allow
  - on: {paths: [\"/private/**\"]}
    do: drop_body
",
    );
    let of = |line: &str| {
        let exchange = exchange(
            request(line, &[]),
            response(200, "OK", &[("Content-Type", "application/json")]),
        );
        scrub(&scrubber, exchange, b"", b"{\"name\":\"Blue\"}")
    };
    let allowed = of("GET /products/p-0001?x=y");
    assert_eq!(
        allowed.request_head().target.split(|&b| b == b'?').next(),
        Some(&b"/products/p-0001"[..])
    );
    assert_eq!(action(&allowed.response, "json./name"), Action::Allowed);
    assert_eq!(
        action(&of("PUT /products/p-0001").response, "json./name"),
        Action::Pseudonym
    );
    assert_eq!(
        action(&of("GET /products/a/b").response, "json./name"),
        Action::Pseudonym
    );
    assert_eq!(reason(&of("GET /private/a/b").response), "rule");
}

#[test]
fn a_lost_request_allows_nothing_by_its_route() {
    let scrubber = scrubber_of(
        "version: 1
base: none
rules:
  - on: {paths: [\"/secret/**\"]}
    do: drop_body
  - on: {paths: [\"/products/**\"]}
    at: [json.**]
    do: allow
  - at: [json./id]
    do: allow
",
    );
    let of = |json: &[u8]| {
        let mut exchange = exchange(
            request("GET /products/1", &[]),
            response(200, "OK", &[("Content-Type", "application/json")]),
        );
        exchange.request.head = None;
        scrub(&scrubber, exchange, b"", json)
    };
    assert_eq!(reason(&of(b"{\"id\":\"Blue\"}").response), "rule");
}

#[test]
fn a_value_can_have_its_body_dropped() {
    let scrubber = scrubber_of(
        "version: 1
rules:
  - at: [json./diagnosis, header.x-diagnosis]
    do: drop_body
",
    );
    let (kept, note) = body(&scrubber, "application/json", b"{\"diagnosis\":\"flu\"}");
    assert_eq!((kept, reason(&note)), (None, "rule"));
    let (kept, _) = body(&scrubber, "application/json", b"{\"a\":\"flu\"}");
    assert!(kept.is_some());
    let fields = [("X-Diagnosis", "flu")];
    let head = exchange(request("GET /", &fields), response(200, "OK", &[]));
    let scrubbed = scrub(&scrubber, head, b"", b"");
    assert_eq!(scrubbed.request_head().fields[0].value, "xxx");
}

#[test]
fn bodies_are_allowed_and_dropped_by_type() {
    let scrubber = scrubber_of(
        "version: 1
bodies:
  - types: [application/json]
    do: drop
  - types: [\"image/*\"]
    do: allow
",
    );
    assert_eq!(
        reason(&body(&scrubber, "application/json", b"{}").1),
        "rule"
    );
    assert_eq!(body(&scrubber, "image/png", b"png").0.unwrap(), "png");
    assert_eq!(
        reason(&body(&scrubber, "video/mp4", b"mp4").1),
        "unknown_type"
    );
}

#[test]
fn a_policy_comes_before_its_base() {
    let yaml = "version: 1
classes: {word: allow}
bodies:
  - types: [text/css]
    do: drop
rules:
  - at: [json./password]
    do: allow
";
    let scrubber = scrubber_of(yaml);
    let json = br#"{"password":"sesame","a":"Ada","b":"paid","token":"x"}"#;
    let (_, note) = body(&scrubber, "application/json", json);
    assert_eq!(action(&note, "header.content-type"), Action::Allowed);
    assert_eq!(action(&note, "json./password"), Action::Allowed);
    assert_eq!(action(&note, "json./a"), Action::Pseudonym);
    assert_eq!(action(&note, "json./b"), Action::Allowed);
    assert_eq!(action(&note, "json./token"), Action::Pseudonym);
    assert_eq!(reason(&body(&scrubber, "text/css", b"p{}").1), "rule");
    assert_eq!(body(&scrubber, "font/woff2", b"f").0.unwrap(), "f");
}

#[test]
fn addresses_of_clients_are_scrubbed() {
    let of = |yaml: &str| {
        let before = exchange(request("GET /", &[]), response(200, "OK", &[]));
        scrub(&scrubber_of(yaml), before, b"", b"")
            .exchange
            .endpoints
    };
    let scrubbed = of("version: 1\n");
    assert!(scrubbed.client.to_string().starts_with("10."));
    assert_eq!(scrubbed.client.port(), 40000);
    assert_eq!(scrubbed.server.to_string(), "198.51.100.1:80");
    let kept = of("version: 1\nclient_addresses: allow\n");
    assert_eq!(kept.client.to_string(), "203.0.113.9:40000");
}

#[test]
fn the_path_of_a_grpc_call_names_what_is_the_services_own() {
    let action_at = |target: &str, media_type: &str, policy: &str, path: &str| {
        let head = request(&format!("POST {target}"), &[("content-type", media_type)]);
        let scrubber = scrubber_of(policy);
        let scrubbed = scrub(
            &scrubber,
            exchange(head, response(200, "OK", &[])),
            b"",
            b"",
        );
        action(&scrubbed.request, path)
    };
    let (grpc, json) = ("application/grpc+proto", "application/json");
    for path in ["path.0", "path.1"] {
        let call = "/shop.v1.Carts/AddItem";
        assert_eq!(action_at(call, grpc, "version: 1", path), Action::Allowed);
        assert_eq!(action_at(call, json, "version: 1", path), Action::Pseudonym);
        let strict = "version: 1\nclasses: {path_word: pseudonym}";
        assert_eq!(action_at(call, grpc, strict, path), Action::Pseudonym);
    }
    for other in [
        "/Carts/AddItem/Ada",
        "/Carts/ada@shop",
        "/Carts/AddItem?user=Ada",
    ] {
        let found = action_at(other, grpc, "version: 1", "path.1");
        assert_eq!(found, Action::Pseudonym, "{other}");
    }
}

#[test]
fn rules_that_never_decide_are_named() {
    let idle = |rules: &str| {
        let policy = Policy::from_yaml(&format!("{{version: 1, rules: [{rules}]}}"), "test");
        let idle = policy.unwrap().idle_rules();
        idle.iter()
            .map(|idle| (idle.rule, idle.behind))
            .collect::<Vec<_>>()
    };
    let first = "{at: [json./a, json./b], do: allow}";
    assert_eq!(
        idle(&format!("{first}, {{at: [json./b], do: replace}}")),
        [(2, 1)]
    );
    assert_eq!(
        idle(&format!("{{at: [\"**\"], do: allow}}, {first}")),
        [(2, 1)]
    );
    let on = "on: {paths: [/x]}";
    assert_eq!(
        idle(&format!("{first}, {{{on}, at: [json./a], do: replace}}")),
        [(2, 1)]
    );
    assert_eq!(
        idle(&format!("{{{on}, at: [json./a], do: replace}}, {first}")),
        []
    );
    assert_eq!(
        idle(&format!(
            "{{at: [json./a], names: [a], do: allow}}, {first}"
        )),
        []
    );
    assert_eq!(idle(&format!("{{{on}, do: drop_body}}, {first}")), []);
    assert_eq!(
        idle("{names: [id], do: allow}"),
        [],
        "a base is meant to be overruled"
    );
}
