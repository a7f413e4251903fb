//! `cargo xtask services`: replays services that nobody here wrote.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use twintap_tests::services::SERVICES;
use twintap_tests::{Binaries, Privileges, Scenario};
use xshell::{Shell, cmd};

use crate::target_directory;

/// The least fidelity that they must reach.
const FIDELITY: f64 = 0.95;

/// Installs what is missing below target/services, then captures and replays each service.
pub fn run(shell: &Shell) -> Result<()> {
    ensure!(
        Privileges::of_this_process().root,
        "capturing with tcpdump needs root"
    );
    cmd!(
        shell,
        "cargo build --quiet --release --package twintap-replayer --bin twintap"
    )
    .run()?;
    let root = shell.current_dir().join("target/services");
    for service in SERVICES {
        if !service.is_installed(&root) {
            println!("installing {}", service.name);
            service.install(&root)?;
        }
    }
    let mut too_low = Vec::new();
    for service in SERVICES {
        println!("capturing and replaying {}", service.name);
        let scenario = Scenario::new(
            Binaries::in_directory(target_directory().join("release")),
            &root.join(format!("{}-run", service.name)),
            "allow-all",
        )?;
        let replayed = service.play(&root, &scenario)?;
        println!("{}", summary(&replayed.report));
        let fidelity = replayed.report["fidelity"].as_f64().context("fidelity")?;
        if fidelity < FIDELITY {
            println!("{}", replayed.output);
            too_low.push(service.name);
        }
    }
    ensure!(too_low.is_empty(), "fidelity below {FIDELITY}: {too_low:?}");
    Ok(())
}

fn summary(report: &Value) -> String {
    let detail = &report["fidelity_detail"];
    let masked = report["masked"].as_array().map_or(0, Vec::len);
    format!(
        "fidelity {} ({} of {} exchanges), {} values bound, {} unbound, {masked} places masked",
        report["fidelity"],
        detail["equal"],
        detail["exchanges"],
        report["correlation"]["bound"],
        report["correlation"]["unbound"],
    )
}
