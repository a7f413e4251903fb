//! Small ids: numbers such as 42, which are equal by chance everywhere, and are bound
//! only where their names say that both name the same thing.
//!
//! The name is that of the leaf (`order_id`, `orderId`), or where that is `id` alone
//! the one above it (`/order/id`), else the last word of the request's path; in a
//! path it is the segment before (`/orders/42`). Such a value is told from others by
//! its tag and that name together.

use std::borrow::Cow;

use twintap_scrub::{Leaf, Part, words};
use twintap_stream::RequestHead;

/// A small id's value and thing, as one tag.
pub(crate) fn tag(leaf: &Leaf, thing: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&leaf.tag.0.to_le_bytes());
    hasher.update(thing.as_bytes());
    let hash = hasher.finalize();
    let head = hash.as_bytes().first_chunk().copied();
    u64::from_le_bytes(head.unwrap_or_default())
}

/// What a leaf with a small value names, if its name says that it names something.
/// `text` is the part that it lies in, `request` the exchange's.
pub(crate) fn thing_of(
    leaf: &Leaf,
    text: Option<&[u8]>,
    request: Option<&RequestHead>,
) -> Option<String> {
    let path = leaf.path.split('#').next().unwrap_or_default();
    if is_segment(path) {
        let start = usize::try_from(leaf.start).ok()?;
        return segment_before(text?, start);
    }
    let (kind, names) = path.split_once('.')?;
    if !matches!(
        kind,
        "json" | "form" | "query" | "xml" | "multipart" | "html" | "location"
    ) || path.contains('>')
    {
        return None;
    }
    let mut names = names
        .rsplit(['/', '.'])
        .filter(|name| !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit()));
    let last = words(names.next()?);
    if let Some(thing) = last
        .strip_suffix("-id")
        .or_else(|| last.strip_suffix("-ids"))
    {
        return Some(singular(thing).into_owned());
    }
    if !matches!(last.as_str(), "id" | "ids" | "number" | "no" | "pk") {
        return None;
    }
    match names.next().filter(|_| matches!(kind, "json" | "xml")) {
        Some(above) if !matches!(above, "data" | "result" | "item" | "items") => {
            Some(singular(&words(above)).into_owned())
        }
        _ => last_word(&request?.target),
    }
}

/// True for the name of a segment of a path.
fn is_segment(path: &str) -> bool {
    ["path.", "location.path.", "referer.path."]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// The segment before the one that begins at `start`.
fn segment_before(text: &[u8], start: usize) -> Option<String> {
    let before = text.get(..start)?.strip_suffix(b"/")?;
    let begin = before.iter().rposition(|byte| *byte == b'/')? + 1;
    word(&before[begin..])
}

/// The last segment of a target's path that is a word.
fn last_word(target: &[u8]) -> Option<String> {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let path = &target[..end.unwrap_or(target.len())];
    path.rsplit(|byte| *byte == b'/').find_map(word)
}

fn word(segment: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(segment).ok()?;
    let is_word = text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_'));
    is_word.then(|| singular(&words(text)).into_owned())
}

/// `orders` and `order` name the same thing, so do `categories` and `category`.
fn singular(word: &str) -> Cow<'_, str> {
    match word {
        ies if ies.len() > 4 && ies.ends_with("ies") => {
            format!("{}y", &ies[..ies.len() - 3]).into()
        }
        ss if ss.ends_with("ss") => ss.into(),
        s if s.len() > 2 => s.strip_suffix('s').unwrap_or(s).into(),
        short => short.into(),
    }
}

/// The part's text that a request's leaf lies in, where it is a head's.
pub(crate) fn text_of(head: Option<&RequestHead>, part: Part) -> Option<&[u8]> {
    match part {
        Part::Target => Some(&head?.target),
        Part::Field(index) => Some(&head?.fields.get(index as usize)?.value),
        Part::Body => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use twintap_scrub::{Action, Encoding, LinkTag};

    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, start: u32, target: &str, expected: Option<&str>) {
        let leaf = Leaf {
            part: Part::Body,
            path: path.to_owned(),
            start,
            len: 2,
            tag: LinkTag(1),
            encoding: Encoding::Plain,
            action: Action::Allowed,
            raw_chars: 2,
        };
        let head = RequestHead {
            method: Bytes::from_static(b"GET"),
            target: Bytes::copy_from_slice(target.as_bytes()),
            version: Bytes::new(),
            fields: Vec::new(),
            line_spelling: None,
            end: Bytes::new(),
        };
        let thing = thing_of(&leaf, Some(text.as_bytes()), Some(&head));
        assert_eq!(thing.as_deref(), expected, "{path} in {target}");
    }

    #[test]
    fn names_say_what_an_id_is_of() {
        check("path.1", "/orders/42", 8, "/", Some("order"));
        check("path.2", "/orders/42/7", 11, "/", None);
        check("path.0", "/42", 1, "/", None);
        check(
            "location.path.1",
            "/categories/42",
            12,
            "/",
            Some("category"),
        );
        check("query.order_id", "", 0, "/x", Some("order"));
        check("form.orderId", "", 0, "/x", Some("order"));
        check("json./order/id", "", 0, "/x", Some("order"));
        check("json./items/0/id", "", 0, "/api/carts/7", Some("cart"));
        check("json./id", "", 0, "/api/addresses?x=/y", Some("addresse"));
        check("json./id", "", 0, "/", None);
        check("json./total", "", 0, "/orders", None);
        check("json./valid", "", 0, "/orders", None);
        check("header.x-id", "", 0, "/orders", None);
    }
}
