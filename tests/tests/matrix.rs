//! A sample of the matrix of faults: `cargo xtask bench verdict` plays all of it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use twintap_shop::mutations::Mutations;
use twintap_shop::regressions::Regressions;
use twintap_tests::Scenario;
use twintap_tests::matrix::{Fault, HARDER, Held, SEEDED, fault, flags};

/// One of each kind: what is listed, how it is written, what is stored, a head, a stream.
const SAMPLE: [&str; 5] = [
    "paging-off-by-one",
    "latin-1",
    "lost-update",
    "cookie-for-scripts",
    "last-event-gone",
];

#[test]
fn the_matrix_has_every_fault_of_the_shop() {
    let names = |faults: &[Fault]| {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name).collect();
        names.join(",")
    };
    assert_eq!(names(&SEEDED), Regressions::all().to_list());
    assert_eq!(names(&HARDER), Mutations::all().to_list());
}

#[test]
fn a_sample_of_faults_is_found_and_nothing_else() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = folder.join("../deploy/policies/demo.yaml");
    let (_directory, scenario) = Scenario::temporary(&policy.display().to_string())?;
    scenario.import(&folder.join("pcaps/shop.pcap.gz"))?;
    // One after the other, as each compares latencies.
    for name in SAMPLE {
        let faults = [fault(name).context("a fault of the matrix")?];
        let flags = flags(&faults);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let replayed = scenario.replay(&flags)?;
        let held = Held::report(&replayed.report, &faults);
        ensure!(held.found == [name], "{name}: {}", replayed.output);
        // One twin may really be slower than the other on a machine that has more to do.
        let is_load =
            |finding: &String| finding.contains(" latency ") || finding.contains(" cost ");
        ensure!(held.unexpected.iter().all(is_load), "{name}: {held:?}");
    }
    Ok(())
}
