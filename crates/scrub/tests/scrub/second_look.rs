//! The second look and the canaries: what would be stored all the same is not.

use twintap_scrub::{BodyFate, CanaryLeak, Policy, Scrubber, try_canaries};
use twintap_stream::message::MessageState;

use crate::support::{Scrubbed, exchange, key, request, response, scrub_in_chunks, scrubber_of};

/// A policy that allows what it should not.
const LOOSE: &str = "
version: 1
rules:
  - at: [json./note, json./state, query.q, header.x-note, text]
    do: allow
";

const JSON: (&str, &str) = ("content-type", "application/json");

/// Scrubs an exchange with these bodies, both of JSON.
fn scrub(scrubber: &Scrubber, target: &str, sent: &str, answered: &str) -> Scrubbed {
    let head = request(&format!("POST {target}"), &[("host", "shop"), JSON]);
    let answer = response(200, "OK", &[JSON]);
    let exchange = exchange(head, answer);
    scrub_in_chunks(
        scrubber,
        exchange,
        sent.as_bytes(),
        answered.as_bytes(),
        4096,
    )
}

/// Nothing of the value is in what is stored.
#[track_caller]
fn check_gone(stored: &Scrubbed, value: &str) {
    let stored = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        stored.exchange, stored.request, stored.response, stored.request_body, stored.response_body
    );
    assert!(!stored.contains(value), "{value} in {stored}");
}

fn hits(stored: &Scrubbed) -> Vec<(&str, &str)> {
    let hits = stored.request.hits.iter().chain(&stored.response.hits);
    hits.map(|hit| (&*hit.path, &*hit.kind)).collect()
}

