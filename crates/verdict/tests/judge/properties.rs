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
        Just("application/xml"),
        Just("text/event-stream"),
        Just("application/grpc"),
        Just("application/x-protobuf"),
        Just("application/x-www-form-urlencoded"),
        Just("multipart/form-data; boundary=a"),
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
        page().prop_map(|body| Reply::text(200, "text/html", &body)),
        page().prop_map(|body| Reply::text(200, "application/xml", &body)),
        "([a-c]{0,3}[ \n]){0,12}".prop_map(|body| Reply::text(200, "text/plain", &body)),
    ]
}

/// Markup that is mostly well-formed.
fn page() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("p"),
        Just("b"),
        Just("ul"),
        Just("li"),
        Just("td"),
        Just("table"),
        Just("script")
    ];
    let text = "[a-z]{0,5}( [0-9]{1,3})?|&amp;|<br>|<!-- x -->|</p>";
    let leaf = text.prop_map(|text| text.to_owned());
    leaf.prop_recursive(4, 32, 5, move |inner| {
        let attributes = vec(("[a-c]|class|href", "[a-z /]{0,4}"), 0..3);
        (name.clone(), attributes, vec(inner, 0..5)).prop_map(|(name, attributes, inner)| {
            let attributes: Vec<String> = attributes
                .iter()
                .map(|(name, value)| format!(" {name}=\"{value}\""))
                .collect();
            format!("<{name}{}>{}</{name}>", attributes.concat(), inner.concat())
        })
    })
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
    fn a_difference_is_seen_from_both_sides(one in reply(), other in reply()) {
        let found = |from: &Reply, to: &Reply| {
            let call = Call::new("s", "GET", "/a", from.clone()).candidate(to.clone());
            !lines(&judge(&[call])).is_empty()
        };
        prop_assert_eq!(found(&one, &other), found(&other, &one));
    }

    #[test]
    fn what_differs_between_twins_and_is_no_noise_is_found(one in json(), other in json()) {
        let agreed = Reply::json(200, &one);
        let call = Call::new("s", "GET", "/a", agreed).candidate(Reply::json(200, &other));
        prop_assert_eq!(lines(&judge(&[call])).is_empty(), one == other);
    }
}

/// Bodies that make a careless reader or comparer go deep, wide or round and round.
fn hard_bodies() -> Vec<(&'static str, String)> {
    const BYTES: usize = 1 << 15;
    let many = |piece: &str| piece.repeat(BYTES / piece.len());
    let numbered = |piece: &str, count: usize| -> String {
        (0..count)
            .map(|index| piece.replace('#', &index.to_string()))
            .collect()
    };
    vec![
        ("text/html", many("<div>")),
        ("text/html", many("<table><b></b>")),
        ("text/html", many("<p><font color=a>")),
        ("text/html", many("<a b=c><p></a>")),
        ("text/html", many("<li>x")),
        ("text/html", format!("<p {}>", numbered(" a#=b", 5_000))),
        ("application/xml", many("<a>")),
        (
            "application/xml",
            format!("<a{}/>", numbered(" a#=\"\"", 5_000)),
        ),
        ("application/xml", format!("<a>{}</a>", many("<b/>"))),
        ("application/json", many("[")),
        (
            "application/json",
            format!("[{}1]", numbered("{\"a\":#},", 5_000)),
        ),
        ("text/event-stream", many("data: x\n\n")),
        ("text/plain", many("a\n")),
        ("text/plain", numbered("line #\n", 5_000)),
        ("application/x-www-form-urlencoded", many("a=b&")),
        ("multipart/mixed", many("--a\r\n\r\nb\r\n")),
        ("application/grpc", many("\0\0\0\0\u{2}\u{8}\u{1}")),
    ]
}

#[test]
fn what_is_hard_to_read_is_compared_all_the_same() {
    for (media_type, body) in hard_bodies() {
        let changed = format!("{}!{}", &body[..body.len() / 2], &body[body.len() / 2..]);
        let agreed = Reply::text(200, media_type, &body);
        let same = Call::new("s", "GET", "/a", agreed.clone());
        assert!(lines(&judge(&[same])).is_empty(), "{media_type}");
        let call =
            Call::new("s", "GET", "/a", agreed).candidate(Reply::text(200, media_type, &changed));
        let start: String = body.chars().take(40).collect();
        assert!(!lines(&judge(&[call])).is_empty(), "{media_type}: {start}");
    }
}
