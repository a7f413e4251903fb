//! Firing at twins that are plain threads in this process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use twintap_plan::SkipReason;
use twintap_plan::model::{Wait, WaitReason};
use twintap_replayer::fire::{BodyPace, FireError, RunControl};
use twintap_scrub::{Encoding, Mark, Part, Piece};
use twintap_stream::message::Framing;
use twintap_verdict::observation::Twin;

use crate::script::{Script, binding, produces, recorded, request, target};
use crate::twins::{Reply, TwinServer};

/// Both twins answer everything.
fn good_twins() -> [TwinServer; 2] {
    [(); 2].map(|()| TwinServer::start(|_| Reply::ok()))
}

/// The candidate does `bad` on `/bad`, and both answer everything else.
fn bad_candidate(bad: impl Fn() -> Reply + Send + Sync + 'static) -> [TwinServer; 2] {
    let candidate = TwinServer::start(move |seen| match seen.line.as_str() {
        "GET /bad HTTP/1.1" => bad(),
        _ => Reply::ok(),
    });
    [candidate, TwinServer::start(|_| Reply::ok())]
}

fn control() -> RunControl {
    RunControl::new().expect("an eventfd")
}

#[test]
fn bytes_arrive_as_recorded() {
    let mut script = Script::default();
    let fields = [("hOST", "shop"), ("x-A", "1"), ("ACCEPT", "*/*")];
    script.add(request(0, 0), recorded("GET", "/a?b=%20&c", &fields, ""));
    let fields = [("Transfer-Encoding", "chunked")];
    let mut chunked = recorded("POST", "/b", &fields, "hello world");
    chunked.framing = Framing::Chunked;
    chunked.chunks = vec![5, 6];
    script.add(request(1, 0), chunked);

    let twins = good_twins();
    let run = script.fire(&twins);
    for twin in &twins {
        assert_eq!(
            twin.received(),
            [
                "GET /a?b=%20&c HTTP/1.1\r\nhOST: shop\r\nx-A: 1\r\nACCEPT: */*\r\n\r\n\
              POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
              5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
            ]
        );
    }
    for summary in run.summaries() {
        assert_eq!(summary.ledger.answered, 2);
        assert_eq!((summary.connections, summary.reopened), (1, 0));
        assert_eq!(summary.release_error.count, 2);
    }
}

#[test]
fn one_thread_does_what_two_do() {
    let mut script = Script::default();
    let mut producer = request(0, 0);
    producer.produces = produces(&["a"]);
    script.add(producer, recorded("GET", "/login", &[], ""));
    let mut consumer = request(0, 1);
    consumer.bindings = vec![binding(0, "a", Part::Target, 3..6, Encoding::Plain)];
    script.add(consumer, recorded("GET", "/x/abc", &[], ""));
    for position in 0..50 {
        script.get(position, 2 + position % 7, "/others");
    }
    script.get(60, 99, "/bad");
    let runs = [1, 2].map(|threads| {
        let twins = ["new", "old"].map(|name| {
            TwinServer::start(move |seen| match seen.line.as_str() {
                "GET /login HTTP/1.1" => Reply::values(name),
                "GET /bad HTTP/1.1" if name == "new" => Reply::Text("nonsense\r\n\r\n".to_owned()),
                _ => Reply::ok(),
            })
        });
        let run = script.fire_with(&twins, &control(), |options| options.threads = threads);
        let mut lines = twins.map(|twin| twin.lines());
        lines.iter_mut().for_each(|lines| lines.sort_unstable());
        let ledgers = run.summaries().map(|summary| summary.ledger.clone());
        (ledgers, lines)
    });
    let [one, two] = runs;
    assert_eq!(one, two);
    let (ledgers, lines) = one;
    assert_eq!(ledgers.map(|ledger| ledger.answered), [52, 53]);
    assert!(lines[0].contains(&"GET /x/new HTTP/1.1".to_owned()));
    assert!(lines[1].contains(&"GET /x/old HTTP/1.1".to_owned()));
}

