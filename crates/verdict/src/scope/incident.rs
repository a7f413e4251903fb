//! Incidents that a twin did not foresee, held against its scope.

use serde::{Deserialize, Serialize};

use super::named::{Named, nearest};
use super::{Component, Form};
use crate::report::Report;

/// What broke in production though the twin passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its name.
    pub name: String,
    /// When it was, for people.
    #[serde(default)]
    pub when: String,
    /// The endpoint that broke: as reports name it, as a request to it (`POST /orders/17/pay`),
    /// or as a pattern.
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
    /// No endpoint of the traffic that was replayed is meant: it was not in it, or its name is
    /// misspelt. Which of both can't be told, so this alone explains nothing.
    NotSeen {
        /// The endpoint, as the incident has it.
        endpoint: String,
        /// The endpoint of the traffic whose name is the most like it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        nearest: Option<String>,
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
    let named = incident.endpoint.as_deref();
    let named = named.map(|name| Named::new(name, report));
    let mut check = Check {
        incident: incident.clone(),
        is_explained: false,
        explanations: Vec::new(),
        advice: Vec::new(),
    };
    let involved = components
        .iter()
        .filter(|component| component.bears_on(incident, named.as_ref()));
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
    if let (Some(named), Some(report)) = (&named, report) {
        cover(&mut check, named, report);
    }
    check.is_explained = check.explanations.iter().any(Explanation::explains);
    if !check.is_explained {
        check
            .advice
            .extend(unexplained(incident, involved.count(), named.as_ref()));
    }
    check
}

impl Component {
    fn bears_on(&self, incident: &Incident, named: Option<&Named<'_>>) -> bool {
        let is_named = incident.component.as_ref() == Some(&self.name);
        is_named || named.is_some_and(|named| self.endpoints.iter().any(|one| named.is_of(one)))
    }
}

/// What the run covered of what the incident names.
fn cover(check: &mut Check, named: &Named<'_>, report: &Report) {
    let name = named.text;
    if named.rows.is_empty() {
        let nearest = nearest(name, report);
        check.advice.push(format!(
            "{}Where `{name}` is right, capture traffic with it, and have the gate require it: \
             `coverage: {{endpoints: [{{endpoint: \"{name}\", compared: 1}}]}}`.",
            nearest.as_ref().map_or_else(String::new, |nearest| format!(
                "Where `{nearest}` is meant, name it so. "
            ))
        ));
        check.explanations.push(Explanation::NotSeen {
            endpoint: name.to_owned(),
            nearest,
        });
    } else if named.sum(|row| row.compared) == 0 {
        let seen = named.sum(|row| row.seen);
        check.explanations.push(Explanation::NotCompared {
            endpoint: name.to_owned(),
            seen,
        });
        check.advice.push(format!(
            "Have `{name}` replayed: {seen} exchanges of it were captured, and none compared \
             (late {}, unbound {}, not fired {}).",
            named.sum(|row| row.late),
            named.sum(|row| row.unbound),
            named.sum(|row| row.skipped.values().sum())
        ));
    }
}

/// What to change where nothing explains an incident.
fn unexplained(incident: &Incident, involved: usize, named: Option<&Named<'_>>) -> Vec<String> {
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
    let Some(named) = named else {
        return advice;
    };
    let name = named.text;
    if !named.has_report {
        advice.push(format!(
            "Give the report of the run that passed (`--report`): it says whether `{name}` was \
             replayed at all."
        ));
    } else if !named.rows.is_empty() {
        advice.push(format!(
            "`{name}` was compared in {} of {} exchanges, {} of {} errors among them: capture \
             the requests that broke it, and give what they broke a metric or a budget in the \
             gate.",
            named.sum(|row| row.compared),
            named.sum(|row| row.seen),
            named.sum(|row| row.errors_compared),
            named.sum(|row| row.errors_seen)
        ));
    }
    advice
}

impl Explanation {
    /// Whether it alone says why the twin could not have shown the incident.
    fn explains(&self) -> bool {
        !matches!(self, Explanation::NotSeen { .. })
    }

    /// In a sentence.
    pub fn statement(&self) -> String {
        match self {
            Explanation::Component { name, form, reason } => {
                format!(
                    "The component {name} is {} at the twins: {reason}",
                    form.name()
                )
            }
            Explanation::NotSeen { endpoint, nearest } => {
                let nearest = nearest.as_ref();
                let nearest = nearest.map(|nearest| format!("; the nearest to it is {nearest}"));
                format!(
                    "No endpoint of the traffic that was replayed is {endpoint}{}.",
                    nearest.unwrap_or_default()
                )
            }
            Explanation::NotCompared { endpoint, seen } => {
                format!("{endpoint} was captured {seen} times, and never compared.")
            }
        }
    }
}
