//! What a run file says of firing sessions with findings again.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Times;

/// Whether sessions that carry findings are fired again at fresh twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// They are not.
    Off,
    /// They are, as far as the twins can be reset.
    On(ConfirmSettings),
}

/// How much is fired again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfirmSettings {
    /// Sessions at most, those of the rarest findings first.
    pub sessions: u32,
    /// How often, each time at freshly reset twins.
    pub rounds: Times,
}

/// The word for not at all.
const OFF: &str = "off";

impl Default for ConfirmSettings {
    fn default() -> ConfirmSettings {
        ConfirmSettings {
            sessions: 20,
            rounds: Times::default(),
        }
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
