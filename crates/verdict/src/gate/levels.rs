//! Levels of findings.

use std::iter;

use super::hold::title;
use super::{GateRule, Level, LevelRule, RuleOutcome};
use crate::findings::number;
use crate::kind::Kind;
use crate::pattern::Pattern;
use crate::report::Finding;

/// Gives each finding the worst level of its places, each of which has that of the first
/// rule that takes it: a rule lets nothing pass that it does not name.
/// What fails comes first then, whatever the harm of what does not: lists that end early
/// must not end before it.
pub(super) fn apply(rules: &[LevelRule], findings: &mut [Finding]) -> Vec<GateRule> {
    for finding in &mut *findings {
        if let Some(rule) = deciding(rules, finding).map(|index| &rules[index]) {
            finding.level = rule.level;
            finding.rule = Some(rule.title());
        }
    }
    findings.sort_by_key(|finding| finding.level);
    number(findings);
    let mut taken: Vec<Vec<String>> = vec![Vec::new(); rules.len()];
    for finding in findings {
        if let Some(deciding) = deciding(rules, finding) {
            taken[deciding].push(finding.id.clone());
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

/// The rule that gives a finding its level: of those that take its places, one of the worst
/// level. None where no rule takes one of them, which is as bad as it gets.
fn deciding(rules: &[LevelRule], finding: &Finding) -> Option<usize> {
    let also = finding.also.iter();
    let places = iter::once((finding.kind, finding.location.as_str()))
        .chain(also.map(|also| (also.kind, also.location.as_str())));
    let firsts = places.map(|(kind, location)| {
        rules
            .iter()
            .position(|rule| rule.takes(&finding.endpoint, kind, location))
    });
    let firsts: Option<Vec<usize>> = firsts.collect();
    firsts?.into_iter().min_by_key(|index| rules[*index].level)
}

impl LevelRule {
    fn takes(&self, endpoint: &str, kind: Kind, location: &str) -> bool {
        let is_there = |pattern: &Pattern| pattern.takes_endpoint(endpoint);
        let is_at = |pattern: &Pattern| pattern.takes_text(location);
        self.endpoint.as_ref().is_none_or(is_there)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
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
            ([], _) => "It decides no finding's level.".to_owned(),
            (taken, Level::Fail) => format!("{} fails the run.", taken.join(", ")),
            (taken, Level::Warn) => format!("{} is told, and fails nothing.", taken.join(", ")),
            (taken, Level::Pass) => format!("{} is let pass.", taken.join(", ")),
        }
    }
}
