//! Runs without end: an archive that grows while it is replayed.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::{RunFile, execute};
use twintap_stream::Timestamp;
use twintap_verdict::observation::Twin;

use crate::recording::Recorder;
use crate::run::{json, run_file, shopkeeper};
use crate::twins::TwinServer;

const BOTH: [Twin; 2] = [Twin::Candidate, Twin::Baseline];
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A production that is recorded and followed at the same time.
struct Play {
    directory: TempDir,
    recorder: Recorder,
    control: RunControl,
    twins: Arc<[TwinServer; 2]>,
    run: Option<thread::JoinHandle<anyhow::Result<()>>>,
    sent: u64,
}

impl Play {
    /// Starts a run with these keys of `follow`.
    fn start(follow: &str) -> Play {
        Play::start_with(follow, "")
    }

    /// Begins with more in the run file.
    fn start_with(follow: &str, more: &str) -> Play {
        let directory = TempDir::new().expect("a temporary directory");
        let mut recorder = Recorder::new(directory.path());
        recorder.commit();
        let twins =
            Arc::new(["cand", "base"].map(|name| TwinServer::start_mortal(shopkeeper(name, 5))));
        let file = run_file(
            directory.path(),
            &twins,
            &format!("follow: {follow}\n{more}"),
        );
        let control = RunControl::new().expect("an eventfd");
        let run = start(file, &control);
        let play = Play {
            directory,
            recorder,
            control,
            twins,
            run: Some(run),
            sent: 0,
        };
        // What is sent before it began is not of the run.
        play.wait("following", |control| control.following().is_some());
        play
    }

    fn send(&mut self, flow: u64, request: &str, response: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Timestamp(since.expect("a clock").as_nanos() as u64);
        self.recorder.exchange(flow, now, request, response);
        self.recorder.commit();
        self.sent += 1;
        thread::sleep(Duration::from_millis(30));
    }

