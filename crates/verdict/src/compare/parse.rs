//! Bodies by what they hold.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use twintap_scrub::{Leaf, LinkTag, Part};
use twintap_stream::content::{self, Codings, DecodeLimits};
use twintap_stream::grpc::Descriptors;

use super::markup::Document;
use super::{events, form, grpc};
use crate::observation::{Answer, Body};

/// The most bytes that a compressed body may become.
const MOST_DECODED: u64 = 64 << 20;

/// A body by what it holds.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    Empty,
    /// Lines of JSON, events, forms and messages are documents too.
    Json(Value),
    Markup(Document<'a>),
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    Digest {
        bytes: u64,
        tag: Option<LinkTag>,
    },
}

/// What it takes to read an answer, beside itself.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    /// The request's target.
    pub(crate) target: &'r [u8],
    /// What is known of messages.
    pub(crate) descriptors: &'r Descriptors,
}

/// Where leaves stand in a document that calls them otherwise, by their paths.
pub(super) type Places = HashMap<String, String>;

/// Reads the body of an answer.
pub(super) fn parse<'a>(answer: &'a Answer, reading: Reading<'_>) -> (Parsed<'a>, Places) {
    let bytes = match &answer.body {
        Body::Digest { bytes, tag } => {
            let digest = Parsed::Digest {
                bytes: *bytes,
                tag: *tag,
            };
            return (digest, Places::new());
        }
        Body::Whole(bytes) => bytes,
    };
    if bytes.is_empty() {
        return (Parsed::Empty, Places::new());
    }
    let media_type = media_type(answer);
    let mut places = Places::new();
    // Leaves are found in what is sent plainly alone.
    let (bytes, leaves): (Cow<'a, [u8]>, &[Leaf]) = match decoded(bytes, answer) {
        Some(decoded) => (Cow::Owned(decoded.to_vec()), &[]),
        None => (Cow::Borrowed(bytes), &answer.leaves),
    };
    let parsed = document(&bytes, answer, &media_type, reading, &mut places)
        .map(Parsed::Json)
        .or_else(|| markup(&bytes, &media_type, leaves).map(Parsed::Markup))
        .unwrap_or_else(|| plain(bytes));
    (parsed, places)
}

/// What is no document.
fn plain(bytes: Cow<'_, [u8]>) -> Parsed<'_> {
    match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Parsed::Text(Cow::Borrowed(text)),
            Err(_) => Parsed::Binary(Cow::Borrowed(bytes)),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Parsed::Text(Cow::Owned(text)),
            Err(error) => Parsed::Binary(Cow::Owned(error.into_bytes())),
        },
    }
}

/// A body whose content coding is undone; `None` where it has none, or it can't be.
fn decoded(bytes: &Bytes, answer: &Answer) -> Option<Bytes> {
    let codings = Codings::of(&answer.head.fields).ok()?;
    if codings.is_identity() {
        return None;
    }
    let decoded = content::decode(bytes, &codings, DecodeLimits::bytes(MOST_DECODED));
    decoded.sound().ok()
}

/// What is read as a document of members and elements.
fn document(
    bytes: &[u8],
    answer: &Answer,
    media_type: &str,
    reading: Reading<'_>,
    places: &mut Places,
) -> Option<Value> {
    if media_type == "text/event-stream" {
        return Some(events::document(bytes));
    }
    if media_type == "application/x-www-form-urlencoded" {
        return Some(form::fields(bytes));
    }
    if media_type.starts_with("multipart/") {
        return form::parts(bytes);
    }
    if grpc::is_protobuf(media_type) {
        return grpc::message(bytes);
    }
    if let Some(document) = grpc::document(bytes, &answer.head.fields, reading, places) {
        return Some(document);
    }
    if media_type.ends_with("ndjson") || media_type.ends_with("jsonl") {
        let lines: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(bytes)
            .into_iter()
            .collect();
        if let Ok(lines) = lines {
            return Some(Value::Array(lines));
        }
    }
    let start = bytes.trim_ascii_start();
    let starts_like_json = start.starts_with(b"{") || start.starts_with(b"[");
    (media_type.ends_with("json") || starts_like_json)
        .then(|| serde_json::from_slice(bytes).ok())
        .flatten()
}

/// What is read as a document of elements.
fn markup<'a>(bytes: &[u8], media_type: &str, leaves: &'a [Leaf]) -> Option<Document<'a>> {
    let leaves = leaves.iter().filter(|leaf| leaf.part == Part::Body);
    let text = std::str::from_utf8(bytes).ok()?;
    match media_type {
        "text/html" => Document::html(text, leaves),
        "application/xml" | "text/xml" => Document::xml(text, leaves),
        other if other.ends_with("+xml") => Document::xml(text, leaves),
        _ => None,
    }
}

/// The media type without parameters, in lower case; empty when there is none.
fn media_type(answer: &Answer) -> String {
    let field = answer
        .head
        .fields
        .iter()
        .find(|field| field.is("content-type"));
    field
        .map(|field| String::from_utf8_lossy(&field.value).to_ascii_lowercase())
        .and_then(|value| value.split(';').next().map(|name| name.trim().to_owned()))
        .unwrap_or_default()
}

/// Where a leaf stands in a document that calls it otherwise, called as leaves of JSON are.
pub(crate) fn place_of(path: &str) -> Option<String> {
    grpc::place_of(path).or_else(|| form::place_of(path))
}
