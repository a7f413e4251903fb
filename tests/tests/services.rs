//! Services that nobody here wrote replay as production would recognise.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};
use twintap_tests::services::{SERVICES, Service};
use twintap_tests::{Privileges, Scenario, skip};

/// They share the machine's loopback and its two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The lives are made up, so that nothing needs to be replaced.
const POLICY: &str = "allow-all";

const LEAST_FIDELITY: f64 = 0.95;

#[test]
fn the_issue_tracker_replays() -> Result<()> {
    check("the_issue_tracker_replays", SERVICES[0])
}

#[test]
fn the_content_management_replays() -> Result<()> {
    check("the_content_management_replays", SERVICES[1])
}

fn check(test: &str, service: Service) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/services");
    if !service.is_installed(&root) {
        skip(test, "the service needs `cargo xtask services` once");
        return Ok(());
    }
    if !Privileges::of_this_process().root {
        skip(test, "capturing with tcpdump needs root");
        return Ok(());
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (_directory, scenario) = Scenario::temporary(POLICY)?;
    let played = service.play(&root, &scenario)?;
    eprintln!(
        "{} {} under {POLICY}: fidelity {:.4}, {} exchanges",
        played.service, played.version, played.fidelity, played.exchanges
    );
    ensure!(played.unexplained == 0, "a ledger does not close");
    ensure!(
        played.bound > 100 && played.unbound == 0 && played.fired_unbound == 0,
        "bound {}, unbound {}, fired unbound {}",
        played.bound,
        played.unbound,
        played.fired_unbound
    );
    ensure!(
        played.fidelity >= LEAST_FIDELITY,
        "fidelity {}: {:?}",
        played.fidelity,
        played.unequal
    );
    Ok(())
}
