//! Requests of HTTP/1 in the regular form, for twins behind proxies that take no other.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twintap_stream::message::Framing;
use twintap_stream::{Field, RequestHead};

use super::command::is_command;
use super::link::tls::Speech;
use super::wire::{Recorded, speech_of};

/// In which form requests of HTTP/1 go out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireForm {
    /// Byte for byte as they were recorded.
    #[default]
    Exact,
    /// What two recipients could read in two ways is written in the one way in which the
    /// archive has it.
    Clean,
}

/// Makes a request regular; says whether it was not. No place of a value moves: fields
/// that have to go are named in [`Recorded::omitted`].
pub(crate) fn clean(recorded: &mut Recorded) -> bool {
    if speech_of(&recorded.head) == Speech::Http2 || is_command(&recorded.head) {
        return false;
    }
    let before = (recorded.head.clone(), recorded.trailers.clone());
    recorded.omitted = irregular_fields(&recorded.head);
    respell(&mut recorded.head);
    for field in &mut recorded.trailers {
        respell_field(field);
    }
    let is_field = |field: &Field| is_name(&field.name);
    recorded.trailers.retain(is_field);
    match recorded.framing {
        Framing::Chunked => keep_codings(recorded),
        _ => keep_length(recorded),
    }
    recorded.omitted.sort_unstable();
    recorded.omitted.dedup();
    let after = (&recorded.head, &recorded.trailers);
    !recorded.omitted.is_empty() || after != (&before.0, &before.1)
}

/// Lines that are no fields (RFC 9112, section 5): without a colon, or with a name that is
/// no token.
fn irregular_fields(head: &RequestHead) -> Vec<u32> {
    let has_colon = |field: &Field| {
        let spelling = field.spelling.as_ref();
        spelling.is_none_or(|spelling| spelling.before_value.contains(&b':'))
    };
    let fields = (0u32..).zip(&head.fields);
    fields
        .filter(|(_, field)| !is_name(&field.name) || !has_colon(field))
        .map(|(index, _)| index)
        .collect()
}

/// True for a token (RFC 9110, section 5.6.2).
fn is_name(name: &[u8]) -> bool {
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.iter().all(is_of_token)
}

fn respell(head: &mut RequestHead) {
    // Without a version it is HTTP/0.9, or a target with blanks in it: no other form
    // would say the same.
    if !head.version.is_empty() {
        head.line_spelling = None;
    }
    head.end = Bytes::from_static(b"\r\n");
    for field in &mut head.fields {
        respell_field(field);
    }
}

/// `name: value`, on one line. Folds and control characters become as many spaces
/// (RFC 9112, section 5.2; RFC 9110, section 5.5).
fn respell_field(field: &mut Field) {
    field.spelling = None;
    let is_control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    if field.value.iter().any(is_control) {
        let plain = |byte: &u8| if is_control(byte) { b' ' } else { *byte };
        field.value = field.value.iter().map(plain).collect();
    }
}

/// Of a chunked body the codings say the length, and nothing else does (RFC 9112,
/// section 6.3): each in one field, chunked once and last.
fn keep_codings(recorded: &mut Recorded) {
    omit_others(recorded, "content-length", None);
    let mut codings: Vec<String> = Vec::new();
    let fields = &mut recorded.head.fields;
    for field in fields.iter().filter(|field| field.is("transfer-encoding")) {
        let text = String::from_utf8_lossy(&field.value).into_owned();
        let named = text.split(',').map(|coding| coding.trim().to_owned());
        codings.extend(named.filter(|coding| {
            let means_nothing = ["", "identity", "chunked"];
            !means_nothing.contains(&coding.to_ascii_lowercase().as_str())
        }));
    }
    let mut with_codings = (0u32..).zip(fields);
    if let Some((index, field)) = with_codings.find(|(_, field)| field.is("transfer-encoding")) {
        codings.push("chunked".to_owned());
        let value = codings.join(", ");
        if !field.value.eq_ignore_ascii_case(value.as_bytes()) {
            field.value = Bytes::from(value);
        }
        omit_others(recorded, "transfer-encoding", Some(index));
    }
}

/// Of any other body one length says so, and no coding.
fn keep_length(recorded: &mut Recorded) {
    omit_others(recorded, "transfer-encoding", None);
    let length = recorded.body.len().to_string();
    let mut fields = (0u32..).zip(&mut recorded.head.fields);
    if let Some((index, field)) = fields.find(|(_, field)| field.is("content-length")) {
        if field.value != length {
            field.value = Bytes::from(length);
        }
        omit_others(recorded, "content-length", Some(index));
    }
}

/// Leaves out the fields of this name, but for one.
fn omit_others(recorded: &mut Recorded, name: &str, kept: Option<u32>) {
    let fields = (0u32..).zip(&recorded.head.fields);
    let others = fields.filter(|(index, field)| field.is(name) && Some(*index) != kept);
    recorded.omitted.extend(others.map(|(index, _)| index));
}

