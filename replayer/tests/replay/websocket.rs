//! WebSockets, from what was recorded to a report.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use twintap_replayer::run::RunFile;
use twintap_scrub::Policy;
use twintap_verdict::{Report, Verdict};

use crate::chat::{Chat, recorded};
use crate::recording::store;
use crate::run::run;
use crate::twins::{Reply, TwinServer};

/// How many clients there are, and exchanges that a verdict needs.
const CLIENTS: u64 = 6;

/// What a run at a candidate and a sound baseline came to: the report and run.json.
fn replayed(candidate: SocketAddr) -> (Report, serde_json::Value) {
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), recorded(CLIENTS));
    let baseline = Chat::start("base", 0);
    let twins = [candidate, baseline.address];
    let report = run(&run_file(directory.path(), twins)).expect("a run");
    let text = fs::read_to_string(directory.path().join("results/run.json"));
    let record = serde_json::from_str(&text.expect("the run wrote it")).expect("JSON");
    (report, record)
}

pub fn run_file(directory: &Path, twins: [SocketAddr; 2]) -> RunFile {
    run_file_under("allow-all", directory, twins)
}

fn run_file_under(
    policy: &str,
    directory: &Path,
    [candidate, baseline]: [SocketAddr; 2],
) -> RunFile {
    let text = format!(
        "version: 1\narchive: archive\npolicy: {policy}\noutput: results\ntargets:\n  \
         candidate:\n    address: {candidate}\n  baseline:\n    address: {baseline}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\nverdict: {{min_exchanges: {CLIENTS}}}\n"
    );
    let path = directory.join("chat.yaml");
    fs::write(&path, text).expect("a directory to write to");
    RunFile::read(&path).expect("a sound run file")
}

#[test]
fn conversations_replay_at_twins_with_tokens_of_their_own() {
    let candidate = Chat::start("cand", 0);
    let (report, record) = replayed(candidate.address);
    let fired = &record["fired"]["candidate"];
    assert_eq!(fired["ledger"]["answered"], CLIENTS, "{fired:#}");
    assert_eq!(fired["fired_unbound"], 0);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_ne!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
}

/// On top of the default policy: what a message asks for is the service's own word, and it
/// reckons with the numbers.
const POLICY: &str = "version: 1\nrules:\n  - names: [do, number]\n    do: allow\n";

#[test]
fn conversations_replay_with_pseudonyms_in_their_messages() {
    let directory = TempDir::new().expect("a temporary directory");
    let policy = Policy::from_yaml(POLICY, "policy.yaml").expect("a sound policy");
    store(directory.path(), policy, recorded(CLIENTS));
    fs::write(directory.path().join("policy.yaml"), POLICY).expect("a place to write");
    for (fault, verdict) in [(0, None), (1, Some(Verdict::Fail))] {
        let twins = [Chat::start("cand", fault), Chat::start("base", 0)];
        let addresses = twins.each_ref().map(|twin| twin.address);
        let file = run_file_under("policy.yaml", directory.path(), addresses);
        let report = run(&file).expect("a run");
        let runs = &report.ledgers.runs;
        for ledger in [&runs.candidate, &runs.baseline] {
            assert_eq!(ledger.answered, CLIENTS, "{ledger:?}");
        }
        // What each is called goes out as a pseudonym, and comes back as one.
        assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
        let found = (!report.findings.is_empty()).then_some(report.verdict);
        assert_eq!(found, verdict, "{:#?}", report.findings);
    }
}

#[test]
fn a_field_of_a_message_that_changed_is_found() {
    let candidate = Chat::start("cand", 1);
    let (report, _) = replayed(candidate.address);
    assert_eq!(report.verdict, Verdict::Fail, "{:?}", report.reasons);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    let [finding] = &report.findings[..] else {
        panic!("{:#?}", report.findings);
    };
    assert!(finding.location.contains("sum"), "{finding:?}");
}

/// The errors of a candidate that answers every request so, by kind.
fn errors_at(answer: &'static str) -> serde_json::Value {
    let candidate = TwinServer::start(move |_| Reply::Text(answer.to_owned()));
    let (report, record) = replayed(candidate.address);
    assert_eq!(report.ledgers.runs.candidate.unexplained, 0);
    assert_eq!(report.fidelity, 1.0, "{:?}", report.fidelity_detail);
    record["fired"]["candidate"]["ledger"]["errored"].clone()
}

#[test]
fn an_answer_to_another_key_is_garbage() {
    let errors = errors_at(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    );
    assert_eq!(errors, serde_json::json!({"garbage": CLIENTS}));
}

#[test]
fn a_twin_that_declines_has_answered() {
    let declined = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(errors_at(declined), serde_json::json!({}));
}

proptest::proptest! {
    #[test]
    fn no_bytes_of_a_twin_break_the_readers_laws(
        first in proptest::num::u8::ANY,
        frames in proptest::collection::vec(
            (
                proptest::num::u8::ANY,
                proptest::sample::select(vec![0x00, 0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xc1, 0x41]),
                proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            ),
            0..30,
        ),
    ) {
        let mut bytes = vec![first];
        for (noise, opcode, payload) in frames {
            // One in eight is whatever it is.
            let opcode = if noise < 32 { noise } else { opcode };
            bytes.extend([opcode, payload.len() as u8]);
            bytes.extend(payload);
        }
        crate::hostile::websocket_twin(&bytes);
    }
}
