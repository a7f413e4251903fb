//! Rules that can never decide, since others before them match all that they do.

use serde::Serialize;

use super::{Glob, Policy, Rule};

/// A rule that never decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IdleRule {
    /// Its number in the file, from 1.
    pub rule: usize,
    /// The number of the rule that decides in its place.
    pub behind: usize,
}

impl Policy {
    /// The rules of the file, those of its base apart, that never decide. Patterns are compared
    /// as they are written: what is said is true, and not all that is true is said.
    #[must_use]
    pub fn idle_rules(&self) -> Vec<IdleRule> {
        let base = Policy::default_policy().rules;
        let own = match self.rules.ends_with(&base) {
            true => self.rules.len() - base.len(),
            false => self.rules.len(),
        };
        let idle = (0..own).filter_map(|at| {
            let rule = &self.rules[at];
            let before = &self.rules[..at];
            let behind = before.iter().position(|other| other.covers(rule))?;
            Some(IdleRule {
                rule: at + 1,
                behind: behind + 1,
            })
        });
        idle.collect()
    }
}

impl Rule {
    /// True when this matches wherever the other does.
    fn covers(&self, other: &Rule) -> bool {
        // A rule about whole routes decides about bodies, and about no value.
        let is_of_values = |rule: &Rule| !(rule.at.is_empty() && rule.names.is_empty());
        is_of_values(self)
            && is_of_values(other)
            && (self.on.is_none() || self.on == other.on)
            && are_within(&other.at, &self.at)
            && are_within(&other.names, &self.names)
    }
}

/// True when one of `wide` is written like each of `narrow`, or stands for everything.
fn are_within(narrow: &[Glob], wide: &[Glob]) -> bool {
    let is_within = |glob: &Glob| wide.contains(glob) || wide.iter().any(Glob::is_all);
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(is_within)
}
