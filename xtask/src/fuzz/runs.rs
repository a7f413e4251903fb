//! The ledger of runs: how much hostile input each target has had, over all time.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

const FILE: &str = "RUNS.tsv";
const HEAD: &str = "target\texecutions\tlast_run\tfindings";

/// Adds executions to a target's row; what was found is written there by hand.
pub fn add(folder: &Path, target: &str, executions: u64) -> Result<()> {
    let path = folder.join(FILE);
    let shell = Shell::new()?;
    let today = cmd!(shell, "date --utc +%F").quiet().read()?;
    let table = fs::read_to_string(&path).unwrap_or_default();
    let table = added(&table, target, executions, &today)
        .with_context(|| format!("a row of {} is no row", path.display()))?;
    fs::write(&path, table).with_context(|| path.display().to_string())
}

/// The table with more executions of a target.
fn added(table: &str, target: &str, executions: u64, today: &str) -> Option<String> {
    let mut rows = Vec::new();
    let mut is_new = true;
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, sum, date, findings] = cells[..] else {
            return None;
        };
        let mut sum: u64 = sum.parse().ok()?;
        let mut date = date;
        if name == target {
            sum += executions;
            date = today;
            is_new = false;
        }
        rows.push(format!("{name}\t{sum}\t{date}\t{findings}"));
    }
    if is_new {
        rows.push(format!("{target}\t{executions}\t{today}\tnone"));
    }
    rows.sort();
    Some(format!("{HEAD}\n{}\n", rows.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::{HEAD, added};

    #[test]
    fn executions_add_up_and_findings_stay() {
        let table = format!("{HEAD}\ntcp\t5\t2020-01-01\tone\n");
        let once = added(&table, "tcp", 7, "2020-01-02").expect("a sound table");
        assert_eq!(once, format!("{HEAD}\ntcp\t12\t2020-01-02\tone\n"));
        let twice = added(&once, "http1", 1, "2020-01-03").expect("a sound table");
        assert_eq!(
            twice,
            format!("{HEAD}\nhttp1\t1\t2020-01-03\tnone\ntcp\t12\t2020-01-02\tone\n")
        );
        assert_eq!(added("head\nno row\n", "tcp", 1, "2020-01-01"), None);
    }
}
