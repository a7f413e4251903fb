//! What a candidate build breaks.
//!
//! Each regression shows on one endpoint alone and leaves the stored state as it was, so that a
//! report has one finding for each and no consequences of it elsewhere.

use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use clap::ValueEnum;

use crate::faults::Faults;
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

/// The faults that a shop has of these.
pub type Regressions = Faults<Regression>;

/// What [`Regression::Leak`] holds for ever.
#[derive(Debug, Default)]
pub(crate) struct Leaked(Mutex<Held>);

/// In slabs, so that what is left behind takes as much memory as it says: small pieces would
/// take what an allocator adds to each, and lies free between them.
#[derive(Debug, Default)]
struct Held {
    slabs: Vec<Box<[u8]>>,
    bytes: usize,
}

impl Leaked {
    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

/// The bytes that one request leaves behind under [`Regression::Leak`].
const LEAKED_BYTES: usize = 1024;
/// A multiple of it.
const SLAB_BYTES: usize = 16 << 10;

/// The middleware of [`Regression::Leak`].
pub(crate) async fn leak(State(state): State<AppState>, request: Request, next: Next) -> Response {
    {
        let mut held = state
            .leaked
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let place = held.bytes % SLAB_BYTES;
        if place == 0 {
            held.slabs.push(vec![0; SLAB_BYTES].into_boxed_slice());
        }
        if let Some(slab) = held.slabs.last_mut() {
            // Written, not only reserved: pages that nobody touched would not show in the
            // resident size.
            slab[place..place + LEAKED_BYTES].fill(0xa5);
        }
        held.bytes += LEAKED_BYTES;
    }
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
