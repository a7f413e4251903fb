//! Reviews: a page with a form, the form's target, and what came of it.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use super::{AppState, PRIVATE};
use crate::auth::LoggedIn;
use crate::error::ApiError;

/// What the form sends; its token comes in the body, as a page without scripts can't set headers.
#[derive(Deserialize)]
pub struct Review {
    csrf_token: String,
    rating: i64,
    body: String,
}

/// `GET /products/{id}/review`
pub async fn form(
    State(state): State<AppState>,
    Path(id): Path<String>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let product = state
        .store
        .product(&id)?
        .ok_or(ApiError::NotFound("product"))?;
    let content = html! {
        form method="post" action={ "/products/" (product.id) "/reviews" } {
            input type="hidden" name="csrf_token" value=(session.csrf_token);
            label { "Rating " input type="number" name="rating" min="1" max="5"; }
            label { "Review " textarea name="body" {} }
            button { "Send" }
        }
    };
    Ok(page(&format!("Review of {}", product.name), &content))
}

/// `POST /products/{id}/reviews`
pub async fn submit(
    State(state): State<AppState>,
    Path(id): Path<String>,
    LoggedIn(session): LoggedIn,
    review: Result<Form<Review>, FormRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Form(review) = review?;
    if review.csrf_token != session.csrf_token {
        return Err(ApiError::CsrfRefused);
    }
    if !(1..=5).contains(&review.rating) || review.body.chars().count() > 2_000 {
        return Err(ApiError::Invalid(
            "a rating is 1 to 5, a review has at most 2000 characters".to_owned(),
        ));
    }
    let product = state
        .store
        .product(&id)?
        .ok_or(ApiError::NotFound("product"))?;
    let review_id = state.store.add_review(
        &session.account_id,
        &product.id,
        review.rating,
        &review.body,
    )?;
    Ok((
        StatusCode::SEE_OTHER,
        [(header::LOCATION, format!("/reviews/{review_id}"))],
    ))
}

/// `GET /reviews/{id}`
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let review = state
        .store
        .review(&session.account_id, &id)?
        .ok_or(ApiError::NotFound("review"))?;
    let content = html! {
        article data-review=(review.id) {
            p { a href={ "/products/" (review.product_id) } { (review.product_name) } }
            p { (review.rating) " of 5" }
            p { (review.body) }
            time datetime=(review.created_at) { (review.created_at) }
        }
    };
    Ok(page("Thank you for your review", &content))
}

fn page(title: &str, content: &Markup) -> impl IntoResponse + use<> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (title) } }
            body { h1 { (title) } (content) }
        }
    };
    ([(header::CACHE_CONTROL, PRIVATE)], Html(page.into_string()))
}
