//! Faults that are put into an answer when it is there.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::response::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Mutation;
use crate::ids;
use crate::routes::AppState;

/// What is done to an answer.
#[derive(Clone, Copy)]
enum Change {
    /// To its status and header fields.
    Head(fn(&mut Parts)),
    /// To its body, if it is JSON.
    Json(fn(&mut Value)),
    /// To the bytes of its body.
    Body(fn(&[u8]) -> Vec<u8>),
}

/// The middleware of faults of an answer's form.
pub(crate) async fn alter(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let endpoint = endpoint_of(&request);
    let mut response = next.run(request).await;
    for mutation in state.mutations.iter() {
        if let Some((broken, change)) = change(mutation)
            && broken == endpoint
        {
            response = apply(change, response).await;
        }
    }
    response
}

/// Method and route.
pub(super) fn endpoint_of(request: &Request) -> String {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    format!("{} {route}", request.method())
}

/// Where a fault shows, and what it does there; none for those that stand elsewhere.
fn change(mutation: Mutation) -> Option<(&'static str, Change)> {
    use Change::{Body, Head, Json};
    Some(match mutation {
        Mutation::MissingAsOk => ("GET /products/{id}", Head(missing_as_ok)),
        Mutation::WrongCurrency => ("GET /products/{id}", Json(in_dollars)),
        Mutation::Locale => ("GET /products/{id}", Json(with_dots)),
        Mutation::Latin1 => ("GET /products/{id}", Body(to_latin_1)),
        Mutation::Mojibake => ("GET /search", Json(misread_names)),
        Mutation::OrderChanged => ("GET /search", Json(|body| reverse(body, "items"))),
        Mutation::ImageType => ("GET /products/{id}/image", Head(as_download)),
        Mutation::CreatedAsOk => ("POST /accounts", Head(created_as_ok)),
        Mutation::SwappedFields => ("POST /login", Json(swap_names)),
        Mutation::CookieForScripts => ("POST /login", Head(without_http_only)),
        Mutation::HtmlError => ("POST /login", Body(refuse_in_html)),
        Mutation::CookieStays => ("POST /logout", Head(|head| gone(head, header::SET_COOKIE))),
        Mutation::PublicProfile => ("GET /profile", Head(public)),
        Mutation::TrailingBlank => ("POST /cart/items", Json(with_blank)),
        Mutation::WrongId => ("POST /cart/items", Json(with_another_id)),
        Mutation::NullForEmpty => ("GET /cart", Json(null_for_empty)),
        Mutation::FloatCents => ("GET /cart", Json(as_floats)),
        Mutation::LocationGone => ("POST /checkout", Head(|head| gone(head, header::LOCATION))),
        Mutation::ClockAhead => ("POST /checkout", Json(|body| move_time(body, "Z"))),
        Mutation::OldestFirst => ("GET /orders", Json(|body| reverse(body, "orders"))),
        Mutation::Truncated => (
            "GET /orders",
            Body(|body| body[..body.len().min(200)].to_vec()),
        ),
        Mutation::FieldDropped => ("GET /orders/{id}", Json(without_discount)),
        Mutation::TimeZone => ("GET /orders/{id}", Json(|body| move_time(body, "+02:00"))),
        Mutation::RedirectElsewhere => ("POST /products/{id}/reviews", Head(to_profile)),
        Mutation::RedirectStatus => ("POST /products/{id}/reviews", Head(found)),
        Mutation::ShortDownload => ("GET /downloads/{name}", Body(whole_pieces)),
        _ => return None,
    })
}

async fn apply(change: Change, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    // What a faulty shop can't read whole it can't send either.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let body = match change {
        Change::Head(change) => {
            change(&mut head);
            body
        }
        Change::Json(change) => in_json(body, change),
        Change::Body(change) => change(&body).into(),
    };
    if body.starts_with(b"<html>") {
        set(&mut head, header::CONTENT_TYPE, "text/html; charset=utf-8");
    }
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(body))
}

fn in_json(body: Bytes, change: fn(&mut Value)) -> Bytes {
    match serde_json::from_slice(&body) {
        Ok(mut value) => {
            change(&mut value);
            value.to_string().into()
        }
        Err(_) => body,
    }
}

fn set(head: &mut Parts, name: HeaderName, value: &'static str) {
    head.headers.insert(name, HeaderValue::from_static(value));
}

fn gone(head: &mut Parts, name: HeaderName) {
    head.headers.remove(name);
}

