//! The cart of the user who is logged in.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::{AppState, Json, PRIVATE};
use crate::auth::{Confirmed, LoggedIn};
use crate::error::ApiError;
use crate::money::Totals;
use crate::mutations::Mutation;
use crate::store::{CartItem, MOST_OF_ONE};

#[derive(Deserialize)]
pub struct Addition {
    product_id: String,
    quantity: i64,
}

#[derive(Deserialize)]
pub struct Change {
    quantity: i64,
}

#[derive(Serialize)]
struct Cart {
    items: Vec<CartItem>,
    totals: Totals,
}

/// `GET /cart`
pub async fn show(
    State(state): State<AppState>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let items = state.store.cart(&session.account_id)?;
    let subtotal_cents: i64 = items.iter().map(|item| item.line_cents).sum();
    let stale_cents = match state.mutations.has(Mutation::StaleTotal) {
        true => state.memory.removed_cents(&session.account_id),
        false => 0,
    };
    let totals = Totals::of(subtotal_cents + stale_cents);
    let cart = Cart { items, totals };
    Ok(([(header::CACHE_CONTROL, PRIVATE)], Json(cart)))
}

/// `POST /cart/items`
pub async fn add(
    State(state): State<AppState>,
    Confirmed(session): Confirmed,
    Json(addition): Json<Addition>,
) -> Result<impl IntoResponse, ApiError> {
    checked_quantity(addition.quantity)?;
    let add = || {
        state
            .store
            .add_to_cart(&session.account_id, &addition.product_id, addition.quantity)?
            .ok_or(ApiError::NotFound("product"))
    };
    let mut added = add()?;
    if state.mutations.has(Mutation::RetryStorm) {
        added = add()?;
    }
    let status = if added.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(added.item)))
}

/// `PUT /cart/items/{id}`
pub async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Confirmed(session): Confirmed,
    Json(change): Json<Change>,
) -> Result<impl IntoResponse, ApiError> {
    checked_quantity(change.quantity)?;
    let before = match state.mutations.has(Mutation::LostUpdate) {
        true => line(&state, &session.account_id, &id)?,
        false => None,
    };
    let item = state
        .store
        .change_cart_item(&session.account_id, &id, change.quantity)?
        .ok_or(ApiError::NotFound("cart item"))?;
    if let Some(before) = before {
        state
            .store
            .change_cart_item(&session.account_id, &id, before.quantity)?;
    }
    Ok(Json(item))
}

/// `DELETE /cart/items/{id}`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Confirmed(session): Confirmed,
) -> Result<StatusCode, ApiError> {
    if state.mutations.has(Mutation::StaleTotal)
        && let Some(gone) = line(&state, &session.account_id, &id)?
    {
        state
            .memory
            .remember_removed(&session.account_id, gone.line_cents);
    }
    if state.store.remove_cart_item(&session.account_id, &id)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound("cart item"))
    }
}

/// The line with this id, if the cart has it.
fn line(state: &AppState, account_id: &str, id: &str) -> Result<Option<CartItem>, ApiError> {
    let items = state.store.cart(account_id)?;
    Ok(items.into_iter().find(|item| item.id == id))
}

fn checked_quantity(quantity: i64) -> Result<(), ApiError> {
    if (1..=MOST_OF_ONE).contains(&quantity) {
        Ok(())
    } else {
        Err(ApiError::Invalid(format!(
            "a quantity is 1 to {MOST_OF_ONE}"
        )))
    }
}