#[test]
fn a_firing_thread_that_falls_ends_the_run_of_the_other() {
    let mut script = Script::default();
    for due_ms in [0, 1, 3_600_000] {
        script.get(due_ms, due_ms, "/");
    }
    // The candidate alone says more than is held.
    let twins = ["x".repeat(99), "x".to_owned()].map(|body| {
        TwinServer::start(move |_| {
            let length = body.len();
            Reply::Text(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
        })
    });
    let addresses = twins.each_ref().map(|twin| twin.address);
    let (summary, _) = script.try_fire_at(addresses, &control(), |options| {
        options.max_body_bytes = 10;
        options.digest = Some(Arc::new(|| panic!("a fault of the program")));
    });
    assert!(matches!(summary, Err(FireError::Failed)), "{summary:?}");
}

#[test]
fn bodies_go_out_with_their_recorded_pauses_when_asked() {
    for (bodies, expected) in [(BodyPace::Recorded, "202"), (BodyPace::Streams, "409")] {
        let mut script = Script::default();
        let mut slow = recorded("POST", "/slow", &[("Content-Length", "6")], "onetwo");
        let mark = |end, after_ns| Mark {
            end,
            after_ns,
            piece: Piece::Bytes,
            dropped_bytes: 0,
        };
        slow.timeline.marks = vec![mark(3, 0), mark(6, 1_000_000_000)];
        script.add(request(0, 0), slow);
        script.get(300, 1, "/between");
        let twins = [(); 2].map(|()| {
            let had_all = AtomicBool::new(false);
            TwinServer::start(move |seen| {
                let is_late = had_all.fetch_or(seen.line.contains("slow"), Ordering::SeqCst);
                let status = if is_late {
                    "409 Conflict"
                } else {
                    "202 Accepted"
                };
                Reply::Text(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
            })
        });
        let run = script.fire_with(&twins, &control(), |options| options.bodies = bodies);
        assert_eq!(run.candidate()[1], expected, "{bodies:?}");
        assert!(twins[0].received()[0].ends_with("\r\n\r\nonetwo"));
    }
}

#[test]
fn each_twin_gets_its_own_values() {
    let mut script = Script::default();
    let mut login = request(0, 0);
    login.produces = produces(&["set-cookie.sid", "json./id", "location.path.1"]);
    script.add(login, recorded("POST", "/login", &[], ""));
    let mut order = request(1, 0);
    order.bindings = vec![
        binding(0, "set-cookie.sid", Part::Field(0), 4..7, Encoding::Plain),
        binding(0, "json./id", Part::Body, 6..8, Encoding::JsonLiteral),
        binding(0, "location.path.1", Part::Target, 8..9, Encoding::Percent),
    ];
    let fields = [("Cookie", "sid=abc; theme=dark"), ("Content-Length", "9")];
    script.add(
        order,
        recorded("POST", "/orders/7", &fields, r#"{"id":17}"#),
    );

    let twins = ["s1,1007,a b", "session2,8,c"].map(|values| {
        TwinServer::start(move |seen| match seen.place {
            0 => Reply::values(values),
            _ => Reply::ok(),
        })
    });
    let run = script.fire(&twins);
    assert_eq!(
        twins[0].received(),
        ["POST /login HTTP/1.1\r\n\r\n\
          POST /orders/a%20b HTTP/1.1\r\nCookie: sid=s1; theme=dark\r\nContent-Length: 11\r\n\r\n\
          {\"id\":1007}"]
    );
    assert_eq!(
        twins[1].received(),
        ["POST /login HTTP/1.1\r\n\r\n\
          POST /orders/c HTTP/1.1\r\nCookie: sid=session2; theme=dark\r\nContent-Length: 8\r\n\r\n\
          {\"id\":8}"]
    );
    for summary in run.summaries() {
        assert_eq!((summary.ledger.answered, summary.fired_unbound), (2, 0));
    }
}

#[test]
fn a_value_that_did_not_come_is_sent_as_recorded_and_counted() {
    let mut script = Script::default();
    let mut login = request(0, 0);
    login.produces = produces(&["location.path.1"]);
    script.add(login, recorded("POST", "/login", &[], ""));
    let mut order = request(1, 1);
    order.bindings = vec![binding(
        0,
        "location.path.1",
        Part::Target,
        8..9,
        Encoding::Percent,
    )];
    script.add(order, recorded("GET", "/orders/7", &[], ""));

    let twins = [
        TwinServer::start(|_| Reply::ok()),
        TwinServer::start(|_| Reply::values("9")),
    ];
    let run = script.fire(&twins);
    assert_eq!(twins[0].received()[1], "GET /orders/7 HTTP/1.1\r\n\r\n");
    assert_eq!(twins[1].received()[1], "GET /orders/9 HTTP/1.1\r\n\r\n");
    assert_eq!(run.summary.candidate.fired_unbound, 1);
    assert_eq!(run.summary.baseline.fired_unbound, 0);
}

#[track_caller]
fn check_bad(bad: impl Fn() -> Reply + Send + Sync + 'static, expected: &str) {
    let mut script = Script::default();
    script.get(0, 0, "/bad");
    for due_ms in 1..20 {
        script.get(due_ms, 1, "/good");
    }
    let after = script.get(20, 0, "/good");
    let run = script.fire_with(&bad_candidate(bad), &control(), |options| {
        options.response_timeout = Duration::from_secs(1);
        options.connect_timeout = Duration::from_secs(1);
    });
    let candidate = run.candidate();
    assert_eq!(candidate[0], expected);
    assert!(
        candidate[1..].iter().all(|word| *word == "200"),
        "{candidate:?}"
    );
    assert!(run.baseline().iter().all(|word| *word == "200"));
    assert_eq!(candidate[after as usize], "200");
    assert_eq!(run.summary.candidate.ledger.errored[expected], 1);
    assert_eq!(run.summary.candidate.reopened, 1);
}

#[test]
fn a_twin_that_stalls_times_out() {
    check_bad(|| Reply::Stall, "timeout");
}

#[test]
fn a_twin_that_resets_is_an_outcome() {
    check_bad(|| Reply::Reset, "reset");
}

#[test]
fn garbage_is_an_outcome() {
    check_bad(
        || Reply::Text("SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
        "garbage",
    );
}

#[test]
fn a_close_without_an_answer_is_an_outcome() {
    check_bad(|| Reply::Close(String::new()), "closed_early");
}

#[test]
fn a_close_inside_the_body_is_an_outcome() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nnot all";
    check_bad(move || Reply::Close(cut.to_owned()), "closed_early");
}

#[test]
fn an_absent_twin_refuses_each_connection() {
    let mut script = Script::default();
    for due_ms in 0..5 {
        script.get(due_ms, due_ms % 2, "/");
    }
    // Nobody listens there, and no other test gets that port.
    let absent = ([127, 0, 0, 1], 1).into();
    let run = script.fire_with(&good_twins(), &control(), |options| {
        options.targets[0] = target(absent);
    });
    assert_eq!(run.candidate(), ["connect_refused"; 5]);
    assert_eq!(run.baseline(), ["200"; 5]);
}

#[test]
fn a_body_until_close_is_whole_and_its_connection_opens_again() {
    let mut script = Script::default();
    script.get(0, 0, "/bad");
    script.get(50, 0, "/good");
    let until_close = "HTTP/1.1 200 OK\r\n\r\nall there is";
    let twins = bad_candidate(move || Reply::Close(until_close.to_owned()));
    let run = script.fire(&twins);
    assert_eq!(run.candidate(), ["200", "200"]);
    assert_eq!(run.summary.candidate.reopened, 1);
    assert_eq!(run.summary.baseline.reopened, 0);
}

#[test]
fn a_connection_that_closes_between_requests_opens_again() {
    let mut script = Script::default();
    script.get(0, 0, "/first");
    script.get(50, 0, "/second");
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let twins = [
        TwinServer::start(move |_| Reply::Close(close.to_owned())),
        TwinServer::start(|_| Reply::ok()),
    ];
    let run = script.fire(&twins);
    assert_eq!(run.candidate(), ["200", "200"]);
    assert_eq!(twins[0].received().len(), 2);
    assert_eq!(run.summary.candidate.reopened, 1);
}

#[test]
fn a_safe_request_under_which_a_kept_connection_closed_goes_out_again() {
    let mut script = Script::default();
    script.get(0, 0, "/first");
    script.get(20, 0, "/second");
    script.get(30, 1, "/third");
    let mut post = request(40, 1);
    post.waits = vec![Wait {
        request: 2,
        reason: WaitReason::Connection,
    }];
    script.add(post, recorded("POST", "/fourth", &[], ""));
    // It takes the second request of each connection and closes on it.
    let candidate = TwinServer::start(|seen| match seen.place {
        0 => Reply::ok(),
        _ => Reply::Close(String::new()),
    });
    let run = script.fire(&[candidate, TwinServer::start(|_| Reply::ok())]);
    assert_eq!(run.candidate(), ["200", "200", "200", "closed_early"]);
    assert_eq!(run.summary.candidate.resent, 1);
    assert_eq!(run.summary.candidate.reopened, 1);
}

#[test]
fn a_wait_that_runs_out_fires_on_a_connection_of_its_own() {
    let mut script = Script::default();
    script.get(0, 0, "/bad");
    script.get(1, 0, "/good");
    let twins = bad_candidate(|| Reply::Stall);
    let run = script.fire_with(&twins, &control(), |options| {
        options.wait = Duration::from_millis(500);
        options.response_timeout = Duration::from_millis(1500);
    });
    assert_eq!(run.candidate(), ["timeout", "200"]);
    assert_eq!(run.summary.candidate.wait_expired, 1);
    assert_eq!(run.summary.candidate.extra_connections, 1);
    assert_eq!(run.summary.baseline.wait_expired, 0);
    assert_eq!(twins[0].received().len(), 2);
}

#[test]
fn recorded_pipelining_stays() {
    let mut script = Script::default();
    for path in ["/1", "/2", "/3"] {
        script.add(request(0, 0), recorded("GET", path, &[], ""));
    }
    let (go, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen_lines = Arc::clone(&lines);
    let candidate = TwinServer::start(move |seen| {
        seen_lines
            .lock()
            .expect("no thread failed")
            .push(seen.line.clone());
        if seen.place == 0 {
            // It answers only when told to: the others have to be under way by then.
            gate.lock().expect("one waits").recv().expect("it is told");
        }
        Reply::ok()
    });
    let control = control();
    let watcher = control.clone();
    let teller = thread::spawn(move || {
        while watcher.progress(Twin::Candidate).in_flight < 3 {
            thread::yield_now();
        }
        go.send(()).expect("the twin waits");
    });
    let twins = [candidate, TwinServer::start(|_| Reply::ok())];
    let run = script.fire_with(&twins, &control, |_| {});
    teller.join().expect("three were in flight");
    assert_eq!(run.candidate(), ["200"; 3]);
    assert_eq!(twins[0].received().len(), 1);
    let lines = lines.lock().expect("no thread failed");
    let expected = ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1", "GET /3 HTTP/1.1"];
    assert_eq!(lines[..], expected);
}

#[test]
fn a_stopped_run_refuses_the_rest() {
    let mut script = Script::default();
    script.get(0, 0, "/");
    script.get(1, 1, "/");
    script.get(3_600_000, 2, "/");
    script.get(3_600_001, 3, "/");
    script.last().skip = Some(SkipReason::Filtered);
    script.get(3_600_002, 1, "/");
    let control = control();
    let watcher = control.clone();
    let stopper = thread::spawn(move || {
        let answered = |twin| watcher.progress(twin).answered == 2;
        while !(answered(Twin::Candidate) && answered(Twin::Baseline)) {
            thread::yield_now();
        }
        watcher.stop();
    });
    let run = script.fire_with(&good_twins(), &control, |_| {});
    stopper.join().expect("two answers");
    assert!(run.summary.stopped);
    let expected = [
        "200",
        "200",
        "refused stopped",
        "skipped filtered",
        "refused stopped",
    ];
    assert_eq!(run.candidate(), expected);
    assert_eq!(run.baseline(), expected);
}

#[test]
fn what_a_stopped_run_still_waits_for_ends_too() {
    let mut script = Script::default();
    script.get(0, 0, "/bad");
    script.get(3_600_000, 1, "/");
    let control = control();
    let watcher = control.clone();
    let stopper = thread::spawn(move || {
        while watcher.progress(Twin::Baseline).answered == 0
            || watcher.progress(Twin::Candidate).in_flight == 0
        {
            thread::yield_now();
        }
        watcher.stop();
    });
    let run = script.fire_with(&bad_candidate(|| Reply::Stall), &control, |options| {
        options.stop_grace = Duration::from_millis(20);
    });
    stopper.join().expect("an answer");
    assert_eq!(run.candidate(), ["stopped", "refused stopped"]);
    assert_eq!(run.baseline(), ["200", "refused stopped"]);
}

#[test]
fn a_paused_run_loses_nothing() {
    let mut script = Script::default();
    for number in 0..200 {
        script.get(10 * number, number % 7, "/");
    }
    let control = control();
    let watcher = control.clone();
    let pauser = thread::spawn(move || {
        while watcher.progress(Twin::Candidate).answered < 20 {
            thread::yield_now();
        }
        watcher.pause();
        // What was released before the pause took hold is still answered; then
        // nothing moves.
        let mut during = watcher.progress(Twin::Candidate);
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = watcher.progress(Twin::Candidate);
            if now == during && now.in_flight == 0 {
                break;
            }
            during = now;
        }
        watcher.resume();
        during.answered
    });
    let run = script.fire_with(&good_twins(), &control, |_| {});
    let before = pauser.join().expect("nothing is fired in a pause");
    assert!(before < 200);
    assert_eq!(run.summary.candidate.ledger.answered, 200);
    assert_eq!(run.summary.baseline.ledger.answered, 200);
    assert!(run.summary.paused_ns > 0);
}

#[test]
fn limits_refuse_and_count() {
    let mut script = Script::default();
    for flow in 0..5 {
        script.get(flow, flow, "/bad");
    }
    let twins = bad_candidate(|| Reply::Stall);
    let run = script.fire_with(&twins, &control(), |options| {
        options.max_in_flight = 3;
        options.response_timeout = Duration::from_secs(1);
    });
    let mut words = run.candidate();
    words.sort_unstable();
    let expected = [
        "refused in_flight",
        "refused in_flight",
        "timeout",
        "timeout",
        "timeout",
    ];
    assert_eq!(words, expected);
    assert_eq!(run.summary.candidate.ledger.refused["in_flight"], 2);

    let run = script.fire_with(&bad_candidate(|| Reply::Stall), &control(), |options| {
        options.max_connections = 2;
        options.response_timeout = Duration::from_secs(1);
    });
    assert_eq!(run.summary.candidate.ledger.refused["connections"], 3);
}

#[test]
fn large_bodies_go_and_come() {
    let body = "x".repeat(3 << 20);
    let mut script = Script::default();
    let length = body.len().to_string();
    let upload = recorded("POST", "/up", &[("Content-Length", &length)], &body);
    script.add(request(0, 0), upload);
    script.get(1, 1, "/down");
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    let twins = [(); 2].map(|()| {
        let answer = answer.clone();
        TwinServer::start(move |seen| match seen.line.as_str() {
            "GET /down HTTP/1.1" => Reply::Text(answer.clone()),
            _ => Reply::ok(),
        })
    });
    let run = script.fire_with(&twins, &control(), |options| {
        options.max_body_bytes = 1 << 20;
    });
    for (summary, twin) in run.summaries().into_iter().zip(&twins) {
        assert_eq!((summary.ledger.answered, summary.digest_only), (2, 1));
        assert!(twin.received().iter().any(|bytes| bytes.ends_with(&body)));
    }
}

#[test]
fn many_flows_at_once() {
    let mut script = Script::default();
    for number in 0..3000 {
        script.get(number / 10, number % 300, "/");
    }
    let run = script.fire(&good_twins());
    for summary in run.summaries() {
        assert_eq!(summary.ledger.answered, 3000);
        assert_eq!((summary.connections, summary.reopened), (300, 0));
    }
}
