//! The catalogue: lists, products and the search.

use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{AppState, Json, PUBLIC, Query};
use crate::error::ApiError;
use crate::mutations::Mutation;
use crate::regressions::Regression;
use crate::store;

#[derive(Deserialize)]
pub struct Page {
    #[serde(default = "first_page")]
    page: i64,
    #[serde(default = "default_page_size")]
    per_page: i64,
}

fn first_page() -> i64 {
    1
}

fn default_page_size() -> i64 {
    20
}

#[derive(Deserialize)]
pub struct Search {
    q: String,
}

#[derive(Serialize)]
struct List {
    page: i64,
    per_page: i64,
    total: i64,
    items: Vec<store::ProductSummary>,
}

#[derive(Serialize)]
struct Found {
    query: String,
    items: Vec<store::ProductSummary>,
}

#[derive(Serialize)]
struct Product {
    id: String,
    name: String,
    description: String,
    price_cents: i64,
    stock: Stock,
}

/// A number in production, a string under [`Regression::TypeChange`].
#[derive(Serialize)]
#[serde(untagged)]
enum Stock {
    Number(i64),
    Text(String),
}

/// `GET /products`, compressed for those who take gzip.
pub async fn list(
    State(state): State<AppState>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !(1..=10_000).contains(&page.page) || !(1..=100).contains(&page.per_page) {
        return Err(ApiError::BadRequest(
            "page is 1 to 10000, per_page is 1 to 100".to_owned(),
        ));
    }
    let mutations = &state.mutations;
    let first = match page.page {
        LATE_PAGE.. if mutations.has(Mutation::PageIgnored) => 0,
        page_number if mutations.has(Mutation::PagingOffByOne) => {
            (page_number - 1) * page.per_page + 1
        }
        page_number => (page_number - 1) * page.per_page,
    };
    let items = state.store.products(first, page.per_page)?;
    if mutations.has(Mutation::NPlusOne) {
        tokio::time::sleep(ONE_MORE_QUERY * items.len() as u32).await;
    }
    let total = match mutations.has(Mutation::TotalOfPage) {
        true => items.len() as i64,
        false => state.store.product_count()?,
    };
    let list = List {
        page: page.page,
        per_page: page.per_page,
        total,
        items,
    };
    let is_plain = mutations.has(Mutation::CompressionGone);
    let mut response = if takes_gzip(&headers) && !is_plain {
        let body = serde_json::to_vec(&list).map_err(|_| ApiError::Internal)?;
        let body = gzip(&body).map_err(|_| ApiError::Internal)?;
        (
            [
                (header::CONTENT_TYPE, "application/json"),
                (header::CONTENT_ENCODING, "gzip"),
            ],
            body,
        )
            .into_response()
    } else {
        Json(list).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !state.regressions.has(Regression::HeaderGone) {
        headers.insert(header::CACHE_CONTROL, PUBLIC);
    }
    Ok(response)
}

/// `GET /products/{id}`
pub async fn product(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let is_rare = RARE_PRODUCTS.iter().any(|rare| id.starts_with(rare));
    if is_rare && state.mutations.has(Mutation::RareError) {
        return Err(ApiError::Internal);
    }
    let product = state
        .store
        .product(&id)?
        .ok_or(ApiError::NotFound("product"))?;
    let stock = if state.regressions.has(Regression::TypeChange) {
        Stock::Text(product.stock.to_string())
    } else {
        Stock::Number(product.stock)
    };
    let product = Product {
        id: product.id,
        name: product.name,
        description: product.description,
        price_cents: product.price_cents,
        stock,
    };
    Ok(([(header::CACHE_CONTROL, PUBLIC)], Json(product)))
}

/// `GET /search`
pub async fn search(
    State(state): State<AppState>,
    Query(Search { q }): Query<Search>,
) -> Result<impl IntoResponse, ApiError> {
    if q.trim().is_empty() {
        return Err(ApiError::BadRequest("q is what to search for".to_owned()));
    }
    if state.regressions.has(Regression::Slow) {
        tokio::time::sleep(SLOWER_BY).await;
    }
    let most = match state.mutations.has(Mutation::LimitLower) {
        true => FEWER_FOUND,
        false => MOST_FOUND,
    };
    let items = state.store.search(&q, most)?;
    let found = Found { query: q, items };
    Ok(([(header::CACHE_CONTROL, PUBLIC)], Json(found)))
}

/// What [`Regression::Slow`] adds.
const SLOWER_BY: Duration = Duration::from_millis(40);
const MOST_FOUND: i64 = 25;
/// The most under [`Mutation::LimitLower`].
const FEWER_FOUND: i64 = 8;
/// The first page that [`Mutation::PageIgnored`] takes for the first of all.
const LATE_PAGE: i64 = 10;
/// What a query takes that [`Mutation::NPlusOne`] makes for each product.
const ONE_MORE_QUERY: Duration = Duration::from_millis(1);
/// How the ids of those begin that [`Mutation::RareError`] can't show.
const RARE_PRODUCTS: [&str; 2] = ["p-0037-", "p-0157-"];

/// Whether the client named gzip and didn't rule it out with a weight of 0 (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let is_ruled_out = weight
                .trim()
                .strip_prefix("q=")
                .and_then(|weight| weight.parse::<f32>().ok())
                .is_some_and(|weight| weight <= 0.0);
            name.trim().eq_ignore_ascii_case("gzip") && !is_ruled_out
        })
}

fn gzip(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    Ok(encoder.finish()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept_encoding: &'static str, expected: bool) {
        let value = HeaderValue::from_static(accept_encoding);
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
        assert_eq!(takes_gzip(&headers), expected);
    }

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        check("gzip", true);
        check("br, GZIP;q=0.5", true);
        check("br", false);
        check("gzip;q=0", false);
        check("gzipped", false);
    }
}
