//! A second baseline beside the twins: what varies between two of one release is noise.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{RunFile, dry_run, execute, only};
use twintap_verdict::report::RunLedger;
use twintap_verdict::{Report, Verdict};

use crate::recording::production;
use crate::run::{run, run_file, shop_in_archive, shopkeeper};
use crate::twins::{Reply, Seen, TwinServer};

/// Of 36 requests, those that look at an order.
const LOOKS: u64 = 12;
/// So few of them would not be told to be of one endpoint.
const ENDPOINTS: &str = "verdict: {endpoints: ['GET /orders/{order}']}\n";

/// A shop that says of each order that is looked at what `total` says by its number.
fn instance(name: &'static str, total: fn(u64) -> u64) -> TwinServer {
    TwinServer::start(answers(name, total))
}

fn answers(name: &'static str, total: fn(u64) -> u64) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let (keeper, looked) = (shopkeeper(name, 5), AtomicU64::new(0));
    move |seen| match keeper(seen) {
        Reply::Text(text) if seen.line.starts_with("GET /orders/") => {
            let total = total(looked.fetch_add(1, Ordering::Relaxed));
            Reply::Text(text.replace("\"total\":5", &format!("\"total\":{total}")))
        }
        reply => reply,
    }
}

/// The run file of these twins, the last of which is the second baseline.
fn with_second(
    directory: &TempDir,
    twins: &[TwinServer; 2],
    second: SocketAddr,
    more: &str,
) -> RunFile {
    let mut file = run_file(directory.path(), twins, more);
    let settings = serde_saphyr::from_str(&format!("address: {second}")).expect("a target");
    file.settings.targets.second_baseline = Some(settings);
    file.settings.allow.push(second.to_string());
    file
}

/// Each twin's ledger closes, and has all of the plan; gives that of the second baseline.
#[track_caller]
fn closed(report: &Report) -> &RunLedger {
    let runs = &report.ledgers.runs;
    let second = runs.second_baseline.as_ref().expect("it is in the run");
    for ledger in [&runs.candidate, &runs.baseline, second] {
        assert_eq!((ledger.planned, ledger.unexplained), (36, 0), "{ledger:?}");
    }
    second
}

#[test]
fn what_varies_between_two_baselines_is_noise_and_a_regression_is_found() {
    let directory = shop_in_archive();
    let steady = |_| 5;
    let some = |number| if number % 3 == 1 { 4 } else { 5 };
    let others = |number| if number % 3 == 0 { 4 } else { 5 };
    for threads in [1, 2] {
        let limits = format!("{ENDPOINTS}limits: {{threads: {threads}}}\n");
        let twins = [instance("cand", some), instance("base", steady)];
        let report = run(&run_file(directory.path(), &twins, &limits)).expect("a run");
        assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
        assert!(report.second_baseline.is_none());

        let twins = [instance("cand", some), instance("base", steady)];
        let second = instance("second", others);
        let file = with_second(&directory, &twins, second.address, &limits);
        let report = run(&file).expect("a run");
        assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
        assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
        let ledger = closed(&report);
        assert_eq!(
            ledger.answered, 36,
            "it logs in, and looks at orders of its own"
        );
        let seen = report.second_baseline.as_ref().expect("it was compared");
        assert_eq!((seen.compared, seen.equal, seen.silent), (36, 32, 0));
        let varying: Vec<(&str, u64)> = seen
            .endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.differs_at)
            .map(|place| (place.location.as_str(), place.count))
            .collect();
        assert_eq!(varying, [("/total", 4)]);

        let twins = [instance("cand", |_| 6), instance("base", steady)];
        let second = instance("second", others);
        let file = with_second(&directory, &twins, second.address, &limits);
        let report = run(&file).expect("a run");
        assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
        let finding = &report.findings[0];
        assert_eq!(
            (finding.location.as_str(), finding.count),
            ("/total", LOOKS)
        );
        assert_eq!(finding.test.name, "permutation");
        closed(&report);
    }
}

#[test]
fn what_came_of_it_is_in_every_file_of_results() {
    let directory = shop_in_archive();
    let twins = [instance("cand", |_| 5), instance("base", |_| 5)];
    let second = instance("second", |_| 5);
    let file = with_second(&directory, &twins, second.address, "");
    run(&file).expect("a run");
    let read = |name: &str| {
        let text = fs::read_to_string(directory.path().join("results").join(name));
        text.expect("the run wrote it")
    };
    let record: Value = serde_json::from_str(&read("run.json")).expect("JSON");
    let fired = &record["fired"]["second_baseline"];
    assert_eq!(fired["ledger"]["answered"], 36);
    assert_eq!(fired["fired_unbound"], 0);
    let written: Value = serde_json::from_str(&read("report.json")).expect("JSON");
    let address = second.address.to_string();
    assert_eq!(written["twins"]["second_baseline"]["address"], address);
    assert_eq!(written["second_baseline"]["equal"], 36);
    assert!(read("report.html").contains("Second baseline, requests"));
    assert!(!read("report.json").contains("own-second-"), "no raw value");
}

