//! The daemon's runs, or the one in the foreground: created, started, steered, watched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};
use twintap_proto::v1::{Following, Run, RunState, TwinProgress};
use twintap_verdict::{Report, Twin};

use crate::audit::Trail;
use crate::fire::{RunControl, SteerError};
use crate::run::{RunFile, check, execute};

/// All runs since the daemon started.
#[derive(Debug)]
pub struct Runs {
    /// Where more can be made; nowhere beside a run in the foreground.
    place: Option<Place>,
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
}

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    archive: PathBuf,
}

#[derive(Debug)]
struct Entry {
    id: String,
    created: SystemTime,
    file: RunFile,
    control: RunControl,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    state: RunState,
    verdict: String,
    error: String,
    report_path: String,
    task: Option<JoinHandle<()>>,
}

impl Runs {
    /// Runs write their reports below `directory`; a run file that names no archive
    /// gets `archive`.
    pub fn new(directory: PathBuf, archive: PathBuf) -> Result<Runs> {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("making the directory {}", directory.display()))?;
        Ok(Runs {
            place: Some(Place { directory, archive }),
            entries: Mutex::new(BTreeMap::new()),
        })
    }

    /// A run that somebody else carries out, and [ends](Self::ended).
    pub fn of_one(file: RunFile, control: RunControl) -> Runs {
        let entry = Entry::new("r-1".to_owned(), file, control, RunState::Running);
        Runs {
            place: None,
            entries: Mutex::new([(1, Arc::new(entry))].into()),
        }
    }

    /// The run that somebody else carried out came to this.
    pub fn ended(&self, outcome: &Result<Report>) {
        for entry in lock(&self.entries).values() {
            entry.ended(outcome);
        }
    }

    /// Reads the run file and keeps the run until it is started. Blocks while files are read.
    pub fn create(&self, text: &str) -> Result<Run> {
        let Some(place) = &self.place else {
            bail!("a run in the foreground has no others beside it; a daemon has: `twintap serve`");
        };
        let mut entries = lock(&self.entries);
        let number = entries.keys().next_back().map_or(1, |last| last + 1);
        let id = format!("r-{number}");
        let directory = place.free_directory(&id)?;
        let file = RunFile::for_daemon(text, &place.archive, &directory)?;
        check(&file)?;
        let control = RunControl::new().context("making a run")?;
        let entry = Arc::new(Entry::new(id, file, control, RunState::Created));
        let run = entry.run();
        entries.insert(number, entry);
        Ok(run)
    }

    /// Starts a run that was created; `trail` is told of its beginning and its end.
    pub fn start(&self, id: &str, trail: Trail) -> Result<Run> {
        let entry = self.entry(id)?;
        let mut state = lock(&entry.state);
        if state.state != RunState::Created {
            bail!("run {id} was started already");
        }
        state.state = RunState::Running;
        let running = entry.clone();
        state.task = Some(tokio::task::spawn_blocking(move || running.execute(&trail)));
        drop(state);
        entry.changed();
        Ok(entry.run())
    }

    /// Pauses a run.
    pub fn pause(&self, id: &str) -> Result<Run> {
        self.steer(id, RunState::Running, RunState::Paused, RunControl::pause)
    }

    /// Goes on with a paused run.
    pub fn resume(&self, id: &str) -> Result<Run> {
        self.steer(id, RunState::Paused, RunState::Running, RunControl::resume)
    }

    /// Ends a run early; its report follows.
    pub fn stop(&self, id: &str) -> Result<Run> {
        let entry = self.entry(id)?;
        let mut state = lock(&entry.state);
        match state.state {
            RunState::Created => state.state = RunState::Stopped,
            RunState::Running | RunState::Paused => entry.control.stop(),
            _ => bail!("run {id} has ended already"),
        }
        drop(state);
        entry.changed();
        Ok(entry.run())
    }

    /// Makes a run go on at another speed.
    pub fn set_speed(&self, id: &str, speed: f64) -> Result<Run> {
        self.steer_time(id, |control| control.set_speed(speed))
    }

    /// Makes a run go on from a later place in the recording.
    pub fn seek(&self, id: &str, offset: Duration) -> Result<Run> {
        self.steer_time(id, |control| control.seek(offset))
    }

    /// The state of a run.
    pub fn get(&self, id: &str) -> Result<Run> {
        Ok(self.entry(id)?.run())
    }

    /// The state of all runs, oldest first.
    pub fn list(&self) -> Vec<Run> {
        lock(&self.entries)
            .values()
            .map(|entry| entry.run())
            .collect()
    }

    /// Told at each change of state.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<()>> {
        Ok(self.entry(id)?.changes.subscribe())
    }

    /// How many runs are in each state.
    pub fn count_by_state(&self) -> BTreeMap<&'static str, i64> {
        let mut counts = BTreeMap::new();
        for run in self.list() {
            *counts.entry(state_word(run.state())).or_default() += 1;
        }
        counts
    }

    /// Stops every run and waits for the reports.
    pub async fn stop_all(&self) {
        let entries: Vec<_> = lock(&self.entries).values().cloned().collect();
        for entry in entries {
            entry.control.stop();
            let task = lock(&entry.state).task.take();
            if let Some(task) = task {
                // A panic there was logged by its own hook.
                let _ = task.await;
            }
        }
    }

    fn steer(&self, id: &str, from: RunState, to: RunState, act: fn(&RunControl)) -> Result<Run> {
        let entry = self.entry(id)?;
        let mut state = lock(&entry.state);
        if state.state != from {
            bail!(
                "run {id} is {} and not {}",
                state_word(state.state),
                state_word(from)
            );
        }
        act(&entry.control);
        state.state = to;
        drop(state);
        entry.changed();
        Ok(entry.run())
    }

    fn steer_time(
        &self,
        id: &str,
        act: impl FnOnce(&RunControl) -> Result<(), SteerError>,
    ) -> Result<Run> {
        let entry = self.entry(id)?;
        let state = lock(&entry.state);
        if !matches!(state.state, RunState::Running | RunState::Paused) {
            let word = state_word(state.state);
            bail!("run {id} is {word}, and neither running nor paused");
        }
        act(&entry.control).with_context(|| format!("steering run {id}"))?;
        drop(state);
        entry.changed();
        Ok(entry.run())
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>> {
        lock(&self.entries)
            .values()
            .find(|entry| entry.id == id)
            .cloned()
            .with_context(|| format!("there is no run {id:?}"))
    }
}