    /// A user logs in, over a flow of its own.
    fn log_in(&mut self, user: u64) {
        let body = format!(r#"{{"user":"user{user}"}}"#);
        let request = format!(
            "POST /login HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let cookie = format!("Set-Cookie: sid={}; Path=/; HttpOnly\r\n", session(user));
        self.send(user, &request, &json("200 OK", &cookie, r#"{"ok":true}"#));
    }

    /// It makes an order and looks at it, over the same flow.
    fn order(&mut self, user: u64, number: u64) {
        let session = session(user);
        let order = format!("ord{user:03}{number:04}xyzuvw");
        let made = format!(r#"{{"order_id":"{order}","total":5}}"#);
        let request = format!(
            "POST /orders HTTP/1.1\r\nHost: shop\r\nCookie: sid={session}\r\nContent-Length: 0\r\n\r\n"
        );
        self.send(user, &request, &json("201 Created", "", &made));
        let request =
            format!("GET /orders/{order} HTTP/1.1\r\nHost: shop\r\nCookie: sid={session}\r\n\r\n");
        self.send(user, &request, &json("200 OK", "", &made));
    }

    #[track_caller]
    fn wait(&self, what: &str, done: impl Fn(&RunControl) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(&self.control) {
            let is_over = self
                .run
                .as_ref()
                .is_none_or(thread::JoinHandle::is_finished);
            assert!(!is_over, "the run ended before it was {what}");
            assert!(Instant::now() < deadline, "the run is not {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until everything that was sent is settled, and stops the run: run.json.
    #[track_caller]
    fn finish(mut self) -> (Value, Play) {
        let sent = self.sent;
        self.wait("through", |control| {
            BOTH.iter().all(|&twin| settled(control, twin) == sent)
        });
        self.control.stop();
        let run = self.run.take().expect("it was started");
        run.join()
            .expect("no panic")
            .expect("a run that can be made");
        let path = self.directory.path().join("results/run.json");
        let text = std::fs::read_to_string(path).expect("a record of the run");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(record["plan"]["planned"], sent, "{record}");
        (record, self)
    }
}

fn start(file: RunFile, control: &RunControl) -> thread::JoinHandle<anyhow::Result<()>> {
    let control = control.clone();
    thread::spawn(move || execute(&file, &control, &mut |_| {}).map(drop))
}

fn session(user: u64) -> String {
    format!("sess-{user:04}-abcdefghijkl")
}

fn settled(control: &RunControl, twin: Twin) -> u64 {
    let twin = control.progress(twin);
    twin.answered + twin.errored + twin.refused + twin.skipped
}

fn skipped(record: &Value, twin: &str, word: &str) -> u64 {
    let skipped = &record["fired"][twin]["ledger"]["skipped"];
    skipped[word].as_u64().unwrap_or(0)
}

#[test]
fn what_is_stored_while_it_runs_is_fired_once_in_order_and_bound() {
    for order in ["", "order: recorded\n"] {
        fired_once_in_order_and_bound(order);
    }
}

fn fired_once_in_order_and_bound(order: &str) {
    let mut play = Play::start_with("{delay: 1s}", order);
    for user in 0..3 {
        play.log_in(user);
    }
    for number in 0..20 {
        play.order(number % 3, number);
    }
    let sent = play.sent;
    let (record, play) = play.finish();
    let following = play.control.following().expect("it follows");
    assert!(following.windows > 3, "{following:?}");
    assert_eq!((following.tardy, following.missed), (0, 0));
    for (twin, name) in [("candidate", "cand"), ("baseline", "base")] {
        let fired = &record["fired"][twin];
        assert_eq!(fired["ledger"]["answered"], sent, "{fired}");
        assert_eq!(fired["fired_unbound"], 0, "{fired}");
        // A recorded flow is one connection, over all windows.
        assert_eq!(fired["connections"], 3, "{fired}");
        let server = &play.twins[usize::from(name == "base")];
        // The probe opens connections, too, and sends nothing over them.
        let received = server.received();
        let flows: Vec<&String> = received.iter().filter(|text| !text.is_empty()).collect();
        assert_eq!(flows.len(), 3);
        for flow in flows {
            // The login's body has no line of its own.
            let flow = flow.replace('}', "}\n");
            let (lines, cookies): (Vec<&str>, Vec<&str>) = flow
                .lines()
                .filter(|line| line.contains(" HTTP/1.1") || line.starts_with("Cookie"))
                .partition(|line| line.contains(" HTTP/1.1"));
            assert!(lines[0].starts_with("POST /login"), "{lines:?}");
            for pair in lines[1..].chunks(2) {
                assert!(pair[0].starts_with("POST /orders"), "{lines:?}");
                let own = format!("GET /orders/{name}");
                assert!(pair[1].starts_with(&own), "{lines:?}");
            }
            let own = format!("Cookie: sid=own-{name}-");
            assert!(
                cookies.iter().all(|line| line.starts_with(&own)),
                "{cookies:?}"
            );
            // All of it is one session at the twin.
            assert!(
                cookies.windows(2).all(|pair| pair[0] == pair[1]),
                "{cookies:?}"
            );
        }
    }
}

/// Takes the candidate down while `during` goes on, and gives what was counted.
fn with_a_twin_down(follow: &str, during: impl Fn(&mut Play)) -> (Value, Play) {
    let mut play = Play::start(follow);
    for user in 0..2 {
        play.log_in(user);
        play.order(user, 1);
    }
    let sent = play.sent;
    play.wait("fired at both", |control| {
        BOTH.iter()
            .all(|&twin| control.progress(twin).answered == sent)
    });
    play.twins[0].set_up(false);
    play.wait("down", RunControl::is_a_twin_down);
    during(&mut play);
    play.twins[0].set_up(true);
    play.wait("up again", |control| !control.is_a_twin_down());
    for user in 0..2 {
        play.order(user, 3);
    }
    play.finish()
}

#[test]
fn a_run_that_waits_for_a_twin_loses_nothing_and_lags() {
    let (record, play) = with_a_twin_down("{delay: 1s, when_down: wait}", |play| {
        let lag = play.control.following().expect("it follows").lag;
        play.order(0, 2);
        play.wait("behind", |control| {
            let now = control.following().expect("it follows").lag;
            now > lag + Duration::from_secs(2)
        });
        let answered = BOTH.map(|twin| play.control.progress(twin).answered);
        assert_eq!(answered, [6, 6]);
    });
    for twin in ["candidate", "baseline"] {
        let ledger = &record["fired"][twin]["ledger"];
        assert_eq!(ledger["answered"], play.sent, "{ledger}");
    }
    // What was waited stays behind, until the run is told to go faster.
    let following = play.control.following().expect("it follows");
    assert!(following.lag > Duration::from_secs(3), "{following:?}");
}

#[test]
fn a_run_that_skips_what_a_twin_misses_counts_it() {
    let (record, play) = with_a_twin_down("{delay: 1s, when_down: skip}", |play| {
        play.order(0, 2);
        let sent = play.sent;
        play.wait("past it", |control| {
            BOTH.iter().all(|&twin| settled(control, twin) == sent)
        });
    });
    for twin in ["candidate", "baseline"] {
        assert_eq!(skipped(&record, twin, "twin_down"), 2, "{record}");
        let answered = &record["fired"][twin]["ledger"]["answered"];
        assert_eq!(*answered, play.sent - 2, "{record}");
    }
}

#[test]
fn a_run_that_sheds_drops_the_sessions_that_missed_something() {
    let (record, play) = with_a_twin_down("{delay: 1s, when_down: shed}", |play| {
        play.order(0, 2);
        let sent = play.sent;
        play.wait("past it", |control| {
            BOTH.iter().all(|&twin| settled(control, twin) == sent)
        });
    });
    // The second user missed nothing, and goes on.
    for twin in ["candidate", "baseline"] {
        assert_eq!(skipped(&record, twin, "shed"), 4, "{record}");
        let answered = &record["fired"][twin]["ledger"]["answered"];
        assert_eq!(*answered, play.sent - 4, "{record}");
    }
}

#[test]
fn a_run_never_fires_at_what_is_captured_meanwhile() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut recorder = Recorder::new(directory.path());
    recorder.commit();
    let twins = [(); 2].map(|()| TwinServer::start(|_| crate::twins::Reply::ok()));
    let file = run_file(directory.path(), &twins, "follow: {delay: 1s}\n");
    let control = RunControl::new().expect("an eventfd");
    let run = start(file, &control);
    while control.following().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    recorder.serve_from(twins[0].address);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = Timestamp(since.expect("a clock").as_nanos() as u64);
    let response = json("200 OK", "", "{}");
    recorder.exchange(1, now, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n", &response);
    recorder.commit();
    let error = run.join().expect("no panic").expect_err("it is production");
    let error = format!("{error:#}");
    assert!(error.contains("the archive has exchanges of"), "{error}");
    for twin in &twins {
        let received = twin.received();
        assert!(received.iter().all(String::is_empty), "{received:?}");
    }
}

#[test]
fn times_are_moved_by_the_delay() {
    let mut play = Play::start("{delay: 2s}\ntimes: shift");
    let at = jiff::Timestamp::now()
        .round(jiff::Unit::Second)
        .expect("a time of today");
    let body = format!(r#"{{"at":"{at}"}}"#);
    let request = format!(
        "POST /notes HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    play.send(1, &request, &json("200 OK", "", "{}"));
    let (_, play) = play.finish();
    let later = at + jiff::SignedDuration::from_secs(2);
    for twin in play.twins.iter() {
        let received = twin.received().join("");
        assert!(
            received.contains(&format!(r#"{{"at":"{later}"}}"#)),
            "{received}"
        );
    }
}
