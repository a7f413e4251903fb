//! What operators need: health, metrics, and the way back to the seeded start.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use stats_alloc::INSTRUMENTED_SYSTEM;

use super::{AppState, Json};
use crate::error::ApiError;

#[derive(Serialize)]
pub struct Health {
    status: &'static str,
}

/// `GET /healthz`
pub async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /metrics`: the memory in use, where the program counts it.
pub async fn metrics() -> impl IntoResponse {
    let counted = INSTRUMENTED_SYSTEM.stats();
    // Read one after the other while others allocate: never less than nothing.
    let in_use = counted
        .bytes_allocated
        .saturating_sub(counted.bytes_deallocated);
    let text = match counted.allocations {
        0 => String::new(),
        _ => format!(
            "# HELP process_heap_bytes Memory in use, as the allocator counts it.\n\
             # TYPE process_heap_bytes gauge\n\
             process_heap_bytes {in_use}\n"
        ),
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

/// `POST /admin/reset`
pub async fn reset(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    tokio::task::spawn_blocking(move || state.store.reset())
        .await
        .map_err(|_| ApiError::Internal)??;
    Ok(StatusCode::NO_CONTENT)
}
