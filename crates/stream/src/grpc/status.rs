//! How a call ended.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use crate::message::{Field, field_values};

/// The status of a call (gRPC over HTTP/2, section "Responses").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `grpc-status`; None when it is no number.
    pub code: Option<u32>,
    /// `grpc-message`, percent-decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `grpc-status-details-bin`: a `google.rpc.Status`, undone of its base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Bytes>,
    /// True when the response has no more than a head, which is its trailers.
    pub is_trailers_only: bool,
}

impl Status {
    /// Finds the status of a response: in its trailers, or else in its head. None when there is
    /// none: then the call did not end, or its end was not seen.
    ///
    /// The trailers of gRPC-Web are within its body: see [`web_trailers`].
    pub fn of(head: &[Field], trailers: &[Field]) -> Option<Status> {
        let read = |fields: &[Field], is_trailers_only| {
            let code = field_values(fields, "grpc-status").next()?;
            let message = field_values(fields, "grpc-message").next();
            let details = field_values(fields, "grpc-status-details-bin").next();
            Some(Status {
                code: number(code),
                message: message.map(|text| percent_decode(text).decode_utf8_lossy().into_owned()),
                details: details.and_then(|text| binary(text)),
                is_trailers_only,
            })
        };
        read(trailers, false).or_else(|| read(head, true))
    }
}

fn number(value: &[u8]) -> Option<u32> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok()
}

/// A value of a field named `-bin`: base64 with padding or without.
fn binary(value: &[u8]) -> Option<Bytes> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decoded = GeneralPurpose::new(&STANDARD, config).decode(value).ok()?;
    Some(Bytes::from(decoded))
}

/// The fields in the payload of gRPC-Web's frame of trailers: lines of `name: value`.
pub fn web_trailers(payload: &Bytes) -> Vec<Field> {
    let lines = payload.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let split = |line: &[u8]| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
        let part = |bytes: &[u8]| payload.slice_ref(bytes.trim_ascii());
        Some(Field::new(part(name), part(value)))
    };
    lines.filter_map(split).collect()
}

/// The name of a status code.
pub fn code_name(code: u32) -> Option<&'static str> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::try_from(code).ok()?).copied()
}
