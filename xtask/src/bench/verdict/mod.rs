//! The matrix: which faults a run finds, and what else it finds.
//!
//! Traffic is captured once for each seed of the driver. Each case replays it at a shop with
//! faults and at one without, both fresh, for some fifteen seconds; which of them starts first
//! and which has which port is drawn. What a case came to is appended to a file at once, and a
//! later call goes on where this one stopped. Beside it stands what Diffy's published rule makes
//! of the same answers.

mod cases;
mod diffy;
mod figures;
mod recording;
mod replay;
mod results;
mod table;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use twintap_tests::Binaries;
use xshell::{Shell, cmd};

use super::line::{Format, Line};
use crate::target_directory;
use cases::Case;
use results::Results;

/// How much of the matrix one call does.
#[derive(Clone, Debug)]
pub struct Effort {
    /// No case begins later.
    pub minutes: u32,
    /// Only cases whose name contains it.
    pub only: Option<String>,
    /// Cases that an earlier commit was tried with are tried again.
    pub again: bool,
    /// How many cases are played at a time.
    pub jobs: NonZeroUsize,
    /// Cargo's profile that the programs are built with.
    pub profile: String,
    /// The programs are taken as they are built.
    pub as_built: bool,
    /// How the table is printed: beside figures for programs on standard error.
    pub format: Format,
}

/// The bench's folder, below the repository.
const FOLDER: &str = "target/bench/verdict";

/// Does what is left of the matrix, prints the table of all that is done, and gives its figures.
///
/// # Errors
/// When a program can't be built, or traffic not captured. A case that fails is told and tried
/// again by the next call.
pub fn run(shell: &Shell, effort: &Effort) -> Result<Vec<Line>> {
    let bench = Bench::new(shell, effort)?;
    let mut results = Results::open(&bench.folder)?;
    let wanted = |case: &Case| {
        let only = effort.only.as_ref();
        let newest = results.of(case);
        only.is_none_or(|only| case.name().contains(only))
            && newest.is_none_or(|result| effort.again && result.commit != bench.commit)
    };
    let left: Vec<Case> = cases::all().into_iter().filter(wanted).collect();
    play(&bench, effort, &left, &mut results)?;
    match effort.format {
        Format::Text => print!("{}", table::text(&results)),
        Format::Jsonl => eprint!("{}", table::text(&results)),
    }
    Ok(figures::lines(&results))
}

/// Plays cases until all are, or the time is up.
fn play(bench: &Bench, effort: &Effort, cases: &[Case], results: &mut Results) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60 * u64::from(effort.minutes));
    let next = AtomicUsize::new(0);
    let (played_to, played) = mpsc::channel();
    thread::scope(|scope| {
        for job in 0..effort.jobs.get() {
            let (next, played_to) = (&next, played_to.clone());
            scope.spawn(move || {
                while Instant::now() < deadline
                    && let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed))
                    && played_to
                        .send((case, replay::play(bench, case, job)))
                        .is_ok()
                {}
            });
        }
        drop(played_to);
        let mut count = 0;
        for (case, result) in played {
            count += 1;
            match result {
                Ok(result) => {
                    eprintln!("{}", result.summary());
                    results.append(result)?;
                }
                Err(error) => eprintln!("{} with seed {}: {error:#}", case.name(), case.seed),
            }
        }
        if count < cases.len() {
            eprintln!("the time is up; the next call goes on from here");
        }
        Ok(())
    })
}

/// What all cases share.
pub struct Bench {
    binaries: Binaries,
    /// The programs' folder.
    programs: PathBuf,
    folder: PathBuf,
    policy: PathBuf,
    /// The bundled capture, for where nothing can be captured.
    bundled: PathBuf,
    commit: String,
    /// Held while traffic is captured.
    capturing: Mutex<()>,
}

impl Bench {
    fn new(shell: &Shell, effort: &Effort) -> Result<Bench> {
        let profile = effort.profile.as_str();
        if !effort.as_built {
            build(shell, profile)?;
        }
        let built = match profile {
            "dev" => "debug",
            other => other,
        };
        let programs = target_directory().join(built);
        let root = shell.current_dir();
        let folder = root.join(FOLDER);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Bench {
            binaries: Binaries::in_directory(&programs),
            programs,
            folder,
            policy: root.join("deploy/policies/demo.yaml"),
            bundled: root.join("tests/pcaps/shop.pcap.gz"),
            commit: commit(shell)?,
            capturing: Mutex::new(()),
        })
    }
}

fn build(shell: &Shell, profile: &str) -> Result<()> {
    recording::prepare(shell, profile)?;
    cmd!(
        shell,
        "cargo build --quiet --profile {profile} --package twintap-replayer --bin twintap --example outcomes"
    )
    .run()?;
    cmd!(
        shell,
        "cargo build --quiet --profile {profile} --package twintap-shop --bins"
    )
    .run()?;
    Ok(())
}

/// The commit, and a mark where the tree differs from it.
fn commit(shell: &Shell) -> Result<String> {
    let commit = cmd!(shell, "git rev-parse --short HEAD").quiet().read()?;
    let changes = cmd!(shell, "git status --porcelain --untracked-files=no");
    let is_clean = changes.quiet().read()?.is_empty();
    Ok(if is_clean {
        commit
    } else {
        format!("{commit}+")
    })
}
