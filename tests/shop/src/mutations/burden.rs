//! Faults that show in what the shop needs for its answers, and not in them.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::answers::endpoint_of;
use super::{Mutation, lock};
use crate::routes::AppState;

/// The middleware of [`Mutation::DescriptorLeak`], [`Mutation::LockContention`] and
/// [`Mutation::SlowTail`].
pub(crate) async fn burden(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let memory = &state.memory;
    if state.mutations.has(Mutation::LockContention) {
        let _turn = memory.shared.lock().await;
        tokio::time::sleep(LOCKED_FOR).await;
    }
    if endpoint_of(&request) == "GET /products/{id}/image" {
        let number = memory.images.fetch_add(1, Ordering::Relaxed);
        if state.mutations.has(Mutation::SlowTail) && number % SLOW_ONE_OF == 0 {
            tokio::time::sleep(SLOWER_BY).await;
        }
        if state.mutations.has(Mutation::DescriptorLeak) {
            // What can't be opened any more is not left behind either.
            lock(&memory.files).extend(File::open("/dev/null"));
        }
    }
    next.run(request).await
}

const LOCKED_FOR: Duration = Duration::from_millis(2);
const SLOWER_BY: Duration = Duration::from_millis(200);
const SLOW_ONE_OF: u64 = 20;
