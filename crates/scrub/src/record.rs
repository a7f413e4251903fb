//! What is stored of an exchange, beside its bodies.

use serde::{Deserialize, Serialize};
use twintap_stream::Exchange;
use twintap_stream::content::Codings;

use crate::leaf::{Leaf, LinkTag};
use crate::second_look::Hit;
use crate::timeline::Timeline;

/// The hash that names a version of a policy: the first 16 bytes of BLAKE3 over
/// its canonical JSON, as hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyHash(pub String);

/// What became of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFate {
    /// There was none.
    #[default]
    Empty,
    /// Kept as it was, by rule.
    Allowed,
    /// Every leaf went through the policy; the content coding, if any, was
    /// undone first and the head says so.
    Scrubbed,
    /// Dropped, failing closed; the reason is a word (`unknown_type`,
    /// `unparsable`, `too_large`, `content_coding`, `incomplete`, `rule`, `second_look`).
    Dropped(String),
}

/// What scrubbing knows of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageNote {
    /// The leaves, in the order of part and position.
    pub leaves: Vec<Leaf>,
    /// What became of the body.
    pub body: BodyFate,
    /// Keyed digest of the raw body as it was after transfer decoding; absent
    /// when there was none, or when it was not seen whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_tag: Option<LinkTag>,
    /// The content codings that were undone before the body was scrubbed; absent where none
    /// of it was, and in records that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Codings>,
    /// When the pieces of the body were sent.
    #[serde(default, skip_serializing_if = "Timeline::is_empty")]
    pub timeline: Timeline,
    /// What the second look found in the message; then it and the other message of the
    /// exchange are quarantined: filler in their heads, no bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// An exchange with what scrubbing knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// The exchange, its heads scrubbed.
    pub exchange: Exchange,
    /// The policy it went through.
    pub policy: PolicyHash,
    /// The request.
    pub request: MessageNote,
    /// The response.
    pub response: MessageNote,
}
