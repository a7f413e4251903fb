//! What a side of a WebSocket said, as one JSON document that can be compared.

use std::fmt::Write as _;

use bytes::Bytes;
use twintap_stream::{Field, ResponseHead};

use super::quoted;
use crate::encoding::is_document;
use crate::extract::extract_with;
use crate::leaf::Leaf;
use crate::pseudonym::Pseudonyms;
use crate::timeline::{Piece, Timeline};

/// A message of a WebSocket, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketMessage {
    /// What it is: never [`Piece::Fragment`].
    pub piece: Piece,
    /// Its payload; a close frame's begins with the code.
    pub payload: Bytes,
    /// Where it begins in the body that it was taken from.
    pub start: u64,
    /// Where its fragments end in its payload, the last one left out.
    pub fragments: Vec<usize>,
    /// Nanoseconds from the first byte of the message that opened the WebSocket to
    /// the last of this one.
    pub after_ns: u64,
    /// Bytes that it had and that are not stored.
    pub dropped_bytes: u64,
}

/// The messages of a body of a WebSocket. What a damaged timeline says beyond the body
/// is empty.
#[must_use]
pub fn split_messages(body: &Bytes, timeline: &Timeline) -> Vec<SocketMessage> {
    let mut messages = Vec::new();
    let mut fragments = Vec::new();
    let mut start = 0;
    for mark in &timeline.marks {
        let end = usize::try_from(mark.end)
            .unwrap_or(usize::MAX)
            .min(body.len());
        let end = end.max(start);
        if mark.piece == Piece::Fragment {
            fragments.push(end - start);
            continue;
        }
        let payload = body.slice(start..end);
        fragments.retain(|end| *end <= payload.len());
        messages.push(SocketMessage {
            piece: mark.piece,
            payload,
            start: start as u64,
            fragments: std::mem::take(&mut fragments),
            after_ns: mark.after_ns,
            dropped_bytes: mark.dropped_bytes,
        });
        start = end;
    }
    messages
}

/// The messages as a JSON array, and their leaves where they stand in it: documents as
/// they are, other texts as strings, and for what is not text an object that tells of it.
/// Pings and pongs, which come as time goes, are left out.
#[must_use]
pub fn render_messages(messages: &[SocketMessage], leaves: &[Leaf]) -> (Bytes, Vec<Leaf>) {
    let mut out = String::from("[");
    let mut moved = Vec::with_capacity(leaves.len());
    let mut leaves = leaves.iter().peekable();
    for message in messages.iter().filter(|message| message.piece.is_element()) {
        if out.len() > 1 {
            out.push(',');
        }
        let begin = out.len();
        let is_whole = write_element(&mut out, message);
        let end = message.start + message.payload.len() as u64;
        while let Some(leaf) = leaves.next_if(|leaf| u64::from(leaf.start) < end) {
            moved.push(match message.piece {
                _ if is_whole => shifted(leaf, message.start, begin),
                Piece::Close { .. } => of_reason(leaf, &out, begin),
                _ => quoted(leaf.clone(), begin + 1, out.len() - begin - 2),
            });
        }
    }
    out.push(']');
    (Bytes::from(out), moved)
}

