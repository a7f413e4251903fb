//! What a run file says of firing sessions with findings again.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{RunFile, Targets, Times};
use crate::run::resources::ResourceSources;
use crate::run::values::Span;

/// Whether sessions that carry findings are fired again at fresh twins.
#[derive(Clone, Debug, PartialEq)]
pub enum Confirm {
    /// They are not.
    Off,
    /// They are, as far as the twins can be reset.
    On(ConfirmSettings),
}

/// How much is fired again, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmSettings {
    /// Sessions at most, those of the rarest findings first.
    pub sessions: u32,
    /// How often, each time at freshly reset twins.
    pub rounds: Times,
    /// The longest that a round may fire.
    pub within: Span,
    /// Twins for this alone; without them those of the run, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Box<Targets>>,
}

/// The word for not at all.
const OFF: &str = "off";

impl Default for ConfirmSettings {
    fn default() -> ConfirmSettings {
        ConfirmSettings {
            sessions: 20,
            rounds: Times::default(),
            within: Span(Duration::from_secs(600)),
            targets: None,
        }
    }
}

impl Confirm {
    /// Twins for this alone.
    pub(crate) fn targets(&self) -> Option<&Targets> {
        match self {
            Confirm::On(settings) => settings.targets.as_deref(),
            Confirm::Off => None,
        }
    }

    /// Likewise.
    pub(super) fn targets_mut(&mut self) -> Option<&mut Targets> {
        match self {
            Confirm::On(settings) => settings.targets.as_deref_mut(),
            Confirm::Off => None,
        }
    }

    /// What twins for this alone need beyond what all do.
    pub(super) fn check(&self) -> Result<(), String> {
        if self
            .targets()
            .is_some_and(|twins| twins.second_baseline.is_some())
        {
            return Err(
                "confirm.targets.second_baseline means nothing: one exchange tells nothing of \
                 what varies"
                    .to_owned(),
            );
        }
        let twins = self.targets().map(Targets::both);
        for (twin, target) in twins.into_iter().flatten() {
            if target.reset.is_none() {
                return Err(format!(
                    "confirm.targets.{twin} needs `reset`: what is fired there proves something \
                     only where no session was before"
                ));
            }
            if target.resources != ResourceSources::default() {
                return Err(format!(
                    "confirm.targets.{twin}.resources means nothing: only the twins of the run \
                     are looked at"
                ));
            }
        }
        Ok(())
    }
}

impl RunFile {
    /// The same with the twins for confirmation in the place of its own, if it has such.
    pub(crate) fn at_fresh_twins(&self) -> Option<RunFile> {
        let targets = self.settings.confirm.targets()?.clone();
        let mut file = self.clone();
        file.settings.targets = targets;
        if let Confirm::On(settings) = &mut file.settings.confirm {
            settings.targets = None;
        }
        Some(file)
    }
}

impl Default for Confirm {
    fn default() -> Confirm {
        Confirm::On(ConfirmSettings::default())
    }
}

impl Serialize for Confirm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Confirm::Off => serializer.serialize_str(OFF),
            Confirm::On(settings) => settings.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Confirm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Confirm, D::Error> {
        deserializer.deserialize_any(ConfirmVisitor)
    }
}

struct ConfirmVisitor;

impl<'de> Visitor<'de> for ConfirmVisitor {
    type Value = Confirm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{OFF}`, or `{{sessions: 20, rounds: 1}}`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Confirm, E> {
        match text {
            OFF => Ok(Confirm::Off),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    // `off` is no text to YAML 1.1.
    fn visit_bool<E: Error>(self, is_on: bool) -> Result<Confirm, E> {
        match is_on {
            false => Ok(Confirm::Off),
            true => Ok(Confirm::default()),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Confirm, A::Error> {
        ConfirmSettings::deserialize(MapAccessDeserializer::new(map)).map(Confirm::On)
    }
}
