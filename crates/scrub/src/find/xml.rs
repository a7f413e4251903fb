//! XML (1.0, fifth edition), as far as its values go.
//!
//! Names of elements and attributes are kept; texts and the values of attributes
//! are values. What declares entities or is not well-formed is unparsable.

use std::ops::Range;

use super::{Search, Unparsable, Visit, trimmed};
use crate::leaf::Encoding;

/// How deep elements may lie in each other.
const MOST_DEEP: usize = 128;

/// Goes through a document: `xml./order/id` for the text of an element,
/// `xml./order/@id` for an attribute, `xml.comment`, `xml.instruction`.
pub(crate) fn find<V: Visit>(search: &mut Search<'_, V>) -> Result<(), Unparsable> {
    let mut document = Document {
        search,
        open: Vec::new(),
        path: String::from("/"),
    };
    let src = document.search.src;
    let mut at = if src.starts_with(b"\xef\xbb\xbf") {
        3
    } else {
        0
    };
    while at < src.len() && !document.search.visit.is_done() {
        let tag = memchr::memchr(b'<', &src[at..]).map_or(src.len(), |open| at + open);
        document.text(at..tag, Encoding::HtmlAttribute)?;
        if tag == src.len() {
            break;
        }
        at = document.markup(tag)?;
    }
    let is_closed = document.open.is_empty() || document.search.visit.is_done();
    is_closed.then_some(()).ok_or(Unparsable)
}

struct Document<'a, 'b, V> {
    search: &'a mut Search<'b, V>,
    /// The names of the elements that are open, as written, and how long `path` was
    /// before each.
    open: Vec<(Range<usize>, usize)>,
    /// Where leaves of the innermost element are, ending with a slash.
    path: String,
}

impl<V: Visit> Document<'_, '_, V> {
    fn text(&mut self, span: Range<usize>, encoding: Encoding) -> Result<(), Unparsable> {
        let span = trimmed(self.search.src, span);
        if span.is_empty() {
            return Ok(());
        }
        let element = self.path.strip_suffix('/').ok_or(Unparsable)?;
        let (above, name) = element.rsplit_once('/').ok_or(Unparsable)?;
        let prefix = format!("xml.{above}/");
        let name = name.to_owned();
        self.search.leaf(&prefix, &name, span, encoding);
        Ok(())
    }

    /// Passes over the markup that begins at `at`; gives where it ends.
    fn markup(&mut self, at: usize) -> Result<usize, Unparsable> {
        let src = self.search.src;
        let rest = &src[at..];
        let until = |from: usize, end: &[u8]| {
            let len = memchr::memmem::find(&src[from..], end).ok_or(Unparsable)?;
            Ok(from + len)
        };
        if rest.starts_with(b"<!--") {
            let end = until(at + 4, b"-->")?;
            self.aside("comment", at + 4..end);
            return Ok(end + 3);
        }
        if rest.starts_with(b"<![CDATA[") {
            let end = until(at + 9, b"]]>")?;
            self.text(at + 9..end, Encoding::Plain)?;
            return Ok(end + 3);
        }
        if rest.starts_with(b"<?") {
            let end = until(at + 2, b"?>")?;
            if !rest.starts_with(b"<?xml ") {
                self.aside("instruction", at + 2..end);
            }
            return Ok(end + 2);
        }
        if rest.starts_with(b"</") {
            return self.end_tag(at + 2);
        }
        self.start_tag(at + 1)
    }

    fn aside(&mut self, kind: &str, span: Range<usize>) {
        let span = trimmed(self.search.src, span);
        if !span.is_empty() {
            self.search.leaf("xml.", kind, span, Encoding::Plain);
        }
    }

    fn end_tag(&mut self, at: usize) -> Result<usize, Unparsable> {
        let src = self.search.src;
        let name = self.name_at(at)?;
        let (opened, path_len) = self.open.pop().ok_or(Unparsable)?;
        if src[opened] != src[name.clone()] {
            return Err(Unparsable);
        }
        self.search.name(name.clone(), Encoding::Plain);
        self.path.truncate(path_len);
        let close = self.skip_space(name.end);
        (src.get(close) == Some(&b'>'))
            .then_some(close + 1)
            .ok_or(Unparsable)
    }

    fn start_tag(&mut self, at: usize) -> Result<usize, Unparsable> {
        let src = self.search.src;
        let span = self.name_at(at)?;
        if self.open.len() == MOST_DEEP {
            return Err(Unparsable);
        }
        let name = self.search.name(span.clone(), Encoding::Plain);
        let path_len = self.path.len();
        self.open.push((span.clone(), path_len));
        self.path.push_str(&name);
        self.path.push('/');
        let mut at = self.skip_space(span.end);
        loop {
            match src.get(at).ok_or(Unparsable)? {
                b'>' => return Ok(at + 1),
                b'/' if src.get(at + 1) == Some(&b'>') => {
                    self.open.pop();
                    self.path.truncate(path_len);
                    return Ok(at + 2);
                }
                _ => at = self.attribute(at)?,
            }
        }
    }

    fn attribute(&mut self, at: usize) -> Result<usize, Unparsable> {
        let src = self.search.src;
        let span = self.name_at(at)?;
        let name = self.search.name(span.clone(), Encoding::Plain);
        let equals = self.skip_space(span.end);
        if src.get(equals) != Some(&b'=') {
            return Err(Unparsable);
        }
        let open = self.skip_space(equals + 1);
        let quote = *src
            .get(open)
            .filter(|byte| matches!(byte, b'"' | b'\''))
            .ok_or(Unparsable)?;
        let len = memchr::memchr(quote, &src[open + 1..]).ok_or(Unparsable)?;
        let value = open + 1..open + 1 + len;
        // Namespaces are the format's, and no values.
        if name != "xmlns" && !name.starts_with("xmlns:") {
            let prefix = format!("xml.{}@", self.path);
            let end = value.end;
            self.search
                .leaf(&prefix, &name, value, Encoding::HtmlAttribute);
            return Ok(self.skip_space(end + 1));
        }
        let is_plain = |byte: &u8| byte.is_ascii_graphic();
        let is_name = value.len() <= 200 && src[value.clone()].iter().all(is_plain);
        is_name
            .then(|| self.skip_space(value.end + 1))
            .ok_or(Unparsable)
    }

    fn name_at(&self, at: usize) -> Result<Range<usize>, Unparsable> {
        let rest = self.search.src.get(at..).ok_or(Unparsable)?;
        let len = rest
            .iter()
            .position(|byte| byte.is_ascii_whitespace() || b"/>=<\"'&?!".contains(byte))
            .ok_or(Unparsable)?;
        (len > 0).then_some(at..at + len).ok_or(Unparsable)
    }

    fn skip_space(&self, at: usize) -> usize {
        let rest = self.search.src.get(at..).unwrap_or_default();
        at + (rest.len() - rest.trim_ascii_start().len())
    }
}
