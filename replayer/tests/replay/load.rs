//! Load shapes, from the run file to what arrives at the twins.

use std::process::{Command, Output};

use serde_json::Value;
use twintap_plan::{Load, Pace};
use twintap_replayer::fire::RunControl;
use twintap_verdict::Verdict;

use crate::run::{run, run_file, shop, shop_in_archive};
use crate::script::Script;
use crate::twins::{Reply, TwinServer};

fn control() -> RunControl {
    RunControl::new().expect("an eventfd")
}

/// Both twins answer everything.
fn good_twins() -> [TwinServer; 2] {
    [(); 2].map(|()| TwinServer::start(|_| Reply::ok()))
}

#[test]
fn at_once_the_limit_in_flight_holds_back_and_refuses_nothing() {
    let mut script = Script::default();
    for flow in 0..40 {
        // An hour lies between them, and no clock waits for it.
        script.get(flow * 3_600_000, flow % 8, &format!("/{flow}"));
    }
    script.shape(&Load {
        pace: Pace::Asap,
        ..Load::default()
    });
    let twins = good_twins();
    let run = script.fire_with(&twins, &control(), |options| {
        options.pace = Pace::Asap;
        options.max_in_flight = 1;
    });
    for summary in run.summaries() {
        assert_eq!(summary.ledger.answered, 40);
        assert_eq!((summary.connections, summary.wait_expired), (8, 0));
    }
    // One at a time, they come in the order of the plan.
    for twin in &twins {
        let arrived = twin.lines();
        let expected: Vec<String> = (0..40).map(|n| format!("GET /{n} HTTP/1.1")).collect();
        assert_eq!(arrived, expected);
    }
}

#[test]
fn in_a_closed_loop_a_slow_twin_is_asked_later_and_no_wait_expires() {
    let mut script = Script::default();
    for number in 0..6 {
        let position = script.get(number, 0, "/");
        if number > 0 {
            script.last().due_ns = 0;
            script.last().think = Some(twintap_plan::Think {
                after: position - 1,
                ns: 20_000_000,
            });
        }
    }
    let run = script.fire_with(&good_twins(), &control(), |options| {
        options.pace = Pace::Closed;
        options.wait = std::time::Duration::from_millis(1);
    });
    for summary in run.summaries() {
        assert_eq!((summary.ledger.answered, summary.wait_expired), (6, 0));
        // Lateness is what comes on top of thinking.
        assert_eq!(summary.lateness.max_us, 0.0);
    }
    // Five times somebody thought for 20 ms, which nothing can shorten.
    assert!(run.summary.wall_ns >= 100_000_000);
}

#[test]
fn a_shop_under_every_pace_answers_all() {
    let directory = shop_in_archive();
    for more in [
        "pace: asap\n",
        "pace: asap\nlimits: {in_flight: 1}\n",
        "pace: closed\nspeed: 10\n",
        "rate: 300\nramp: 100ms\n",
        "speed: 100\n",
    ] {
        let twins = [shop("cand", 5), shop("base", 5)];
        let report = run(&run_file(directory.path(), &twins, more)).expect("a run");
        let ledger = &report.ledgers.runs.candidate;
        assert_eq!((ledger.planned, ledger.answered), (36, 36), "{more}");
        assert!(report.fidelity > 0.99, "{more}{:?}", report.fidelity_detail);
    }
}

#[test]
fn copies_and_rounds_are_sessions_with_values_of_their_own() {
    for order in [
        "",
        "order: recorded\n",
        "order: recorded\npace: closed\nspeed: 10\n",
    ] {
        let directory = shop_in_archive();
        let twins = [shop("cand", 5), shop("base", 5)];
        let file = run_file(
            directory.path(),
            &twins,
            &format!("scale: 3\nloop: 2\n{order}"),
        );
        let report = run(&file).expect("a run");
        let ledger = &report.ledgers.runs.candidate;
        assert_eq!((ledger.planned, ledger.answered), (216, 216), "{order}");
        assert_eq!(report.scope.sessions, 72);
        // Every order was looked at with the session that made it, which the shop's own
        // ids show.
        assert!(
            report.fidelity > 0.99,
            "{order}{:?}",
            report.fidelity_detail
        );
        for twin in &twins {
            let mut looked_at: Vec<String> = twin.lines();
            looked_at.retain(|line| line.starts_with("GET /orders/"));
            looked_at.sort_unstable();
            looked_at.dedup();
            assert_eq!(looked_at.len(), 72, "{order}");
        }
    }
}

