//! Planning window by window.

use std::collections::HashMap;
use std::fmt::Write;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use twintap_plan::{Follower, PlanOptions, PlannedRequest, SkipReason, UnboundRule, Window};
use twintap_stream::{ExchangeId, Timestamp};

use crate::dsl::{BASE_NS, Recorded, capture, plan_of};
use crate::properties::{line, options};

const PLENTY: usize = 64 << 20;

fn follower(max_kept_bytes: usize) -> Follower {
    Follower::new(PlanOptions::default(), Timestamp(BASE_NS), max_kept_bytes)
}

fn plan(follower: &mut Follower, records: &[Recorded]) -> Window {
    let records = records.iter();
    follower.plan(records.map(|(record, replayable)| (record, *replayable)))
}

fn render(window: &Window) -> String {
    let mut out = String::new();
    for (request, place) in window.requests.iter().zip(0..) {
        let position = window.first.wrapping_add(place);
        let session = &window.sessions[request.session as usize];
        let mut line = format!(
            "{position} {}ms f{} {session}",
            request.due_ns as f64 / 1e6,
            request.flow.0
        );
        if let Some(skip) = request.skip {
            let word = format!("{skip:?}").to_lowercase();
            write!(line, " {word}").expect("a String takes all");
        }
        for wait in &request.waits {
            write!(line, " after {}", wait.request).expect("a String takes all");
        }
        for binding in &request.bindings {
            let (path, producer) = (&binding.path, binding.producer);
            write!(line, " {path}<-{producer}:{}", binding.producer_path)
                .expect("a String takes all");
        }
        out.push_str(&line);
        out.push('\n');
    }
    for carried in &window.carried {
        let (producer, path) = (carried.producer, &carried.path);
        writeln!(out, "carried {producer}:{path}").expect("a String takes all");
    }
    if window.tardy > 0 {
        writeln!(out, "tardy {}", window.tardy).expect("a String takes all");
    }
    out
}

/// Plans windows that are divided by `---` in one text.
#[track_caller]
fn check(text: &str, expected: Expect) {
    let mut follower = follower(PLENTY);
    let mut records = capture(&text.replace("---", "//")).into_iter();
    let mut out = Vec::new();
    for part in text.split("---") {
        let count = part.lines().filter(|line| !line.trim().is_empty()).count();
        let window: Vec<Recorded> = records.by_ref().take(count).collect();
        out.push(render(&plan(&mut follower, &window)));
    }
    expected.assert_eq(&out.join("---\n"));
}

