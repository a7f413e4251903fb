//! Incidents that a twin did not foresee, held against its scope.

use serde::{Deserialize, Serialize};

use super::{Component, Form};
use crate::report::{EndpointScope, Report};

/// What broke in production though the twin passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its name.
    pub name: String,
    /// When it was, for people.
    #[serde(default)]
    pub when: String,
    /// The endpoint that broke, as reports name it.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The component that broke.
    #[serde(default)]
    pub component: Option<String>,
    /// What was the cause, for people.
    #[serde(default)]
    pub cause: String,
}

/// An incident held against a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The incident.
    pub incident: Incident,
    /// Whether the scope says why the twin could not have shown it.
    pub is_explained: bool,
    /// Why, as far as it is known.
    pub explanations: Vec<Explanation>,
    /// What to change, so that the twin shows the next one.
    pub advice: Vec<String>,
}

/// Something that bears on why a twin did not show an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Explanation {
    /// The component is not the real thing at the twins.
    Component {
        /// Its name.
        name: String,
        /// What stands for it.
        form: Form,
        /// Why.
        reason: String,
    },
    /// The endpoint was not in the traffic that was replayed.
    NotSeen {
        /// The endpoint.
        endpoint: String,
    },
    /// The endpoint was in the traffic, and never compared.
    NotCompared {
        /// The endpoint.
        endpoint: String,
        /// Exchanges of it that were captured.
        seen: u64,
    },
}

/// Holds incidents against what the scope says, and against what a run covered.
pub fn check_incidents(
    incidents: &[Incident],
    components: &[Component],
    report: Option<&Report>,
) -> Vec<Check> {
    incidents
        .iter()
        .map(|incident| check(incident, components, report))
        .collect()
}

fn check(incident: &Incident, components: &[Component], report: Option<&Report>) -> Check {
    let mut check = Check {
        incident: incident.clone(),
        is_explained: false,
        explanations: Vec::new(),
        advice: Vec::new(),
    };
    let involved = components
        .iter()
        .filter(|component| component.bears_on(incident));
    for component in involved.clone() {
        if component.form == Form::Full {
            continue;
        }
        check.advice.push(format!(
            "Let `{}` stand at the twins as it is in production, or as near as it takes to show \
             this; it is {} there.",
            component.name,
            component.form.name()
        ));
        check.explanations.push(Explanation::Component {
            name: component.name.clone(),
            form: component.form,
            reason: component.reason.clone(),
        });
    }
    if let Some(name) = &incident.component
        && components.iter().all(|component| component.name != *name)
    {
        check.advice.push(format!(
            "Name `{name}` in the scope, with what stands for it at the twins."
        ));
    }
    if let (Some(endpoint), Some(report)) = (&incident.endpoint, report) {
        cover(&mut check, endpoint, report);
    }
    check.is_explained = !check.explanations.is_empty();
    if !check.is_explained {
        check
            .advice
            .extend(unexplained(incident, involved.count(), report));
    }
    check
}

impl Component {
    fn bears_on(&self, incident: &Incident) -> bool {
        let is_named = incident.component.as_ref() == Some(&self.name);
        let is_used = incident.endpoint.as_ref().is_some_and(|endpoint| {
            let mut patterns = self.endpoints.iter();
            patterns.any(|pattern| pattern.takes_endpoint(endpoint))
        });
        is_named || is_used
    }
}

/// What the run covered of the endpoint.
fn cover(check: &mut Check, endpoint: &str, report: &Report) {
    let rows = report.scope.endpoints.iter();
    let row: Option<&EndpointScope> = rows.clone().find(|row| row.endpoint == endpoint);
    match row {
        None => {
            check.explanations.push(Explanation::NotSeen {
                endpoint: endpoint.to_owned(),
            });
            check.advice.push(format!(
                "Capture traffic with `{endpoint}` in it, and have the gate require it: \
                 `coverage: {{endpoints: [{{endpoint: \"{endpoint}\", compared: 1}}]}}`."
            ));
        }
        Some(row) if row.compared == 0 => {
            check.explanations.push(Explanation::NotCompared {
                endpoint: endpoint.to_owned(),
                seen: row.seen,
            });
            check.advice.push(format!(
                "Have `{endpoint}` replayed: {} exchanges of it were captured, and none compared \
                 (late {}, unbound {}, not fired {}).",
                row.seen,
                row.late,
                row.unbound,
                row.skipped.values().sum::<u64>()
            ));
        }
        Some(_) => {}
    }
}

/// What to change where nothing explains an incident.
fn unexplained(incident: &Incident, involved: usize, report: Option<&Report>) -> Vec<String> {
    let mut advice = Vec::new();
    match (&incident.component, involved) {
        (None, 0) if incident.endpoint.is_none() => advice.push(
            "Say in the incident which endpoint or component broke: nothing can be held against \
             the scope."
                .to_owned(),
        ),
        (_, 0) => {}
        _ => advice.push(
            "The scope calls what broke full. Where it is not, say so there; where it is, the \
             traffic lacked what broke it, or the gate let it pass."
                .to_owned(),
        ),
    }
    let Some(endpoint) = &incident.endpoint else {
        return advice;
    };
    let rows = report.map(|report| &report.scope.endpoints);
    let row = rows.and_then(|rows| rows.iter().find(|row| row.endpoint == *endpoint));
    advice.push(match row {
        Some(row) => format!(
            "`{endpoint}` was compared in {} of {} exchanges, {} of {} errors among them: capture \
             the requests that broke it, and give what they broke a metric or a budget in the \
             gate.",
            row.compared, row.seen, row.errors_compared, row.errors_seen
        ),
        None => format!(
            "Give the report of the run that passed (`--report`): it says whether `{endpoint}` was \
             replayed at all."
        ),
    });
    advice
}

impl Explanation {
    /// In a sentence.
    pub fn statement(&self) -> String {
        match self {
            Explanation::Component { name, form, reason } => {
                format!(
                    "The component {name} is {} at the twins: {reason}",
                    form.name()
                )
            }
            Explanation::NotSeen { endpoint } => {
                format!("{endpoint} was not in the traffic that was replayed.")
            }
            Explanation::NotCompared { endpoint, seen } => {
                format!("{endpoint} was captured {seen} times, and never compared.")
            }
        }
    }
}
