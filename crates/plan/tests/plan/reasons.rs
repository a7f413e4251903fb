//! Why a value is bound or kept, and what rules of a bindings file change.

use expect_test::{Expect, expect};
use twintap_plan::{BindingRule, PlanOptions};

use crate::dsl::{capture, plan_of, render_reasons};

#[track_caller]
fn check(text: &str, expected: Expect) {
    check_with(PlanOptions::default(), text, expected);
}

#[track_caller]
fn check_with(options: PlanOptions, text: &str, expected: Expect) {
    let text = text
        .replace("$A", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
        .replace("$T", "q8Zr2LmX7vKc0PdW5nJt")
        .replace("$ID", "ord_5d41402abc4b2a76");
    let options = PlanOptions {
        explain: true,
        ..options
    };
    expected.assert_eq(&render_reasons(&plan_of(&capture(&text), &options)));
}

/// Rules as JSON, which is YAML too.
#[track_caller]
fn rules(json: &str) -> PlanOptions {
    let bindings: Vec<BindingRule> = serde_json::from_str(json).expect("sound rules");
    PlanOptions {
        bindings,
        ..PlanOptions::default()
    }
}

#[test]
fn every_decision_has_its_reason() {
    check(
        "0 f1 POST /login json./user=somebody1@example.org -> 2 set-cookie.sid=$A json./id=$ID
         10 f1 GET /checkout?q=checkout&n=7 cookie.sid=$A header.accept=application/json -> 12
         20 f1 POST /again json./user=somebody1@example.org -> 22",
        expect![[r#"
            0 json./user=no_producer path.0=short
            1 cookie.sid<-0 same_session path.0=words query.q=words query.n=short header.accept=protocol
            2 json./user=client_made path.0=short
        "#]],
    );
}

#[test]
fn bindings_across_sessions_say_how_they_were_found() {
    check(
        "0 f1 POST /orders -> 2 json./id=$ID
         10 f2 GET /orders/$ID -> 12
         20 f3 GET /orders -> 22 json./0/id=$ID
         30 f4 GET /orders/$ID -> 32",
        expect![[r#"
            0 path.0=words
            1 path.1<-0 only_session path.0=words
            2 path.0=words
            3 path.1<-0 made_there path.0=words
        "#]],
    );
    check(
        "0 f1 GET /list -> 2 json./0/id=$ID
         10 f2 GET /list -> 12 json./0/id=$ID
         20 f3 GET /orders/$ID -> 22",
        expect![[r#"
            0 path.0=short
            1 path.0=short
            2 path.0=words path.1=ambiguous
        "#]],
    );
}

#[test]
fn what_makes_a_request_unbound_is_said() {
    check(
        "0 f1 !began POST /orders cookie.sid=$A -> 2 json./id=$ID
         10 f1 GET /orders/$ID -> 12",
        expect![[r#"
            0 unbound path.0=words cookie.sid=before_capture
            1 unbound path.0=words path.1=producer_not_fired
        "#]],
    );
}

#[test]
fn without_correlation_all_is_sent_as_recorded() {
    let options = PlanOptions {
        correlate: false,
        ..PlanOptions::default()
    };
    check_with(
        options,
        "0 f1 POST /orders cookie.sid=$A -> 2 json./id=$ID
         10 f1 GET /orders/$ID -> 12",
        expect![[r#"
            0
            1
        "#]],
    );
}

#[test]
fn a_leaf_can_be_forbidden() {
    let text = "0 f1 POST /orders -> 2 json./id=$ID
                10 f1 GET /orders/$ID -> 12
                20 f1 GET /parts/$ID -> 22";
    check_with(
        rules(r#"[{"action": "forbid", "consumer": {"path": "/orders/*", "leaf": "path.*"}}]"#),
        text,
        expect![[r#"
            0 path.0=words
            1 path.0=forbidden path.1=forbidden
            2 path.1<-0 same_session path.0=short
        "#]],
    );
    // Only what comes from there.
    check_with(
        rules(
            r#"[{"action": "forbid", "consumer": {"leaf": "path.1"},
                 "producer": {"method": "POST", "path": "/orders", "leaf": "json./id"}}]"#,
        ),
        text,
        expect![[r#"
            0 path.0=words
            1 path.0=words path.1=forbidden
            2 path.1=forbidden path.0=short
        "#]],
    );
    check_with(
        rules(
            r#"[{"action": "forbid", "consumer": {"leaf": "path.1"},
                 "producer": {"method": "PUT", "leaf": "json./id"}}]"#,
        ),
        text,
        expect![[r#"
            0 path.0=words
            1 path.1<-0 same_session path.0=words
            2 path.1<-0 same_session path.0=short
        "#]],
    );
}

#[test]
fn a_leaf_can_be_pinned() {
    let pin = r#"[{"action": "pin", "consumer": {"method": "GET", "path": "/items/*", "leaf": "path.1"},
                   "producer": {"path": "/new", "leaf": "json./nr"}}]"#;
    check_with(
        rules(pin),
        "0 f1 POST /new -> 2 json./nr=#41
         10 f1 POST /new -> 12 json./nr=#42
         20 f1 GET /items/41?page=2 -> 22 json./nr=#41
         30 f1 GET /items/42 -> 32",
        expect![[r#"
            0 path.0=short
            1 path.0=short
            2 path.1<-0 pinned path.0=short query.page=short
            3 path.1<-1 pinned path.0=short
        "#]],
    );
    check_with(
        rules(pin),
        "0 f1 POST /new -> 2 json./nr=#41
         10 f1 GET /items/43 -> 12",
        expect![[r#"
            0 path.0=short
            1 unbound path.1=pin_unmet path.0=short
        "#]],
    );
}

#[test]
fn a_binding_can_be_added() {
    check_with(
        rules(
            r#"[{"action": "add", "consumer": {"path": "/pay", "leaf": "header.x-proof"},
                 "producer": {"path": "/challenge", "leaf": "json./nonce"}}]"#,
        ),
        "0 f1 GET /challenge -> 2 json./nonce=abc
         5 f2 GET /challenge -> 7 json./nonce=def
         10 f1 POST /pay header.x-proof=anything -> 12
         20 f3 POST /pay header.x-proof=anything -> 22",
        expect![[r#"
            0 path.0=words
            1 path.0=words
            2 header.x-proof<-0 added path.0=short
            3 header.x-proof<-1 added path.0=short
        "#]],
    );
}

/// What clients create: its kind, its session, and where it stands.
#[track_caller]
fn check_created(text: &str, expected: Expect) {
    let plan = plan_of(&capture(text), &PlanOptions::default());
    let mut found = String::new();
    for created in &plan.created {
        let places = created.places.iter();
        let places = places.map(|place| format!("{}:{}", place.request, place.path));
        let places = places.collect::<Vec<_>>().join(" ");
        found.push_str(&format!(
            "{:?} of {}: {places}\n",
            created.kind, created.session
        ));
    }
    expected.assert_eq(&found);
}

#[test]
fn who_signs_up_is_created_and_who_logs_in_was_there() {
    check_created(
        "0 f1 POST /signup json./email=ada1@example.org json./name=ada -> 2 201 json./email=ada1@example.org
         10 f1 POST /login form.username=ada1@example.org -> 12
         20 f2 POST /login form.username=bob -> 22
         30 f3 POST /login form.username=ada1@example.org -> 32",
        expect![[r#"
            Identity of 0: 0:json./email 1:form.username 3:form.username
        "#]],
    );
    check_created(
        "0 f1 POST /signup json./email=ada1@example.org -> 2 409
         10 f2 POST /api/users json./username=eve -> 12 201
         20 f3 POST /api/users/login json./username=mallory -> 22",
        expect![[r#"
            Identity of 1: 1:json./username
        "#]],
    );
}

#[test]
fn idempotency_keys_are_their_sessions_own() {
    check_created(
        "0 f1 POST /pay header.idempotency-key=7b1d5a90c2 -> 2 500
         10 f1 POST /pay header.idempotency-key=7b1d5a90c2 -> 12
         20 f1 GET /pay?id=7b1d5a90c2 -> 22",
        expect![[r#"
            IdempotencyKey of 0: 0:header.idempotency-key 1:header.idempotency-key 2:query.id
        "#]],
    );
}

#[test]
fn a_token_that_is_signed_anew_lacks_nothing() {
    let options = PlanOptions {
        signed: vec!["authorization".to_owned()],
        ..PlanOptions::default()
    };
    check_with(
        options,
        "0 f1 !began GET /me header.authorization.bearer=$T.$A header.x-csrf-token=$T -> 2
         10 f2 !began GET /me header.authorization.bearer=$A.$T -> 12",
        expect![[r#"
            0 unbound header.authorization.bearer=signed header.x-csrf-token=before_capture path.0=short
            1 header.authorization.bearer=signed path.0=short
        "#]],
    );
}

#[test]
fn a_rule_binds_to_a_message_of_a_conversation_that_goes_on() {
    let json = r#"[{"action": "add", "consumer": {"path": "/use/*", "leaf": "query.t"},
                     "producer": {"path": "/watch", "leaf": "json./*/id"}}]"#;
    check_with(
        rules(json),
        "0 f1 !http2 POST /watch -> 10..1000 json./0/id=abc json./1/id=def
         11.5 f2 GET /use/one?t=x -> 12
         2000 f3 GET /use/two?t=x -> 2001",
        expect![[r#"
            0 path.0=short
            1 query.t<-0 added path.1=words path.0=short
            2 query.t<-0 added path.1=words path.0=short
        "#]],
    );
}
