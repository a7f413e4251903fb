//! Steering while a run fires: speed, seeking, pausing.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use twintap_plan::SkipReason;
use twintap_replayer::fire::{RunControl, SteerError};
use twintap_scrub::{Encoding, Part};
use twintap_verdict::observation::Twin;

use crate::script::{Run, Script, binding, produces, recorded, request};
use crate::twins::{Reply, TwinServer};

const HOUR_MS: u64 = 3_600_000;
const BOTH: [Twin; 2] = [Twin::Candidate, Twin::Baseline];

fn control() -> RunControl {
    RunControl::new().expect("an eventfd")
}

fn good_twins() -> [TwinServer; 2] {
    [(); 2].map(|()| TwinServer::start(|_| Reply::values("v")))
}

/// Calls `act` once both twins have answered `count` requests.
fn when_answered(
    control: &RunControl,
    count: u64,
    act: impl FnOnce(&RunControl) + Send + 'static,
) -> thread::JoinHandle<()> {
    let control = control.clone();
    thread::spawn(move || {
        while BOTH
            .iter()
            .any(|&twin| control.progress(twin).answered < count)
        {
            thread::sleep(Duration::from_millis(1));
        }
        act(&control);
    })
}

/// When a twin got its requests.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<(String, Instant)>>>);

impl Arrivals {
    /// A twin that notes them.
    fn twin(&self) -> TwinServer {
        let seen = Arc::clone(&self.0);
        TwinServer::start(move |request| {
            let mut seen = seen.lock().expect("no thread failed");
            seen.push((request.line.clone(), Instant::now()));
            Reply::ok()
        })
    }

    /// The instants of `GET /0`, `GET /1` and so on, which must have come in this order.
    fn in_order(&self, count: u32) -> Vec<Instant> {
        let seen = self.0.lock().expect("no thread failed");
        let lines: Vec<&str> = seen.iter().map(|(line, _)| line.as_str()).collect();
        let expected: Vec<String> = (0..count)
            .map(|number| format!("GET /{number} HTTP/1.1"))
            .collect();
        assert_eq!(lines, expected);
        seen.iter().map(|(_, at)| *at).collect()
    }
}

/// The mean space between instants.
fn mean(instants: &[Instant]) -> Duration {
    let span = instants[instants.len() - 1] - instants[0];
    span / (instants.len() - 1) as u32
}

