//! What each endpoint announces to the other (RFC 9113, sections 6.5 and 6.9).

use std::collections::VecDeque;

use super::frame::MIN_MAX_FRAME;
use crate::flags::Flags;
use crate::maybe::Rare;

/// More settings than this are never waited for: a peer that does not acknowledge them is broken.
const MAX_PENDING: usize = 16;

/// The largest window.
pub(super) const MAX_WINDOW: i64 = (1 << 31) - 1;

/// The settings that matter to an observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub table_bytes: u32,
    pub window_bytes: u32,
    pub frame_bytes: u32,
}

impl Settings {
    const INITIAL: Settings = Settings {
        table_bytes: 4096,
        window_bytes: 65_535,
        frame_bytes: MIN_MAX_FRAME,
    };

    fn apply(&mut self, payload: &[u8], flags: &mut Flags) {
        for entry in payload.chunks_exact(6) {
            let [a, b, c, d, e, f] = *entry else { continue };
            let value = u32::from_be_bytes([c, d, e, f]);
            match u16::from_be_bytes([a, b]) {
                0x1 => self.table_bytes = value,
                0x2 if value > 1 => flags.set("bad_settings"),
                0x4 if i64::from(value) > MAX_WINDOW => flags.set("bad_settings"),
                0x4 => self.window_bytes = value,
                0x5 if !(MIN_MAX_FRAME..1 << 24).contains(&value) => flags.set("bad_settings"),
                0x5 => self.frame_bytes = value,
                _ => {}
            }
        }
    }
}

/// The settings of one endpoint: those in force, and those that the other has yet to acknowledge.
#[derive(Debug)]
pub(super) struct Announced {
    in_force: Settings,
    /// None of them, mostly: then it takes one word.
    pending: Rare<VecDeque<Settings>>,
    /// None of them was missed.
    is_known: bool,
}

impl Announced {
    pub fn new(is_known: bool) -> Announced {
        Announced {
            in_force: Settings::INITIAL,
            pending: None,
            is_known,
        }
    }

    /// Some may have been missed.
    pub fn forget(&mut self) {
        self.is_known = false;
    }

    /// Takes a payload of a SETTINGS frame.
    pub fn announce(&mut self, payload: &[u8], flags: &mut Flags) {
        let pending = self.pending.get_or_insert_default();
        let mut next = pending.back().copied().unwrap_or(self.in_force);
        next.apply(payload, flags);
        if pending.len() >= MAX_PENDING {
            flags.set("settings_unacknowledged");
            self.is_known = false;
            pending.pop_front();
        }
        pending.push_back(next);
    }

    /// The other endpoint acknowledged the oldest.
    pub fn acknowledge(&mut self) -> Settings {
        if let Some(pending) = &mut self.pending {
            if let Some(next) = pending.pop_front() {
                self.in_force = next;
            }
            if pending.is_empty() {
                self.pending = None;
            }
        }
        self.in_force
    }

    /// The other endpoint may have acknowledged all of them.
    pub fn largest_table(&self) -> Option<u32> {
        self.largest(|settings| settings.table_bytes)
    }

    pub fn largest_frame(&self) -> Option<u32> {
        self.largest(|settings| settings.frame_bytes)
    }

    pub fn largest_window(&self) -> Option<u32> {
        self.largest(|settings| settings.window_bytes)
    }

    /// The largest value that the other endpoint may go by now; None when it is unknown.
    fn largest(&self, of: impl Fn(&Settings) -> u32) -> Option<u32> {
        let pending = self
            .pending
            .iter()
            .flat_map(|pending| pending.iter().map(&of));
        self.is_known
            .then(|| pending.fold(of(&self.in_force), u32::max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_for_the_oldest() {
        let mut flags = Flags::default();
        let mut announced = Announced::new(true);
        announced.announce(&[0, 1, 0, 0, 0x20, 0], &mut flags);
        announced.announce(&[0, 1, 0, 0, 0, 0], &mut flags);
        assert_eq!(announced.largest_table(), Some(0x2000));
        assert_eq!(announced.acknowledge().table_bytes, 0x2000);
        assert_eq!(announced.acknowledge().table_bytes, 0);
        assert_eq!(announced.largest_table(), Some(0));
        assert_eq!(flags, Flags::default());
    }

    #[test]
    fn values_out_of_range_are_flagged() {
        let mut flags = Flags::default();
        let mut announced = Announced::new(true);
        announced.announce(&[0, 4, 0x80, 0, 0, 0, 0, 5, 0, 0, 0, 1], &mut flags);
        assert_eq!(flags.names(), ["bad_settings"]);
        assert_eq!(announced.acknowledge(), Settings::INITIAL);
    }
}
