//! What a candidate build breaks.
//!
//! Each regression shows on one endpoint alone and leaves the stored state as it was, so that a
//! report has one finding for each and no consequences of it elsewhere.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;

use crate::routes::AppState;

/// One fault of the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Regression {
    /// `PUT /profile` stores a name with letters outside ASCII, then answers 500.
    #[value(name = "utf8-500")]
    Utf8Error,
    /// `POST /checkout` rounds the total it answers down instead of half up.
    Rounding,
    /// `GET /search` takes 40 ms longer.
    Slow,
    /// `GET /products` has no `Cache-Control`.
    HeaderGone,
    /// `GET /products/{id}` has its `stock` as a string.
    TypeChange,
    /// Every request leaves 1 KiB behind in memory; no answer shows it.
    Leak,
}

/// The faults that a shop has: none in production, some in a candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regressions(BTreeSet<Regression>);

impl Regressions {
    /// No fault: the shop as it is in production.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every fault there is.
    #[must_use]
    pub fn all() -> Self {
        Regression::value_variants().iter().copied().collect()
    }

    /// Whether the shop has this fault.
    #[must_use]
    pub fn has(&self, regression: Regression) -> bool {
        self.0.contains(&regression)
    }

    /// Whether the shop has no fault at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults by name, separated by commas, as `--regressions` takes them.
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

impl FromIterator<Regression> for Regressions {
    fn from_iter<I: IntoIterator<Item = Regression>>(regressions: I) -> Self {
        Self(regressions.into_iter().collect())
    }
}

/// What [`Regression::Leak`] holds for ever.
#[derive(Debug, Default)]
pub(crate) struct Leaked(Mutex<Vec<Box<[u8]>>>);

impl Leaked {
    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        let leaked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leaked.iter().map(|retained| retained.len()).sum()
    }
}

/// The bytes that one request leaves behind under [`Regression::Leak`].
const LEAKED_BYTES: usize = 1024;

/// The middleware of [`Regression::Leak`].
pub(crate) async fn leak(State(state): State<AppState>, request: Request, next: Next) -> Response {
    // Written, not only reserved: pages that nobody touched would not show in the resident size.
    let retained = vec![0xa5; LEAKED_BYTES].into_boxed_slice();
    state
        .leaked
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(retained);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_fault() {
        assert_eq!(
            Regressions::all().to_list(),
            "utf8-500,rounding,slow,header-gone,type-change,leak"
        );
        assert_eq!(Regressions::none().to_list(), "");
    }
}
