//! What holds for whatever a service answers.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Call, Reply, judge, lines};

fn json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,24}".prop_map(Value::from),
        "[0-9a-f]{16,40}".prop_map(Value::from),
        "2026-1[0-2]-[0-3][0-9]T[0-2][0-9]:00:00(\\.[0-9]{1,3})?Z?".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map("[a-c/~]{0,3}|[0-9]{2}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let bytes = vec(any::<u8>(), 0..64);
    let media = prop_oneof![
        Just("application/json"),
        Just("text/html"),
        Just("application/x-ndjson"),
        Just("")
    ];
    let headers = vec(("[A-Za-z-]{1,12}", "[ -~]{0,20}"), 0..4);
    prop_oneof![
        (json(), headers.clone()).prop_map(|(body, headers)| {
            let reply = Reply::json(200, &body);
            headers
                .iter()
                .fold(reply, |reply, (name, value)| reply.with(name, value))
        }),
        (bytes, media.clone()).prop_map(|(body, media)| Reply::bytes(200, media, body)),
        ("\\PC{0,80}", media).prop_map(|(body, media)| Reply::text(200, media, &body)),
    ]
}

proptest! {
    #[test]
    fn an_answer_does_not_differ_from_itself(reply in reply()) {
        let calls = vec![Call::new("s", "GET", "/a", reply); 3];
        let report = judge(&calls);
        prop_assert_eq!(lines(&report), Vec::<String>::new());
        prop_assert_eq!(report.fidelity, 1.0);
    }

    #[test]
    fn any_three_answers_can_be_judged(
        production in reply(),
        baseline in reply(),
        candidate in reply(),
        target in "[ -~]{0,30}",
    ) {
        let call = Call::new("s", "POST", &target, production)
            .baseline(baseline)
            .candidate(candidate)
            .produces("json./a");
        let report = judge(&[call]);
        for text in [
            twintap_verdict::text(&report),
            twintap_verdict::markdown(&report),
            twintap_verdict::html(&report),
        ] {
            prop_assert!(!text.is_empty());
        }
        prop_assert!(serde_json::to_string(&report).is_ok());
    }

    #[test]
    fn what_differs_between_twins_and_is_no_noise_is_found(one in json(), other in json()) {
        let agreed = Reply::json(200, &one);
        let call = Call::new("s", "GET", "/a", agreed).candidate(Reply::json(200, &other));
        prop_assert_eq!(lines(&judge(&[call])).is_empty(), one == other);
    }
}
