//! Findings of runs that go on, whose sessions are fired again at twins of their own.

use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;
use twintap_replayer::fire::RunControl;
use twintap_replayer::run::file::Confirm;
use twintap_replayer::run::{RunFile, execute, only};
use twintap_scrub::Policy;
use twintap_stream::Timestamp;
use twintap_verdict::{Report, Verdict};

use crate::confirm::{Twins, note, record_names, request};
use crate::recording::Recorder;
use crate::run::run;
use crate::twins::{Reply, TwinServer};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(180);

/// A round is over in no time, and each window of rounds is a period.
const ENDLESS: &str = "loop: forever\npace: asap\nreport_every: 1ms\nlimits: {in_flight: 8}\n";

/// Gives a run twins for confirmation, which are reset by this request or command.
fn with_fresh(file: &mut RunFile, twins: [SocketAddr; 2], reset: impl Fn(SocketAddr) -> String) {
    let [candidate, baseline] = twins.map(|address| {
        file.settings.allow.push(address.to_string());
        format!("{{address: '{address}', reset: {{{}}}}}", reset(address))
    });
    let confirm = format!("targets: {{candidate: {candidate}, baseline: {baseline}}}");
    file.settings.confirm = serde_saphyr::from_str(&confirm).expect("settings");
}

fn by_request(address: SocketAddr) -> String {
    format!("request: 'POST http://{address}/reset'")
}

fn addresses(servers: &[TwinServer; 2]) -> [SocketAddr; 2] {
    servers.each_ref().map(|twin| twin.address)
}

/// A run that goes on in a thread.
struct Running {
    file: RunFile,
    control: RunControl,
    run: JoinHandle<anyhow::Result<Report>>,
}

impl Running {
    fn start(file: &RunFile) -> Running {
        let control = RunControl::new().expect("an eventfd");
        let (own, steered) = (file.clone(), control.clone());
        Running {
            file: file.clone(),
            control,
            run: thread::spawn(move || execute(&own, &steered, &mut |_| {})),
        }
    }

    /// The report of a period, counted from 1, as it is now.
    fn period(&self, number: u64) -> Option<Value> {
        read_period(&self.file, number)
    }

    /// Waits until `what` is there.
    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Running) -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(!self.run.is_finished(), "the run ended before {what}");
            assert!(Instant::now() < deadline, "there is no {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The report of a period once its findings have been fired again.
    #[track_caller]
    fn settled(&self, number: u64) -> Value {
        self.wait("settled period", |run| {
            let report = run.period(number)?;
            (outcomes(&report).iter().all(|outcome| outcome != "pending")).then_some(report)
        })
    }

    fn stop(self) {
        self.control.stop();
        let ended = self.run.join().expect("no panic");
        ended.expect("a run that can be made");
    }
}

fn read_period(file: &RunFile, number: u64) -> Option<Value> {
    let path = file.output.join(format!("period-{number:06}.json"));
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).expect("whole JSON, whenever it is read"))
}

/// What firing again said of each exact finding, those that were not reproduced last.
fn outcomes(report: &Value) -> Vec<String> {
    let findings = ["findings", "not_reproduced"].map(|key| report[key].as_array());
    let findings = findings.into_iter().flatten().flatten();
    let outcomes = findings.filter_map(|one| one["confirmation"]["outcome"].as_str());
    outcomes.map(str::to_owned).collect()
}

/// What is said of the only exact finding.
#[track_caller]
fn statement(report: &Value) -> String {
    assert_eq!(outcomes(report).len(), 1, "{report}");
    let findings = ["findings", "not_reproduced"].map(|key| report[key].as_array());
    let mut findings = findings.into_iter().flatten().flatten();
    let said = findings.find_map(|one| one["confirmation"]["statement"].as_str());
    said.expect("a sentence").to_owned()
}

#[test]
fn a_rare_fault_is_confirmed_in_its_period_while_the_run_goes_on() {
    let directory = record_names(200, 50);
    let is_faulty = |line: &str, _| line.contains("/notes/name77 ");
    let (twins, fresh) = (Twins::new(is_faulty), Twins::new(is_faulty));
    let mut file = twins.bare_file(directory.path(), ENDLESS);
    with_fresh(&mut file, addresses(&fresh.servers), by_request);
    let running = Running::start(&file);

    let first = running.settled(1);
    assert_eq!(first["verdict"], "fail");
    assert_eq!(outcomes(&first), ["confirmed"]);
    assert_eq!(first["confirmation"]["rounds"], 1);
    assert_eq!(first["confirmation"]["exchanges"], 1);
    // Its session up to it: every 50th name. The run's own ledgers know nothing of it.
    for twin in ["candidate", "baseline"] {
        let again = &first["confirmation"]["ledgers"][twin];
        assert_eq!(
            (&again["planned"], &again["answered"]),
            (&2.into(), &2.into())
        );
        let own = &first["ledgers"]["runs"][twin];
        assert_eq!(own["unexplained"], 0);
        assert_eq!(
            own["planned"].as_u64().map(|planned| planned % 200),
            Some(0)
        );
    }
    // Later periods know it, and fire nothing again.
    let later = running.settled(2);
    assert_eq!(outcomes(&later), ["confirmed"]);
    assert_eq!(later["findings"][0]["confirmation"]["period"], 1);
    assert!(statement(&later).contains("after period 1"), "{later}");
    running.stop();
    assert_eq!(fresh.resets(), [1, 1]);
    assert_eq!(fresh.servers[0].lines().len(), 3);
}

