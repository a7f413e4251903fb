//! Large bodies, in both directions. Neither is ever held whole.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{AppState, Json, Query};
use crate::error::ApiError;
use crate::mutations::Mutation;
use crate::{ids, pattern};

#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default = "default_size")]
    size: u64,
}

fn default_size() -> u64 {
    64 * 1024
}

#[derive(Serialize)]
struct Uploaded {
    bytes: u64,
    sha256: String,
}

/// The largest download.
const MOST_BYTES: u64 = 1 << 30;
const PIECE_BYTES: u64 = 64 * 1024;
/// Beyond it [`Mutation::UploadBreaksOff`] gives no answer.
const LARGE_UPLOAD_BYTES: u64 = 150_000;

/// `GET /downloads/{name}`: the bytes of [`pattern()`] with a `Content-Length`.
pub async fn download(
    Path(name): Path<String>,
    Query(Wanted { size }): Query<Wanted>,
) -> Result<impl IntoResponse, ApiError> {
    if size > MOST_BYTES {
        return Err(ApiError::BadRequest(format!(
            "a download has at most {MOST_BYTES} bytes"
        )));
    }
    let pieces = (0..size.div_ceil(PIECE_BYTES)).map(move |piece| {
        let start = piece * PIECE_BYTES;
        let mut bytes = vec![0; PIECE_BYTES.min(size - start) as usize];
        pattern(&name, start, &mut bytes);
        Ok::<Bytes, Infallible>(bytes.into())
    });
    Ok((
        [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_LENGTH, size.to_string()),
            (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        ],
        Body::from_stream(stream::iter(pieces)),
    ))
}

/// `POST /uploads`: counts and digests the body, and stores nothing.
///
/// It changes no state, so it asks for neither a login nor a token.
pub async fn upload(State(state): State<AppState>, body: Body) -> Result<Response, ApiError> {
    let mut bytes = 0;
    let mut digest = Sha256::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| ApiError::BadRequest("the body broke off".to_owned()))?;
        bytes += piece.len() as u64;
        digest.update(&piece);
    }
    if bytes > LARGE_UPLOAD_BYTES && state.mutations.has(Mutation::UploadBreaksOff) {
        let broken = stream::iter([Err::<Bytes, _>("out of memory")]);
        return Ok(Body::from_stream(broken).into_response());
    }
    let sha256 = ids::hex(&digest.finalize());
    Ok(Json(Uploaded { bytes, sha256 }).into_response())
}
