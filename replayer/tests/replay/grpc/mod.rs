//! gRPC from end to end: recorded, replayed, judged.

mod bound;
mod service;
mod tape;
mod watch;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tonic::Code;
use tonic::transport::{Endpoint, ServerTlsConfig};
use twintap_replayer::run::RunFile;
use twintap_scrub::{Key, Policy, Scrubber};
use twintap_verdict::{Report, Verdict};

use crate::recording::{KEY, store};
use crate::run::run;
use crate::streams::StreamServer;
use crate::tls::Authority;
use crate::twins::{Reply, TwinServer};
use service::{PRICES, Prices, visit};
use tape::Tape;

/// Six clients that call the service side by side, each over its own connection; what is
/// stored goes by `policy`.
fn recorded(policy: Policy) -> TempDir {
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
    store(directory.path(), policy, tape.segments());
    directory
}

fn replay(directory: &Path, [candidate, baseline]: [Prices; 2], policy: &str) -> Report {
    let twins =
        [candidate, baseline].map(|prices| StreamServer::start(prices.routes(), |server| server));
    let addresses = twins.each_ref().map(|twin| twin.address);
    replay_at(directory, addresses, policy, None)
}

/// With an authority the twins speak TLS.
fn replay_at(
    directory: &Path,
    [candidate, baseline]: [SocketAddr; 2],
    policy: &str,
    authority: Option<&Authority>,
) -> Report {
    let (scheme, tls) = match authority {
        None => ("", String::new()),
        Some(authority) => {
            let roots = authority.path("ca.pem");
            let tls = format!(
                "    tls: {{roots: {}, server_name: shop}}\n",
                roots.display()
            );
            ("https://", tls)
        }
    };
    let text = format!(
        "version: 1\narchive: archive\noutput: results\npolicy: {policy}\ntargets:\n  \
         candidate:\n    address: {scheme}{candidate}\n{tls}  \
         baseline:\n    address: {scheme}{baseline}\n{tls}\
         allow: [\"{candidate}\", \"{baseline}\"]\nrewrite: {{host: target}}\n"
    );
    let path = directory.join("prices.yaml");
    std::fs::write(&path, text).expect("a directory to write to");
    run(&RunFile::read(&path).expect("a sound run file")).expect("a run")
}

#[test]
fn calls_of_all_kinds_replay_and_regressions_are_found() {
    let directory = recorded(Policy::allow_all());
    let report = replay(directory.path(), [PRICES; 2], "allow-all");
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
    let other_price = Prices { cents: 6, ..PRICES };
    for (candidate, place) in [
        (other_code, "header.grpc-status"),
        (other_price, "/*/proto.2/*"),
    ] {
        let report = replay(directory.path(), [candidate, PRICES], "allow-all");
        check_finding(&report, place);
    }
}

/// On top of the default policy: what things are called is no secret here.
const POLICY: &str = "version: 1\nrules:\n  - why: The catalogue is public.\n    \
                      at: ['grpc.*>proto./1']\n    do: allow\n";

#[test]
fn calls_replay_under_a_policy_that_scrubs_their_messages() {
    let policy = Policy::from_yaml(POLICY, "catalogue.yaml").expect("a sound policy");
    let directory = recorded(policy);
    fs::write(directory.path().join("catalogue.yaml"), POLICY).expect("a place to write");
    let report = replay(directory.path(), [PRICES; 2], "catalogue.yaml");
    let ledger = &report.ledgers.runs.baseline;
    assert_eq!((ledger.planned, ledger.answered), (30, 30), "{ledger:?}");
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    assert_eq!(report.verdict, Verdict::Pass, "{:?}", report.reasons);
    let other_price = Prices { cents: 6, ..PRICES };
    let report = replay(directory.path(), [other_price, PRICES], "catalogue.yaml");
    check_finding(&report, "/*/proto.2/*");
}

#[test]
fn under_the_default_policy_calls_replay_with_pseudonyms() {
    let directory = recorded(Policy::default_policy());
    // Its state is scrubbed: what it does not have goes by another name there.
    let key = Key::from_hex(KEY).expect("64 hex digits");
    let nothing = Scrubber::new(Policy::default_policy(), &key).pseudonym(b"nothing");
    let nothing = String::from_utf8(nothing).expect("a text");
    let scrubbed = Prices {
        nothing: nothing.leak(),
        ..PRICES
    };
    let report = replay(directory.path(), [scrubbed; 2], "default");
    let ledger = &report.ledgers.runs.baseline;
    assert_eq!((ledger.planned, ledger.answered), (30, 30), "{ledger:?}");
    // What a service makes of several texts is not what it makes of their pseudonyms.
    let detail = &report.fidelity_detail;
    let unequal = detail
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.fidelity < 1.0);
    let unequal: Vec<&str> = unequal.map(|endpoint| endpoint.endpoint.as_str()).collect();
    assert_eq!(unequal, ["POST /shop.Prices/Sum"], "{detail:?}");
    assert_eq!((detail.exchanges, detail.equal), (30, 24));
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    let other_price = Prices {
        cents: 6,
        ..scrubbed
    };
    let report = replay(directory.path(), [other_price, scrubbed], "default");
    check_finding(&report, "/*/proto.2/*");
}

#[test]
fn a_candidate_that_stops_speaking_http2_fails() {
    let directory = recorded(Policy::allow_all());
    let authority = Authority::new(&["shop"]);
    let config = Arc::new(authority.server(false, &["http/1.1"]));
    let candidate = TwinServer::start_with(Some(config), |_| Reply::ok());
    let baseline = StreamServer::start(PRICES.routes(), |server| {
        let tls = ServerTlsConfig::new().identity(authority.identity());
        server.tls_config(tls).expect("a certificate with its key")
    });
    let addresses = [candidate.address, baseline.address];
    let report = replay_at(directory.path(), addresses, "allow-all", Some(&authority));
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    let ledger = &report.ledgers.runs.candidate;
    assert_eq!(ledger.errored_by_cause["other_protocol"], 30);
    let finding = &report.findings[0];
    assert!(finding.summary.contains("other_protocol"), "{finding:?}");
    let text = &finding.evidence[0].candidate.text;
    assert!(text.contains("the twin chose http/1.1 by ALPN"), "{text}");
    assert!(!report.reasons.concat().contains("never reached"));
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
