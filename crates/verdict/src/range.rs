//! From the lowest to the highest of some values.

/// Where values lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Range {
    /// That of one value.
    pub(crate) fn of(value: f64) -> Range {
        Range {
            low: value,
            high: value,
        }
    }
}

/// That of the values of both, as far as there are any.
pub(crate) fn joined(one: Option<Range>, other: Option<Range>) -> Option<Range> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Range {
            low: one.low.min(other.low),
            high: one.high.max(other.high),
        }),
        (one, other) => one.or(other),
    }
}
