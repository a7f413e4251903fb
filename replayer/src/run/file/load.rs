//! How much a run file asks of the twins, and how fast.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twintap_plan::{Load, Pace};

use super::Settings;

/// Requests a second: finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(pub f64);

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(rate: f64) -> Result<Rate, String> {
        if rate.is_finite() && rate > 0.0 {
            Ok(Rate(rate))
        } else {
            Err(format!(
                "rate must be above 0 (requests a second), not {rate}"
            ))
        }
    }
}

/// How often something is done: at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Times(NonZeroU32);

impl Times {
    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl Default for Times {
    fn default() -> Times {
        Times(NonZeroU32::MIN)
    }
}

impl TryFrom<u64> for Times {
    type Error = String;

    fn try_from(times: u64) -> Result<Times, String> {
        u32::try_from(times)
            .ok()
            .and_then(NonZeroU32::new)
            .map(Times)
            .ok_or_else(|| format!("{times} is no number of times; it must be 1 or more"))
    }
}

impl From<Times> for u64 {
    fn from(times: Times) -> u64 {
        u64::from(times.get())
    }
}

/// How often the whole is gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// So often.
    Times(Times),
    /// Until the run is stopped.
    Forever,
}

/// The word for without end.
const FOREVER: &str = "forever";

impl Default for Repeats {
    fn default() -> Repeats {
        Repeats::Times(Times::default())
    }
}

impl FromStr for Repeats {
    type Err = String;

    fn from_str(text: &str) -> Result<Repeats, String> {
        if text == FOREVER {
            return Ok(Repeats::Forever);
        }
        let times: u64 = text
            .parse()
            .map_err(|_| format!("{text:?} is no number of times, and not `{FOREVER}`"))?;
        times.try_into().map(Repeats::Times)
    }
}

/// As it is written in a run file.
impl fmt::Display for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repeats::Times(times) => times.get().fmt(f),
            Repeats::Forever => FOREVER.fmt(f),
        }
    }
}

impl Serialize for Repeats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Repeats::Times(times) => times.serialize(serializer),
            Repeats::Forever => FOREVER.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Repeats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Repeats, D::Error> {
        deserializer.deserialize_any(RepeatsVisitor)
    }
}

struct RepeatsVisitor;

impl Visitor<'_> for RepeatsVisitor {
    type Value = Repeats;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of times, or `{FOREVER}`")
    }

    fn visit_u64<E: Error>(self, times: u64) -> Result<Repeats, E> {
        Times::try_from(times)
            .map(Repeats::Times)
            .map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, times: i64) -> Result<Repeats, E> {
        self.visit_u64(u64::try_from(times).unwrap_or(0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Repeats, E> {
        text.parse().map_err(E::custom)
    }
}

impl Settings {
    /// Whether it is gone through until the run is stopped.
    pub(crate) fn is_endless(&self) -> bool {
        self.rounds == Repeats::Forever
    }

    /// Whether it ends by itself.
    pub(crate) fn has_end(&self) -> bool {
        self.follow.is_none() && !self.is_endless()
    }

    /// Whether idle processors stay awake while it fires: for the times of a run that is
    /// over soon, not for days.
    pub(crate) fn stays_awake(&self) -> bool {
        let usual = self.has_end() && self.pace == Pace::Recorded;
        self.limits.stay_awake.unwrap_or(usual)
    }

    /// Requests in flight at one twin, where nothing is said: nobody has so many users,
    /// but a twin that is asked for all at once would have.
    pub(crate) fn max_in_flight(&self, pace: Pace) -> usize {
        self.limits.in_flight.unwrap_or(match pace {
            Pace::Recorded | Pace::Closed => 10_000,
            Pace::Asap => 64,
        })
    }

    /// What is made of the plan; `key` decides how far copies are apart. Without end it is
    /// that of one round, and the ramp is that of them all.
    pub(crate) fn load(&self, key: [u8; 32]) -> Load {
        let ns = |span: super::Span| u64::try_from(span.0.as_nanos()).unwrap_or(u64::MAX);
        Load {
            speed: self.speed.map_or(1.0, |speed| speed.0),
            rate: self.rate.map(|rate| rate.0),
            pace: self.pace,
            copies: self.scale.get(),
            rounds: match self.rounds {
                Repeats::Times(times) => times.get(),
                Repeats::Forever => 1,
            },
            ramp_ns: if self.is_endless() { 0 } else { ns(self.ramp) },
            key,
        }
    }

    /// Makes the load that of one look: once, everything due at once, and all of it judged.
    pub(crate) fn load_once(&mut self) {
        self.follow = None;
        (self.speed, self.rate, self.report_every) = (None, None, None);
        self.pace = Pace::Asap;
        (self.scale, self.rounds) = (Times::default(), Repeats::default());
        (self.ramp, self.warm_up) = (super::Span::default(), super::Span::default());
    }

    /// The first key that makes the load another one than the recorded.
    fn load_key(&self) -> Option<&'static str> {
        let keys = [
            ("speed", self.speed.is_some_and(|speed| speed.0 != 1.0)),
            ("rate", self.rate.is_some()),
            ("pace", self.pace != Pace::Recorded),
            ("scale", self.scale != Times::default()),
            ("loop", self.rounds != Repeats::default()),
            ("ramp", !self.ramp.0.is_zero()),
            ("warm_up", !self.warm_up.0.is_zero()),
        ];
        keys.into_iter()
            .find(|(_, is_said)| *is_said)
            .map(|(key, _)| key)
    }

    /// Looks for keys that contradict each other.
    pub(super) fn check_load(&self) -> Result<()> {
        if let (Some(_), Some(key)) = (&self.follow, self.load_key()) {
            bail!("`{key}` goes with no `follow`: what is captured now comes as it comes");
        }
        if self.targets.second_baseline.is_some() && !self.has_end() {
            bail!(
                "`targets.second_baseline` goes with no `follow` and with no `loop: forever`: only \
                 a run that has an end has a second baseline"
            );
        }
        if self.report_every.is_some() && !self.is_endless() {
            bail!("`report_every` goes with `loop: forever` alone: other runs have one report");
        }
        if self.speed.is_some() && self.rate.is_some() {
            bail!("`speed` and `rate` both say how fast the run is; keep one of them");
        }
        let beside = |key: &str, is_said: bool| is_said.then(|| key.to_owned());
        let ramp = beside("ramp", !self.ramp.0.is_zero());
        let rate = beside("rate", self.rate.is_some());
        let speed = beside("speed", self.speed.is_some());
        let (pace, why, meaningless) = match self.pace {
            Pace::Recorded => return Ok(()),
            Pace::Asap => ("asap", "everything is due at once", rate.or(speed).or(ramp)),
            Pace::Closed => ("closed", "requests are due after answers", rate),
        };
        if let Some(key) = meaningless {
            bail!("`{key}` means nothing with `pace: {pace}`, where {why}; leave one of them out");
        }
        Ok(())
    }
}
