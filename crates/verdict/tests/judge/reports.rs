//! What reports say, and how.

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::{Value, json};
use twintap_stream::{StoreLedger, Timestamp};
use twintap_verdict::{
    CaptureSource, Correlation, Judge, KernelLedger, Options, Outcome, PlanSummary, Quantiles,
    Report, RunFacts, Target, Verdict, html, markdown, text,
};

use crate::support::{Call, Reply, judge, judge_with, observations, repeated};

fn page(value: &str) -> Reply {
    Reply::json(200, &json!({"v": value}))
}

fn agreeing(sessions: usize) -> Vec<Call> {
    repeated(sessions, |_, session| {
        vec![Call::new(session, "GET", "/a", page("x"))]
    })
}

fn facts() -> RunFacts {
    RunFacts {
        run: "nightly".to_owned(),
        tool_version: "0.1.0".to_owned(),
        capture_source: CaptureSource::Pcap,
        kernel: KernelLedger {
            seen_bytes: 110,
            delivered_bytes: 100,
            dropped_bytes: BTreeMap::from([("ring_full".to_owned(), 8), ("stopped".to_owned(), 2)]),
            pending_bytes: 0,
        },
        store: StoreLedger {
            delivered_bytes: 100,
            message_bytes: 60,
            framing_bytes: 10,
            duplicate_bytes: 5,
            opaque_bytes: 5,
            discarded_bytes: BTreeMap::from([("gap".to_owned(), 20)]),
            pending_bytes: 0,
            rebuilt: 13,
            stored: 12,
            discarded: BTreeMap::from([("evicted".to_owned(), 1)]),
            pending: 0,
        },
        release_error_us: Some(Quantiles {
            count: 24,
            p50: 20.0,
            p90: 30.0,
            p99: 45.0,
            max: 60.0,
        }),
        correlation: Correlation {
            bound: 7,
            unbound: 1,
            ..Correlation::default()
        },
        candidate: Target {
            name: "candidate".to_owned(),
            address: "127.0.0.1:9002".to_owned(),
        },
        plan: Some(PlanSummary {
            requests: 12,
            sessions: 12,
            ..PlanSummary::default()
        }),
        started: Some(Timestamp(1_763_806_197_000_000_000)),
        reproduce: vec!["twintap replay --run nightly".to_owned()],
        ..RunFacts::default()
    }
}

#[test]
fn a_report_has_the_keys_that_others_read() {
    let report = judge_with(Options::default(), facts(), observations(&agreeing(12)));
    let report: Value = serde_json::to_value(&report).expect("a report is plain data");
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["capture_source"], "pcap");
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["fidelity"], 1.0);
    assert_eq!(report["findings"], json!([]));
    assert!(report["reasons"][0].is_string());
    assert_eq!(report["correlation"], json!({"bound": 7, "unbound": 1}));
    assert_eq!(report["release_error_us"]["p50"], 20.0);
    assert_eq!(report["release_error_us"]["p99"], 45.0);
    assert_eq!(report["release_error_us"]["max"], 60.0);
    assert_eq!(report["started"], "2025-11-22T10:09:57Z");
    assert_eq!(
        report["ledgers"]["kernel"],
        json!({
            "seen_bytes": 110, "delivered_bytes": 100, "dropped_bytes": 10, "pending_bytes": 0,
            "dropped_by_cause": {"ring_full": 8, "stopped": 2}, "unexplained_bytes": 0,
        })
    );
    assert_eq!(
        report["ledgers"]["store"],
        json!({
            "delivered_bytes": 100, "message_bytes": 60, "framing_bytes": 10, "duplicate_bytes": 5,
            "opaque_bytes": 5, "discarded_bytes": 20, "discarded_bytes_by_cause": {"gap": 20},
            "pending_bytes": 0, "rebuilt": 13, "stored": 12, "discarded": 1,
            "discarded_by_cause": {"evicted": 1}, "pending": 0,
            "unexplained_bytes": 0, "unexplained_exchanges": 0,
        })
    );
    let run = json!({
        "planned": 12, "answered": 12, "errored": 0, "refused": 0, "skipped": 0, "unexplained": 0,
        "errored_by_cause": {}, "refused_by_cause": {}, "skipped_by_cause": {},
    });
    assert_eq!(
        report["ledgers"]["runs"],
        json!({"candidate": run, "baseline": run})
    );
}

