//! How a policy has what was scrubbed looked at once more.

use serde::{Deserialize, Serialize};

use super::{Glob, WholeNumber};

/// What the second look sees, and what it makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecondLook {
    pub(crate) look_at: LookAt,
    pub(crate) min_score: Score,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) except: Vec<Glob>,
}

impl Default for SecondLook {
    fn default() -> SecondLook {
        SecondLook {
            look_at: LookAt::All,
            min_score: Score(50),
            except: Vec::new(),
        }
    }
}

impl SecondLook {
    pub(crate) fn is_default(&self) -> bool {
        *self == SecondLook::default()
    }
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LookAt {
    All,
    Nothing,
    /// So many bytes in each second of the traffic's own time.
    BytesPerSecond(Rate),
}

/// Bytes a second, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WholeNumber", into = "u64")]
pub(crate) struct Rate(u64);

impl Rate {
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<WholeNumber> for Rate {
    type Error = String;

    fn try_from(WholeNumber(rate): WholeNumber) -> Result<Rate, String> {
        match rate {
            0 => Err("0 bytes a second, expected 1 or more, or `look_at: nothing`".to_owned()),
            rate => Ok(Rate(rate)),
        }
    }
}

impl From<Rate> for u64 {
    fn from(rate: Rate) -> u64 {
        rate.0
    }
}

/// A detector's score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WholeNumber", into = "u64")]
pub(crate) struct Score(u8);

impl Score {
    pub(crate) fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<WholeNumber> for Score {
    type Error = String;

    fn try_from(WholeNumber(score): WholeNumber) -> Result<Score, String> {
        match u8::try_from(score) {
            Ok(score @ 50..=100) => Ok(Score(score)),
            _ => Err(format!("{score} is no score, expected 50 to 100")),
        }
    }
}

impl From<Score> for u64 {
    fn from(score: Score) -> u64 {
        u64::from(score.0)
    }
}

/// What is done with made-up personal values at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canaries {
    /// Tried; those that would be stored are told.
    #[default]
    Tell,
    /// Tried; where one would be stored nothing begins.
    Required,
    /// Not tried.
    Nothing,
}

impl Canaries {
    pub(crate) fn is_default(&self) -> bool {
        *self == Canaries::default()
    }
}
