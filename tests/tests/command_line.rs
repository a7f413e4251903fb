//! Bad input gets a clear error, an exit code above 0, and loses nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::Read as _;
use twintap_tests::Scenario;

struct Play {
    scenario: Scenario,
    directory: tempfile::TempDir,
}

impl Play {
    fn new() -> Result<Play> {
        let (directory, scenario) = Scenario::temporary("allow-all")?;
        Ok(Play {
            scenario,
            directory,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[track_caller]
    fn refused(&self, args: &[&str], expected: &str) {
        let (code, output) = self.scenario.twintap(args).expect("twintap runs");
        assert_eq!(code, 3, "{args:?}: {output}");
        assert!(
            output.contains(expected),
            "{args:?}: {output:?} lacks {expected:?}"
        );
    }
}

fn bundled_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/shop.pcap.gz")
}

fn bundled() -> Result<Vec<u8>> {
    let path = bundled_file();
    let packed = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut plain = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut plain)?;
    Ok(plain)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn errors_name_what_and_where() -> Result<()> {
    let play = Play::new()?;
    let archive = play.path("archive");
    let archive = text(&archive);
    play.refused(
        &["import", "/nowhere.pcap", "--archive", archive],
        "/nowhere.pcap",
    );
    let garbage = play.path("garbage.pcap");
    fs::write(&garbage, b"this is no capture file, whatever its name says")?;
    play.refused(
        &["import", text(&garbage), "--archive", archive],
        "garbage.pcap",
    );
    play.refused(
        &[
            "import",
            text(&garbage),
            "--archive",
            archive,
            "--policy",
            "lenient",
        ],
        "lenient",
    );
    play.refused(&["exchanges", "/nowhere"], "/nowhere");
    play.refused(&["replay", "/nowhere.yaml"], "/nowhere.yaml");
    play.refused(&["exchanges", "--formt", "jsonl"], "--formt");
    play.refused(
        &["serve", "--archive", archive, "--listen", "0.0.0.0:0"],
        "--tls-cert",
    );
    play.refused(
        &["ctl", "--daemon", "http://127.0.0.1:9", "runs"],
        "twintap serve",
    );
    Ok(())
}

#[test]
fn a_torn_file_is_imported_up_to_the_tear() -> Result<()> {
    let play = Play::new()?;
    let whole = bundled()?;
    let torn = play.path("torn.pcap");
    fs::write(&torn, &whole[..whole.len() / 2 + 7])?;
    let archive = play.path("archive");
    let (code, output) = play.scenario.twintap(&[
        "import",
        text(&torn),
        "--archive",
        text(&archive),
        "--policy",
        "allow-all",
        "--format",
        "json",
    ])?;
    ensure!(code == 0, "{output}");
    ensure!(output.contains("torn"), "{output}");
    let (code, output) =
        play.scenario
            .twintap(&["exchanges", text(&archive), "--format", "jsonl"])?;
    ensure!(code == 0, "{output}");
    ensure!(
        output.lines().count() > 100,
        "only {} exchanges",
        output.lines().count()
    );
    Ok(())
}

#[test]
fn a_file_is_imported_once() -> Result<()> {
    let play = Play::new()?;
    let file = play.path("shop.pcap");
    fs::write(&file, bundled()?)?;
    let archive = play.path("archive");
    let args = [
        "import",
        text(&file),
        "--archive",
        text(&archive),
        "--policy",
        "allow-all",
    ];
    let (code, output) = play.scenario.twintap(&args)?;
    ensure!(code == 0, "{output}");
    play.refused(&args, "already");
    Ok(())
}

#[test]
fn exchanges_and_sessions_are_listed_as_documented() -> Result<()> {
    let play = Play::new()?;
    play.scenario.import(&bundled_file())?;
    let archive = play.scenario.archive();
    let (_, output) = play
        .scenario
        .twintap(&["exchanges", text(&archive), "--format", "jsonl"])?;
    let mut sessions = std::collections::BTreeSet::new();
    for line in output.lines() {
        let line: Value = serde_json::from_str(line)?;
        for key in ["id", "flow", "protocol", "time", "session"] {
            ensure!(line[key].is_string(), "{key} in {line}");
        }
        ensure!(
            line["time"].as_str().is_some_and(|time| time.len() == 30),
            "{line}"
        );
        ensure!(line["latency_us"].is_number(), "{line}");
        for key in [
            "method",
            "target",
            "authority",
            "headers",
            "body_bytes",
            "state",
        ] {
            ensure!(!line["request"][key].is_null(), "request.{key} in {line}");
        }
        for key in ["status", "headers", "body_bytes", "state"] {
            ensure!(!line["response"][key].is_null(), "response.{key} in {line}");
        }
        sessions.insert(line["session"].to_string());
    }
    ensure!(
        output.lines().count() > 1_000,
        "{} exchanges",
        output.lines().count()
    );
    let (_, output) = play
        .scenario
        .twintap(&["sessions", text(&archive), "--format", "jsonl"])?;
    ensure!(output.lines().count() == sessions.len(), "sessions");
    Ok(())
}

#[test]
fn a_damaged_archive_gives_what_is_left_and_says_so() -> Result<()> {
    let play = Play::new()?;
    play.scenario.import(&bundled_file())?;
    let archive = play.scenario.archive();
    let part = fs::read_dir(&archive)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "part")
        })
        .context("a part")?;
    let mut bytes = fs::read(&part)?;
    // Bodies lie in blocks of their own, which a listing does not read: so the whole middle.
    let (from, to) = (bytes.len() * 2 / 5, bytes.len() * 3 / 5);
    for place in (from..to).step_by(4096) {
        bytes[place] ^= 0x40;
    }
    fs::write(&part, bytes)?;
    let (code, output) =
        play.scenario
            .twintap(&["exchanges", text(&archive), "--format", "jsonl"])?;
    ensure!(code == 3, "{code}: {output}");
    ensure!(output.contains("damaged"), "{output}");
    let listed = output.lines().filter(|line| line.starts_with('{')).count();
    ensure!(
        (100..1_509).contains(&listed),
        "{listed} exchanges are listed"
    );
    Ok(())
}