#[test]
fn a_finding_has_the_keys_that_others_read() {
    let mut calls = agreeing(12);
    calls[4].candidate = page("y");
    let report = serde_json::to_value(judge(&calls)).expect("a report is plain data");
    let finding = &report["findings"][0];
    assert_eq!(finding["id"], "F1");
    assert_eq!(finding["endpoint"], "GET /a");
    assert_eq!(finding["kind"], "body_changed");
    assert_eq!(finding["location"], "/v");
    assert_eq!(
        (&finding["count"], &finding["sessions"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(finding["consequences"], json!([]));
    let example = &finding["evidence"][0];
    assert_eq!(
        example["exchange"],
        "node-a/0000000000000007/0000000000000001/400"
    );
    assert_eq!(example["session"], "s-004");
    assert_eq!(example["request"], "GET /a HTTP/1.1");
    assert_eq!(example["at"], "/v");
    assert_eq!(example["change"], r#""x" → "y""#);
    assert_eq!(example["production"]["text"], "{\n  \"v\": \"x\"\n}");
    assert_eq!(example["candidate"]["text"], "{\n  \"v\": \"y\"\n}");
}

#[test]
fn a_report_can_be_read_back() {
    let report = failing();
    let written = serde_json::to_string(&report).expect("a report is plain data");
    let read: Report = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(read, report);
}

#[track_caller]
fn inconclusive(report: &Report, part_of_a_reason: &str) {
    assert_eq!(report.verdict, Verdict::Inconclusive);
    let says = |reason: &String| reason.contains(part_of_a_reason);
    assert!(report.reasons.iter().any(says), "{:?}", report.reasons);
}

#[test]
fn too_little_says_nothing() {
    inconclusive(&judge(&[]), "nothing was compared");
    inconclusive(
        &judge(&agreeing(9)),
        "Only 9 exchanges were answered by both twins",
    );
    inconclusive(&judge(&agreeing(1)), "Only 1 exchange was answered");
}

#[test]
fn a_twin_unlike_production_says_nothing() {
    let calls = repeated(20, |index, session| {
        let baseline = if index < 3 { page("y") } else { page("x") };
        vec![
            Call::new(session, "GET", "/a", page("x"))
                .baseline(baseline.clone())
                .candidate(baseline),
        ]
    });
    let report = judge(&calls);
    inconclusive(
        &report,
        "17 of 20 exchanges (85 %), below the floor of 90 %",
    );
    assert_eq!(report.fidelity, 0.85);
}

#[test]
fn a_finding_fails_whatever_the_fidelity() {
    let calls = repeated(20, |index, session| {
        let baseline = if index < 5 { page("y") } else { page("x") };
        vec![
            Call::new(session, "GET", "/a", page("x"))
                .baseline(baseline.clone())
                .candidate(baseline),
            Call::new(session, "GET", "/b", page("x")).candidate(page("z")),
        ]
    });
    let report = judge(&calls);
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.reasons.len(), 2);
    assert!(report.reasons[1].starts_with("Besides: "));
}

#[test]
fn open_ledgers_say_nothing() {
    let with = |change: fn(&mut RunFacts)| {
        let mut facts = facts();
        change(&mut facts);
        judge_with(Options::default(), facts, observations(&agreeing(12)))
    };
    inconclusive(
        &with(|facts| facts.kernel.seen_bytes += 3),
        "kernel ledger does not close: 3 bytes",
    );
    inconclusive(
        &with(|facts| facts.store.message_bytes += 4),
        "store ledger does not close: -4 bytes",
    );
    inconclusive(
        &with(|facts| facts.store.rebuilt += 5),
        "store ledger does not close: 5 exchanges",
    );
    let missing = with(|facts| {
        facts.plan = Some(PlanSummary {
            requests: 14,
            ..PlanSummary::default()
        })
    });
    inconclusive(
        &missing,
        "candidate's run ledger does not close: of 14 planned requests 2",
    );
    inconclusive(
        &with(|facts| facts.inconclusive.push("No health.".to_owned())),
        "No health.",
    );
}

#[test]
fn a_request_observed_twice_counts_once_and_is_said() {
    let mut twice = observations(&agreeing(12));
    twice.push(twice[3].clone());
    let report = judge_with(Options::default(), RunFacts::default(), twice);
    assert_eq!(report.ledgers.runs.candidate.planned, 12);
    inconclusive(&report, "1 planned request was observed a second time");
}

#[test]
fn a_warm_up_counts_in_the_ledgers_and_is_not_judged() {
    let mut calls = agreeing(14);
    calls[0].candidate = page("y");
    let mut observed = observations(&calls);
    for observation in &mut observed[..2] {
        observation.is_warm_up = true;
    }
    let report = judge_with(Options::default(), RunFacts::default(), observed);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.scope.warm_up, report.scope.compared), (2, 12));
    assert_eq!(report.fidelity_detail.exchanges, 12);
    assert_eq!(report.ledgers.runs.candidate.answered, 14);
    let text = twintap_verdict::text(&report);
    assert!(
        text.contains("warm-up      2 requests, not judged"),
        "{text}"
    );
}

#[test]
fn run_ledgers_and_fidelity_count_by_cause() {
    let word = |word: &str| word.to_owned();
    let mut calls = agreeing(12);
    let agreed = || Call::new("s-more", "GET", "/a", page("x"));
    for cause in ["unbound", "incomplete", "filtered"] {
        let skipped = Outcome::Skipped(word(cause));
        calls.push(agreed().outcomes(skipped.clone(), skipped));
    }
    let refused = Outcome::Refused(word("connections"));
    calls.push(agreed().outcomes(refused.clone(), refused));
    calls.push(
        agreed()
            .baseline(Reply::error("timeout"))
            .candidate(Reply::error("timeout")),
    );
    calls.push(agreed().baseline(page("x").late()));
    calls.push(agreed().production(page("other")));
    // Nobody saw what production answered: an incomplete exchange.
    calls.push(agreed().unseen());
    let report = judge(&calls);
    let ledger = &report.ledgers.runs.baseline;
    assert_eq!(
        (
            ledger.planned,
            ledger.answered,
            ledger.errored,
            ledger.refused,
            ledger.skipped
        ),
        (20, 15, 1, 1, 3)
    );
    assert_eq!(ledger.skipped_by_cause["unbound"], 1);
    assert_eq!(ledger.errored_by_cause["timeout"], 1);
    let detail = &report.fidelity_detail;
    assert_eq!((detail.equal, detail.exchanges), (12, 17));
    let unequal: Vec<(&str, u64)> = detail
        .unequal
        .iter()
        .map(|(cause, count)| (cause.as_str(), *count))
        .collect();
    assert_eq!(
        unequal,
        [
            ("difference", 1),
            ("errored", 1),
            ("late", 1),
            ("refused", 1),
            ("unbound", 1)
        ]
    );
    assert_eq!(detail.endpoints[0].differs_at[1].location, "answer");
    assert_eq!(report.scope.endpoints[0].skipped["filtered"], 1);
}

#[test]
fn memory_for_places_has_an_end() {
    let options = Options {
        max_places: 5,
        ..Options::default()
    };
    let calls = repeated(12, |index, session| {
        let odd: serde_json::Map<String, Value> = (0..50)
            .map(|key| (format!("k{index}x{key}"), json!(1)))
            .collect();
        vec![
            Call::new(session, "GET", "/a", page("x"))
                .candidate(Reply::json(200, &Value::Object(odd))),
        ]
    });
    let report = judge_with(options, RunFacts::default(), observations(&calls));
    let places = report
        .findings
        .iter()
        .map(|finding| 1 + finding.also.len())
        .sum::<usize>();
    // Of the last place there are two kinds.
    assert!(places <= 7, "{places}");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.location == "elsewhere")
    );
}

