//! Product images: small bitmaps, drawn from the product's id.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::{AppState, PUBLIC};
use crate::error::ApiError;
use crate::mutations::Mutation;
use crate::{ids, pattern};

/// `GET /products/{id}/image`
pub async fn image(
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let product = state
        .store
        .product(&id)?
        .ok_or(ApiError::NotFound("product"))?;
    let image = draw(&product.id);
    let etag = format!("\"{}\"", ids::hex(&Sha256::digest(&image)[..12]));
    let is_known = is_listed(&headers, &etag) && !state.mutations.has(Mutation::EtagIgnored);
    let common = [
        (header::ETAG, etag),
        (
            header::CACHE_CONTROL,
            PUBLIC.to_str().unwrap_or_default().to_owned(),
        ),
    ];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, [(header::CONTENT_TYPE, "image/bmp")], image).into_response())
}

/// Whether `If-None-Match` has this tag, by weak comparison (RFC 9110, 13.1.2).
fn is_listed(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

const SIDE_PIXELS: u32 = 40;
const PIXELS_BYTES: u32 = SIDE_PIXELS * SIDE_PIXELS * 3;
const HEADERS_BYTES: u32 = 14 + 40;

/// A bitmap of 24 bits a pixel; its rows of 120 bytes need no padding.
fn draw(product_id: &str) -> Vec<u8> {
    let mut image = Vec::with_capacity((HEADERS_BYTES + PIXELS_BYTES) as usize);
    image.extend(b"BM");
    for field in [HEADERS_BYTES + PIXELS_BYTES, 0, HEADERS_BYTES] {
        image.extend(field.to_le_bytes());
    }
    for field in [40, SIDE_PIXELS, SIDE_PIXELS] {
        image.extend(field.to_le_bytes());
    }
    for field in [1_u16, 24] {
        image.extend(field.to_le_bytes());
    }
    for field in [0, PIXELS_BYTES, 2_835, 2_835, 0, 0] {
        image.extend(field.to_le_bytes());
    }
    let mut pixels = [0; PIXELS_BYTES as usize];
    pattern(product_id, 0, &mut pixels);
    image.extend(pixels);
    image
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_bitmap_says_how_long_it_is() {
        let image = draw("p-0001-blue");
        assert_eq!(image.len(), (HEADERS_BYTES + PIXELS_BYTES) as usize);
        assert_eq!(image[2..6], (image.len() as u32).to_le_bytes());
        assert_ne!(image, draw("p-0002-blue"));
    }

    #[track_caller]
    fn check(if_none_match: &'static str, expected: bool) {
        let value = HeaderValue::from_static(if_none_match);
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value)]);
        assert_eq!(is_listed(&headers, "\"a\""), expected);
    }

    #[test]
    fn tags_are_compared_weakly() {
        check("\"a\"", true);
        check("W/\"a\"", true);
        check("\"b\", \"a\"", true);
        check("*", true);
        check("\"b\"", false);
    }
}
