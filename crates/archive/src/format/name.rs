//! The names of files.

/// The identity.
pub(crate) const IDENTITY: &str = "archive.id";

/// A part's number and state, as its name says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartName {
    pub number: u64,
    pub sealed: bool,
}

impl PartName {
    /// The part that has this name, if it is a part's name.
    pub fn parse(name: &str) -> Option<PartName> {
        let (digits, extension) = name.split_once('.')?;
        let sealed = match extension {
            "part" => true,
            "open" => false,
            _ => return None,
        };
        let number: u64 = digits.parse().ok()?;
        (number > 0 && format!("{number:08}") == digits).then_some(PartName { number, sealed })
    }
}

pub(crate) fn open_name(number: u64) -> String {
    format!("{number:08}.open")
}

pub(crate) fn sealed_name(number: u64) -> String {
    format!("{number:08}.part")
}

/// True for a file that was never published.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.ends_with(".tmp")
}