#[cfg(test)]
mod tests {
    use twintap_stream::message::Spelling;

    use super::super::wire::{Edit, assemble};
    use super::*;
    use twintap_scrub::Part;

    /// A field as it stood: up to the value, the value, and what ended the line.
    fn spelled(name: &str, before: &str, value: &str, after: &str) -> Field {
        Field {
            spelling: Some(Box::new(Spelling {
                before_value: Bytes::from(before.to_owned()),
                after_value: Bytes::from(after.to_owned()),
            })),
            ..Field::new(name.to_owned(), value.to_owned())
        }
    }

    fn plain(name: &str, value: &str) -> Field {
        Field::new(name.to_owned(), value.to_owned())
    }

    fn recorded(framing: Framing, fields: Vec<Field>, body: &'static str) -> Recorded {
        Recorded {
            head: RequestHead {
                method: Bytes::from_static(b"POST"),
                target: Bytes::from_static(b"/a"),
                version: Bytes::from_static(b"HTTP/1.1"),
                fields,
                line_spelling: None,
                end: Bytes::from_static(b"\r\n"),
            },
            framing,
            body: Bytes::from_static(body.as_bytes()),
            chunks: Vec::new(),
            timeline: Default::default(),
            script: None,
            trailers: Vec::new(),
            omitted: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// What goes out of a request when it is made clean, after its start line.
    #[track_caller]
    fn check(mut recorded: Recorded, expected: &str) {
        let is_exact = assemble(&recorded, &[]).expect("no edits").concat();
        let changed = clean(&mut recorded);
        let wire = assemble(&recorded, &[]).expect("no edits").concat();
        let text = String::from_utf8_lossy(&wire);
        assert_eq!(text, format!("POST /a HTTP/1.1\r\n{expected}"));
        assert_eq!(changed, wire != is_exact);
    }

    #[test]
    fn what_is_regular_stays() {
        let fields = || vec![plain("hOsT", "a"), plain("CONTENT-LENGTH", "2")];
        check(
            recorded(Framing::Length, fields(), "ok"),
            "hOsT: a\r\nCONTENT-LENGTH: 2\r\n\r\nok",
        );
        let chunked = vec![plain("Transfer-Encoding", "gzip, Chunked")];
        check(
            recorded(Framing::Chunked, chunked, "ok"),
            "Transfer-Encoding: gzip, Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        );
    }

    #[test]
    fn spelling_becomes_the_usual_one() {
        let fields = vec![
            spelled("Host", " :", "a", "\n"),
            spelled("X-Long", ": ", "one\r\n two\0", "\r\n"),
            spelled("no colon", "", "", "\r\n"),
            spelled("bad name", ": ", "x", "\r\n"),
            spelled("X-Padded", ":", "b", "  \r\n"),
        ];
        let mut request = recorded(Framing::None, fields, "");
        request.head.line_spelling = Some(
            [" \t", "  ", "\n"]
                .map(|part| Bytes::from_static(part.as_bytes()))
                .into(),
        );
        request.head.end = Bytes::from_static(b"\n");
        check(
            request,
            "Host: a\r\nX-Long: one   two \r\nX-Padded: b\r\n\r\n",
        );
    }

    #[test]
    fn one_framing_is_left() {
        let both = vec![
            plain("Content-Length", "7"),
            plain("Transfer-Encoding", "identity"),
            plain("transfer-encoding", "chunked, chunked"),
        ];
        check(
            recorded(Framing::Chunked, both, "ok"),
            "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        );
        for lengths in [["2", "2"], ["2", "9"], ["2, 2", "+2"]] {
            let fields = lengths.map(|length| plain("Content-Length", length));
            let fields = fields
                .into_iter()
                .chain([plain("Transfer-Encoding", "identity")]);
            check(
                recorded(Framing::Length, fields.collect(), "ok"),
                "Content-Length: 2\r\n\r\nok",
            );
        }
    }

    #[test]
    fn values_find_their_places_in_what_was_made_clean() {
        let fields = vec![
            plain("Content-Length", "2"),
            spelled("X-Fold", ": ", "a\r\n b", "\n"),
            plain("Content-Length", "3"),
            plain("Cookie", "sid=abc"),
        ];
        let mut request = recorded(Framing::Length, fields, "ok");
        assert!(clean(&mut request));
        let edit = |part, start, len, value: &'static str| Edit {
            part,
            start,
            len,
            value: Bytes::from_static(value.as_bytes()),
        };
        let edits = [
            edit(Part::Field(1), 4, 1, "B"),
            edit(Part::Field(3), 4, 3, "longer"),
            edit(Part::Body, 0, 1, "OO"),
        ];
        let wire = assemble(&request, &edits).expect("edits that fit").concat();
        assert_eq!(
            String::from_utf8_lossy(&wire),
            "POST /a HTTP/1.1\r\nContent-Length: 3\r\nX-Fold: a   B\r\nCookie: sid=longer\r\n\r\nOOk"
        );
    }
}
