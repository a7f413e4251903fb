//! The profile of the user who is logged in.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use super::{AppState, Json, PRIVATE};
use crate::auth::{Confirmed, LoggedIn};
use crate::error::ApiError;
use crate::mutations::Mutation;
use crate::regressions::Regression;
use crate::store::Account;

#[derive(Deserialize)]
pub struct Change {
    display_name: String,
}

#[derive(Serialize)]
struct Profile {
    id: String,
    username: String,
    display_name: String,
    created_at: String,
}

impl From<Account> for Profile {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            username: account.username,
            display_name: account.display_name,
            created_at: account.created_at,
        }
    }
}

/// `GET /profile`
pub async fn show(
    State(state): State<AppState>,
    LoggedIn(session): LoggedIn,
) -> Result<impl IntoResponse, ApiError> {
    let mut account = state.store.account(&session.account_id)?;
    if state.mutations.has(Mutation::StaleProfile) {
        account.display_name = state.memory.first_name(&account.id, account.display_name);
    }
    Ok((
        [(header::CACHE_CONTROL, PRIVATE)],
        Json(Profile::from(account)),
    ))
}

/// `PUT /profile`
pub async fn change(
    State(state): State<AppState>,
    Confirmed(session): Confirmed,
    Json(mut change): Json<Change>,
) -> Result<impl IntoResponse, ApiError> {
    checked_name(&change.display_name)?;
    if state.mutations.has(Mutation::NameCut) {
        change.display_name = change.display_name.chars().take(SHORT_NAME).collect();
    }
    state
        .store
        .rename(&session.account_id, &change.display_name)?;
    if state.mutations.has(Mutation::QuoteError) && change.display_name.contains('\'') {
        return Err(ApiError::Internal);
    }
    // After the name is stored, so that what the user asks for later is not touched.
    if state.regressions.has(Regression::Utf8Error) && !change.display_name.is_ascii() {
        return Err(ApiError::Internal);
    }
    let account = state.store.account(&session.account_id)?;
    Ok((
        [(header::CACHE_CONTROL, PRIVATE)],
        Json(Profile::from(account)),
    ))
}

/// The characters of a name that are left under [`Mutation::NameCut`].
const SHORT_NAME: usize = 10;

/// Refuses what is no name: blank, too long, or with control characters.
pub fn checked_name(display_name: &str) -> Result<(), ApiError> {
    let is_fine = !display_name.trim().is_empty()
        && display_name.chars().count() <= 80
        && !display_name.chars().any(char::is_control);
    if is_fine {
        Ok(())
    } else {
        Err(ApiError::Invalid(
            "a name has 1 to 80 characters, none of them control characters".to_owned(),
        ))
    }
}
