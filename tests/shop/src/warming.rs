//! A cache that fills while the shop is used, and stops: what is no leak, though memory grows.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::routes::AppState;

/// The bytes of one entry.
const ENTRY_BYTES: usize = 1024;

/// Entries of which each request wants one. Nothing is looked up in it: no answer shows it.
#[derive(Debug, Default)]
pub(crate) struct WarmCache {
    entries: Mutex<Vec<Option<Box<[u8]>>>>,
    requests: AtomicU64,
}

impl WarmCache {
    /// An empty cache with room for about so many bytes.
    pub(crate) fn of_bytes(bytes: usize) -> Self {
        let entries = vec![None; bytes / ENTRY_BYTES];
        Self {
            entries: Mutex::new(entries),
            requests: AtomicU64::new(0),
        }
    }

    /// Whether there is room for anything.
    pub(crate) fn is_used(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Fills the entry that the next request wants: any of them, as likely as another, so that
    /// fewer and fewer are missing.
    fn want(&self) {
        let mut hasher = DefaultHasher::new();
        self.requests
            .fetch_add(1, Ordering::Relaxed)
            .hash(&mut hasher);
        let mut entries = self.lock();
        let count = entries.len() as u64;
        if let Some(place) = hasher.finish().checked_rem(count) {
            // It is below the length, which is a `usize`.
            let entry = &mut entries[place as usize];
            // Written, not only reserved, so that the pages are resident.
            entry.get_or_insert_with(|| vec![0x5a; ENTRY_BYTES].into_boxed_slice());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Box<[u8]>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The middleware of a shop with such a cache.
pub(crate) async fn warm(State(state): State<AppState>, request: Request, next: Next) -> Response {
    state.warming.want();
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fills_and_stops() {
        let cache = WarmCache::of_bytes(100 * ENTRY_BYTES);
        let filled = || cache.lock().iter().flatten().count();
        assert!(cache.is_used() && filled() == 0);
        let after = [50, 50, 2000, 2000].map(|requests| {
            for _ in 0..requests {
                cache.want();
            }
            filled()
        });
        assert!(after[0] > 25 && after[0] < after[1] && after[1] < after[2]);
        assert_eq!(after[2..], [100, 100]);
        let none = WarmCache::default();
        none.want();
        assert!(!none.is_used());
    }
}
