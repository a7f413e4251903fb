//! Files of rules in YAML.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;

/// Reads a file; `what` it is, for people: `gate file`.
///
/// # Errors
/// When it can't be read, or says what no such file may: the text names line and key.
pub fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the {what} {}", path.display()))?;
    parse(&text, &path.display().to_string(), what)
}

/// Reads a text, which came from `source`.
///
/// # Errors
/// As [`read`].
pub fn parse<T: DeserializeOwned>(text: &str, source: &str, what: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let problem = error.to_string();
        let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
        let problem = problem.replace("--> <input>:", &format!("--> {source}:"));
        anyhow!(problem).context(format!("{source} is no {what}"))
    })
}