#[test]
fn a_second_baseline_that_dies_or_is_not_there_harms_no_verdict() {
    let directory = shop_in_archive();
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let absent = nobody.local_addr().expect("a bound socket");
    drop(nobody);
    for (total, verdict) in [(5, Verdict::Pass), (6, Verdict::Fail)] {
        let candidate = match total {
            5 => |_| 5,
            _ => |_| 6,
        };
        let (keeper, asked) = (answers("second", |_| 5), AtomicU64::new(0));
        let dying = TwinServer::start(move |seen| match asked.fetch_add(1, Ordering::Relaxed) {
            ..9 => keeper(seen),
            _ => Reply::Reset,
        });
        for (second, answered) in [(dying.address, 9), (absent, 0)] {
            let twins = [instance("cand", candidate), instance("base", |_| 5)];

            let file = with_second(&directory, &twins, second, ENDPOINTS);
            let report = run(&file).expect("a run");
            assert_eq!(report.verdict, verdict, "{:?}", report.reasons);
            assert_eq!(report.findings.len(), usize::from(total == 6));
            if let Some(finding) = report.findings.first() {
                assert_eq!(
                    (finding.test.name.as_str(), finding.count),
                    ("exact", LOOKS)
                );
            }
            let ledger = closed(&report);
            assert_eq!(ledger.answered, answered);
            assert_eq!(ledger.errored + ledger.skipped, 36 - answered, "{ledger:?}");
            assert_eq!(report.ledgers.runs.candidate.answered, 36);
            assert_eq!(report.ledgers.runs.baseline.answered, 36);
            let seen = report.second_baseline.as_ref().expect("it was asked");
            assert_eq!(seen.compared, seen.equal);
            assert_eq!(seen.compared + seen.silent, 36);
        }
    }
}

#[test]
fn what_is_fired_again_leaves_it_alone() {
    let directory = shop_in_archive();
    let twins = [instance("cand", |_| 6), instance("base", |_| 5)];
    let second = instance("second", |_| 5);
    let mut file = with_second(&directory, &twins, second.address, ENDPOINTS);
    let hook = "{command: [sh, -c, 'echo $TWINTAP_TWIN']}";
    let targets = &mut file.settings.targets;
    for target in [&mut targets.candidate, &mut targets.baseline]
        .into_iter()
        .chain(&mut targets.second_baseline)
    {
        target.reset = Some(serde_saphyr::from_str(hook).expect("a hook"));
    }
    let report = run(&file).expect("a run");
    let confirmation = report.confirmation.as_ref().expect("it was fired again");
    assert_eq!(confirmation.ledgers.second_baseline, None);
    assert!(confirmation.ledgers.baseline.answered > 0);
    let log = fs::read_to_string(file.output.join("hooks.log")).expect("what hooks printed");
    let words: Vec<&str> = log.lines().collect();
    assert_eq!(
        words,
        [
            "candidate",
            "baseline",
            "second_baseline",
            "candidate",
            "baseline"
        ]
    );
    assert_eq!(second.lines().len(), 36);
}

#[test]
fn a_stopped_run_closes_the_ledger_of_the_second_baseline_too() {
    let directory = shop_in_archive();
    for threads in [1, 2] {
        let twins = [instance("cand", |_| 5), instance("base", |_| 5)];
        let second = instance("second", |_| 5);
        let limits = format!("limits: {{threads: {threads}}}\n");
        let file = with_second(&directory, &twins, second.address, &limits);
        let control = RunControl::new().expect("an eventfd");
        control.stop();
        let report = execute(&file, &control, &mut |_| {}).expect("a report all the same");
        assert_eq!(closed(&report).refused, 36);
    }
}

#[test]
fn it_may_be_neither_production_nor_another_twin_nor_unlisted() {
    let directory = shop_in_archive();
    let twins = [instance("cand", |_| 5), instance("base", |_| 5)];
    let refused = |second: SocketAddr, is_listed: bool| {
        let mut file = with_second(&directory, &twins, second, "");
        if !is_listed {
            file.settings.allow.pop();
        }
        format!("{:#}", run(&file).expect_err("no second baseline"))
    };
    let says = |refusal: String, what: &str| assert!(refusal.contains(what), "{refusal}");
    says(refused(production(), true), "is production");
    says(
        refused(twins[1].address, true),
        "targets.baseline and targets.second_baseline are both",
    );
    let elsewhere = ([127, 0, 0, 1], 11).into();
    says(
        refused(elsewhere, false),
        "targets.second_baseline.address: 127.0.0.1:11 is not on the allow-list",
    );
    assert!(twins.iter().all(|twin| twin.received().is_empty()));
}

#[test]
fn a_dry_run_names_it_and_exchanges_alone_leave_it_out() {
    let directory = shop_in_archive();
    let twins = [instance("cand", |_| 6), instance("base", |_| 5)];
    let second = instance("second", |_| 5);
    let mut file = with_second(&directory, &twins, second.address, "");
    let plan = dry_run(&file).expect("a plan");
    let line = format!("second baseline         {}\n", second.address);
    assert!(plan.text().contains(&line), "{}", plan.text());

    let session = plan.plan.sessions[0].id.clone();
    let control = RunControl::new().expect("an eventfd");
    file.load_once();
    let report = only(&file, &[session], &control, &mut |_| {}).expect("a report");
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(report.ledgers.second_baseline, None);
    assert!(second.received().is_empty());
}
