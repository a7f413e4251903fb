//! Server-sent events (WHATWG HTML, section 9.2): `json./3/data/id` is the member `id` of
//! what the fourth event says, `json./3/data` all of it where that is no JSON document of one
//! line. Blocks without a field that an event has, comments alone, are none.

use std::ops::Range;

use super::{Found, Search, Unparsable, Visit, json};
use crate::encoding::is_document;
use crate::leaf::Encoding;

/// A line of a stream of events, without its end.
struct Line {
    span: Range<usize>,
    /// What it is of the event: `data`, `event`, `id`, `retry`; `comment`, or `other`.
    name: &'static str,
    /// Where its value stands.
    value: Range<usize>,
}

/// Goes through the events of a body.
pub(crate) fn find(search: &mut Search<'_, impl Visit>) -> Result<(), Unparsable> {
    let mut number = 0;
    for block in blocks(search.src) {
        let lines: Vec<Line> = lines(search.src, block).collect();
        if search.visit.is_done() {
            return Ok(());
        }
        block_values(search, &lines, number)?;
        number += usize::from(lines.iter().any(Line::is_of_event));
    }
    Ok(())
}

/// The raw value at a leaf's path in the bytes of one event, whichever its number is.
#[must_use]
pub fn value_in_event(event: &[u8], path: &str) -> Option<Vec<u8>> {
    struct Wanted<'a> {
        path: String,
        src: &'a [u8],
        value: Option<Vec<u8>>,
    }
    impl Visit for Wanted<'_> {
        fn odd_name(&mut self, _: &str, _: Range<usize>, _: Encoding) -> Option<String> {
            None
        }
        fn leaf(&mut self, found: Found<'_>) {
            if self.value.is_none() && found.path == self.path {
                self.value = Some(found.raw(self.src).into_owned());
            }
        }
        fn is_done(&self) -> bool {
            self.value.is_some()
        }
    }
    let (_, inside) = path.strip_prefix("json./")?.split_once('/')?;
    let mut wanted = Wanted {
        path: format!("json./0/{inside}"),
        src: event,
        value: None,
    };
    let mut search = Search {
        src: event,
        visit: &mut wanted,
        repeats: &mut Default::default(),
    };
    find(&mut search).ok()?;
    wanted.value
}

/// What an event says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent<'a> {
    /// Its type.
    pub event: Option<&'a [u8]>,
    /// Its id.
    pub id: Option<&'a [u8]>,
    /// The lines of its data.
    pub data: Vec<&'a [u8]>,
}

/// The events of a body, in their order.
#[must_use]
pub fn read_events(body: &[u8]) -> Vec<ServerEvent<'_>> {
    let mut events = Vec::new();
    for block in blocks(body) {
        let mut read = ServerEvent::default();
        let mut is_event = false;
        for line in lines(body, block) {
            is_event |= line.is_of_event();
            let value = &body[line.value.clone()];
            match line.name {
                "event" => read.event = Some(value),
                "id" => read.id = Some(value),
                "data" => read.data.push(value),
                _ => {}
            }
        }
        if is_event {
            events.push(read);
        }
    }
    events
}

impl Line {
    fn is_of_event(&self) -> bool {
        matches!(self.name, "data" | "event" | "id")
    }
}

fn block_values(
    search: &mut Search<'_, impl Visit>,
    lines: &[Line],
    number: usize,
) -> Result<(), Unparsable> {
    let src = search.src;
    let data = lines.iter().filter(|line| line.name == "data").count();
    for line in lines {
        let value = &src[line.value.clone()];
        if line.name == "data" && data == 1 && is_document(value) {
            let mut visit = Inside {
                visit: search.visit,
                start: line.value.start,
                number,
            };
            json::find(value, false, &mut visit)?;
            continue;
        }
        let span = match line.name {
            "other" => line.span.clone(),
            _ => line.value.clone(),
        };
        if span.is_empty() {
            continue;
        }
        let path = format!("json./{number}/{}", line.name);
        let count = search.repeats.count(&path);
        let marked = (count > 0).then(|| format!("{path}#{count}"));
        search.visit.leaf(Found {
            path: marked.as_deref().unwrap_or(&path),
            place: &format!("json./*/{}", line.name),
            name: line.name,
            is_in_path: false,
            span,
            encoding: Encoding::Plain,
            has_escapes: false,
            ruled: None,
        });
    }
    Ok(())
}

/// The visitor of a document in an event.
struct Inside<'a, V> {
    visit: &'a mut V,
    start: usize,
    number: usize,
}

impl<V> Inside<'_, V> {
    fn moved(&self, span: Range<usize>) -> Range<usize> {
        self.start + span.start..self.start + span.end
    }
}

impl<V: Visit> Visit for Inside<'_, V> {
    fn odd_name(&mut self, name: &str, span: Range<usize>, encoding: Encoding) -> Option<String> {
        let span = self.moved(span);
        self.visit.odd_name(name, span, encoding)
    }

    fn leaf(&mut self, found: Found<'_>) {
        let below = |path: &str| path.strip_prefix("json.").unwrap_or(path).to_owned();
        let span = self.moved(found.span.clone());
        self.visit.leaf(Found {
            path: &format!("json./{}/data{}", self.number, below(found.path)),
            place: &format!("json./*/data{}", below(found.place)),
            span,
            ..found
        });
    }

    fn is_done(&self) -> bool {
        self.visit.is_done()
    }
}

