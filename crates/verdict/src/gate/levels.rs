//! Levels of findings.

use super::hold::title;
use super::{GateRule, Level, LevelRule, RuleOutcome};
use crate::pattern::Pattern;
use crate::report::Finding;

/// Gives each finding the level of the first rule that takes it.
pub(super) fn apply(rules: &[LevelRule], findings: &mut [Finding]) -> Vec<GateRule> {
    let mut taken: Vec<Vec<String>> = vec![Vec::new(); rules.len()];
    for finding in findings {
        let first = rules
            .iter()
            .zip(&mut taken)
            .find(|(rule, _)| rule.takes(finding));
        if let Some((rule, taken)) = first {
            finding.level = rule.level;
            finding.rule = Some(rule.title());
            taken.push(finding.id.clone());
        }
    }
    rules
        .iter()
        .zip(taken)
        .map(|(rule, taken)| GateRule {
            name: rule.title(),
            outcome: match taken.is_empty() {
                true => RuleOutcome::Held,
                false => RuleOutcome::Applied,
            },
            statement: rule.statement(&taken),
        })
        .collect()
}

impl LevelRule {
    fn takes(&self, finding: &Finding) -> bool {
        let is_there = |pattern: &Pattern| pattern.takes_endpoint(&finding.endpoint);
        let is_at = |pattern: &Pattern| pattern.takes_text(&finding.location);
        self.endpoint.as_ref().is_none_or(is_there)
            && (self.kinds.is_empty() || self.kinds.contains(&finding.kind))
            && (self.locations.is_empty() || self.locations.iter().any(is_at))
    }

    fn title(&self) -> String {
        title(
            self.name.as_deref(),
            self.level.name(),
            self.endpoint.as_ref(),
        )
    }

    fn statement(&self, taken: &[String]) -> String {
        match (taken, self.level) {
            ([], _) => "No finding is of this rule.".to_owned(),
            (taken, Level::Fail) => format!("{} fails the run.", taken.join(", ")),
            (taken, Level::Warn) => format!("{} is told, and fails nothing.", taken.join(", ")),
            (taken, Level::Pass) => format!("{} is let pass.", taken.join(", ")),
        }
    }
}
