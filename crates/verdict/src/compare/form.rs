//! Forms as documents: each field is an array of its values.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// The fields of an urlencoded body (URL Standard, section 5.1).
pub(super) fn fields(body: &[u8]) -> Value {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        add(&mut fields, &name, Value::from(value));
    }
    Value::Object(fields)
}

/// The parts of a multipart body by their names (RFC 2046, section 5.1; RFC 7578); `None`
/// where it is not built so. The boundary says nothing.
pub(super) fn parts(body: &[u8]) -> Option<Value> {
    let begin = body.strip_prefix(b"\r\n").unwrap_or(body);
    let line = begin.windows(2).position(|bytes| bytes == b"\r\n")?;
    let delimiter = begin[..line].trim_ascii_end();
    if !delimiter.starts_with(b"--") || delimiter.len() < 3 {
        return None;
    }
    let mut parts = Map::new();
    let mut rest = &begin[line + 2..];
    loop {
        let end = find_delimiter(rest, delimiter)?;
        part(&rest[..end], &mut parts)?;
        let after = &rest[end + 2 + delimiter.len()..];
        if after.starts_with(b"--") {
            return Some(Value::Object(parts));
        }
        let line = after.windows(2).position(|bytes| bytes == b"\r\n")?;
        rest = &after[line + 2..];
    }
}

/// Where the line break before the next delimiter stands.
fn find_delimiter(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut breaks = bytes.windows(2).enumerate();
    let found =
        breaks.find(|(at, pair)| *pair == b"\r\n" && bytes[at + 2..].starts_with(delimiter));
    Some(found?.0)
}

fn part(bytes: &[u8], parts: &mut Map<String, Value>) -> Option<()> {
    let (head, body) = match bytes.strip_prefix(b"\r\n") {
        Some(body) => (&[][..], body),
        None => {
            let end = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
            (&bytes[..end], &bytes[end + 4..])
        }
    };
    let mut members = Map::new();
    let mut name = String::new();
    for line in String::from_utf8_lossy(head).split("\r\n") {
        let Some((field, value)) = line.split_once(':') else {
            continue;
        };
        match field.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                name = parameter(value, "name").unwrap_or_default();
                if let Some(file) = parameter(value, "filename") {
                    members.insert("filename".to_owned(), Value::from(file));
                }
            }
            "content-type" => {
                let media_type = value.trim().to_ascii_lowercase();
                members.insert("type".to_owned(), Value::from(media_type));
            }
            _ => (),
        }
    }
    let value = match std::str::from_utf8(body) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"bytes": body.len(), "digest": super::hash_bytes(body)}),
    };
    members.insert("body".to_owned(), value);
    add(parts, &name, Value::Object(members));
    Some(())
}

/// A parameter of a field's value, without its quotes.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    value.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.to_owned())
    })
}

fn add(members: &mut Map<String, Value>, name: &str, value: Value) {
    let values = members
        .entry(name)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(values) = values {
        values.push(value);
    }
}

/// Where a leaf of a form stands in the document, called as leaves of JSON are: `form.q#1` is
/// `json./q/1`, and `multipart.file.filename` is `json./file/0/filename`.
pub(super) fn place_of(path: &str) -> Option<String> {
    let (path, count) = path.rsplit_once('#').unwrap_or((path, "0"));
    let (name, end) = match (path.strip_prefix("form."), path.strip_prefix("multipart.")) {
        (Some(name), _) => (name, ""),
        (None, Some(part)) => match part.strip_suffix(".filename") {
            Some(name) => (name, "/filename"),
            None => (part, "/body"),
        },
        (None, None) => return None,
    };
    let mut place = String::from("json./");
    // Writing to a String can't fail.
    let _ = write!(place, "{}/{count}{end}", super::json::escape(name));
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_arrays_and_leaves_have_places_in_them() {
        let document = fields(b"q=green+tea&tag=a&tag=%2f&empty");
        let expected = json!({"q": ["green tea"], "tag": ["a", "/"], "empty": [""]});
        assert_eq!(document, expected);
        assert_eq!(place_of("form.tag#1").as_deref(), Some("json./tag/1"));
        assert_eq!(place_of("query.tag"), None);
    }

    #[test]
    fn parts_are_told_by_their_names_whatever_the_boundary() {
        let body = |boundary: &str| {
            let text = "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\na\r\nb\r\n--B\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\
                \r\nx\r\n--B--\r\n";
            parts(text.replace("--B", &format!("--{boundary}")).as_bytes())
        };
        let expected = json!({
            "note": [{"body": "a\r\nb"}],
            "file": [{"filename": "a.txt", "type": "text/plain", "body": "x"}],
        });
        assert_eq!(body("one"), Some(expected.clone()));
        assert_eq!(body("another"), Some(expected));
        assert_eq!(
            place_of("multipart.note").as_deref(),
            Some("json./note/0/body")
        );
        assert_eq!(
            place_of("multipart.file.filename").as_deref(),
            Some("json./file/0/filename")
        );
        assert_eq!(parts(b"no parts"), None);
        assert_eq!(parts(b"--x\r\n\r\nno end"), None);
    }
}
