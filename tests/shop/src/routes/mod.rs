//! What the shop answers, one module for each part of it.

mod accounts;
mod cart;
mod catalogue;
mod files;
mod image;
mod operation;
mod orders;
mod profile;
mod reviews;

use std::sync::Arc;

use axum::extract::FromRequest;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::mutations::{self, Memory, Mutations};
use crate::regressions::{self, Leaked, Regression, Regressions};
use crate::store::Store;
use crate::warming::{self, WarmCache};

/// What every handler shares.
#[derive(Clone)]
pub struct AppState {
    pub store: Arc<Store>,
    pub regressions: Arc<Regressions>,
    pub leaked: Arc<Leaked>,
    pub mutations: Arc<Mutations>,
    pub memory: Arc<Memory>,
    pub warming: Arc<WarmCache>,
    /// How many passwords are hashed at the same time: each takes a core and some memory.
    pub hashing: Arc<Semaphore>,
}

/// All routes; `POST /admin/reset` only where resetting is allowed.
pub fn router(state: AppState, allow_reset: bool) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(operation::health))
        .route("/metrics", get(operation::metrics))
        .route("/accounts", post(accounts::register))
        .route("/login", post(accounts::log_in))
        .route("/logout", post(accounts::log_out))
        .route("/profile", get(profile::show).put(profile::change))
        .route("/products", get(catalogue::list))
        .route("/products/{id}", get(catalogue::product))
        .route("/products/{id}/image", get(image::image))
        .route("/products/{id}/review", get(reviews::form))
        .route("/products/{id}/reviews", post(reviews::submit))
        .route("/reviews/{id}", get(reviews::show))
        .route("/search", get(catalogue::search))
        .route("/cart", get(cart::show))
        .route("/cart/items", post(cart::add))
        .route("/cart/items/{id}", put(cart::change).delete(cart::remove))
        .route("/checkout", post(orders::check_out))
        .route("/orders", get(orders::list))
        .route("/orders/{id}", get(orders::show))
        .route("/orders/{id}/events", get(orders::events))
        .route("/downloads/{name}", get(files::download))
        .route("/uploads", post(files::upload))
        .fallback(nothing_here);
    if allow_reset {
        router = router.route("/admin/reset", post(operation::reset));
    }
    if state.regressions.has(Regression::Leak) {
        router = router.layer(middleware::from_fn_with_state(
            state.clone(),
            regressions::leak,
        ));
    }
    if !state.mutations.is_empty() {
        router = router
            .layer(middleware::from_fn_with_state(
                state.clone(),
                mutations::alter,
            ))
            .layer(middleware::from_fn_with_state(
                state.clone(),
                mutations::burden,
            ));
    }
    if state.warming.is_used() {
        router = router.layer(middleware::from_fn_with_state(state.clone(), warming::warm));
    }
    router.with_state(state)
}

async fn nothing_here() -> ApiError {
    ApiError::NotFound("page")
}

/// A JSON body whose refusals look like all others.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A query string whose refusals look like all others.
#[derive(axum::extract::FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
struct Query<T>(T);

/// `Cache-Control` of what is the same for everybody.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// `Cache-Control` of what belongs to one user.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");
