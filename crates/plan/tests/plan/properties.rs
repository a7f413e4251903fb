//! What holds of every plan.

use std::collections::HashMap;

use proptest::prelude::*;
use twintap_plan::{
    EntryRule, OrderRule, Plan, PlanOptions, Planner, SkipReason, UnboundRule, WaitReason,
};

use crate::dsl::{Recorded, capture, plan_of};

/// A word of a few values, so that leaves meet.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0u8..6).prop_map(|n| format!("a1b2c3d4e5f6071829{n}")),
        (0u8..3).prop_map(|n| format!("SKU-123{n}")),
        Just("dark".to_owned()),
        Just("1042".to_owned()),
    ]
}

fn leaves(paths: &'static [&'static str]) -> impl Strategy<Value = String> {
    let leaf = (prop::sample::select(paths), value()).prop_map(|(path, v)| format!("{path}={v}"));
    prop::collection::vec(leaf, 0..4).prop_map(|leaves| leaves.join(" "))
}

/// A line of a capture.
pub fn line() -> impl Strategy<Value = String> {
    let options = prop::sample::select(
        &[
            "",
            "!began",
            "!part",
            "!unseen",
            "!dropped",
            "rtt=1",
            "@10.0.0.9",
            "@10.2.0.1 >10.0.0.7:81",
            "@10.0.0.7",
        ][..],
    );
    let request = leaves(&[
        "cookie.sid",
        "cookie.theme",
        "cookie.device",
        "header.authorization.bearer",
        "header.x-api-key",
        "header.x-csrf-token",
        "json./id",
        "json./item_id",
    ]);
    let response = leaves(&[
        "set-cookie.sid",
        "set-cookie.device",
        "json./id",
        "json./items/0/id",
        "location.path.1",
        "header.etag",
    ]);
    (
        (0u32..60, 1u8..8, options, 0usize..4, value()),
        (request, 0u32..30, 0usize..4, response),
    )
        .prop_map(
            |((start, flow, options, method, id), (request, took, ending, response))| {
                let method = ["GET", "POST", "CONNECT", "PUT"][method];
                let head = format!("{start} f{flow} {options} {method} /items/{id} {request}");
                match ending {
                    0 => head,
                    1 => format!("{head} -> {}? {response}", start + took),
                    _ => format!("{head} -> {} {response}", start + took),
                }
            },
        )
}

pub fn options() -> impl Strategy<Value = PlanOptions> {
    let entry = prop_oneof![Just(EntryRule::All), Just(EntryRule::Auto)];
    let unbound = prop_oneof![Just(UnboundRule::Skip), Just(UnboundRule::Fire)];
    let order = prop_oneof![Just(OrderRule::Resource), Just(OrderRule::Recorded)];
    let choices = (entry, unbound, order, 0usize..4);
    choices.prop_map(|(entry, unbound, order, max_client_had)| PlanOptions {
        entry,
        unbound,
        order,
        max_client_had,
        assumed_round_trip_ns: 2_000_000,
        ..PlanOptions::default()
    })
}

