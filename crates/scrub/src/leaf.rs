//! Leaves: the single values that a message is made of.

use serde::{Deserialize, Serialize};

/// Keyed digest of a leaf's raw value (after decoding): equal values have equal
/// tags, everywhere, within one key period, and nothing else can be told from it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LinkTag(pub u64);

/// The part of a message that a leaf lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The request target.
    Target,
    /// The value of the header field with this index.
    Field(u32),
    /// The body, after transfer decoding.
    Body,
}

/// How the value is written where it stands; a value put in its place must be
/// written the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Percent-encoded (RFC 3986, section 2.1).
    Percent,
    /// `application/x-www-form-urlencoded`: percent-encoded with `+` for a space.
    Form,
    /// Inside a JSON string, its quotes not part of the span.
    JsonString,
    /// A JSON number, `true`, `false` or `null`, spelled as it is.
    JsonLiteral,
    /// Inside a quoted HTML attribute.
    HtmlAttribute,
}

/// What the policy did with a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Kept as it was.
    Allowed,
    /// Replaced by its keyed pseudonym: same value, same pseudonym.
    Pseudonym,
    /// Replaced by filler of like length and class.
    Replaced,
}

/// One value of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Where it lies.
    pub part: Part,
    /// Its name within the exchange, stable over values:
    /// `path.2` (segment, from 0), `query.q`, `header.x-csrf-token`,
    /// `header.authorization.bearer`, `cookie.sid`, `set-cookie.sid`,
    /// `location.path.2`, `location.query.q`, `json./items/0/id` (RFC 6901),
    /// `form.name`, `html.input.csrf_token`. Header and cookie-attribute names
    /// are in lower case. A repeated name has `#1`, `#2`, ... from the second on.
    pub path: String,
    /// First byte of its span in the scrubbed part.
    pub start: u32,
    /// Bytes of its span in the scrubbed part.
    pub len: u32,
    /// Link tag of the raw value.
    pub tag: LinkTag,
    /// How it is written there.
    pub encoding: Encoding,
    /// What was done.
    pub action: Action,
    /// Characters of the raw value, decoded: short values make no bindings.
    pub raw_chars: u32,
}
