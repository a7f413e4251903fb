//! Which faults a shop has.

use std::collections::BTreeSet;

use clap::ValueEnum;

/// The faults that a shop has, of one family: none in production, some in a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults<F>(BTreeSet<F>);

impl<F: Ord> Default for Faults<F> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<F: ValueEnum + Copy + Ord> Faults<F> {
    /// No fault: the shop as it is in production.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every fault there is.
    #[must_use]
    pub fn all() -> Self {
        F::value_variants().iter().copied().collect()
    }

    /// Whether the shop has this fault.
    #[must_use]
    pub fn has(&self, fault: F) -> bool {
        self.0.contains(&fault)
    }

    /// Whether the shop has no fault at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults, in the order of their definition.
    pub fn iter(&self) -> impl Iterator<Item = F> + '_ {
        self.0.iter().copied()
    }

    /// The faults by name, separated by commas, as `twintap-shop` takes them.
    #[must_use]
    pub fn to_list(&self) -> String {
        let names: Vec<String> = self
            .0
            .iter()
            .filter_map(ValueEnum::to_possible_value)
            .map(|value| value.get_name().to_owned())
            .collect();
        names.join(",")
    }
}

impl<F: Ord> FromIterator<F> for Faults<F> {
    fn from_iter<I: IntoIterator<Item = F>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}
