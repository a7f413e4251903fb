//! Checkout and orders.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use futures::stream;
use serde::Serialize;

use super::{AppState, Json, PRIVATE};
use crate::auth::{Confirmed, LoggedIn};
use crate::error::ApiError;
use crate::money::Totals;
use crate::mutations::Mutation;
use crate::regressions::Regression;
use crate::store;

/// The header by which a client repeats a checkout without buying twice.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that says that a checkout was a repeated one.
const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";

#[derive(Serialize)]
struct Order {
    id: String,
    created_at: String,
    status: &'static str,
    items: Vec<store::OrderItem>,
    totals: Totals,
}

impl From<store::Order> for Order {
    fn from(order: store::Order) -> Self {
        Self {
            id: order.id,
            created_at: order.created_at,
            status: PAID,
            items: order.items,
            totals: Totals::of(order.subtotal_cents),
        }
    }
}

#[derive(Serialize)]
struct Orders {
    orders: Vec<Summary>,
}

#[derive(Serialize)]
struct Summary {
    id: String,
    created_at: String,
    status: &'static str,
    item_count: i64,
    total_cents: i64,
}

#[derive(Serialize)]
struct Event<'a> {
    order_id: &'a str,
    step: usize,
    event: &'static str,
}

/// The only status that a user sees: when an order is shipped depends on the clock.
const PAID: &str = "paid";

/// `POST /checkout`
pub async fn check_out(
    State(state): State<AppState>,
    Confirmed(session): Confirmed,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = headers
        .get(IDEMPOTENCY_KEY)
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| ApiError::BadRequest("the idempotency key is not ASCII".to_owned()))?;
    let mut placed = state
        .store
        .place_order(&session.account_id, key)?
        .ok_or(ApiError::Conflict("the cart is empty"))?;
    if placed.is_repeated && state.mutations.has(Mutation::DoubleCharge) {
        placed = state
            .store
            .place_again(&session.account_id, &placed.order)?;
    }
    let mut order = Order::from(placed.order);
    if state.regressions.has(Regression::Rounding) {
        order.totals = order.totals.with_total_rounded_down();
    }
    let location = format!("/orders/{}", order.id);
    let mut response = (
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        [(header::CACHE_CONTROL, PRIVATE)],
        Json(order),
    )
        .into_response();
    if placed.is_repeated {
        response
            .headers_mut()
            .insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// `GET /orders`
pub async fn list(
    State(state): State<AppState>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let orders = state
        .store
        .orders(&session.account_id, MOST_LISTED)?
        .into_iter()
        .map(|order| Summary {
            id: order.id,
            created_at: order.created_at,
            status: PAID,
            item_count: order.item_count,
            total_cents: Totals::of(order.subtotal_cents).total_cents,
        })
        .collect();
    Ok(([(header::CACHE_CONTROL, PRIVATE)], Json(Orders { orders })))
}

/// `GET /orders/{id}`
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let order = state
        .store
        .order(&session.account_id, &id)?
        .ok_or(ApiError::NotFound("order"))?;
    Ok(([(header::CACHE_CONTROL, PRIVATE)], Json(Order::from(order))))
}

/// `GET /orders/{id}/events`: one line of JSON in a chunk, with a pause before each but the first.
pub async fn events(
    State(state): State<AppState>,
    Path(id): Path<String>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let order = state
        .store
        .order(&session.account_id, &id)?
        .ok_or(ApiError::NotFound("order"))?;
    let most = match state.mutations.has(Mutation::LastEventGone) {
        true => EVENTS.len() - 1,
        false => EVENTS.len(),
    };
    let lines = stream::iter(1..).zip(stream::iter(&EVENTS[..most])).then(
        move |(step, event): (usize, &&'static str)| {
            let line = event_line(&order.id, step, event);
            async move {
                if step > 1 {
                    tokio::time::sleep(PAUSE).await;
                }
                Ok::<Bytes, Infallible>(line)
            }
        },
    );
    Ok((
        [
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-ndjson"),
            ),
            (header::CACHE_CONTROL, PRIVATE),
        ],
        Body::from_stream(lines),
    ))
}

fn event_line(order_id: &str, step: usize, event: &'static str) -> Bytes {
    let event = Event {
        order_id,
        step,
        event,
    };
    // Strings and an integer always serialize.
    let mut line = serde_json::to_vec(&event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

const EVENTS: &[&str] = &["received", "paid", "picked", "packed", "labelled"];
const PAUSE: Duration = Duration::from_millis(10);
const MOST_LISTED: i64 = 50;
