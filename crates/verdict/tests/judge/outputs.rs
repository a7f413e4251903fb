//! The report in the forms that other programs read.

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use serde_json::json;
use twintap_verdict::{Gate, Outcome, Report, Rules, RunFacts, junit};

use crate::support::{Call, Reply, judge_with, observations, repeated};

fn report(gate: Gate) -> Report {
    let calls = repeated(20, |_, session| {
        let page = |value: &str| Reply::json(200, &json!({"v": value}));
        let skipped = || Outcome::Skipped("filtered".to_owned());
        vec![
            Call::new(session, "GET", "/same", page("x")),
            Call::new(session, "GET", "/a&<b>", page("one")).candidate(page("two\u{1}<&")),
            Call::new(session, "GET", "/never", page("x")).outcomes(skipped(), skipped()),
        ]
    });
    let rules = Rules {
        gate,
        ..Rules::default()
    };
    judge_with(rules, RunFacts::default(), observations(&calls))
}

/// Each test case by name, with the elements within it.
fn cases(xml: &str) -> Vec<(String, Vec<String>)> {
    let mut reader = Reader::from_str(xml);
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Eof => return cases,
            Event::Start(element) | Event::Empty(element) => {
                let tag = element.name().as_ref().to_owned();
                if tag == "testcase" {
                    let name = element.try_get_attribute("name").expect("attributes");
                    let name = name.expect("a name");
                    let name = name
                        .normalized_value(XmlVersion::Explicit1_0)
                        .expect("a value")
                        .into_owned();
                    cases.push((name, Vec::new()));
                } else if let Some((_, within)) = cases.last_mut() {
                    within.push(tag);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn junit_has_a_test_for_each_endpoint() {
    let xml = junit(&report(Gate::default()));
    let cases = cases(&xml);
    let of = |name: &str| {
        let case = cases.iter().find(|(known, _)| known == name);
        case.map(|(_, within)| within.join(" "))
    };
    assert_eq!(of("GET /same").as_deref(), Some(""));
    assert_eq!(of("GET /a&<b>").as_deref(), Some("failure"));
    assert_eq!(of("GET /never").as_deref(), Some("skipped"));
    assert_eq!(of("verdict").as_deref(), Some("system-out"));
    assert!(
        xml.contains("tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"1\""),
        "{xml}"
    );
}

#[test]
fn junit_knows_the_gate() {
    let gate = Gate {
        levels: serde_json::from_value(json!([{"name": "let be", "level": "warn"}]))
            .expect("levels"),
        coverage: serde_json::from_value(json!({"traffic": "99%"})).expect("coverage"),
        ..Gate::default()
    };
    let xml = junit(&report(gate));
    let cases = cases(&xml);
    let wrong: Vec<&str> = cases
        .iter()
        .filter(|(_, within)| within.iter().any(|tag| tag == "failure" || tag == "error"))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(wrong, ["verdict", "traffic covered"]);
    assert!(xml.contains("failures=\"0\" errors=\"2\""), "{xml}");
    assert!(xml.contains("warn: GET /a&amp;&lt;b"), "{xml}");
}
