use crate::support::shop::*;
use crate::support::*;
use twintap_verdict::*;
#[test]
fn zz_write() {
    let mut facts = RunFacts {
        run: "shop-nightly".into(),
        tool_version: "0.1.0".into(),
        ..RunFacts::default()
    };
    facts.kernel.seen_bytes = 48_123_456;
    facts.kernel.delivered_bytes = 48_123_456;
    facts.store.delivered_bytes = 48_123_456;
    facts.store.message_bytes = 48_000_000;
    facts.store.framing_bytes = 123_456;
    facts.store.rebuilt = 812;
    facts.store.stored = 812;
    facts.correlation.bound = 612;
    facts.correlation.unbound = 3;
    facts.candidate = Target {
        name: "candidate".into(),
        address: "127.0.0.1:9002".into(),
    };
    facts.baseline = Target {
        name: "baseline".into(),
        address: "127.0.0.1:9001".into(),
    };
    facts.started = Some(twintap_stream::Timestamp(1_763_806_197_000_000_000));
    facts.reproduce =
        vec!["twintap replay --archive /var/lib/twintap/archive --run shop-nightly.yaml".into()];
    let report = judge_with(
        Options::default(),
        facts.clone(),
        observations(&run(1, 80, &FAULTS)),
    );
    std::fs::write("/tmp/w/verdict-fail.html", html(&report)).unwrap();
    std::fs::write("/tmp/w/verdict-fail.txt", text(&report)).unwrap();
    let report = judge_with(
        Options {
            fidelity_floor: 0.5,
            ..Options::default()
        },
        facts,
        observations(&run(1, 80, &[])),
    );
    std::fs::write("/tmp/w/verdict-pass.html", html(&report)).unwrap();
}