#[test]
fn a_hit_quarantines_the_exchange() {
    let scrubber = scrubber_of(LOOSE);
    let sent = r#"{"note":"ask ada@lovelace.org","price":12}"#;
    let stored = scrub(&scrubber, "/orders?q=tea", sent, r#"{"ok":true}"#);
    assert_eq!(hits(&stored), [("json./note", "email")]);
    check_gone(&stored, "lovelace");
    let dropped = BodyFate::Dropped("second_look".to_owned());
    assert_eq!(stored.request.body, dropped);
    assert_eq!(stored.response.body, dropped);
    assert_eq!(stored.request_body, "");
    assert_eq!(stored.exchange.request.state, MessageState::Incomplete);
    let head = stored.exchange.request.head.unwrap();
    assert!(!String::from_utf8_lossy(&head.target).contains("tea"));
    let counts = scrubber.second_look();
    assert_eq!(counts.quarantined, 1);
    assert_eq!(counts.by_kind, [("email".to_owned(), 1)].into());
}

#[test]
fn pseudonyms_that_keep_their_form_are_no_hits() {
    let scrubber = scrubber_of(LOOSE);
    let sent = r#"{"card":4111111111111111,"iban":"DE89370400440532013000","mail":"ada@lovelace.org","from":"203.0.113.7","note":"fine"}"#;
    let stored = scrub(&scrubber, "/orders?mail=ada%40lovelace.org", sent, sent);
    assert_eq!(hits(&stored), []);
    assert_eq!(stored.request.body, BodyFate::Scrubbed);
    assert!(stored.request_body.ends_with(br#""note":"fine"}"#));
    check_gone(&stored, "lovelace");
    assert!(scrubber.second_look().looked_bytes > 0);
}

#[test]
fn heads_and_what_is_inside_of_values_are_looked_at() {
    let scrubber = scrubber_of(LOOSE);
    let stored = scrub(&scrubber, "/orders?q=ada%40lovelace.org", "{}", "{}");
    assert_eq!(hits(&stored), [("query.q", "email")]);
    check_gone(&stored, "lovelace");
    let sent = r#"{"state":"{\"to\":\"ada@lovelace.org\"}"}"#;
    let stored = scrub(&scrubber, "/orders", sent, "{}");
    assert!(hits(&stored).contains(&("json./state", "email")));
    check_gone(&stored, "lovelace");
}

#[test]
fn a_body_that_is_allowed_is_looked_at_before_it_is_given_out() {
    let scrubber = scrubber_of("{version: 1, bodies: [{types: [application/json], do: allow}]}");
    let stored = scrub(&scrubber, "/a", r#"{"x":"ada@lovelace.org"}"#, r#"{"x":1}"#);
    assert_eq!(hits(&stored), [("json./x", "email")]);
    check_gone(&stored, "lovelace");
    let stored = scrub(&scrubber, "/a", r#"{"x":"teapot"}"#, r#"{"x":1}"#);
    assert_eq!(stored.request.body, BodyFate::Allowed);
    assert_eq!(stored.request_body, r#"{"x":"teapot"}"#);
}

#[test]
fn what_is_too_large_to_be_held_passes_and_is_counted() {
    let scrubber = scrubber_of(
        "{version: 1, limits: {body_bytes: 8}, bodies: [{types: [application/json], do: allow}]}",
    );
    let mut whole = exchange(request("POST /a", &[JSON]), response(200, "OK", &[]));
    whole.request.body_bytes = 14;
    let stored = scrub_in_chunks(&scrubber, whole, br#"{"x":"teapot"}"#, b"", 5);
    assert_eq!(stored.request_body, r#"{"x":"teapot"}"#);
    assert_eq!(scrubber.second_look().passed_over_bytes, 14);
}

#[test]
fn what_a_policy_excepts_or_switches_off_stays() {
    let note = r#"{"note":"ada@lovelace.org"}"#;
    for more in [
        "second_look: {look_at: nothing}",
        "second_look: {except: [json./note]}",
        "second_look: {min_score: 95}",
    ] {
        let stored = scrub(&scrubber_of(&format!("{LOOSE}\n{more}")), "/a", note, "{}");
        assert_eq!(hits(&stored), [], "{more}");
        assert_eq!(stored.request_body, note, "{more}");
    }
}

#[test]
fn a_budget_lets_pass_what_is_beyond_it_and_counts_that() {
    let scrubber = scrubber_of(&format!(
        "{LOOSE}\nsecond_look: {{look_at: {{bytes_per_second: 100}}}}"
    ));
    let note = r#"{"note":"ada@lovelace.org"}"#;
    let stored: Vec<_> = (0..3).map(|_| scrub(&scrubber, "/a", note, "{}")).collect();
    assert_eq!(hits(&stored[0]).len(), 1);
    assert_eq!(hits(&stored[2]).len(), 0);
    let counts = scrubber.second_look();
    assert!(counts.looked_bytes <= 100, "{counts:?}");
    assert!(counts.passed_over_bytes > 0, "{counts:?}");
}

#[test]
fn no_canary_comes_through_what_ships() {
    assert_eq!(try_canaries(&Policy::default_policy(), &key()), []);
}

#[test]
fn canaries_tell_what_a_policy_lets_through() {
    let policy = |yaml: &str| Policy::from_yaml(yaml, "test").unwrap();
    let blind = "{version: 1, second_look: {look_at: nothing}, rules: [{on: {paths: [/notes/*]}, at: [json./note], do: allow}]}";
    let leaks = try_canaries(&policy(blind), &key());
    let [
        CanaryLeak {
            route,
            place,
            kinds,
        },
    ] = &leaks[..]
    else {
        panic!("{leaks:?}");
    };
    assert_eq!((&**route, &**place), ("POST /notes/value", "json./note"));
    assert!(
        kinds.contains(&"card") && kinds.contains(&"email"),
        "{kinds:?}"
    );
    let looking = "{version: 1, rules: [{on: {paths: [/notes/*]}, at: [json./note], do: allow}]}";
    let leaks = try_canaries(&policy(looking), &key());
    let kinds: Vec<_> = leaks.iter().flat_map(|leak| &leak.kinds).collect();
    for known in ["card", "email", "iban", "jwt", "phone"] {
        assert!(!kinds.contains(&&known), "{known} came through: {kinds:?}");
    }
}

#[test]
fn settings_out_of_range_are_refused_with_what_would_be_right() {
    for (yaml, right) in [
        ("second_look: {min_score: 20}", "50 to 100"),
        ("second_look: {look_at: {bytes_per_second: 0}}", "1 or more"),
        ("second_look: {look_at: some}", "nothing"),
        ("canaries: maybe", "required"),
    ] {
        let error = Policy::from_yaml(&format!("version: 1\n{yaml}"), "test").unwrap_err();
        assert!(error.problem.contains(right), "{yaml}: {}", error.problem);
    }
}
