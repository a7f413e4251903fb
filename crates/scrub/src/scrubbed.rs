//! Privacy by type.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// A value that went through the policy. Only this crate can make one, and
/// storage and reports take nothing else.
///
/// Reading one back (`Deserialize`) is for what was stored as scrubbed before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scrubbed<T>(T);

impl<T> Scrubbed<T> {
    pub(crate) fn vouch(value: T) -> Scrubbed<T> {
        Scrubbed(value)
    }

    /// The value, to be used where nothing more is stored.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Scrubbed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
