//! Replies as JSON.

use crate::document::json::{Budget, Json};

/// Values may lie in each other so deep: readers of JSON go to 128 as a rule.
const MAX_DEPTH: usize = 100;

/// The value of a reply, as far as its bytes and the budget reach; a list of them where a command
/// is answered by several messages.
pub(crate) fn read_reply(bytes: &[u8], budget: &mut Budget) -> Option<Json> {
    let mut reader = Reader { bytes, budget };
    let mut values = Vec::new();
    while !reader.bytes.is_empty()
        && let Some(value) = reader.value(0)
    {
        values.push(value);
    }
    match values.len() {
        0 | 1 => values.pop(),
        _ => Some(Json::List(values)),
    }
}

struct Reader<'a, 'b> {
    bytes: &'a [u8],
    budget: &'b mut Budget,
}

impl<'a> Reader<'a, '_> {
    /// The next value; none where there is no more to be read.
    fn value(&mut self, depth: usize) -> Option<Json> {
        let value = match self.budget.is_stopped() || depth > MAX_DEPTH {
            true => None,
            false => self.read(depth),
        };
        if value.is_none() {
            self.budget.stop();
        }
        value
    }

    fn read(&mut self, depth: usize) -> Option<Json> {
        let line = self.line()?;
        let (kind, rest) = line.split_first()?;
        let value = match kind {
            b'+' => self.budget.text(rest),
            b'-' => self.error(rest),
            b':' | b',' => Json::number(std::str::from_utf8(rest).ok()?),
            b'(' => self.budget.text(rest),
            b'#' => Json::Bool(rest == b"t"),
            b'_' => Json::Null,
            b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' if rest == b"-1" => Json::Null,
            b'$' if rest == b"?" => self.chunks()?,
            b'$' => {
                let text = self.bulk(rest)?;
                self.budget.text(text)
            }
            // Three letters and a colon tell the format.
            b'=' => {
                let text = self.bulk(rest)?;
                self.budget.text(text.get(4..).unwrap_or(text))
            }
            b'!' => {
                let text = self.bulk(rest)?;
                self.error(text)
            }
            b'*' | b'~' | b'>' => Json::List(self.list(rest, 1, depth)?),
            b'%' => map(self.list(rest, 2, depth)?),
            // Attributes are no value: that which they describe follows.
            b'|' => {
                self.list(rest, 2, depth)?;
                return self.value(depth + 1);
            }
            _ => return None,
        };
        self.budget.take(0);
        Some(value)
    }

    fn error(&mut self, text: &[u8]) -> Json {
        let text = self.budget.text(text);
        Json::Object(vec![("error".to_owned(), text)])
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.bytes)?;
        let (line, rest) = self.bytes.split_at(end + 1);
        self.bytes = rest;
        line.strip_suffix(b"\r\n")
    }

    fn bulk(&mut self, digits: &[u8]) -> Option<&'a [u8]> {
        let (text, rest) = self.bytes.split_at_checked(number(digits)?)?;
        self.bytes = rest.strip_prefix(b"\r\n")?;
        Some(text)
    }

    /// A string in chunks.
    fn chunks(&mut self) -> Option<Json> {
        let mut text = Vec::new();
        loop {
            match self.line()?.strip_prefix(b";")? {
                b"0" => return Some(self.budget.text(&text)),
                digits => text.extend_from_slice(self.bulk(digits)?),
            }
        }
    }

    /// Elements of an aggregate, as far as they can be read.
    fn list(&mut self, count: &[u8], values_each: usize, depth: usize) -> Option<Vec<Json>> {
        let count = match count {
            b"?" => None,
            digits => Some(number(digits)?.saturating_mul(values_each)),
        };
        let mut list = Vec::new();
        while count.is_none_or(|count| list.len() < count) {
            if count.is_none() && self.bytes.starts_with(b".\r\n") {
                self.line();
                break;
            }
            let Some(value) = self.value(depth + 1) else {
                break;
            };
            list.push(value);
        }
        Some(list)
    }
}

/// A list of keys and values in turn as the map that it stands for.
pub(crate) fn pairs(value: Json) -> Json {
    match value {
        Json::List(list) if list.len().is_multiple_of(2) => map(list),
        other => other,
    }
}

/// Keys and values in turn; an object where all keys are strings, each once, else pairs.
fn map(list: Vec<Json>) -> Json {
    let mut names = std::collections::HashSet::new();
    let keys = list.iter().step_by(2);
    let is_object = keys.into_iter().all(|key| match key {
        Json::Text(name) => names.insert(name.clone()),
        _ => false,
    });
    let mut values = list.into_iter();
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        pairs.push((key, value));
    }
    if !is_object {
        let pairs = pairs.into_iter();
        return Json::List(
            pairs
                .map(|(key, value)| Json::List(vec![key, value]))
                .collect(),
        );
    }
    let members = pairs.into_iter().filter_map(|(key, value)| match key {
        Json::Text(name) => Some((name, value)),
        _ => None,
    });
    Json::Object(members.collect())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
