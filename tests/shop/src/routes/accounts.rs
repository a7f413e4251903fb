//! Registration, login and logout.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use cookie::{Cookie, SameSite};
use serde::{Deserialize, Serialize};

use super::{AppState, Json, profile};
use crate::auth::{Confirmed, SESSION_COOKIE};
use crate::error::ApiError;
use crate::password;
use crate::store::{Account, SESSION_LIFE_S};

#[derive(Deserialize)]
pub struct Registration {
    username: String,
    password: String,
    display_name: String,
}

#[derive(Deserialize)]
pub struct Login {
    username: String,
    password: String,
}

#[derive(Serialize)]
struct User {
    id: String,
    username: String,
    display_name: String,
}

#[derive(Serialize)]
struct Registered {
    user: User,
}

#[derive(Serialize)]
struct LoginAnswer {
    user: User,
    csrf_token: String,
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            username: account.username,
            display_name: account.display_name,
        }
    }
}

/// `POST /accounts`
pub async fn register(
    State(state): State<AppState>,
    Json(wanted): Json<Registration>,
) -> Result<impl IntoResponse, ApiError> {
    checked_username(&wanted.username)?;
    profile::checked_name(&wanted.display_name)?;
    if wanted.password.chars().count() < 8 {
        return Err(ApiError::Invalid(
            "a password has at least 8 characters".to_owned(),
        ));
    }
    let hash = hashing(&state, move || {
        password::hash(&wanted.password, rand::random())
    })
    .await?
    .map_err(|_| ApiError::Internal)?;
    let account = state
        .store
        .register(&wanted.username, &wanted.display_name, &hash)?
        .ok_or(ApiError::Conflict("the username is taken"))?;
    let user = User::from(account);
    Ok((StatusCode::CREATED, Json(Registered { user })))
}

/// `POST /login`
pub async fn log_in(
    State(state): State<AppState>,
    Json(login): Json<Login>,
) -> Result<impl IntoResponse, ApiError> {
    let known = state
        .store
        .credentials(&login.username)?
        .ok_or(ApiError::LoginRefused)?;
    let hash = known.password_hash;
    if !hashing(&state, move || password::verify(&login.password, &hash)).await? {
        return Err(ApiError::LoginRefused);
    }
    let session = state.store.log_in(&known.account.id)?;
    let cookie = session_cookie(session.sid, SESSION_LIFE_S);
    let answer = LoginAnswer {
        user: known.account.into(),
        csrf_token: session.csrf_token,
    };
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(answer)))
}

/// `POST /logout`
pub async fn log_out(
    State(state): State<AppState>,
    Confirmed(session): Confirmed,
) -> Result<impl IntoResponse, ApiError> {
    state.store.log_out(&session.sid)?;
    let cookie = session_cookie(String::new(), 0);
    Ok((
        StatusCode::NO_CONTENT,
        AppendHeaders([(header::SET_COOKIE, cookie)]),
    ))
}

/// `Max-Age` and not `Expires`: a date would differ from one run to the next.
fn session_cookie(sid: String, life_s: i64) -> String {
    Cookie::build((SESSION_COOKIE, sid))
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .max_age(cookie::time::Duration::seconds(life_s))
        .to_string()
}

fn checked_username(username: &str) -> Result<(), ApiError> {
    let is_fine = (3..=40).contains(&username.chars().count())
        && username
            .chars()
            .all(|c| c.is_alphanumeric() || ".-_".contains(c));
    if is_fine {
        Ok(())
    } else {
        Err(ApiError::Invalid(
            "a username has 3 to 40 letters, digits, dots, dashes or underscores".to_owned(),
        ))
    }
}

/// Hashes a password where it holds up no other request.
async fn hashing<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let _turn = state.hashing.acquire().await;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ApiError::Internal)
}