fn missing_as_ok(head: &mut Parts) {
    if head.status == StatusCode::NOT_FOUND {
        head.status = StatusCode::OK;
    }
}

fn created_as_ok(head: &mut Parts) {
    if head.status == StatusCode::CREATED {
        head.status = StatusCode::OK;
    }
}

fn found(head: &mut Parts) {
    if head.status == StatusCode::SEE_OTHER {
        head.status = StatusCode::FOUND;
    }
}

fn to_profile(head: &mut Parts) {
    if head.headers.contains_key(header::LOCATION) {
        set(head, header::LOCATION, "/profile");
    }
}

fn as_download(head: &mut Parts) {
    if head.headers.contains_key(header::CONTENT_TYPE) {
        set(head, header::CONTENT_TYPE, "application/octet-stream");
    }
}

fn public(head: &mut Parts) {
    if head.headers.contains_key(header::CACHE_CONTROL) {
        set(head, header::CACHE_CONTROL, "public, max-age=300");
    }
}

fn without_http_only(head: &mut Parts) {
    let cookie = head.headers.get(header::SET_COOKIE);
    let cookie = cookie.and_then(|cookie| cookie.to_str().ok());
    let Some(cookie) = cookie.map(|cookie| cookie.replace("; HttpOnly", "")) else {
        return;
    };
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        head.headers.insert(header::SET_COOKIE, cookie);
    }
}

fn in_dollars(body: &mut Value) {
    if let Some(cents) = body["price_cents"].as_i64() {
        body["price_cents"] = json!(cents * 108 / 100);
    }
}

/// `1250 g` becomes `1.250 g`.
fn with_dots(body: &mut Value) {
    let Some(text) = body["description"].as_str() else {
        return;
    };
    let words: Vec<String> = text.split(' ').map(with_dot).collect();
    body["description"] = json!(words.join(" "));
}

fn with_dot(word: &str) -> String {
    let is_large = word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    match word.split_at_checked(1) {
        Some((thousands, rest)) if is_large => format!("{thousands}.{rest}"),
        _ => word.to_owned(),
    }
}

/// Characters beyond ISO 8859-1 become question marks.
fn to_latin_1(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
        .collect()
}

fn misread_names(body: &mut Value) {
    let items = body.get_mut("items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        if let Some(name) = item["name"].as_str() {
            let misread: String = name.bytes().map(char::from).collect();
            item["name"] = json!(misread);
        }
    }
}

fn reverse(body: &mut Value, list: &str) {
    if let Some(Value::Array(list)) = body.get_mut(list) {
        list.reverse();
    }
}

fn swap_names(body: &mut Value) {
    if let Some(Value::Object(user)) = body.get_mut("user") {
        let username = user.remove("username").unwrap_or_default();
        let name = user.insert("display_name".to_owned(), username);
        user.insert("username".to_owned(), name.unwrap_or_default());
    }
}

fn refuse_in_html(body: &[u8]) -> Vec<u8> {
    match body.starts_with(b"{\"error\"") {
        true => b"<html><body><h1>Unauthorized</h1></body></html>".to_vec(),
        false => body.to_vec(),
    }
}

fn with_blank(body: &mut Value) {
    if let Some(name) = body["name"].as_str() {
        body["name"] = json!(format!("{name} "));
    }
}

fn with_another_id(body: &mut Value) {
    if body["id"].is_string() {
        body["id"] = json!(ids::uuid());
    }
}

fn null_for_empty(body: &mut Value) {
    if body["items"].as_array().is_some_and(Vec::is_empty) {
        body["items"] = Value::Null;
    }
}

fn as_floats(body: &mut Value) {
    if let Some(Value::Object(totals)) = body.get_mut("totals") {
        for cents in totals.values_mut() {
            *cents = json!(cents.as_f64());
        }
    }
}

fn without_discount(body: &mut Value) {
    if let Some(Value::Object(totals)) = body.get_mut("totals") {
        totals.remove("discount_cents");
    }
}

/// Two hours later, as a zone writes them.
fn move_time(body: &mut Value, zone: &str) {
    let time = body["created_at"].as_str();
    if let Some(Ok(time)) = time.map(str::parse::<Timestamp>) {
        let later = format!("{:.3}", time + SignedDuration::from_hours(2));
        body["created_at"] = json!(later.replace('Z', zone));
    }
}

fn whole_pieces(body: &[u8]) -> Vec<u8> {
    const PIECE_BYTES: usize = 64 * 1024;
    body[..body.len() / PIECE_BYTES * PIECE_BYTES].to_vec()
}