impl Place {
    /// Reports of earlier daemons are never overwritten.
    fn free_directory(&self, id: &str) -> Result<PathBuf> {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let directory = self.directory.join(format!("{}-{id}", since.as_secs()));
        if directory.exists() {
            bail!("{} exists already", directory.display());
        }
        Ok(directory)
    }
}

impl Entry {
    fn new(id: String, file: RunFile, control: RunControl, state: RunState) -> Entry {
        Entry {
            id,
            created: SystemTime::now(),
            file,
            control,
            state: Mutex::new(State {
                state,
                verdict: String::new(),
                error: String::new(),
                report_path: String::new(),
                task: None,
            }),
            changes: watch::Sender::new(()),
        }
    }

    fn execute(&self, trail: &Trail) {
        let outcome = trail.run(
            &self.file,
            &[],
            || execute(&self.file, &self.control, &mut |_| {}),
            |report| report.verdict,
        );
        match &outcome {
            Ok(done) => info!(run = self.id, verdict = verdict_word(done), "run ended"),
            Err(why) => error!(run = self.id, "run failed: {why:#}"),
        }
        self.ended(&outcome);
    }

    fn ended(&self, outcome: &Result<Report>) {
        let mut state = lock(&self.state);
        match outcome {
            Ok(done) => {
                state.state = match self.control.steering() {
                    crate::fire::Steering::Stop => RunState::Stopped,
                    crate::fire::Steering::Go | crate::fire::Steering::Pause => RunState::Finished,
                };
                state.verdict = verdict_word(done);
                state.report_path = self.file.report_path().display().to_string();
            }
            Err(why) => {
                state.state = RunState::Failed;
                state.error = format!("{why:#}");
            }
        }
        drop(state);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_replace(());
    }

    fn run(&self) -> Run {
        let state = lock(&self.state);
        Run {
            id: self.id.clone(),
            state: state.state.into(),
            created: Some(self.created.into()),
            planned: self.control.planned(),
            candidate: Some(progress(&self.control, Twin::Candidate)),
            baseline: Some(progress(&self.control, Twin::Baseline)),
            verdict: state.verdict.clone(),
            error: state.error.clone(),
            report_path: state.report_path.clone(),
            speed: self
                .control
                .speed()
                .unwrap_or(self.file.settings.speed.map_or(1.0, |speed| speed.0)),
            // A span of no 300 years always fits.
            position: self.control.position().try_into().ok(),
            following: self.control.following().map(|now| Following {
                lag: now.lag.try_into().ok(),
                windows: now.windows,
                tardy: now.tardy,
                missed: now.missed,
                kept: now.kept,
                forgotten: now.forgotten,
                twin_down: self.control.is_a_twin_down(),
            }),
        }
    }
}

fn verdict_word(report: &Report) -> String {
    report.verdict.name().to_owned()
}

fn progress(control: &RunControl, twin: Twin) -> TwinProgress {
    let progress = control.progress(twin);
    TwinProgress {
        answered: progress.answered,
        errored: progress.errored,
        refused: progress.refused,
        skipped: progress.skipped,
        in_flight: progress.in_flight,
    }
}

/// The word for a state, in output, metrics and messages.
pub fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::Unspecified => "unknown",
        RunState::Created => "created",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Finished => "finished",
        RunState::Stopped => "stopped",
        RunState::Failed => "failed",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