fn failing() -> Report {
    let calls = repeated(12, |index, session| {
        let order = |total: u32| Reply::json(200, &json!({"total": total}));
        let shown = if index % 4 == 0 { 9 } else { 10 };
        vec![
            Call::new(session, "GET", "/p", page("x").with("Vary", "a")).candidate(page("x")),
            Call::new(session, "POST", "/checkout", order(10)).candidate(order(shown)),
            Call::new(session, "GET", "/orders/17", order(10)).candidate(order(shown)),
        ]
    });
    let facts = RunFacts {
        plan: None,
        ..facts()
    };
    judge_with(Options::default(), facts, observations(&calls))
}

#[test]
fn the_text_is_short() {
    expect![[r#"
        FAIL

        F1   body_changed   POST /checkout has another value at /total (10 → 9), in 3 of 12 exchanges
             for example    POST /checkout HTTP/1.1 at /total
                            exchange node-a/0000000000000007/0000000000000000/100, session s-000
             then           GET /orders/{id} body_changed at /total, 3 times

        F2   header_missing GET /p lacks the header field vary (a → none), in 12 of 12 exchanges
             for example    GET /p HTTP/1.1 at header.vary
                            exchange node-a/0000000000000007/0000000000000000/0, session s-000

        fidelity     100 % (36 of 36 exchanges)
        compared     36 exchanges; sessions: 12; endpoints: 3
        errors       of 36 requests 0 (0 %) failed at the baseline, 0 (0 %) at the candidate
        covered      100 % of exchanges (36 of 36), 100 % of sessions (12 of 12)
        candidate    36 planned = 36 answered + 0 errored + 0 refused + 0 skipped
        baseline     36 planned = 36 answered + 0 errored + 0 refused + 0 skipped
        capture      pcap: 110 bytes seen, 10 dropped; 12 exchanges stored, 1 discarded
        release      p50 20 us, p99 45 us, max 60 us after ready
    "#]].assert_eq(&text(&failing()));
}

#[test]
fn the_text_of_a_pass_is_shorter() {
    let report = judge_with(Options::default(), facts(), observations(&agreeing(12)));
    expect![[r#"
        PASS
          12 exchanges of 12 sessions were compared, and the candidate differs from the baseline nowhere beyond noise; the baseline answers as production did in 100 % of what was captured.

        fidelity     100 % (12 of 12 exchanges)
        compared     12 exchanges; sessions: 12; endpoints: 1
        errors       of 12 requests 0 (0 %) failed at the baseline, 0 (0 %) at the candidate
        covered      100 % of exchanges (12 of 12), 100 % of sessions (12 of 12)
        candidate    12 planned = 12 answered + 0 errored + 0 refused + 0 skipped
        baseline     12 planned = 12 answered + 0 errored + 0 refused + 0 skipped
        capture      pcap: 110 bytes seen, 10 dropped; 12 exchanges stored, 1 discarded
        release      p50 20 us, p99 45 us, max 60 us after ready
    "#]].assert_eq(&text(&report));
}

#[test]
fn markdown_is_a_table_and_details() {
    expect![[r###"
        ## Twintap: fail

        | | kind | finding | exchanges | sessions |
        |---|---|---|---:|---:|
        | F1 | body_changed | POST /checkout has another value at /total \(10 → 9\), in 3 of 12 exchanges | 3 of 12 | 3 |
        | F2 | header_missing | GET /p lacks the header field vary \(a → none\), in 12 of 12 exchanges | 12 of 12 | 12 |

        ### F1 POST /checkout

        body_changed at /total. No noise here: baseline and production agree at this place in all 12 exchanges in which both were seen, so one difference is a finding.

        Example: POST /checkout HTTP/1.1 (node-a/0000000000000007/0000000000000000/100)

        production:

            {
              "total": 10
            }

        baseline:

            {
              "total": 10
            }

        candidate:

            {
              "total": 9
            }

        - then: GET /orders/\{id\} body_changed at /total, 3 times

        ### F2 GET /p

        header_missing at header.vary. No noise here: baseline and production agree at this place in all 12 exchanges in which both were seen, so one difference is a finding.

        Example: GET /p HTTP/1.1 (node-a/0000000000000007/0000000000000000/0)

        production:

            200
            Vary: a
            Content-Type: application/json

        baseline:

            200
            Vary: a
            Content-Type: application/json

        candidate:

            200
            Content-Type: application/json


        | | |
        |---|---|
        | fidelity | 100 % (36 of 36 exchanges) |
        | compared | 36 exchanges of 12 sessions |
        | errors | of 36 requests 0 \(0 %\) failed at the baseline, 0 \(0 %\) at the candidate |
        | covered | 100 % of exchanges \(36 of 36\), 100 % of sessions \(12 of 12\) |
        | candidate | 36 planned = 36 answered + 0 errored + 0 refused + 0 skipped |
        | baseline | 36 planned = 36 answered + 0 errored + 0 refused + 0 skipped |
    "###]].assert_eq(&markdown(&failing()));
}

#[test]
fn nothing_from_traffic_becomes_markup() {
    let evil = "<script>alert(1)</script>\u{1b}[31m|`x`";
    let reply = Reply::json(200, &json!({ evil: evil })).with("X-Evil", evil);
    let mut calls = repeated(12, |_, session| {
        vec![Call::new(
            &format!("{session}{evil}"),
            "GET",
            &format!("/{evil}"),
            reply.clone(),
        )]
    });
    calls[2].candidate = Reply::error(evil);
    calls[3].candidate = Reply::json(200, &json!({ evil: [evil] })).with("X-Evil", "no");
    let report = judge(&calls);
    assert!(report.findings.len() >= 2);
    assert!(!html(&report).contains("<script"));
    assert!(!text(&report).contains('\u{1b}'));
    let markdown = markdown(&report);
    assert!(!markdown.contains('\u{1b}'));
    // Within an indented block nothing is markup; elsewhere each mark is escaped.
    let mut outside = markdown.lines().filter(|line| !line.starts_with("    "));
    let is_escaped =
        |line: &str| line.matches("<script").count() == line.matches("\\<script").count();
    assert!(outside.all(is_escaped), "{markdown}");
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&failing());
    for foreign in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for (opening, closing) in [
        ("<article", "</article>"),
        ("<table", "</table>"),
        ("<svg", "</svg>"),
    ] {
        assert_eq!(
            page.matches(opening).count(),
            page.matches(closing).count(),
            "{opening}"
        );
    }
    assert!(page.contains("<h1>Fail</h1>"));
    assert!(page.contains("id=\"F2\""));
}

#[test]
fn options_are_read_where_given_and_shipped_elsewhere() {
    let options: Options =
        serde_json::from_str(r#"{"level": 0.05, "latency": {"min_samples": 7}}"#).expect("valid");
    assert_eq!((options.level, options.latency.min_samples), (0.05, 7));
    assert_eq!(options.fidelity_floor, 0.9);
    assert!(serde_json::from_str::<Options>(r#"{"levle": 0.05}"#).is_err());
    // A judge without observations concludes too.
    assert_eq!(
        Judge::new(options).conclude(RunFacts::default()).verdict,
        Verdict::Inconclusive
    );
}