/// Checks what every plan of `records` must have.
fn hold(plan: &Plan, records: &[Recorded]) {
    assert_eq!(plan.requests.len(), records.len());
    let ends: HashMap<_, _> = records
        .iter()
        .map(|(record, _)| &record.exchange)
        .map(|exchange| (exchange.id.clone(), exchange.response.last_byte))
        .collect();
    let mut sessions_of = HashMap::new();
    for (session, index) in plan.sessions.iter().zip(0u32..) {
        assert!(session.requests.is_sorted());
        for position in &session.requests {
            let before = sessions_of.insert(*position, index);
            assert_eq!(before, None, "{position} is in two sessions");
        }
    }
    let mut last_on_flow = HashMap::new();
    let mut last_due_ns = 0;
    for (request, position) in plan.requests.iter().zip(0u32..) {
        assert_eq!(sessions_of.get(&position), Some(&request.session));
        assert!(request.due_ns >= last_due_ns, "due times are in order");
        last_due_ns = request.due_ns;
        let offset = last_on_flow.insert(request.flow, request.exchange.offset);
        assert!(offset < Some(request.exchange.offset), "a flow is in order");
        assert_eq!(
            request.missing.is_some(),
            request.skip == Some(SkipReason::Unbound)
        );
        if request.skip.is_some() {
            assert!(request.waits.is_empty() && request.bindings.is_empty());
            assert!(request.follows.is_empty() && request.races.is_empty());
            assert!(request.produces.is_empty());
        }
        for wait in &request.waits {
            assert!(wait.request < position, "waits go back");
            let awaited = &plan.requests[wait.request as usize];
            assert_eq!(awaited.skip, None, "what is awaited is fired");
            if wait.reason == WaitReason::Connection {
                assert_eq!(awaited.flow, request.flow);
            }
            if matches!(wait.reason, WaitReason::Resource | WaitReason::Recorded) {
                let start_ns = plan.capture_start.0 + request.due_ns;
                let end_ns = ends[&awaited.exchange].0;
                assert!(end_ns < start_ns, "what is awaited had ended");
            }
        }
        for write in &request.follows {
            assert!(*write < position, "what it follows was before");
            assert_eq!(plan.requests[*write as usize].skip, None);
        }
        for race in &request.races {
            let writer = &plan.requests[race.request as usize];
            assert_eq!(writer.skip, None, "what is raced with is fired");
            assert_ne!(writer.flow, request.flow, "a connection keeps its order");
        }
        for binding in &request.bindings {
            let producer = &plan.requests[binding.producer as usize];
            assert!(
                producer
                    .produces
                    .iter()
                    .any(|made| made.path == binding.producer_path)
            );
            let waits = &request.waits;
            assert!(
                waits
                    .iter()
                    .any(|wait| wait.request == binding.producer
                        && wait.reason == WaitReason::Binding)
            );
        }
    }
    let summary = plan.summary();
    assert_eq!(
        summary.planned,
        summary.fired + summary.skipped.values().sum::<u64>()
    );
    assert_eq!(summary.planned, summary.entry + summary.internal);
}

proptest! {
    #[test]
    fn every_plan_holds(
        lines in prop::collection::vec(line(), 0..40),
        options in options(),
    ) {
        let records = capture(&lines.join("\n"));
        hold(&plan_of(&records, &options), &records);
    }

    #[test]
    fn the_order_of_input_does_not_matter(
        (lines, keys) in prop::collection::vec(line(), 0..30).prop_flat_map(|lines| {
            let keys = prop::collection::vec(any::<u32>(), lines.len());
            (Just(lines), keys)
        }),
        options in options(),
    ) {
        let records = capture(&lines.join("\n"));
        let mut shuffled: Vec<(u32, Recorded)> = keys.into_iter().zip(records.clone()).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Recorded> = shuffled.into_iter().map(|(_, record)| record).collect();
        let plan = plan_of(&records, &options);
        prop_assert_eq!(&plan, &plan_of(&shuffled, &options));
        // An exchange that comes twice is one.
        let twice: Vec<Recorded> = records.iter().chain(&shuffled).cloned().collect();
        prop_assert_eq!(&plan, &plan_of(&twice, &options));
        let mut noted = Planner::new(options);
        records.iter().for_each(|(record, _)| noted.note_request(record));
        records.iter().for_each(|(record, replayable)| noted.add(record, *replayable));
        prop_assert_eq!(&plan, &noted.finish());
    }
}

/// 5,000 users of 20 requests over two flows each, all at once, and beside them
/// one client that makes its requests under one key on thousands of flows.
#[test]
fn a_hundred_thousand_exchanges() {
    let mut lines = String::new();
    let mut flow = 0;
    for user in 0..5_000u32 {
        let start = user % 1000;
        flow += 2;
        let sid = format!("{:032x}", u128::from(user) << 64 | 0xab54_a98c_eb1f_0ad2);
        for step in 0..19 {
            let at = start + 10 * step;
            let on = flow + u64::from(step % 2);
            let line = match step {
                0 => format!(
                    "{at} f{on} rtt=1 POST /login -> {} set-cookie.sid={sid}\n",
                    at + 2
                ),
                _ => format!("{at} f{on} rtt=1 GET /me cookie.sid={sid} -> {}\n", at + 2),
            };
            lines.push_str(&line);
        }
        flow += 1;
        lines.push_str(&format!(
            "{} f{} @10.3.0.1 GET /status header.x-api-key=machine-77 -> {}\n",
            user % 700,
            20_000 + flow,
            user % 700 + 40
        ));
    }
    let records = capture(&lines);
    let plan = plan_of(&records, &PlanOptions::default());
    hold(&plan, &records);
    let summary = plan.summary();
    assert_eq!(summary.fired, 100_000);
    assert_eq!(plan.sessions.len(), 5_001);
    assert_eq!(summary.bindings, 5_000 * 18);
}
