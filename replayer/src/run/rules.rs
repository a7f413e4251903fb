//! Gate, business figures and scope (docs/gate.md, docs/metrics.md, docs/scope.md).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use twintap_stream::grpc::Descriptors;
use twintap_verdict::business::check_metrics;
use twintap_verdict::gate::{Budgets, CoverageRules, FidelityRules, LevelRule};
use twintap_verdict::scope::{Incident, check_components};
use twintap_verdict::{Component, Gate, Metric, Rules};

use super::file::RunFile;
use super::values::Version;
use super::yaml;

/// A gate as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GateFile {
    #[serde(rename = "version")]
    _version: Version,
    #[serde(default)]
    levels: Vec<LevelRule>,
    #[serde(default)]
    budgets: Budgets,
    #[serde(default)]
    coverage: CoverageRules,
    #[serde(default)]
    fidelity: FidelityRules,
}

/// Business figures as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsFile {
    #[serde(rename = "version")]
    _version: Version,
    metrics: Vec<Metric>,
}

/// A scope as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeFile {
    #[serde(rename = "version")]
    _version: Version,
    components: Vec<Component>,
}

/// Incidents as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncidentsFile {
    #[serde(rename = "version")]
    _version: Version,
    incidents: Vec<Incident>,
}

impl RunFile {
    /// What the run is judged by.
    ///
    /// # Errors
    /// When a file of rules can't be read, or says what none may.
    pub fn rules(&self) -> Result<Rules> {
        let gate = self.gate.as_deref().map(gate).transpose()?;
        let metrics = self.metrics.as_deref().map(metrics).transpose()?;
        let components = self.scope.as_deref().map(scope).transpose()?;
        let rules = Rules {
            options: self.settings.verdict.clone(),
            gate: gate.unwrap_or_default(),
            metrics: metrics.unwrap_or_default(),
            descriptors: Arc::new(self.descriptors()?),
            components: components.unwrap_or_default(),
        };
        for name in rules.gate.budgets.metrics.keys() {
            if rules.metrics.iter().all(|metric| metric.name != *name) {
                bail!("the gate has a budget for the metric `{name}`, which the run has not");
            }
        }
        Ok(rules)
    }

    fn descriptors(&self) -> Result<Descriptors> {
        let mut descriptors = Descriptors::new();
        for path in &self.settings.descriptors {
            let path = self.base.join(path);
            let what = || format!("reading the descriptors {}", path.display());
            let set = std::fs::read(&path).with_context(what)?;
            descriptors.add_set(&set).with_context(what)?;
        }
        Ok(descriptors)
    }
}

fn gate(path: &Path) -> Result<Gate> {
    let file: GateFile = yaml::read(path, "gate file")?;
    if let Err(problem) = file.budgets.check() {
        bail!("{}: {problem}", path.display());
    }
    Ok(Gate {
        levels: file.levels,
        budgets: file.budgets,
        coverage: file.coverage,
        fidelity: file.fidelity,
    })
}

fn metrics(path: &Path) -> Result<Vec<Metric>> {
    let file: MetricsFile = yaml::read(path, "metrics file")?;
    if let Err(problem) = check_metrics(&file.metrics) {
        bail!("{}: {problem}", path.display());
    }
    Ok(file.metrics)
}

/// Reads a scope file.
///
/// # Errors
/// When it can't be read, or says what no scope file may.
pub fn scope(path: &Path) -> Result<Vec<Component>> {
    let file: ScopeFile = yaml::read(path, "scope file")?;
    if let Err(problem) = check_components(&file.components) {
        bail!("{}: {problem}", path.display());
    }
    Ok(file.components)
}

/// Reads a file of incidents.
///
/// # Errors
/// When it can't be read, or says what no such file may.
pub fn incidents(path: &Path) -> Result<Vec<Incident>> {
    let file: IncidentsFile = yaml::read(path, "incidents file")?;
    Ok(file.incidents)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::Context;

    use super::*;

    /// What the examples of a page say: its first blocks of YAML, in order.
    fn examples(page: &str) -> Vec<String> {
        let path = format!("{}/../docs/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).expect("the page is there");
        let blocks = text.split("```yaml\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
        blocks.map(str::to_owned).collect()
    }

    fn written<T>(text: &str, read: impl Fn(&Path) -> Result<T>) -> Result<T> {
        let directory = tempfile::tempdir().context("a directory")?;
        let path = directory.path().join("rules.yaml");
        fs::write(&path, text)?;
        read(&path)
    }

    #[test]
    fn the_examples_of_the_pages_are_read() -> Result<()> {
        let of_page = |page: &str, place: usize| examples(page).swap_remove(place);
        let gate = written(&of_page("gate.md", 0), gate)?;
        assert_eq!(gate.levels.len(), 2);
        assert_eq!(gate.budgets.metrics.len(), 1);
        let metrics = written(&of_page("metrics.md", 0), metrics)?;
        assert_eq!(metrics.len(), 8);
        let components = written(&of_page("scope.md", 0), scope)?;
        assert_eq!(components.len(), 3);
        let incidents = written(&of_page("scope.md", 1), incidents)?;
        assert_eq!(incidents[0].component.as_deref(), Some("payments"));
        Ok(())
    }

    #[track_caller]
    fn check_error<T: std::fmt::Debug>(
        text: &str,
        read: impl Fn(&Path) -> Result<T>,
        expected: &[&str],
    ) {
        let error = written(text, read).expect_err("a faulty file");
        let error = format!("{error:#}");
        for part in expected {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        check_error("levels: []\n", gate, &["version", "gate file"]);
        check_error("version: 2\n", gate, &["must be 1", "rules.yaml"]);
        check_error(
            "version: 1\nbudgets:\n  latency:\n  - {p50: 10%, p95: 10%}\n",
            gate,
            &["p95", "4:"],
        );
        check_error(
            "version: 1\nlevels:\n- {kinds: [colour], level: warn}\n",
            gate,
            &["colour", "3:"],
        );
        check_error(
            "version: 1\nbudgets: {latency: [{p50: 10}]}\n",
            gate,
            &["`20ms` or `10%`", "2:"],
        );
        for (budgets, missing) in [
            (
                "{latency: [{endpoint: /ads}]}",
                "`latency /ads` needs `p50`",
            ),
            ("{error_rate: [{}]}", "`error rate` needs `max`"),
            ("{growth: {memory: {name: slow}}}", "needs `max_per_hour`"),
            (
                "{metrics: {revenue: {}}}",
                "`metric revenue` needs `max_drop`",
            ),
        ] {
            let text = format!("version: 1\nbudgets: {budgets}\n");
            check_error(&text, gate, &["rules.yaml", missing]);
        }
        check_error(
            "version: 1\ncoverage: {traffic: 120%}\n",
            gate,
            &["120%", "`95%`"],
        );
        check_error(
            "version: 1\nmetrics:\n- {name: a, aggregate: rate}\n",
            metrics,
            &["metric `a`", "needs `where`"],
        );
        check_error(
            "version: 1\nmetrics:\n- {name: a, aggregate: sum, value: {json: total}}\n",
            metrics,
            &["3:"],
        );
        check_error(
            "version: 1\ncomponents:\n- {name: mail, as: mocked}\n",
            scope,
            &["`mail`", "`reason`"],
        );
        check_error(
            "version: 1\nincidents:\n- {name: a, where: b}\n",
            incidents,
            &["where", "3:"],
        );
    }
}