#[test]
fn a_filter_leaves_out_what_it_does_not_take() {
    let directory = shop_in_archive();
    let counts = |more: &str| {
        let twins = [shop("cand", 5), shop("base", 5)];
        let file = run_file(directory.path(), &twins, more);
        let ledger = run(&file).expect("a run").ledgers.runs.candidate;
        let filtered = ledger.skipped_by_cause.get("filtered").copied();
        assert_eq!(ledger.unexplained, 0);
        (ledger.answered, filtered.unwrap_or(0))
    };
    assert_eq!(counts("filter: {protocols: [http1]}\n"), (36, 0));
    assert_eq!(
        counts("filter: {protocols: [http2, grpc, websocket]}\n"),
        (0, 36)
    );
    assert_eq!(counts("filter: {path_prefixes: [/login]}\n"), (12, 24));
    // The recording begins on this second; what comes later and is of a session that
    // began before lacks its login.
    let from = "filter: {from: '2023-11-14T22:13:20.042Z'}\n";
    assert_eq!(counts(from).1, 6 + 5 + 4);
}

#[test]
fn a_warm_up_is_fired_and_not_judged() {
    let directory = shop_in_archive();
    let twins = [shop("cand", 6), shop("base", 5)];
    let file = run_file(directory.path(), &twins, "warm_up: 1h\n");
    let report = run(&file).expect("a run");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!((report.scope.warm_up, report.scope.compared), (36, 0));
    assert_eq!(report.ledgers.runs.candidate.answered, 36);
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

/// `twintap replay` of the shop's recording.
fn replay(flags: &[&str]) -> Output {
    let directory = shop_in_archive();
    let twins = [shop("cand", 5), shop("base", 5)];
    run_file(directory.path(), &twins, "");
    Command::new(env!("CARGO_BIN_EXE_twintap"))
        .arg("replay")
        .arg(directory.path().join("shop.yaml"))
        .args(flags)
        .output()
        .expect("the program that was built")
}

#[test]
fn programs_are_told_how_far_a_run_is() {
    let output = replay(&[
        "--format",
        "jsonl",
        "--speed",
        "4",
        "--filter",
        "path=/login",
    ]);
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect();
    let (done, before) = events.split_last().expect("a line at the end");
    assert_eq!(done["event"], "done");
    let verdicts = ["pass", "fail", "inconclusive"];
    let verdict = verdicts.iter().position(|word| done["verdict"] == *word);
    assert_eq!(output.status.code(), verdict.map(|code| code as i32));
    let phases: Vec<&str> = before
        .iter()
        .filter_map(|event| event["phase"].as_str())
        .collect();
    for phase in ["planning", "preparing", "firing", "concluding"] {
        assert!(phases.contains(&phase), "{phases:?}");
    }
    let last = before.last().expect("a run has phases");
    assert_eq!(
        (&last["planned"], &last["settled"]),
        (&36.into(), &36.into())
    );
    for twin in ["candidate", "baseline"] {
        assert_eq!(last[twin]["answered"], 12);
        assert_eq!(last[twin]["skipped"], 24);
        assert_eq!(last[twin]["in_flight"], 0);
    }
}

#[test]
fn people_without_a_terminal_get_plain_lines() {
    let output = replay(&["--pace", "asap"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert!(text.contains("firing"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let report = String::from_utf8(output.stdout).expect("text");
    assert!(report.contains("36 planned = 36 answered"), "{report}");
}

#[test]
fn wrong_flags_are_an_error() {
    for flags in [["--speed", "1000"], ["--pace", "slow"], ["--filter", "GET"]] {
        let output = replay(&flags);
        assert_eq!(output.status.code(), Some(3));
        assert!(!output.stderr.is_empty());
    }
}
