//! What GoReplay counts in the same captures.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::Corpus;

/// The peer whose counts are at hand.
pub const NAME: &str = "GoReplay 1.2.0";
const TABLE: &str = "truth/PEER_goreplay_1.2.0.tsv";

/// Requests and responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
}

/// By capture, what the peer counts.
///
/// # Errors
/// When the table can't be read.
pub fn counts(corpus: &Corpus) -> Result<BTreeMap<String, Counts>> {
    let path = corpus.path(TABLE);
    let table =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut counts = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let number = |index: usize| cells.get(index).and_then(|cell| cell.parse().ok());
        if let (Some(requests), Some(responses)) = (number(4), number(5)) {
            let found = Counts {
                requests,
                responses,
            };
            counts.insert(cells[0].to_owned(), found);
        }
    }
    Ok(counts)
}
