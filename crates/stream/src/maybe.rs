//! A number that may be absent, in no more memory than the number.

/// For fields that every idle flow has. The largest number stands for absence: no offset gets
/// there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maybe(u64);

impl Maybe {
    pub const NONE: Maybe = Maybe(u64::MAX);

    pub fn get(self) -> Option<u64> {
        (self != Maybe::NONE).then_some(self.0)
    }
}

impl Default for Maybe {
    fn default() -> Maybe {
        Maybe::NONE
    }
}

impl From<u64> for Maybe {
    fn from(number: u64) -> Maybe {
        Maybe(number)
    }
}

impl From<Option<u64>> for Maybe {
    fn from(number: Option<u64>) -> Maybe {
        number.map_or(Maybe::NONE, Maybe)
    }
}
