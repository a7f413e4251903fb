//! Values that scrubbing named, carried through a parser that knows nothing of them.
//!
//! Parsers give no positions, so that each value is replaced by a mark of private characters
//! (Unicode, section 23.5) before parsing, and put in its place again in the parsed text.

use twintap_scrub::{Leaf, decode};

const BEGIN: char = '\u{f0000}';
const END: char = '\u{f0001}';

/// A text, with its values marked.
pub(super) struct Marks<'a> {
    marked: String,
    /// By the number in their marks.
    leaves: Vec<&'a Leaf>,
    values: Vec<String>,
}

/// A text out of a document, and where the values of leaves are in it.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) text: String,
    /// Start, end and the number of the leaf.
    pub(super) spans: Vec<(usize, usize, usize)>,
}

impl<'a> Marks<'a> {
    pub(super) fn new(text: &str, leaves: impl Iterator<Item = &'a Leaf>) -> Marks<'a> {
        let mut marks = Marks {
            marked: String::with_capacity(text.len()),
            leaves: Vec::new(),
            values: Vec::new(),
        };
        let mut leaves: Vec<&Leaf> = leaves.filter(|leaf| is_value(leaf)).collect();
        leaves.sort_by_key(|leaf| leaf.start);
        let is_usable = !text.contains([BEGIN, END]);
        let mut end_of_last = 0;
        for leaf in leaves.into_iter().filter(|_| is_usable) {
            let start = leaf.start as usize;
            let end = start + leaf.len as usize;
            let Some(written) = text.get(start..end) else {
                continue;
            };
            if start < end_of_last || written.is_empty() {
                continue;
            }
            let value = decode(written.as_bytes(), leaf.encoding);
            marks.marked.push_str(&text[end_of_last..start]);
            marks.marked.push(BEGIN);
            marks.marked.push_str(&marks.leaves.len().to_string());
            marks.marked.push(END);
            marks.leaves.push(leaf);
            marks
                .values
                .push(super::words_of(&String::from_utf8_lossy(&value)));
            end_of_last = end;
        }
        // It is the end of a leaf, whose span was sound.
        marks.marked.push_str(&text[end_of_last..]);
        marks
    }

    /// What is to be parsed.
    pub(super) fn text(&self) -> &str {
        &self.marked
    }

    pub(super) fn into_leaves(self) -> Vec<&'a Leaf> {
        self.leaves
    }

    /// A parsed text with its values put in the place of their marks.
    pub(super) fn read(&self, parsed: &str) -> Marked {
        let mut read = Marked::default();
        let mut rest = parsed;
        while let Some((before, after)) = rest.split_once(BEGIN) {
            read.text.push_str(before);
            let marked = after.split_once(END);
            let number = marked.and_then(|(number, _)| number.parse::<usize>().ok());
            let Some((number, value)) =
                number.and_then(|number| Some((number, self.values.get(number)?)))
            else {
                rest = after;
                continue;
            };
            let start = read.text.len();
            read.text.push_str(value);
            if !value.is_empty() {
                read.spans.push((start, read.text.len(), number));
            }
            rest = marked.map_or("", |(_, rest)| rest);
        }
        read.text.push_str(rest);
        read
    }
}

/// Whether a leaf is a value that a parsed document has: not one in another's value, nor a
/// part of a tag that no parser would take for one, nor a comment.
fn is_value(leaf: &Leaf) -> bool {
    let name = leaf.path.split('#').next().unwrap_or_default();
    !leaf.path.contains('>')
        && !matches!(
            name,
            "html.tag" | "html.comment" | "xml.comment" | "xml.instruction"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use twintap_scrub::{Action, Encoding, LinkTag, Part};

    fn leaf(path: &str, start: u32, len: u32) -> Leaf {
        Leaf {
            part: Part::Body,
            path: path.to_owned(),
            start,
            len,
            tag: LinkTag(u64::from(start)),
            encoding: Encoding::HtmlAttribute,
            action: Action::Allowed,
            raw_chars: len,
        }
    }

    #[test]
    fn values_come_back_where_they_were() {
        let text = "<b>a &amp; b</b> c";
        let leaves = [
            leaf("html.text", 3, 9),
            leaf("html.tag", 1, 1),
            leaf("html.text#1", 99, 1),
        ];
        let marks = Marks::new(text, leaves.iter());
        let parsed = marks.text().replace("<b>", "").replace("</b>", "");
        let read = marks.read(&parsed);
        assert_eq!(read.text, "a & b c");
        assert_eq!(read.spans, [(0, 5, 0)]);
        assert_eq!(marks.into_leaves().len(), 1);
    }

    #[test]
    fn a_text_that_has_such_characters_has_no_marks() {
        let text = format!("<b>{BEGIN}7{END}</b>");
        let leaves = [leaf("html.text", 3, 9)];
        let marks = Marks::new(&text, leaves.iter());
        assert_eq!(marks.text(), text);
        assert_eq!(marks.read(&text).text, format!("<b>7{END}</b>"));
    }
}
