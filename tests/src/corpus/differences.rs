//! The differences from the ground truth that have an explanation.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

const TABLE: &str = include_str!("../../../crates/stream/tests/corpus_differences.md");

/// A difference: the capture, `lacks` or `has`, and the item.
pub type Key = (String, String, String);

/// How many of an item are explained, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub count: u64,
    pub reason: String,
}

/// All rows of the table.
///
/// # Errors
/// When a row has no reason.
pub fn explanations() -> Result<BTreeMap<Key, Explanation>> {
    let mut explained = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, what, count, item, reason] = cells[..] else {
            continue;
        };
        let Ok(count) = count.parse() else { continue };
        ensure!(reason.len() > 10, "no reason for {line}");
        let item = item.trim_matches('`').replace("\\x7c", "|");
        let reason = reason.to_owned();
        explained.insert(
            (file.to_owned(), what.to_owned(), item),
            Explanation { count, reason },
        );
    }
    Ok(explained)
}
