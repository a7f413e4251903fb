//! What numbers of the rules of judgement may be.

use crate::options::Options;

/// A value that decides nothing, or everything.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`verdict.{key}` is {value}; it must be {allowed}")]
pub struct OptionError {
    key: &'static str,
    value: f64,
    allowed: &'static str,
}

impl Options {
    /// Looks for values outside of what they can mean, such as percents where shares are meant.
    ///
    /// # Errors
    /// Names the key, its value, and what is allowed.
    pub fn check(&self) -> Result<(), OptionError> {
        let (latency, resources) = (&self.latency, &self.resources);
        let examples = self.examples as f64;
        [
            is_share("fidelity_floor", self.fidelity_floor),
            is_share("same_status_floor", self.same_status_floor),
            is(
                "level",
                self.level,
                "above 0 and below 1: 0.01 is 1 %",
                |level| level > 0.0 && level < 1.0,
            ),
            is_share("min_rate_difference", self.min_rate_difference),
            is("examples", examples, "1 or more", |examples| {
                examples >= 1.0
            }),
            is_least("latency.min_shift_ms", latency.min_shift_ms),
            is_least("latency.min_shift_ratio", latency.min_shift_ratio),
            is_least("latency.min_tail_shift_ms", latency.min_tail_shift_ms),
            is_least("latency.min_tail_shift_ratio", latency.min_tail_shift_ratio),
            is_least("resources.min_growth", resources.min_growth),
            is_least("resources.min_cpu_shift", resources.min_cpu_shift),
        ]
        .into_iter()
        .collect()
    }
}

/// A share of a whole.
fn is_share(key: &'static str, value: f64) -> Result<(), OptionError> {
    let allowed = "a share from 0 to 1: 0.95 is 95 %";
    is(key, value, allowed, |share| (0.0..=1.0).contains(&share))
}

/// The least of a change that counts.
fn is_least(key: &'static str, value: f64) -> Result<(), OptionError> {
    is(key, value, "0 or more", |least| {
        least >= 0.0 && least.is_finite()
    })
}

fn is(
    key: &'static str,
    value: f64,
    allowed: &'static str,
    fits: impl Fn(f64) -> bool,
) -> Result<(), OptionError> {
    match fits(value) {
        true => Ok(()),
        false => Err(OptionError {
            key,
            value,
            allowed,
        }),
    }
}