/// The spaces between due times in run time, in the plan's order.
fn spaces_ns(run: &Run, twin: Twin, count: u32) -> Vec<u64> {
    let due: Vec<u64> = (0..count)
        .map(|position| run.timing(position, twin).due_ns)
        .collect();
    due.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// What lies between the leading spaces of `before` and the trailing ones of `after`,
/// to the nanosecond that rounding may take.
fn between(spaces: &[u64], before: u64, after: u64) -> &[u64] {
    let is = |space: u64, expected: u64| space.abs_diff(expected) <= 1;
    let leading = spaces.iter().take_while(|&&space| is(space, before));
    let rest = &spaces[leading.count()..];
    let trailing = rest.iter().rev().take_while(|&&space| is(space, after));
    &rest[..rest.len() - trailing.count()]
}

#[test]
fn a_change_of_speed_rescales_what_is_left_without_a_jump() {
    const COUNT: u32 = 120;
    let mut script = Script::default();
    for number in 0..u64::from(COUNT) {
        script.get(20 * number, 0, &format!("/{number}"));
    }
    let arrivals = Arrivals::default();
    let twins = [arrivals.twin(), TwinServer::start(|_| Reply::ok())];
    let control = control();
    let steering = when_answered(&control, 20, |control| {
        control.set_speed(10.0).expect("a speed in range");
    });
    let run = script.fire_with(&twins, &control, |_| {});
    steering.join().expect("twenty answers");

    for twin in BOTH {
        let spaces = spaces_ns(&run, twin, COUNT);
        let odd = between(&spaces, 20_000_000, 2_000_000);
        // Only the space in which the speed changed is neither.
        assert!(odd.len() <= 1, "{spaces:?}");
        assert!(odd.iter().all(|odd| (2_000_000..=20_000_000).contains(odd)));
        assert!(spaces[..19].iter().all(|&space| space == 20_000_000));
        assert!(spaces[spaces.len() - 1] <= 2_000_001, "{spaces:?}");
    }

    let arrivals = arrivals.in_order(COUNT);
    // As the twin saw it, too, what came later came in closer order.
    let (before, after) = (mean(&arrivals[..20]), mean(&arrivals[40..]));
    assert!(after < before / 2, "{after:?} is not below half {before:?}");
}

#[test]
fn a_speed_from_before_the_start_holds_from_the_start() {
    let mut script = Script::default();
    for number in 0..10 {
        script.get(1000 * number, 0, "/");
    }
    let control = control();
    control.set_speed(100.0).expect("a speed in range");
    // The plan itself is twice as fast as recorded.
    let run = script.fire_with(&good_twins(), &control, |options| options.plan_speed = 2.0);
    let spaces = spaces_ns(&run, Twin::Candidate, 10);
    assert!(
        between(&spaces, 20_000_000, 20_000_000).is_empty(),
        "{spaces:?}"
    );
    assert_eq!(control.speed(), Some(100.0));
}

#[test]
fn a_pause_keeps_spaces_and_loses_nothing() {
    const COUNT: u32 = 60;
    let mut script = Script::default();
    for number in 0..u64::from(COUNT) {
        script.get(20 * number, 0, &format!("/{number}"));
    }
    let arrivals = Arrivals::default();
    let twins = [arrivals.twin(), TwinServer::start(|_| Reply::ok())];
    let control = control();
    let steering = when_answered(&control, 20, |control| {
        control.pause();
        thread::sleep(Duration::from_secs(1));
        control.resume();
    });
    let run = script.fire_with(&twins, &control, |_| {});
    steering.join().expect("twenty answers");
    assert!(run.summary.paused_ns > 0);
    for twin in BOTH {
        let spaces = spaces_ns(&run, twin, COUNT);
        assert!(
            spaces.iter().all(|&space| space == 20_000_000),
            "{spaces:?}"
        );
    }
    // As the twin saw it: one long space, and like ones before and after.
    let arrivals = arrivals.in_order(COUNT);
    let space = |at: &usize| arrivals[*at + 1] - arrivals[*at];
    let pause = (0..arrivals.len() - 1).max_by_key(space).expect("spaces");
    let (before, after) = (mean(&arrivals[..=pause]), mean(&arrivals[pause + 1..]));
    assert!(
        before < 3 * after && after < 3 * before,
        "{before:?}, {after:?}"
    );
}

/// Two requests now, three in an hour of which two use the first's and the third's
/// values, one of each in two hours.
fn far_apart() -> Script {
    let mut script = Script::default();
    let uses = |producer| vec![binding(producer, "v", Part::Target, 1..2, Encoding::Plain)];
    let mut login = request(0, 0);
    login.produces = produces(&["v"]);
    script.add(login, recorded("POST", "/login", &[], ""));
    script.get(1, 1, "/");
    // 2: passed over, and makes values.
    let mut create = request(HOUR_MS, 1);
    create.produces = produces(&["v"]);
    script.add(create, recorded("POST", "/create", &[], ""));
    script.get(HOUR_MS + 1, 2, "/");
    script.last().skip = Some(SkipReason::Filtered);
    script.get(HOUR_MS + 2, 3, "/");
    // 5: uses what is there. 6: uses what was passed over. 7: and what 6 makes.
    let mut own = request(2 * HOUR_MS, 0);
    own.bindings = uses(0);
    script.add(own, recorded("GET", "/x", &[], ""));
    let mut lost = request(2 * HOUR_MS + 1, 1);
    lost.bindings = uses(2);
    lost.produces = produces(&["v"]);
    script.add(lost, recorded("GET", "/y", &[], ""));
    let mut lost_too = request(2 * HOUR_MS + 2, 1);
    lost_too.bindings = uses(6);
    script.add(lost_too, recorded("GET", "/z", &[], ""));
    script.get(2 * HOUR_MS + 3, 3, "/last");
    script
}

#[test]
fn a_seek_passes_over_what_lies_between_and_counts_it() {
    for paused in [false, true] {
        let control = control();
        let steering = when_answered(&control, 2, move |control| {
            if paused {
                control.pause();
            }
            control
                .seek(Duration::from_millis(2 * HOUR_MS))
                .expect("it lies ahead");
            control.resume();
        });
        let twins = good_twins();
        let run = far_apart().fire_with(&twins, &control, |_| {});
        steering.join().expect("two answers");
        let expected = [
            "302",
            "302",
            "skipped seeked",
            "skipped filtered",
            "skipped seeked",
            "302",
            "skipped unbound",
            "skipped unbound",
            "302",
        ];
        assert_eq!(run.candidate(), expected);
        assert_eq!(run.baseline(), expected);
        for summary in run.summaries() {
            assert_eq!(summary.ledger.skipped["seeked"], 2);
            assert_eq!(summary.ledger.skipped["unbound"], 2);
        }
        for twin in &twins {
            let received = twin.received().concat();
            assert!(received.contains("GET /v HTTP/1.1"), "{received}");
        }
        let position = control.position();
        assert!(
            position >= Duration::from_millis(2 * HOUR_MS),
            "{position:?}"
        );
    }
}

#[test]
fn where_the_run_file_says_so_what_uses_values_of_it_is_fired_all_the_same() {
    let control = control();
    let steering = when_answered(&control, 2, |control| {
        let plan = Duration::from_millis(2 * HOUR_MS);
        // The plan is half as fast as recorded: its two hours are one.
        control.seek(plan / 2).expect("it lies ahead");
    });
    let run = far_apart().fire_with(&good_twins(), &control, |options| {
        options.skip_unbound = false;
        options.plan_speed = 0.5;
    });
    steering.join().expect("two answers");
    assert_eq!(run.candidate()[5..], ["302", "302", "302", "302"]);
    // What uses the answer of an unbound request is unbound too.
    assert_eq!(run.summary.candidate.fired_unbound, 2);
}

#[test]
fn past_the_end_nothing_is_left() {
    let mut script = Script::default();
    script.get(0, 0, "/");
    script.get(HOUR_MS, 0, "/");
    script.get(2 * HOUR_MS, 1, "/");
    let control = control();
    let steering = when_answered(&control, 1, |control| {
        control.seek(Duration::MAX).expect("it lies ahead");
    });
    let run = script.fire_with(&good_twins(), &control, |_| {});
    steering.join().expect("an answer");
    assert_eq!(run.candidate(), ["302", "skipped seeked", "skipped seeked"]);
    assert!(!run.summary.stopped);
}

#[test]
fn what_cannot_be_steered_is_said() {
    let control = control();
    for asked in [0.0, 0.09, 100.1, -1.0, f64::NAN, f64::INFINITY] {
        let error = control.set_speed(asked).expect_err("out of range");
        assert!(matches!(error, SteerError::Speed { .. }), "{error}");
    }
    assert_eq!(control.speed(), None);
    control
        .seek(Duration::from_secs(90))
        .expect("it lies ahead");
    let error = control
        .seek(Duration::from_secs(60))
        .expect_err("it lies behind");
    assert_eq!(
        error,
        SteerError::Backward {
            asked: Duration::from_secs(60),
            position: Duration::from_secs(90)
        }
    );
    assert!(error.to_string().contains("90s"), "{error}");
}
