//! The report's page as a browser shows it: on a phone and a desk, by light and by dark, and
//! on paper.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::shop::{FAULTS, Fault, run};
use support::{Call, Reply, judge_with, observations, repeated};
use twintap_tests::browser::{Browser, View};
use twintap_tests::skip;
use twintap_verdict::resource::Work;
use twintap_verdict::{
    Gate, Judge, Options, Report, Reproduce, Resource, ResourceFacts, ResourceSample, Rules,
    RunFacts, Target, html,
};

#[expect(
    dead_code,
    reason = "it is the verdict's own test data, of which a page takes a part"
)]
#[path = "../../crates/verdict/tests/judge/support/mod.rs"]
mod support;

/// The narrowest phone, and a desk.
const WIDTHS: [u32; 2] = [360, 1280];
/// Where pictures go, if somebody wants to look at them.
const PICTURES: &str = "TWINTAP_PICTURES";

#[test]
fn pages_are_whole_and_fit_every_screen() -> Result<()> {
    let Some(program) = Browser::find() else {
        let why = "there is no Chromium; type: apt-get install -y chromium";
        skip("pages_are_whole_and_fit_every_screen", why);
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let mut browser = Browser::start(&program, &folder.path().join("profile"))?;
    let reports = [
        ("fail", failing(true)),
        ("pass", failing(false)),
        ("gate", with_everything()),
        (
            "empty",
            judge_with(Options::default(), RunFacts::default(), []),
        ),
    ];
    for (name, report) in reports {
        let file = folder.path().join(format!("{name}.html"));
        fs::write(&file, html(&report))?;
        for width in WIDTHS {
            for is_dark in [false, true] {
                let view = View {
                    width,
                    is_dark,
                    is_print: false,
                };
                look(&mut browser, &file, view).with_context(|| format!("{name}, {view:?}"))?;
            }
        }
        let paper = View {
            width: 760,
            is_dark: true,
            is_print: true,
        };
        look(&mut browser, &file, paper).with_context(|| format!("{name}, {paper:?}"))?;
    }
    Ok(())
}

fn look(browser: &mut Browser, file: &Path, view: View) -> Result<()> {
    let visit = browser.open(file, view)?;
    ensure!(
        visit.requests.is_empty(),
        "it asks for {:?}",
        visit.requests
    );
    ensure!(visit.complaints.is_empty(), "{:?}", visit.complaints);
    if let Some(folder) = std::env::var_os(PICTURES) {
        browser.picture(&picture(&PathBuf::from(folder), file, view))?;
    }
    // All of it: what is folded must fit, too.
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")?;
    let wide = browser.evaluate(WIDER_THAN_THE_PAGE)?;
    ensure!(wide == Value::Array(Vec::new()), "it is too wide: {wide}");
    for (what, expression) in CHECKS {
        ensure!(browser.evaluate(expression)? == true, "{what}");
    }
    let paper = browser.evaluate(GROUND)?;
    let is_dark = paper.as_f64().context("a brightness")? < 128.0;
    ensure!(
        is_dark == (view.is_dark && !view.is_print),
        "the ground is {paper}"
    );
    if view.is_print {
        let shown = browser.evaluate("getComputedStyle(document.querySelector('nav')).display")?;
        ensure!(shown == "none", "links are of no use on paper: {shown}");
    }
    Ok(())
}

fn picture(folder: &Path, file: &Path, view: View) -> PathBuf {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let scheme = match view {
        View { is_print: true, .. } => "paper",
        View { is_dark: true, .. } => "dark",
        _ => "light",
    };
    folder.join(format!("{name}-{}-{scheme}.png", view.width))
}

/// What sticks out of the page at its right, or the page itself.
const WIDER_THAN_THE_PAGE: &str = "(() => {
    const width = document.documentElement.clientWidth;
    const page = document.documentElement.scrollWidth > width ? ['the page'] : [];
    const scrolls = one => one.closest('.scroll, pre, .unseen');
    const out = [...document.querySelectorAll('body *')].filter(one =>
        !scrolls(one) && one.getBoundingClientRect().right > width + 0.5);
    return page.concat(out.map(one => one.tagName + '.' + one.className).slice(0, 5));
})()";

/// The mean of red, green and blue of what the page is on.
const GROUND: &str = "(() => {
    const colour = getComputedStyle(document.body).backgroundColor;
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
    return parts.reduce((sum, part) => sum + part) / 3;
})()";

/// What no page may have, each with an expression that is true where it has none.
const CHECKS: [(&str, &str); 6] = [
    (
        "landmarks that are not there once",
        "['header', 'main', 'footer', 'nav'].filter(name => \
         document.querySelectorAll(name).length !== 1).length === 0",
    ),
    (
        "headings that leave out a level",
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(one => +one.tagName[1])\
         .filter((level, at, all) => level > (at ? all[at - 1] : 0) + 1).length === 0",
    ),
    (
        "tables without caption or headers",
        "[...document.querySelectorAll('table')].filter(one => \
         !one.caption || !one.querySelector('th[scope]')).length === 0",
    ),
    (
        "drawings without a name",
        "[...document.querySelectorAll('svg')].filter(one => \
         !one.getAttribute('aria-label') && !one.getAttribute('aria-hidden')).length === 0",
    ),
    (
        "links that lead nowhere",
        "[...document.querySelectorAll('a')].filter(one => \
         !document.getElementById(one.getAttribute('href').slice(1))).length === 0",
    ),
    (
        "what the keyboard reaches and does not show",
        "[...document.querySelectorAll('a, summary, [tabindex]')].filter(one => { \
         one.focus({focusVisible: true}); \
         return document.activeElement === one && getComputedStyle(one).outlineStyle === 'none'; \
         }).length === 0",
    ),
];

