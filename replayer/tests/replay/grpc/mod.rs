//! gRPC from end to end: recorded, replayed, judged.

mod service;
mod tape;

use std::path::Path;

use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Endpoint;
use twintap_replayer::run::RunFile;
use twintap_scrub::Policy;
use twintap_verdict::{Report, Verdict};

use crate::recording::store;
use crate::run::run;
use crate::streams::StreamServer;
use service::{PRICES, Prices, visit};
use tape::Tape;

/// Six clients that call the service side by side, each over its own connection.
fn recorded() -> TempDir {
    let server = StreamServer::start(PRICES.routes(), |server| server);
    let tape = Tape::before(server.address);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let address = format!("http://{}", tape.address);
        let visits = (0..6).map(|number| {
            let endpoint = Endpoint::from_shared(address.clone()).expect("an address");
            async move { visit(endpoint.connect().await.expect("the proxy"), number).await }
        });
        futures::future::join_all(visits).await;
    });
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), tape.segments());
    directory
}

fn replay(directory: &Path, candidate: Prices) -> Report {
    let twins =
        [candidate, PRICES].map(|prices| StreamServer::start(prices.routes(), |server| server));
    let [candidate, baseline] = twins.each_ref().map(|twin| twin.address);
    let text = format!(
        "version: 1\narchive: archive\noutput: results\npolicy: allow-all\ntargets:\n  \
         candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\nrewrite: {{host: target}}\n"
    );
    let path = directory.join("prices.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    run(&RunFile::read(&path).expect("a sound run file")).expect("a run")
}

#[test]
fn calls_of_all_kinds_replay_and_regressions_are_found() {
    let directory = recorded();
    let report = replay(directory.path(), PRICES);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    let runs = &report.ledgers.runs;
    for ledger in [&runs.candidate, &runs.baseline] {
        assert_eq!((ledger.planned, ledger.answered), (30, 30), "{ledger:?}");
    }

    let other_code = Prices {
        unknown: Code::FailedPrecondition,
        ..PRICES
    };
    check_finding(&replay(directory.path(), other_code), "header.grpc-status");
    let other_price = Prices { cents: 6, ..PRICES };
    check_finding(&replay(directory.path(), other_price), "grpc.0");
}

#[track_caller]
fn check_finding(report: &Report, location: &str) {
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let found: Vec<&str> = report
        .findings
        .iter()
        .map(|finding| finding.location.as_str())
        .collect();
    assert!(found.contains(&location), "{found:?}");
}
