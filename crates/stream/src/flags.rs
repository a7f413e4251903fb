//! Names of irregularities of messages.

use crate::maybe::Rare;

/// Names of irregularities, each once. Mostly there are none, and then it takes one word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Rare<Vec<&'static str>>);

impl Flags {
    pub fn set(&mut self, flag: &'static str) {
        let names = self.0.get_or_insert_default();
        if !names.contains(&flag) {
            names.push(flag);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The one that was set first.
    pub fn first(&self) -> Option<&'static str> {
        self.0.as_ref()?.first().copied()
    }

    pub fn merge(&mut self, other: Flags) {
        for flag in other.0.into_iter().flat_map(|names| *names) {
            self.set(flag);
        }
    }

    pub fn names(&self) -> Vec<String> {
        let names = self.0.iter().flat_map(|names| names.iter());
        names.map(|flag| (*flag).to_owned()).collect()
    }
}
