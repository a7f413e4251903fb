//! Twins that say where they live.

use std::fmt::Write as _;

use tempfile::TempDir;
use twintap_verdict::{Report, Verdict};

use crate::recording::{Recorded, record};
use crate::run::{json, run, run_file};
use crate::twins::{Reply, Seen, TwinServer};

/// What a service that makes links of the host it was asked for answers.
fn answer(host: &str, origin: &str, path: &str) -> String {
    let domain = host.split(':').next().unwrap_or_default();
    let fields = format!(
        "Location: http://{host}{path}/next\r\nAccess-Control-Allow-Origin: {origin}\r\n\
         Set-Cookie: lang=en; Domain={domain}; Path=/\r\n"
    );
    json(
        "200 OK",
        &fields,
        &format!(r#"{{"self":"http://{host}{path}","total":5}}"#),
    )
}

fn recording() -> TempDir {
    let directory = TempDir::new().expect("a temporary directory");
    let mut texts = Vec::new();
    for number in 0..12 {
        let path = if number % 2 == 0 { "/home" } else { "/cart" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nOrigin: http://shop.example\r\n\r\n"
        );
        texts.push((request, answer("shop.example", "http://shop.example", path)));
    }
    let exchanges: Vec<Recorded<'_>> = (0..)
        .zip(&texts)
        .map(|(number, (request, response))| Recorded {
            flow: number,
            at_ms: number * 7,
            request,
            response,
        })
        .collect();
    record(directory.path(), &exchanges);
    directory
}

/// A twin that says what `host` makes of the host it was asked for.
fn twin(host: fn(&str) -> String) -> TwinServer {
    TwinServer::start(move |seen: &Seen| {
        let field = |name: &str| {
            let mut lines = seen.head.lines();
            let value = lines.find_map(|line| line.strip_prefix(name));
            value.unwrap_or_default().trim().to_owned()
        };
        let path = seen.line.split(' ').nth(1).unwrap_or_default();
        Reply::Text(answer(&host(&field("Host:")), &field("Origin:"), path))
    })
}

fn run_at(candidate: fn(&str) -> String) -> Report {
    let directory = recording();
    let twins = [twin(candidate), twin(str::to_owned)];
    let rewrite = "rewrite: {host: target, origin: target}\n";
    run(&run_file(directory.path(), &twins, rewrite)).expect("a run")
}

#[test]
fn what_a_twin_was_told_of_its_place_is_no_difference() {
    let report = run_at(str::to_owned);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.findings);
    // Production said its own place, and so do they now.
    assert!(
        (report.fidelity - 1.0).abs() < 1e-9,
        "{:?}",
        report.fidelity_detail
    );
}

#[test]
fn another_place_than_it_was_told_is_a_finding() {
    let report = run_at(|_| "elsewhere.example".to_owned());
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let mut places = String::new();
    for finding in &report.findings {
        let _ = writeln!(places, "{}", finding.location);
    }
    for place in ["header.location", "/self"] {
        assert!(places.contains(place), "{places}");
    }
}

#[test]
fn a_body_that_one_twin_alone_could_hold_compares_by_its_digest() {
    let directory = TempDir::new().expect("a temporary directory");
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000));
    let answer = json("200 OK", "", &body);
    let exchanges: Vec<Recorded<'_>> = (0..12)
        .map(|number| Recorded {
            flow: number,
            at_ms: number * 40,
            request: "GET /text HTTP/1.1\r\nHost: shop\r\n\r\n",
            response: &answer,
        })
        .collect();
    record(directory.path(), &exchanges);
    let alike = answer.clone();
    let other = answer.replace("xxx\"", "yyy\"");
    for (candidate, verdict) in [(alike, Verdict::Pass), (other, Verdict::Fail)] {
        let baseline = answer.clone();
        let twins = [candidate, baseline]
            .map(|answer| TwinServer::start(move |_| Reply::Text(answer.clone())));
        // There is room for one of both.
        let limits = "limits: {held_answer_bytes: 15000}\n";
        let report = run(&run_file(directory.path(), &twins, limits)).expect("a run");
        assert_eq!(report.verdict, verdict, "{:?}", report.findings);
        assert!(report.loss["answers_not_held"] > 0, "{:?}", report.loss);
        let places = report.findings.iter();
        let places: Vec<&str> = places.map(|finding| &*finding.location).collect();
        assert!(places.iter().all(|place| *place == "body"), "{places:?}");
        assert_eq!(places.contains(&"body"), verdict == Verdict::Fail);
    }
}
