//! `cargo xtask services`: replays services that nobody here wrote.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use twintap_tests::services::{Played, SERVICES};
use twintap_tests::{Binaries, Privileges, Scenario};
use xshell::{Shell, cmd};

use crate::target_directory;

/// Which services, under which policy, and how to print what came of it.
#[derive(Args)]
pub struct Options {
    /// Play this one alone.
    #[arg(long, value_parser = ["roundup", "wagtail"])]
    service: Option<String>,
    /// What to scrub with: `allow-all`, `default`, or a file. Under `allow-all` alone the
    /// fidelity must reach 0.95: what a policy replaces, a twin's own state does not have.
    #[arg(long, default_value = ALLOW_ALL)]
    policy: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table for people.
    Text,
    /// One JSON object with a list of services.
    Json,
}

const ALLOW_ALL: &str = "allow-all";
/// The least fidelity that they must reach.
const LEAST_FIDELITY: f64 = 0.95;

/// Installs what is missing below target/services, then captures and replays each service.
pub fn run(shell: &Shell, options: &Options) -> Result<()> {
    ensure!(
        Privileges::of_this_process().root,
        "capturing with tcpdump needs root"
    );
    cmd!(
        shell,
        "cargo build --quiet --package twintap-replayer --bin twintap"
    )
    .run()?;
    let root = shell.current_dir().join("target/services");
    let wanted = |name: &str| options.service.as_deref().is_none_or(|only| only == name);
    let services = SERVICES.into_iter().filter(|service| wanted(service.name));
    let mut all = Vec::new();
    for service in services {
        if !service.is_installed(&root) {
            eprintln!("installing {} {}", service.name, service.version());
            service.install(&root)?;
        }
        eprintln!("capturing and replaying {}", service.name);
        let scenario = Scenario::new(
            Binaries::in_directory(target_directory().join("debug")),
            &root.join(format!("{}-run", service.name)),
            &options.policy,
        )?;
        all.push(service.play(&root, &scenario)?);
    }
    match options.format {
        Format::Text => table(&all),
        Format::Json => {
            let whole = serde_json::json!({ "services": all });
            println!("{}", serde_json::to_string_pretty(&whole)?);
        }
    }
    if options.policy != ALLOW_ALL {
        return Ok(());
    }
    let is_low = |played: &&Played| played.fidelity < LEAST_FIDELITY;
    let too_low: Vec<&str> = all.iter().filter(is_low).map(|low| low.service).collect();
    ensure!(
        too_low.is_empty(),
        "fidelity below {LEAST_FIDELITY}: {too_low:?}; target/services/NAME-run has the reports"
    );
    Ok(())
}

fn table(all: &[Played]) {
    println!(
        "{:<10}{:<10}{:<11}{:>9}{:>11}{:>10}{:>8}{:>8}{:>9}",
        "service",
        "version",
        "policy",
        "sessions",
        "exchanges",
        "fidelity",
        "masked",
        "bound",
        "unbound"
    );
    for played in all {
        println!(
            "{:<10}{:<10}{:<11}{:>9}{:>11}{:>10.4}{:>8}{:>8}{:>9}",
            played.service,
            played.version,
            played.policy,
            played.sessions,
            played.exchanges,
            played.fidelity,
            played.masked.len(),
            played.bound,
            played.unbound + played.fired_unbound,
        );
    }
    for played in all {
        println!();
        println!("{}: {}", played.service, played.verdict);
        for (cause, exchanges) in &played.unequal {
            println!("  unequal for {cause}: {exchanges} exchanges");
        }
        let mut kept: BTreeMap<&str, u64> = BTreeMap::new();
        for values in &played.kept {
            *kept.entry(&values.reason).or_default() += values.values;
        }
        for (reason, values) in kept {
            println!("  sent as recorded, {reason}: {values} values");
        }
        let mut masked: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for place in &played.masked {
            let (places, exchanges) = masked.entry(&place.reason).or_default();
            *places += 1;
            *exchanges += place.exchanges;
        }
        for (reason, (places, values)) in masked {
            println!("  masked, {reason}: {values} values at {places} places");
        }
    }
}
