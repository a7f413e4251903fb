//! Things that may be absent, in little memory where they are.

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

/// Like [`Maybe`], for numbers below 2^32 - 1; the largest one counts as that less one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Maybe32(u32);

impl Maybe32 {
    pub const NONE: Maybe32 = Maybe32(u32::MAX);

    pub fn get(self) -> Option<u32> {
        (self != Maybe32::NONE).then_some(self.0)
    }
}

impl From<u32> for Maybe32 {
    fn from(number: u32) -> Maybe32 {
        Maybe32(number.min(u32::MAX - 1))
    }
}

impl From<Option<u32>> for Maybe32 {
    fn from(number: Option<u32>) -> Maybe32 {
        number.map_or(Maybe32::NONE, Maybe32::from)
    }
}

/// What is mostly absent, and takes one word then: a collection alone takes three or four.
pub(crate) type Rare<T> = Option<Box<T>>;
