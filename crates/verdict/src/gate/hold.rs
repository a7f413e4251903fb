//! A gate held against a report.

use super::{Gate, GateRule, budgets, coverage, levels};
use crate::pattern::Pattern;
use crate::report::Report;

/// What came of each rule; findings get their levels, and their order and names by these.
pub(crate) fn hold(gate: &Gate, report: &mut Report) -> Vec<GateRule> {
    let mut rules = levels::apply(&gate.levels, &mut report.findings);
    rules.extend(budgets::hold(&gate.budgets, report));
    rules.extend(coverage::hold(gate, report));
    rules
}

/// What a rule is called: by its own name, else by what it is about and where.
pub(super) fn title(name: Option<&str>, about: &str, endpoint: Option<&Pattern>) -> String {
    match (name, endpoint) {
        (Some(name), _) => name.to_owned(),
        (None, Some(endpoint)) => format!("{about} {endpoint}"),
        (None, None) => about.to_owned(),
    }
}
