//! Who makes a request, and whether they meant to.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cookie::Cookie;

use crate::error::ApiError;
use crate::mutations::Mutation;
use crate::routes::AppState;
use crate::store::Session;

/// The cookie that carries a session.
pub const SESSION_COOKIE: &str = "sid";
/// The header that proves that a change was asked for by the shop's own pages.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// A request with a live session; others get 401.
pub struct LoggedIn(pub Session);

/// A request with a live session and its CSRF token in the header; others get 401 or 403.
pub struct Confirmed(pub Session);

impl FromRequestParts<AppState> for LoggedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let sid = session_cookie(&parts.headers).ok_or(ApiError::NotLoggedIn)?;
        let session = state.store.session(&sid)?.ok_or(ApiError::NotLoggedIn)?;
        Ok(Self(session))
    }
}

impl FromRequestParts<AppState> for Confirmed {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let LoggedIn(session) = LoggedIn::from_request_parts(parts, state).await?;
        let token = parts
            .headers
            .get(CSRF_HEADER)
            .and_then(|value| value.to_str().ok());
        let is_unchecked = state.mutations.has(Mutation::CsrfUnchecked) && token.is_some();
        if token == Some(session.csrf_token.as_str()) || is_unchecked {
            Ok(Self(session))
        } else {
            Err(ApiError::CsrfRefused)
        }
    }
}

/// The value of the session cookie, if there is one.
fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| Cookie::split_parse(value).filter_map(Result::ok))
        .find(|cookie| cookie.name() == SESSION_COOKIE)
        .map(|cookie| cookie.value().to_owned())
}