#[test]
fn twins_for_confirmation_are_checked_as_all_are() {
    let directory = record_names(40, 20);
    let twins = Twins::new(|_, _| false);
    let own = addresses(&twins.servers);
    let refused = |prepare: &dyn Fn(&mut RunFile)| {
        let mut file = twins.bare_file(directory.path(), ENDLESS);
        prepare(&mut file);
        format!("{:#}", run(&file).expect_err("no such twins"))
    };
    let same = refused(&|file| with_fresh(file, [own[1], own[0]], by_request));
    assert!(same.contains("at which the run itself fires"), "{same}");
    let fresh = Twins::new(|_, _| false);
    let unlisted = refused(&|file| {
        let listed = file.settings.allow.clone();
        with_fresh(file, addresses(&fresh.servers), by_request);
        file.settings.allow = listed;
    });
    assert!(
        unlisted.starts_with("confirm: targets.candidate"),
        "{unlisted}"
    );
    assert!(unlisted.contains("is not on the allow-list"), "{unlisted}");
    assert!(fresh.servers[0].lines().is_empty());
}

#[test]
fn a_run_that_ends_may_have_them_too() {
    let directory = record_names(40, 20);
    let is_faulty = |line: &str, _| line.contains("/notes/name3 ");
    let (twins, fresh) = (Twins::new(is_faulty), Twins::new(is_faulty));
    // Its own can't be reset.
    let mut file = twins.bare_file(directory.path(), "");
    with_fresh(&mut file, addresses(&fresh.servers), by_request);
    let report = run(&file).expect("a run");
    let report = serde_json::to_value(&report).expect("plain data");
    assert_eq!(outcomes(&report), ["confirmed"]);
    assert_eq!(twins.servers[0].lines().len(), 40);
    assert_eq!(fresh.servers[0].lines().len(), 2);

    // So may who looks at one exchange.
    let example = &report["findings"][0]["evidence"][0]["exchange"];
    let names = [example.as_str().expect("an id").to_owned()];
    file.load_once();
    let control = RunControl::new().expect("an eventfd");
    let alone = only(&file, &names, &control, &mut |_| {}).expect("a run");
    assert_eq!(alone.verdict, Verdict::Fail);
    assert!(alone.reset);
    assert_eq!(twins.servers[0].lines().len(), 40);
    assert_eq!(fresh.resets(), [2, 2]);
}

/// A run that follows production, whose candidate fails for one name.
struct Followed {
    _directory: TempDir,
    production: Production,
    _twins: Twins,
    running: Running,
}

/// Production, which is recorded while it is followed.
struct Production(Recorder);

impl Production {
    /// Asks for a note that there is not.
    fn look(&mut self, flow: u64, name: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = Timestamp(since.expect("a clock").as_nanos() as u64);
        self.0.exchange(flow, now, &request("GET", name), &note(0));
        self.0.commit();
    }
}

fn is_rare(line: &str) -> bool {
    line.contains("/notes/rare ")
}

impl Followed {
    /// Begins with what production was asked `before` by the session that comes to the name,
    /// and with twins for confirmation by `prepare`.
    fn start(before: &[&str], prepare: impl FnOnce(&mut RunFile)) -> Followed {
        let directory = TempDir::new().expect("a temporary directory");
        let recorder = Recorder::with_policy(directory.path(), Policy::allow_all());
        let mut production = Production(recorder);
        production.0.commit();
        for name in before {
            production.look(7, name);
        }
        let twins = Twins::new(|line, _| is_rare(line));
        let more = "follow: {delay: 1s, report_every: 100ms}\n";
        let mut file = twins.bare_file(directory.path(), more);
        prepare(&mut file);
        let running = Running::start(&file);
        running.wait("following", |run| run.control.following());
        for name in 0..30 {
            production.look(1 + name % 3, &format!("name{name}"));
        }
        production.look(7, "other");
        production.look(7, "rare");
        Followed {
            _directory: directory,
            production,
            _twins: twins,
            running,
        }
    }

    /// The number and the report of the period with the finding, once it satisfies `is_it`.
    #[track_caller]
    fn found(&mut self, is_it: impl Fn(&Value) -> bool) -> (u64, Value) {
        let production = &mut self.production;
        self.running.wait("such finding", |run| {
            // A period ends with a later window.
            production.look(2, "more");
            thread::sleep(Duration::from_millis(50));
            let periods = (1..).map_while(|number| Some((number, run.period(number)?)));
            let mut with_finding = periods.filter(|(_, report)| !outcomes(report).is_empty());
            with_finding.next().filter(|(_, report)| is_it(report))
        })
    }

