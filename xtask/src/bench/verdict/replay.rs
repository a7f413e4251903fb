//! One case: two fresh shops, a run, and what its report has.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_tests::matrix::{Held, Load, flags};
use twintap_tests::scenario::resources_of;
use twintap_tests::shop::Shop;

use super::super::line::machine;
use super::cases::Case;
use super::diffy::Counts;
use super::results::CaseResult;
use super::{Bench, recording};

/// Plays a case; what is played at the same time has another number.
///
/// # Errors
/// When a shop or the run does not come to its end.
pub fn play(bench: &Bench, case: &Case, job: usize) -> Result<CaseResult> {
    let recording = recording::of_seed(bench, case.seed)?;
    let folder = bench.folder.join(format!("case-{job}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (is_candidate_first, is_candidate_lower) = case.draw();
    let shops = start(bench, case, &folder)?;
    let run_file = folder.join("run.yaml");
    let [candidate, baseline] = [&shops[0], &shops[1]].map(|shop| shop.address);
    let text = run_text(
        bench,
        &recording.archive,
        &folder,
        [candidate, baseline],
        case,
    );
    fs::write(&run_file, text)?;

    let begun = Instant::now();
    let counts = replay(bench, &run_file, &folder)?;
    let seconds = begun.elapsed().as_secs_f64();
    let report = fs::read_to_string(folder.join("report.json")).context("the run's report")?;
    let report: Value = serde_json::from_str(&report)?;
    let held = Held::report(&report, &case.faults);
    let is_right = held.found.len() == case.faults.len()
        && held.misattributed.is_empty()
        && held.unexpected.is_empty();
    if !is_right {
        keep_report(bench, case, &folder)?;
    }
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(CaseResult {
        case: case.name(),
        faults: case
            .faults
            .iter()
            .map(|fault| fault.name.to_owned())
            .collect(),
        seed: case.seed,
        repeat: case.repeat,
        is_candidate_first,
        is_candidate_lower,
        source: recording.source.to_owned(),
        commit: bench.commit.clone(),
        machine: machine(),
        unix_s: since_1970?.as_secs(),
        verdict: report["verdict"].as_str().unwrap_or("none").to_owned(),
        compared: report["scope"]["compared"].as_u64().unwrap_or(0),
        fidelity: report["fidelity"].as_f64().unwrap_or(0.0),
        seconds,
        held,
        counts,
    })
}

/// Keeps a report that is not as it should be, for people to look at.
fn keep_report(bench: &Bench, case: &Case, folder: &Path) -> Result<()> {
    let reports = bench.folder.join("reports");
    fs::create_dir_all(&reports)?;
    let name = format!("{}-{}-{}", case.name(), case.seed, case.repeat);
    for ending in ["json", "html"] {
        let report = folder.join("report").with_extension(ending);
        fs::copy(report, reports.join(&name).with_extension(ending))?;
    }
    Ok(())
}

/// The candidate and the baseline, as the draw says.
fn start(bench: &Bench, case: &Case, folder: &Path) -> Result<[Shop; 2]> {
    let (is_candidate_first, is_candidate_lower) = case.draw();
    let [lower, higher] = free_addresses()?;
    let (candidate, baseline) = match is_candidate_lower {
        true => (lower, higher),
        false => (higher, lower),
    };
    let faults = flags(&case.faults);
    let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
    let start = |address: SocketAddr, flags: &[&str]| {
        Shop::start_at(&address.to_string(), &bench.binaries, folder, None, flags)
    };
    if is_candidate_first {
        let candidate = start(candidate, &faults)?;
        Ok([candidate, start(baseline, &[])?])
    } else {
        let baseline = start(baseline, &[])?;
        Ok([start(candidate, &faults)?, baseline])
    }
}

/// Two addresses that were free a moment ago, the lower first.
fn free_addresses() -> Result<[SocketAddr; 2]> {
    let held = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let mut addresses = [held[0].local_addr()?, held[1].local_addr()?];
    addresses.sort_unstable();
    Ok(addresses)
}

fn run_text(
    bench: &Bench,
    archive: &Path,
    output: &Path,
    [candidate, baseline]: [SocketAddr; 2],
    case: &Case,
) -> String {
    let is_double = case.faults.iter().any(|fault| fault.load() == Load::Double);
    let speed = if is_double { 2 } else { 1 };
    let [of_candidate, of_baseline] = [candidate, baseline].map(resources_of);
    format!(
        "version: 1\n\
         archive: {archive}\n\
         policy: {policy}\n\
         output: {output}\n\
         targets:\n\
         \x20 candidate: {{address: \"{candidate}\", resources: {of_candidate}}}\n\
         \x20 baseline: {{address: \"{baseline}\", resources: {of_baseline}}}\n\
         allow: [\"{candidate}\", \"{baseline}\"]\n\
         state: {{scrubbed: false, snapshot: seeded start of the shop}}\n\
         egress: none\n\
         speed: {speed}\n",
        archive = archive.display(),
        policy = bench.policy.display(),
        output = output.display(),
    )
}

/// Carries out the run; gives where the twins' answers differ by the other rule.
fn replay(bench: &Bench, run_file: &Path, folder: &Path) -> Result<Counts> {
    let log = folder.join("outcomes.log");
    let mut run = Command::new(bench.programs.join("examples/outcomes"))
        .arg(run_file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log)?)
        .spawn()
        .context("running the example `outcomes`")?;
    let mut counts = Counts::default();
    if let Some(out) = run.stdout.take() {
        for line in BufReader::new(out).lines() {
            counts.add(&serde_json::from_str(&line?)?);
        }
    }
    let status = run.wait()?;
    let said = fs::read_to_string(&log).unwrap_or_default();
    ensure!(status.success(), "the run ended with {status}: {said}");
    Ok(counts)
}