/// Writes one element; true when it stands there as it was sent.
fn write_element(out: &mut String, message: &SocketMessage) -> bool {
    let payload = &message.payload;
    // Writing to a string never fails.
    let _ = match (message.piece, std::str::from_utf8(payload)) {
        (Piece::Close { code }, _) => {
            let reason = payload.get(2..).unwrap_or_default();
            let reason = serde_json::Value::from(String::from_utf8_lossy(reason));
            match code {
                Some(code) => write!(out, r#"{{"close":{code},"reason":{reason}}}"#),
                None => write!(out, r#"{{"close":null}}"#),
            }
        }
        _ if message.dropped_bytes > 0 => {
            write!(out, r#"{{"bytes_not_kept":{}}}"#, message.dropped_bytes)
        }
        (Piece::Text, Ok(text)) if is_document(payload) => {
            out.push_str(text);
            return true;
        }
        (Piece::Text, Ok(text)) => write!(out, "{}", serde_json::Value::from(text)),
        _ => {
            let digest = blake3::hash(payload);
            let bytes = payload.len();
            write!(out, r#"{{"binary":"{digest}","bytes":{bytes}}}"#)
        }
    };
    false
}

/// The leaf of a close frame's reason, which is the last string of its element.
fn of_reason(leaf: &Leaf, out: &str, begin: usize) -> Leaf {
    const BEFORE: &str = "\"reason\":\"";
    let element = out.get(begin..).unwrap_or_default();
    let start = element.find(BEFORE).map_or(0, |at| at + BEFORE.len());
    let len = element.len().saturating_sub(start + 2);
    quoted(leaf.clone(), begin + start, len)
}

fn shifted(leaf: &Leaf, start: u64, begin: usize) -> Leaf {
    let place = u64::from(leaf.start).saturating_sub(start) + begin as u64;
    Leaf {
        start: u32::try_from(place).unwrap_or(u32::MAX),
        ..leaf.clone()
    }
}

/// The raw value at a leaf's path in what a twin's side of a WebSocket said.
pub(crate) fn extract(
    messages: &[SocketMessage],
    path: &str,
    renames: Option<&Pseudonyms>,
) -> Option<Vec<u8>> {
    let (index, _) = place_of(path)?;
    let mut elements = messages.iter().filter(|message| message.piece.is_element());
    extract_one(elements.nth(index)?, path, renames)
}

/// The number of the message in a leaf's path, and the pointer in it.
fn place_of(path: &str) -> Option<(usize, &str)> {
    let place = path.strip_prefix("json./")?;
    let (index, pointer) = place.split_at(place.find('/').unwrap_or(place.len()));
    Some((index.parse().ok()?, pointer))
}

/// The raw value at a leaf's path in one message, whichever its number is.
pub(crate) fn extract_one(
    message: &SocketMessage,
    path: &str,
    renames: Option<&Pseudonyms>,
) -> Option<Vec<u8>> {
    let (_, pointer) = place_of(path)?;
    if message.piece != Piece::Text {
        return None;
    }
    if pointer.is_empty() {
        let is_text = !is_document(&message.payload);
        return is_text.then(|| message.payload.to_vec());
    }
    let head = ResponseHead {
        version: Bytes::new(),
        status: 0,
        reason: Bytes::new(),
        fields: vec![Field::new("content-type", "application/json")],
        line_spelling: None,
        end: Bytes::new(),
    };
    extract_with(&head, &message.payload, &format!("json.{pointer}"), renames)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::decode;
    use crate::leaf::{Action, Encoding, LinkTag, Part};
    use crate::timeline::Mark;

    /// The body and the timeline of these texts, of which each is one value.
    fn said(texts: &[String]) -> (Bytes, Timeline, Vec<Leaf>) {
        let (mut end, mut marks, mut leaves) = (0, Vec::new(), Vec::new());
        for (number, text) in texts.iter().enumerate() {
            leaves.push(Leaf {
                part: Part::Body,
                path: format!("json./{number}"),
                start: end as u32,
                len: text.len() as u32,
                tag: LinkTag(number as u64),
                encoding: Encoding::Plain,
                action: Action::Allowed,
                raw_chars: 0,
            });
            end += text.len() as u64;
            marks.push(Mark {
                end,
                after_ns: 0,
                piece: Piece::Text,
                dropped_bytes: 0,
            });
        }
        let timeline = Timeline {
            marks,
            ..Timeline::default()
        };
        (Bytes::from(texts.concat()), timeline, leaves)
    }

    proptest! {
        #[test]
        fn texts_become_strings_and_leaves_stay_with_them(texts in vec("\\PC{1,20}", 0..6)) {
            prop_assume!(!texts.iter().any(|text| is_document(text.as_bytes())));
            let (body, timeline, leaves) = said(&texts);
            let messages = split_messages(&body, &timeline);
            let (rendered, leaves) = render_messages(&messages, &leaves);
            let read: Vec<String> = serde_json::from_slice(&rendered).expect("an array of strings");
            prop_assert_eq!(&read, &texts);
            let span = |leaf: &Leaf| {
                let start = leaf.start as usize;
                decode(&rendered[start..start + leaf.len as usize], leaf.encoding).into_owned()
            };
            let values: Vec<_> = leaves.iter().map(span).collect();
            prop_assert_eq!(values, texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        }

        #[test]
        fn any_timeline_is_split(
            bytes in vec(any::<u8>(), 0..40),
            ends in vec((0_u64..60, 0_u8..4), 0..10),
        ) {
            let pieces = [Piece::Fragment, Piece::Text, Piece::Binary, Piece::Close { code: None }];
            let marks = ends.into_iter().map(|(end, piece)| Mark {
                end,
                after_ns: 0,
                piece: pieces[usize::from(piece)],
                dropped_bytes: 0,
            });
            let timeline = Timeline { marks: marks.collect(), ..Timeline::default() };
            let body = Bytes::from(bytes);
            let messages = split_messages(&body, &timeline);
            let elements = messages.iter().filter(|message| message.piece.is_element()).count();
            let (rendered, _) = render_messages(&messages, &[]);
            let read: Vec<serde_json::Value> = serde_json::from_slice(&rendered).expect("JSON");
            prop_assert_eq!(read.len(), elements);
        }
    }

    #[test]
    fn what_is_no_text_is_told_of() {
        let message = |piece, payload: &'static [u8], dropped_bytes| SocketMessage {
            piece,
            payload: Bytes::from_static(payload),
            start: 0,
            fragments: Vec::new(),
            after_ns: 0,
            dropped_bytes,
        };
        let messages = [
            message(Piece::Text, b"{\"a\": [1]}", 0),
            message(Piece::Ping, b"x", 0),
            message(Piece::Binary, b"", 3),
            message(Piece::Close { code: Some(1001) }, b"\x03\xe9bye", 0),
        ];
        let (rendered, _) = render_messages(&messages, &[]);
        let expected: &[u8] = br#"[{"a": [1]},{"bytes_not_kept":3},{"close":1001,"reason":"bye"}]"#;
        assert_eq!(&rendered[..], expected);
    }
}