    /// Likewise, once its session was fired again.
    #[track_caller]
    fn settled(&mut self) -> Value {
        self.found(|report| outcomes(report)[0] != "pending").1
    }
}

/// What is said of a fault which twins for confirmation have or have not; with or without a
/// request of its session that the run did not see.
#[track_caller]
fn check_followed(is_cut: bool, is_fresh_faulty: bool, outcome: &str, expected: &str) {
    let fresh = Twins::new(move |line, _| is_fresh_faulty && is_rare(line));
    let before: &[&str] = if is_cut { &["before"] } else { &[] };
    let mut followed = Followed::start(before, |file| {
        with_fresh(file, addresses(&fresh.servers), by_request);
    });
    let report = followed.settled();
    assert_eq!(outcomes(&report), [outcome], "{report}");
    assert!(statement(&report).contains(expected), "{report}");
    let kept = report["findings"].as_array().map(Vec::len);
    assert_eq!(kept, Some(usize::from(outcome != "not_reproduced")));
    followed.running.stop();
    let lines = fresh.servers[0].lines();
    let asked: Vec<&str> = lines.iter().map(|line| &line[..line.len() - 9]).collect();
    assert_eq!(
        asked,
        ["POST /reset", "GET /notes/other", "GET /notes/rare"]
    );
}

#[test]
fn a_fault_in_what_is_followed_is_confirmed() {
    check_followed(false, true, "confirmed", "shown 1 of 1");
}

#[test]
fn a_session_that_began_before_the_run_proves_a_fault_and_refutes_none() {
    check_followed(true, true, "confirmed", "shown 1 of 1");
    check_followed(true, false, "not_tried", "began before the run");
}

#[test]
fn what_came_by_chance_is_no_finding_of_its_period() {
    check_followed(false, false, "not_reproduced", "shown 0 of 1");
}

#[test]
fn a_run_that_is_stopped_gives_up_what_it_fires_again() {
    // The twin for confirmation says nothing: to its reset, or to what is fired again.
    for silent in ["/reset", "/notes/"] {
        let fresh = [(); 2].map(|()| {
            TwinServer::start(move |seen| match seen.line.contains(silent) {
                true => Reply::Stall,
                false => Reply::ok(),
            })
        });
        let mut followed = Followed::start(&[], |file| {
            with_fresh(file, addresses(&fresh), by_request);
        });
        let (number, first) = followed.found(|_| {
            let lines = fresh[0].lines();
            lines.iter().any(|line| line.contains(silent))
        });
        assert_eq!(outcomes(&first), ["pending"]);
        assert_eq!(first["findings"].as_array().map(Vec::len), Some(1));

        followed.running.control.stop();
        let Running { file, run, .. } = followed.running;
        run.join().expect("no panic").expect("a run");
        let report = read_period(&file, number).expect("a report");
        assert_eq!(outcomes(&report), ["not_tried"], "{silent}");
        assert!(
            statement(&report).contains("the run was stopped"),
            "{report}"
        );
        assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn a_round_that_takes_too_long_is_given_up() {
    let fresh = [(); 2].map(|()| {
        TwinServer::start(|seen| match seen.line.contains("/notes/") {
            true => Reply::Stall,
            false => Reply::ok(),
        })
    });
    let within = |file: &mut RunFile| {
        with_fresh(file, addresses(&fresh), by_request);
        if let Confirm::On(settings) = &mut file.settings.confirm {
            settings.within = "300ms".parse().expect("a span");
        }
    };
    check_not_tried(within, "a round took longer than 300ms");
}

/// Where a session could not be fired again its finding stays, and says why.
#[track_caller]
fn check_not_tried(prepare: impl FnOnce(&mut RunFile), expected: &str) {
    let mut followed = Followed::start(&[], prepare);
    let report = followed.settled();
    assert_eq!(outcomes(&report), ["not_tried"]);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    assert!(statement(&report).contains(expected), "{report}");
    followed.running.stop();
}

#[test]
fn without_twins_for_it_nothing_is_fired_again() {
    check_not_tried(|_| {}, "`confirm.targets` names no others");
    let off = |file: &mut RunFile| {
        file.settings.confirm = serde_saphyr::from_str("off").expect("settings");
    };
    check_not_tried(off, "`confirm` is off");
}

#[test]
fn twins_for_it_that_are_absent_are_said() {
    // Nobody listens there any more.
    let absent = || {
        [(); 2].map(|()| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("a bound socket")
        })
    };
    let by_command = |_| "command: ['true']".to_owned();
    check_not_tried(
        |file| with_fresh(file, absent(), by_command),
        "there was no answer to compare",
    );
    check_not_tried(
        |file| with_fresh(file, absent(), by_request),
        "targets.candidate.reset failed",
    );
}
