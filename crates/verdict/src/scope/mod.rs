//! What the twins are made of, and what a run could not have seen.

mod incident;
mod named;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pattern::Pattern;

pub use incident::{Check, Explanation, Incident, check_incidents};

/// A component of the system, and what stands for it at the twins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What stands for it.
    #[serde(rename = "as")]
    pub form: Form,
    /// Why it is not the real thing; empty where it is.
    #[serde(default)]
    pub reason: String,
    /// The endpoints that use it, as patterns.
    #[serde(default)]
    pub endpoints: Vec<Pattern>,
}

/// What stands for a component at the twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The same as in production.
    Full,
    /// Something like it: less data, fewer nodes, another version.
    Simplified,
    /// Something that answers in its place.
    Mocked,
}

impl Form {
    /// The name used in output.
    pub fn name(self) -> &'static str {
        match self {
            Form::Full => "full",
            Form::Simplified => "simplified",
            Form::Mocked => "mocked",
        }
    }
}

/// Looks for what a scope can't say.
///
/// # Errors
/// Names the component and what would be right.
pub fn check_components(components: &[Component]) -> Result<(), String> {
    for (place, component) in components.iter().enumerate() {
        let name = &component.name;
        if name.is_empty() {
            return Err(format!("component {}: `name` is empty", place + 1));
        }
        if component.form != Form::Full && component.reason.trim().is_empty() {
            return Err(format!(
                "component `{name}` is {}: `reason` must say why",
                component.form.name()
            ));
        }
        if components[..place].iter().any(|other| other.name == *name) {
            return Err(format!("two components are named `{name}`"));
        }
    }
    Ok(())
}
