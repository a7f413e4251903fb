//! How many bytes may be looked at, by the traffic's own clock.

use twintap_stream::Timestamp;

use crate::policy::LookAt;

const SECOND_NS: u128 = 1_000_000_000;

/// What is left to be looked at: it fills with time, up to that of one second.
pub(super) struct Budget {
    look_at: LookAt,
    left_bytes: u64,
    filled: Timestamp,
}

impl Budget {
    pub(super) fn new(look_at: LookAt) -> Budget {
        let left_bytes = match look_at {
            LookAt::BytesPerSecond(rate) => rate.get(),
            LookAt::All | LookAt::Nothing => 0,
        };
        Budget {
            look_at,
            left_bytes,
            filled: Timestamp::default(),
        }
    }

    /// Takes so many bytes at `time`, whose order over flows is loose; false when that is too
    /// many. What is larger than a whole second's budget is taken where all of that is left.
    pub(super) fn take(&mut self, bytes: u64, time: Timestamp) -> bool {
        let rate = match self.look_at {
            LookAt::All => return true,
            LookAt::Nothing => return false,
            LookAt::BytesPerSecond(rate) => rate.get(),
        };
        // A clock that was ahead for a moment must not keep it from filling until then.
        if self.filled.since_ns(time) > SECOND_NS as u64 {
            self.filled = time;
        }
        let gained = u128::from(time.since_ns(self.filled)) * u128::from(rate) / SECOND_NS;
        if gained > 0 {
            let gained = u64::try_from(gained).unwrap_or(u64::MAX);
            self.left_bytes = self.left_bytes.saturating_add(gained).min(rate);
            self.filled = time;
        }
        let wanted = bytes.min(rate);
        let is_in = wanted <= self.left_bytes;
        if is_in {
            self.left_bytes -= wanted;
        }
        is_in
    }
}
