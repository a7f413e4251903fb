//! What operators need: health, and the way back to the seeded start.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

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

/// `POST /admin/reset`
pub async fn reset(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    tokio::task::spawn_blocking(move || state.store.reset())
        .await
        .map_err(|_| ApiError::Internal)??;
    Ok(StatusCode::NO_CONTENT)
}
