//! The cart of the user who is logged in.

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::{AppState, Json, PRIVATE};
use crate::auth::{Confirmed, LoggedIn};
use crate::error::ApiError;
use crate::money::Totals;
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
    let totals = Totals::of(items.iter().map(|item| item.line_cents).sum());
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
    let added = state
        .store
        .add_to_cart(&session.account_id, &addition.product_id, addition.quantity)?
        .ok_or(ApiError::NotFound("product"))?;
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
    let item = state
        .store
        .change_cart_item(&session.account_id, &id, change.quantity)?
        .ok_or(ApiError::NotFound("cart item"))?;
    Ok(Json(item))
}

/// `DELETE /cart/items/{id}`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Confirmed(session): Confirmed,
) -> Result<StatusCode, ApiError> {
    if state.store.remove_cart_item(&session.account_id, &id)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::NotFound("cart item"))
    }
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