#[test]
fn a_session_goes_on_and_its_token_binds_windows_later() {
    check(
        "0 f1 POST /login -> 2 set-cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90
         ---
         1000 f2 GET /other -> 1002
         ---
         2000 f1 POST /orders cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90 -> 2002 json./id=ord-77f3a9c2e41d
         2010 f3 GET /orders/ord-77f3a9c2e41d cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90 -> 2012
         ---
         3000 f1 GET /orders/ord-77f3a9c2e41d cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90 -> 3002",
        expect![[r#"
            0 0ms f1 s-a40f01834805
            ---
            1 1000ms f2 s-fe24889e8ebe
            ---
            2 2000ms f1 s-a40f01834805 after 0 cookie.sid<-0:set-cookie.sid
            3 2010ms f3 s-a40f01834805 after 0 after 2 path.1<-2:json./id cookie.sid<-0:set-cookie.sid
            carried 0:set-cookie.sid
            ---
            4 3000ms f1 s-a40f01834805 after 0 after 2 after 3 path.1<-2:json./id cookie.sid<-0:set-cookie.sid
            carried 0:set-cookie.sid
            carried 2:json./id
        "#]],
    );
}

#[test]
fn a_request_races_with_writes_of_earlier_windows() {
    let mut follower = follower(PLENTY);
    let records = capture(
        "0 f1 PUT /orders/17 -> 900
         500 f2 GET /orders/17 -> 510
         600 f3 GET /orders/17 -> 610",
    );
    let first = plan(&mut follower, &records[..2]);
    assert_eq!(first.requests[1].races[0].request, 0);
    // Both are in this window.
    assert_eq!(first.raced, []);
    let second = plan(&mut follower, &records[2..]);
    assert_eq!(second.requests[0].races[0].request, 0);
    assert_eq!(second.raced, [(0, records[0].0.exchange.id.clone())]);
}

#[test]
fn what_is_stored_late_is_due_at_once() {
    check(
        "0 f1 GET /a -> 2
         1000 f1 GET /b -> 1002
         ---
         500 f2 GET /slow -> 1500
         1600 f1 GET /c -> 1602",
        expect![[r#"
            0 0ms f1 s-a40f01834805
            1 1000ms f1 s-a40f01834805 after 0
            ---
            2 1000ms f2 s-fe24889e8ebe
            3 1600ms f1 s-a40f01834805 after 1
            tardy 1
        "#]],
    );
}

#[test]
fn what_a_skipped_request_would_have_made_binds_nothing() {
    check(
        "0 f1 !part POST /login -> 2 set-cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90
         ---
         1000 f1 GET /me cookie.sid=a1b2c3d4e5f60718293a4b5c6d7e8f90 -> 1002",
        expect![[r#"
            0 0ms f1 s-a40f01834805 incomplete
            ---
            1 1000ms f1 s-a40f01834805 unbound
        "#]],
    );
}

#[test]
fn an_exchange_is_planned_once() {
    let mut follower = follower(PLENTY);
    let records = capture("0 f1 GET /a -> 2\n10 f1 GET /b -> 12");
    assert_eq!(plan(&mut follower, &records).requests.len(), 2);
    let again = plan(&mut follower, &records);
    assert_eq!((again.requests.len(), again.first), (0, 2));
}

#[test]
fn memory_has_a_bound_and_what_is_used_stays() {
    let token = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
    let mut text = format!("0 f1 POST /login -> 2 set-cookie.sid={token}\n");
    for number in 1..200 {
        // A user who stays, among others who come and go.
        let (at, flow) = (number * 10, number + 10);
        writeln!(text, "{at} f1 GET /me cookie.sid={token} -> {}", at + 1).expect("a String");
        writeln!(text, "{} f{flow} GET /news -> {}", at + 2, at + 3).expect("a String");
    }
    let mut follower = follower(20_000);
    for window in capture(&text).chunks(10) {
        let planned = plan(&mut follower, window);
        for request in planned
            .requests
            .iter()
            .filter(|request| request.flow.0 == 1)
        {
            let is_login = request.exchange.offset == 0;
            assert_eq!(
                request.bindings.len(),
                usize::from(!is_login),
                "{request:?}"
            );
        }
        assert!(follower.kept() < 20, "{}", follower.kept());
    }
    assert!(follower.forgotten() > 300, "{}", follower.forgotten());
}

#[test]
fn what_was_forgotten_binds_no_more() {
    let token = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
    let mut text = format!("0 f1 POST /login -> 2 set-cookie.sid={token}\n");
    for number in 1..100 {
        let at = number * 10;
        writeln!(text, "{at} f{} GET /news -> {}", number + 10, at + 1).expect("a String");
    }
    writeln!(text, "5000 f1 GET /me cookie.sid={token} -> 5001").expect("a String");
    let mut follower = follower(20_000);
    let records = capture(&text);
    let last = records
        .chunks(10)
        .map(|window| plan(&mut follower, window))
        .last()
        .expect("a window");
    let me = last.requests.last().expect("a request");
    assert_eq!(me.skip, Some(twintap_plan::SkipReason::Unbound));
}

/// What a window says of a request, told by exchanges.
#[derive(Debug, PartialEq)]
struct Said {
    exchange: ExchangeId,
    skip: Option<SkipReason>,
    missing: Option<String>,
    waits: Vec<ExchangeId>,
    follows: Vec<ExchangeId>,
    races: Vec<ExchangeId>,
    bindings: Vec<(ExchangeId, String, String)>,
}

impl Said {
    fn of(request: &PlannedRequest, name: impl Fn(u32) -> ExchangeId) -> Said {
        let bindings = request.bindings.iter().map(|binding| {
            let (from, to) = (&binding.producer_path, &binding.path);
            (name(binding.producer), from.to_string(), to.to_string())
        });
        Said {
            exchange: request.exchange.clone(),
            skip: request.skip,
            missing: request.missing.clone(),
            waits: request
                .waits
                .iter()
                .map(|wait| name(wait.request))
                .collect(),
            follows: request.follows.iter().map(|at| name(*at)).collect(),
            races: request
                .races
                .iter()
                .map(|race| name(race.request))
                .collect(),
            bindings: bindings.collect(),
        }
    }
}

/// What windows come to where each is planned from scratch, with all before it.
fn from_scratch(windows: &[&[Recorded]], options: &PlanOptions) -> Vec<Vec<Said>> {
    let mut all: Vec<Recorded> = Vec::new();
    let mut fired: HashMap<ExchangeId, bool> = HashMap::new();
    let mut said = Vec::new();
    for window in windows {
        all.extend_from_slice(window);
        let plan = plan_of(&all, options);
        let name = |position: u32| plan.requests[position as usize].exchange.clone();
        let mut new = Vec::new();
        for request in &plan.requests {
            if fired.contains_key(&request.exchange) {
                continue;
            }
            let mut told = Said::of(request, name);
            // What was not fired in an earlier window gives nothing, whatever is known today.
            let lacking = told
                .bindings
                .iter()
                .find(|(producer, ..)| fired.get(producer) == Some(&false));
            if let Some((.., leaf)) = lacking
                && options.unbound == UnboundRule::Skip
            {
                told = Said {
                    skip: Some(SkipReason::Unbound),
                    missing: Some(leaf.clone()),
                    exchange: told.exchange,
                    waits: Vec::new(),
                    follows: Vec::new(),
                    races: Vec::new(),
                    bindings: Vec::new(),
                };
            }
            new.push(told);
        }
        for told in &new {
            fired.insert(told.exchange.clone(), told.skip.is_none());
        }
        said.push(new);
    }
    said
}

proptest! {
    /// Reading the leaves of an exchange once, in its own window, changes nothing.
    #[test]
    fn windows_are_planned_as_from_scratch(
        lines in prop::collection::vec(line(), 0..40),
        size in 1usize..12,
        options in options(),
    ) {
        let records = capture(&lines.join("\n"));
        let windows: Vec<&[Recorded]> = records.chunks(size).collect();
        let mut follower = Follower::new(options.clone(), Timestamp(BASE_NS), PLENTY);
        let mut names: Vec<ExchangeId> = Vec::new();
        let mut said = Vec::new();
        for window in &windows {
            let planned = plan(&mut follower, window);
            let new = planned.requests.iter().map(|request| request.exchange.clone());
            names.extend(new);
            let name = |position: u32| names[position as usize].clone();
            said.push(
                planned
                    .requests
                    .iter()
                    .map(|request| Said::of(request, name))
                    .collect::<Vec<_>>(),
            );
        }
        let expected = from_scratch(&windows, &options);
        prop_assert_eq!(said, expected);
    }
}

#[test]
fn names_that_nothing_has_any_more_are_let_go_and_the_others_stay() {
    let token = "a1b2c3d4e5f60718293a4b5c6d7e8f90";
    let mut text = format!("0 f1 POST /login -> 2 set-cookie.sid={token}\n");
    // Members of JSON that are named by what they hold are names without end.
    for number in 1..3000 {
        let at = number * 10;
        let leaves: Vec<String> = (0..4)
            .map(|leaf| format!("json./of-{number}/{leaf}=v-{number}-{leaf}-77f3a9c2"))
            .collect();
        let leaves = leaves.join(" ");
        writeln!(
            text,
            "{at} f{} GET /of/{number} -> {} {leaves}",
            number + 10,
            at + 1
        )
        .expect("a String");
        if number % 20 == 0 {
            writeln!(
                text,
                "{} f1 GET /me cookie.sid={token} -> {}",
                at + 2,
                at + 3
            )
            .expect("a String");
        }
    }
    let mut follower = follower(100_000);
    let mut bound = 0;
    for window in capture(&text).chunks(50) {
        let planned = plan(&mut follower, window);
        let of_user = planned
            .requests
            .iter()
            .filter(|request| request.flow.0 == 1);
        bound += of_user.map(|request| request.bindings.len()).sum::<usize>();
        assert!(follower.names() < 8_000, "{}", follower.names());
    }
    assert_eq!(bound, 149);
}