/// The blocks between empty lines; the last one need not have one behind it.
fn blocks(src: &[u8]) -> impl Iterator<Item = Range<usize>> {
    // A byte order mark may stand before everything.
    let mut at = if src.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    std::iter::from_fn(move || {
        let start = at;
        while at < src.len() {
            let line = line_at(src, at);
            at = line.next;
            if line.text.is_empty() {
                return Some(start..line.text.start);
            }
        }
        (start < src.len()).then_some(start..src.len())
    })
}

fn lines(src: &[u8], block: Range<usize>) -> impl Iterator<Item = Line> {
    let mut at = block.start;
    std::iter::from_fn(move || {
        (at < block.end).then(|| {
            let line = line_at(&src[..block.end], at);
            at = line.next;
            read_line(src, line.text)
        })
    })
}

fn read_line(src: &[u8], span: Range<usize>) -> Line {
    let text = &src[span.clone()];
    let colon = memchr::memchr(b':', text).unwrap_or(text.len());
    let name = match &text[..colon] {
        b"" => "comment",
        b"data" => "data",
        b"event" => "event",
        b"id" => "id",
        b"retry" => "retry",
        _ => "other",
    };
    let after = (span.start + colon + 1).min(span.end);
    let has_space = src[after..span.end].first() == Some(&b' ');
    Line {
        value: after + usize::from(has_space)..span.end,
        name,
        span,
    }
}

struct TextLine {
    text: Range<usize>,
    next: usize,
}

/// The line that begins at `at`; it ends by CR, LF, or both.
fn line_at(src: &[u8], at: usize) -> TextLine {
    let end = memchr::memchr2(b'\r', b'\n', &src[at..]).map_or(src.len(), |end| at + end);
    let next = match &src[end..] {
        [b'\r', b'\n', ..] => end + 2,
        [_, ..] => end + 1,
        [] => end,
    };
    TextLine {
        text: at..end,
        next,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::find::Repeats;

    /// The leaves, as `path = value`.
    fn leaves(src: &[u8]) -> Vec<String> {
        struct Notes<'a>(&'a [u8], Vec<String>, usize);
        impl Visit for Notes<'_> {
            fn odd_name(&mut self, _: &str, _: Range<usize>, _: Encoding) -> Option<String> {
                None
            }
            fn leaf(&mut self, found: Found<'_>) {
                assert!(found.span.start >= self.2 && found.span.end <= self.0.len());
                self.2 = found.span.end;
                let value = String::from_utf8_lossy(&self.0[found.span]);
                self.1.push(format!("{} = {value}", found.path));
            }
        }
        let mut notes = Notes(src, Vec::new(), 0);
        let mut search = Search {
            src,
            visit: &mut notes,
            repeats: &mut Repeats::default(),
        };
        find(&mut search).expect("sound documents");
        notes.1
    }

    #[test]
    fn events_have_values() {
        let stream = "\u{feff}: hello\n\nid: 7\ndata: {\"id\": \"a\", \"in\": [{\"b\": 1}]}\n\n\
                      event:news\r\ndata: one\r\ndata: two\r\n\r\nretry: 10\n\nodd\ndata\n\ndata: cut";
        let expected = [
            "json./0/comment = hello",
            "json./0/id = 7",
            "json./0/data/id = a",
            "json./0/data/in/0/b = 1",
            "json./1/event = news",
            "json./1/data = one",
            "json./1/data#1 = two",
            "json./2/retry = 10",
            "json./2/other = odd",
            "json./3/data = cut",
        ];
        assert_eq!(leaves(stream.as_bytes()), expected);
        let events = read_events(stream.as_bytes());
        let data: Vec<usize> = events.iter().map(|event| event.data.len()).collect();
        assert_eq!(data, [1, 2, 1, 1]);
        assert_eq!(events[1].event, Some(&b"news"[..]));
    }

    #[test]
    fn a_value_of_one_event_is_found_whichever_its_number_is() {
        let event = b"id: 7\ndata: {\"id\":\"a\\u0062\"}\n\n";
        let value = |path| value_in_event(event, path);
        assert_eq!(value("json./5/data/id").as_deref(), Some(&b"ab"[..]));
        assert_eq!(value("json./0/id").as_deref(), Some(&b"7"[..]));
        assert_eq!(value("json./5/data/other"), None);
        assert_eq!(value("grpc.0>proto./1"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_values_in_order(text in "(data|id|event|:|x|\\{\"a\":1\\}| |\r|\n){0,60}") {
            let leaves = leaves(text.as_bytes());
            // Numbers of leaves are those of events that there are.
            let events = read_events(text.as_bytes()).len();
            for leaf in leaves {
                let number = leaf["json./".len()..].split('/').next().expect("a number");
                prop_assert!(number.parse::<usize>().expect("a number") <= events);
            }
        }
    }
}
