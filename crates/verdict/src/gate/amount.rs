//! How shares and amounts are written in a gate.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A share of a whole, 0 to 1: `95%`, or 0.95.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// How much a latency may rise: `20ms`, or `10%` of the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rise {
    /// A share of what the baseline takes.
    Share(f64),
    /// Milliseconds.
    Ms(f64),
}

/// How much a figure may change: a number in its own unit, or `1%` of the baseline's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// A share of the baseline's.
    Share(f64),
    /// In the figure's unit.
    Units(f64),
}

impl Share {
    /// In percent with at most one digit after the point.
    pub(crate) fn short(self) -> String {
        let percent = (self.0 * 1000.0).round() / 10.0;
        format!("{percent} %")
    }
}

impl Rise {
    /// In milliseconds, where the baseline takes so many.
    pub(crate) fn in_ms(self, baseline_ms: f64) -> f64 {
        match self {
            Rise::Share(share) => share * baseline_ms,
            Rise::Ms(ms) => ms,
        }
    }
}

impl Amount {
    /// In the figure's unit, where the baseline has so many.
    pub(crate) fn in_units(self, baseline: f64) -> f64 {
        match self {
            Amount::Share(share) => share * baseline.abs(),
            Amount::Units(units) => units,
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        percent(text)
            .filter(|share| *share <= 1.0)
            .map(Share)
            .ok_or_else(|| format!("{text:?} is no share; write `95%`, or a number from 0 to 1"))
    }
}

impl FromStr for Rise {
    type Err = String;

    fn from_str(text: &str) -> Result<Rise, String> {
        if let Some(share) = percent(text) {
            return Ok(Rise::Share(share));
        }
        let span: Option<jiff::SignedDuration> = text.parse().ok();
        span.filter(|span| !span.is_negative())
            .map(|span| Rise::Ms(span.as_secs_f64() * 1000.0))
            .ok_or_else(|| format!("{text:?} is neither a span nor a share; write `20ms` or `10%`"))
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Amount, String> {
        percent(text)
            .map(Amount::Share)
            .ok_or_else(|| format!("{text:?} is no amount; write a number, or a share as `1%`"))
    }
}

/// As it is written.
impl fmt::Display for Rise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rise::Share(share) => Share(*share).fmt(f),
            Rise::Ms(ms) => write!(f, "{ms} ms"),
        }
    }
}

/// As it is written.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Share(share) => Share(*share).fmt(f),
            Amount::Units(units) => units.fmt(f),
        }
    }
}

/// In percent.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what binary fractions add far behind the point.
        let percent = (self.0 * 1e8).round() / 1e6;
        write!(f, "{percent} %")
    }
}

/// `10%` as a share; none for anything else, and for what is below nothing.
fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number / 100.0)
}

/// Reads a text by its own rules, and a number by `of_number`.
struct TextOrNumber<T> {
    of_number: fn(f64) -> Option<T>,
    expecting: &'static str,
}

impl<T: FromStr<Err = String>> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        let value = Some(number).filter(|number| number.is_finite() && *number >= 0.0);
        value
            .and_then(self.of_number)
            .ok_or_else(|| E::custom(format!("{number} is not {}", self.expecting)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_f64(number as f64)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Share, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            of_number: |number| (number <= 1.0).then_some(Share(number)),
            expecting: "a share: `95%`, or a number from 0 to 1",
        })
    }
}

impl<'de> Deserialize<'de> for Rise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rise, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            of_number: |_| None,
            expecting: "a span or a share: `20ms` or `10%`",
        })
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        deserializer.deserialize_any(TextOrNumber {
            of_number: |number| Some(Amount::Units(number)),
            expecting: "a number of 0 or more, or a share: `1%`",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_spans_and_numbers_are_told_apart() {
        assert_eq!("95%".parse(), Ok(Share(0.95)));
        assert_eq!("0.5 %".parse(), Ok(Amount::Share(0.005)));
        assert_eq!("10%".parse(), Ok(Rise::Share(0.1)));
        assert_eq!("1.5s".parse(), Ok(Rise::Ms(1500.0)));
        let of_json = |text: &str| serde_json::from_str::<Amount>(text).ok();
        assert_eq!(of_json("3"), Some(Amount::Units(3.0)));
        assert_eq!(of_json("\"150%\""), Some(Amount::Share(1.5)));
        assert_eq!(of_json("-1"), None);
        assert_eq!(
            serde_json::from_str::<Share>("0.25").ok(),
            Some(Share(0.25))
        );
    }

    #[test]
    fn what_is_none_says_what_would_be_right() {
        for text in ["150%", "-1%", "much", "NaN%"] {
            let error = text.parse::<Share>().expect_err("no share");
            assert!(error.contains("`95%`"), "{error}");
        }
        for text in ["20", "-20ms", ""] {
            let error = text.parse::<Rise>().expect_err("no rise");
            assert!(error.contains("`20ms`"), "{error}");
        }
    }

    #[test]
    fn percents_are_shown_as_they_were_written() {
        assert_eq!(Share(0.07).to_string(), "7 %");
        assert_eq!(Share(0.0005).to_string(), "0.05 %");
    }
}
