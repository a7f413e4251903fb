//! Keeps the agent within its CPU budget: how far it backs off, told what it costs.
//!
//! Compression goes first, since that loses nothing; then clients as a whole, a quarter at a time;
//! then the capture. It comes back the same way, more slowly than it went.

use std::{collections::VecDeque, fmt, str::FromStr};

use serde::Deserialize;
use twintap_abi::ALL_SHARES;

/// Over so many seconds the budget has to be exceeded before the agent backs off further: a burst
/// is not worth a gap.
const SECONDS_TO_BACK_OFF: usize = 3;
/// For so many seconds there has to be room before it comes back one step.
const SECONDS_TO_COME_BACK: usize = 10;
/// There is room below this share of the budget: the step back costs more than what is spent now.
const ROOM: f64 = 0.7;

/// A share of one processor.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct CpuShare(pub f64);

impl FromStr for CpuShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok())
            .filter(|percent| percent.is_finite() && *percent > 0.0)
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| format!("{text:?} is no share of a processor: write for example 2%"))
    }
}

impl TryFrom<String> for CpuShare {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How far the agent has backed off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackOff {
    /// Not at all.
    #[default]
    None,
    /// Frames are compressed as fast as can be.
    Compression,
    /// The clients of so many quarters of all shares are shed.
    Quarters(u8),
    /// Nothing is captured.
    Stop,
}

impl BackOff {
    /// As a number for metrics: 0 for not at all, 6 for the stop.
    pub fn level(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Compression => 1,
            Self::Quarters(quarters) => 1 + u64::from(quarters),
            Self::Stop => 6,
        }
    }

    /// How many shares of the clients are shed, of [`ALL_SHARES`].
    pub fn shed_shares(self) -> u32 {
        match self {
            Self::None | Self::Compression => 0,
            Self::Quarters(quarters) => ALL_SHARES / 4 * u32::from(quarters),
            Self::Stop => ALL_SHARES,
        }
    }

    fn further(self) -> Self {
        match self {
            Self::None => Self::Compression,
            Self::Compression => Self::Quarters(1),
            Self::Quarters(quarters @ ..=3) => Self::Quarters(quarters + 1),
            Self::Quarters(_) | Self::Stop => Self::Stop,
        }
    }

    fn back(self) -> Self {
        match self {
            Self::None | Self::Compression => Self::None,
            Self::Quarters(..=1) => Self::Compression,
            Self::Quarters(quarters) => Self::Quarters(quarters - 1),
            Self::Stop => Self::Quarters(4),
        }
    }
}

impl fmt::Display for BackOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("everything is captured"),
            Self::Compression => formatter.write_str("compressing as fast as can be"),
            Self::Quarters(4) => formatter.write_str("shedding all clients"),
            Self::Quarters(quarters) => write!(formatter, "shedding {quarters}/4 of the clients"),
            Self::Stop => formatter.write_str("capturing nothing"),
        }
    }
}

/// Decides how far to back off: [`Self::observe`] once a second.
#[derive(Debug)]
pub struct Governor {
    budget: CpuShare,
    state: BackOff,
    /// The share of a processor that the last seconds took, the latest last.
    spent: VecDeque<f64>,
}

impl Governor {
    /// Holds the agent to `budget`.
    pub fn new(budget: CpuShare) -> Self {
        Self {
            budget,
            state: BackOff::None,
            spent: VecDeque::new(),
        }
    }

    /// Takes what the last second took; gives the new state when it changes.
    pub fn observe(&mut self, spent: CpuShare) -> Option<BackOff> {
        self.spent.push_back(spent.0);
        if self.spent.len() > SECONDS_TO_COME_BACK {
            self.spent.pop_front();
        }
        let next = if self.mean(SECONDS_TO_BACK_OFF) > Some(self.budget.0) {
            self.state.further()
        } else if let Some(mean) = self.mean(SECONDS_TO_COME_BACK)
            && mean < self.budget.0 * ROOM
        {
            self.state.back()
        } else {
            self.state
        };
        if next == self.state {
            return None;
        }
        // What was spent before says nothing of the new state.
        self.spent.clear();
        self.state = next;
        Some(next)
    }

    /// The mean of the last `seconds`, when there are so many.
    fn mean(&self, seconds: usize) -> Option<f64> {
        let start = self.spent.len().checked_sub(seconds)?;
        Some(self.spent.range(start..).sum::<f64>() / seconds as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::{BackOff, CpuShare, Governor};

    /// The states that so many seconds at this share of the budget lead through.
    fn observe(governor: &mut Governor, seconds: usize, share: f64) -> Vec<BackOff> {
        let spent = CpuShare(0.02 * share);
        (0..seconds)
            .filter_map(|_| governor.observe(spent))
            .collect()
    }

    #[test]
    fn it_backs_off_step_by_step_and_comes_back() {
        use BackOff::{Compression, None, Quarters, Stop};
        let mut governor = Governor::new("2%".parse().expect("a share"));
        let further = [
            Compression,
            Quarters(1),
            Quarters(2),
            Quarters(3),
            Quarters(4),
            Stop,
        ];
        assert_eq!(observe(&mut governor, 18, 1.5), further);
        assert_eq!(
            observe(&mut governor, 30, 1.5),
            [],
            "further than that is nothing"
        );
        let back = [
            Quarters(4),
            Quarters(3),
            Quarters(2),
            Quarters(1),
            Compression,
            None,
        ];
        assert_eq!(observe(&mut governor, 63, 0.1), back);
        assert!(further.is_sorted_by_key(|state| state.shed_shares()));
        assert_eq!(further.map(BackOff::level), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn bursts_and_what_is_near_the_budget_change_nothing() {
        let mut governor = Governor::new(CpuShare(0.02));
        assert_eq!(observe(&mut governor, 2, 1.4), []);
        assert_eq!(observe(&mut governor, 1, 0.0), []);
        assert_eq!(observe(&mut governor, 1, 2.0), [BackOff::Compression]);
        assert_eq!(observe(&mut governor, 60, 0.9), [], "no room to come back");
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!("2%".parse(), Ok(CpuShare(0.02)));
        assert_eq!("150 %".parse(), Ok(CpuShare(1.5)));
        for wrong in ["2", "0%", "-1%", "inf%", "%", ""] {
            assert!(wrong.parse::<CpuShare>().is_err(), "{wrong}");
        }
    }
}