/// A run of a shop: with all faults, a leak and a race, or with none.
fn failing(fails: bool) -> Report {
    let faults: &[Fault] = if fails { &FAULTS } else { &[] };
    let mut calls = run(7, 60, faults);
    let paid = Reply::json(200, &json!({"state": "paid"}));
    let late = Reply::json(200, &json!({"state": "late"}));
    let raced = Call::new("s-a", "POST", "/orders/17/pay", paid).races(0);
    calls.push(if fails { raced.candidate(late) } else { raced });
    let target = |name: &str, port: u16| Target {
        name: name.to_owned(),
        address: format!("127.0.0.1:{port}"),
    };
    let facts = RunFacts {
        run: "nightly".to_owned(),
        tool_version: "0.1.0".to_owned(),
        candidate: target("release 42", 8080),
        baseline: target("release 41", 8081),
        reproduce: vec!["twintap replay nightly.yaml".to_owned()],
        resources: used(fails),
        ..RunFacts::default()
    };
    let options = Options {
        fidelity_floor: 0.6,
        ..Options::default()
    };
    judge_with(options, facts, observations(&calls))
}

/// A run with a gate, business figures, components, findings that were fired again (one did not
/// show again) and long commands to see them by.
fn with_everything() -> Report {
    let cart = |total: u32, note: &str| {
        Reply::json(200, &json!({"order": {"total": total}, "note": note}))
    };
    let call = |session: &str| Call::new(session, "GET", "/cart", cart(5, "thank you"));
    let calls = |is_first: bool| {
        let mut calls = repeated(20, |_, session| vec![call(session)]);
        calls.push(call("s-always").candidate(cart(6, "thank you")));
        calls.push(match is_first {
            true => call("s-once").candidate(cart(5, "thanks")),
            false => call("s-once"),
        });
        calls
    };
    let rules = Rules {
        gate: Gate {
            levels: read(
                json!([{"name": "advertisements may differ", "endpoint": "GET /ads", "level": "pass"}]),
            ),
            budgets: read(json!({
                "error_rate": [{"max_rise": "5%"}],
                "latency": [{"name": "the cart stays quick", "endpoint": "GET /cart", "p99": "50%"}]
            })),
            coverage: read(json!({"endpoints": [{"endpoint": "GET /cart", "compared": 50}]})),
            ..Gate::default()
        },
        metrics: read(json!([
            {"name": "revenue", "value": {"json": "$.order.total"}, "aggregate": "sum"}
        ])),
        components: read(json!([
            {"name": "payments", "as": "mocked", "reason": "the provider's sandbox limits calls",
             "endpoints": ["POST /checkout"]},
            {"name": "search", "as": "full"}
        ])),
        ..Rules::default()
    };
    let mut judge = Judge::new(rules);
    observations(&calls(true))
        .into_iter()
        .for_each(|one| judge.observe(one));
    let mut draft = judge.draft(RunFacts {
        run: "nightly".to_owned(),
        ..RunFacts::default()
    });
    let wanted = draft.to_confirm();
    let again = |calls: &[Call]| {
        let mut judge = Judge::new(Options::default()).with_closeups(wanted.iter().copied());
        observations(calls)
            .into_iter()
            .for_each(|one| judge.observe(one));
        judge.into_closeups(calls.len() as u64)
    };
    draft.confirm(&[again(&calls(false)), again(&calls(false))], None);
    let mut report = draft.finish();
    let findings = report.findings.iter_mut().chain(&mut report.not_reproduced);
    for example in findings.flat_map(|finding| &mut finding.evidence) {
        example.reproduce = Some(Reproduce {
            replay: "twintap replay nightly.yaml --only node-1:7:42:1234567890:request".to_owned(),
            curl: Some(format!(
                "curl --http1.1 --header 'Cookie: sid={}' 'http://127.0.0.1:8080/cart'",
                "x".repeat(400)
            )),
            bound: Vec::new(),
            left_out: None,
        });
    }
    assert!(!report.findings.is_empty() && !report.not_reproduced.is_empty());
    assert!(report.confirmation.is_some() && !report.business.is_empty());
    report
}

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a part of the rules")
}

/// Ten minutes of 200 requests a second, each of which leaves behind 1 KiB, or nothing.
fn used(leaks: bool) -> ResourceFacts {
    const MIB: f64 = 1024.0 * 1024.0;
    let leak = if leaks { 200.0 * 1024.0 } else { 0.0 };
    let samples = (0..600_u64).map(|second| {
        let at = second as f64;
        let of = |more: f64, phase: f64| {
            BTreeMap::from([
                (
                    Resource::Memory,
                    48.0 * MIB + more + (at + phase) % 17.0 * MIB / 4.0,
                ),
                (Resource::Threads, 9.0),
                (Resource::FileDescriptors, 40.0 + (at + phase) % 7.0),
            ])
        };
        let work = |ms: f64| Work {
            cpu_seconds: at * 200.0 * ms / 1000.0,
            answered: at * 200.0,
        };
        ResourceSample {
            at_ns: second * 1_000_000_000,
            candidate: of(leak * at, 5.0),
            baseline: of(0.0, 0.0),
            candidate_work: Some(work(1.2)),
            baseline_work: Some(work(1.15)),
        }
    });
    ResourceFacts {
        samples: samples.collect(),
        limits: [
            BTreeMap::from([(Resource::Memory, 512.0 * MIB)]),
            BTreeMap::new(),
        ],
        unseen: vec![
            "The baseline: 3 of 600 looks gave nothing; the last of these: its process \
             has ended."
                .to_owned(),
        ],
        period: 0,
    }
}
