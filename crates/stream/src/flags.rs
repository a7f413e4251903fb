//! Names of irregularities of messages.

/// Names of irregularities, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<&'static str>);

impl Flags {
    pub fn set(&mut self, flag: &'static str) {
        if !self.0.contains(&flag) {
            self.0.push(flag);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn merge(&mut self, other: Flags) {
        other.0.into_iter().for_each(|flag| self.set(flag));
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|flag| (*flag).to_owned()).collect()
    }
}
