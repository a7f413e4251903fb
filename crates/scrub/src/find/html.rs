//! HTML, as far as its values go.
//!
//! Tags and the attributes that give a page its structure are kept. Everything
//! else that a page can carry is a value: text, comments, scripts, and all other
//! attributes. What the grammar of HTML leaves to error recovery is a value too.

use std::ops::Range;

use super::{Search, Visit, uri};
use crate::leaf::Encoding;

/// Goes through a page: `html.input.NAME` for the value of an input,
/// `html.href.path.N` and the like for links, `html.attribute.NAME` for other
/// attributes, `html.text`, `html.script` and `html.comment` for what is between.
pub(crate) fn find(search: &mut Search<'_, impl Visit>) {
    let src = search.src;
    let mut at = 0;
    while at < src.len() && !search.visit.is_done() {
        let open = memchr::memchr(b'<', &src[at..]).map_or(src.len(), |open| at + open);
        let tag = tag_at(src, open);
        // A `<` that begins nothing is text, and so is what follows it.
        let text_end = if tag.is_none() && open < src.len() {
            memchr::memchr(b'<', &src[open + 1..]).map_or(src.len(), |next| open + 1 + next)
        } else {
            open
        };
        text(search, at..text_end, "text");
        at = match tag {
            Some(Tag::Comment(inside, end)) => {
                text(search, inside, "comment");
                end
            }
            Some(Tag::Doctype(end)) => end,
            Some(Tag::Element(name, end)) => element(search, name, end),
            None => text_end,
        };
    }
}

enum Tag {
    /// What is inside, and where it ends.
    Comment(Range<usize>, usize),
    Doctype(usize),
    /// The name of a start tag or an end tag; where the attributes begin.
    Element(Range<usize>, usize),
}

fn tag_at(src: &[u8], open: usize) -> Option<Tag> {
    let rest = src.get(open..)?;
    if let Some(comment) = rest.strip_prefix(b"<!--") {
        let start = open + 4;
        let len = memchr::memmem::find(comment, b"-->");
        let end = len.map_or(src.len(), |len| start + len);
        return Some(Tag::Comment(start..end, (end + 3).min(src.len())));
    }
    let doctype = b"<!doctype html>";
    if rest.len() >= doctype.len() && rest[..doctype.len()].eq_ignore_ascii_case(doctype) {
        return Some(Tag::Doctype(open + doctype.len()));
    }
    if rest.starts_with(b"<!") || rest.starts_with(b"<?") {
        let len = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        return Some(Tag::Comment(
            open + 2..open + len.max(2),
            (open + len + 1).min(src.len()),
        ));
    }
    let slash = usize::from(rest.get(1) == Some(&b'/'));
    let start = open + 1 + slash;
    if !src.get(start)?.is_ascii_alphabetic() {
        return None;
    }
    let len = src[start..]
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
        .unwrap_or(src.len() - start);
    Some(Tag::Element(start..start + len, start + len))
}

/// The attributes of a tag, and the raw text after it where it has one.
fn element(search: &mut Search<'_, impl Visit>, name: Range<usize>, mut at: usize) -> usize {
    let src = search.src;
    let is_end_tag = src[name.start - 1] == b'/';
    let element = String::from_utf8_lossy(&src[name.clone()]).to_ascii_lowercase();
    if !crate::names::is_structural(&element) || element.len() > 32 {
        search.leaf("html.", "tag", name, Encoding::HtmlAttribute);
    }
    let mut attributes = Vec::new();
    while let Some(attribute) = attribute_at(src, at) {
        at = attribute.end;
        attributes.push(attribute);
    }
    let end = memchr::memchr(b'>', &src[at..]).map_or(src.len(), |close| at + close + 1);
    let input = input_name(search, &element, &attributes);
    for attribute in attributes {
        self::attribute(search, &element, input.as_deref(), attribute);
    }
    let is_raw = matches!(
        element.as_str(),
        "script"
            | "style"
            | "textarea"
            | "title"
            | "iframe"
            | "noscript"
            | "xmp"
            | "noembed"
            | "noframes"
    );
    if is_end_tag || !is_raw {
        return end;
    }
    let close = raw_text_end(src, end, &element);
    match element.as_str() {
        // No character references are read there (section 13.2.5.4).
        "script" | "style" => raw_text(search, end..close, &element),
        _ => text(search, end..close, "text"),
    }
    close
}

struct Attribute {
    name: Range<usize>,
    value: Option<Range<usize>>,
    end: usize,
}

/// The attribute after white space and slashes at `at`, if the tag has one more
/// (HTML Living Standard, section 13.2.5.32 and on).
fn attribute_at(src: &[u8], at: usize) -> Option<Attribute> {
    let skip = |at: usize, also: u8| {
        src[at..]
            .iter()
            .position(|&byte| !(byte.is_ascii_whitespace() || byte == also))
            .map(|len| at + len)
    };
    let start = skip(at, b'/')?;
    if src[start] == b'>' {
        return None;
    }
    // A name may begin with `=`.
    let len = src[start + 1..]
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'='))
        .unwrap_or(src.len() - start - 1);
    let name = start..start + 1 + len;
    let bare = Attribute {
        name: name.clone(),
        value: None,
        end: name.end,
    };
    let Some(equals) = skip(name.end, b' ').filter(|&equals| src[equals] == b'=') else {
        return Some(bare);
    };
    let Some(first) = skip(equals + 1, b' ') else {
        return Some(bare);
    };
    let (value, end) = match src[first] {
        quote @ (b'"' | b'\'') => {
            let len = memchr::memchr(quote, &src[first + 1..]).unwrap_or(src.len() - first - 1);
            let end = first + 1 + len;
            (first + 1..end, (end + 1).min(src.len()))
        }
        b'>' => (first..first, first),
        _ => {
            let len = src[first..]
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || *byte == b'>')
                .unwrap_or(src.len() - first);
            (first..first + len, first + len)
        }
    };
    Some(Attribute {
        name,
        value: Some(value),
        end,
    })
}

/// What the element's `name` says, where its `value` is what a form would send.
fn input_name(
    search: &Search<'_, impl Visit>,
    element: &str,
    attributes: &[Attribute],
) -> Option<String> {
    if !matches!(element, "input" | "button" | "option" | "meta") {
        return None;
    }
    let of = |wanted: &str| {
        attributes.iter().find_map(|attribute| {
            let is_it = search.src[attribute.name.clone()].eq_ignore_ascii_case(wanted.as_bytes());
            let value = &search.src[attribute.value.clone()?];
            is_it.then(|| String::from_utf8_lossy(value).into_owned())
        })
    };
    of("name").filter(|name| crate::names::is_structural(name))
}

fn attribute(
    search: &mut Search<'_, impl Visit>,
    element: &str,
    input: Option<&str>,
    attribute: Attribute,
) {
    /// What says how a page is built and shown.
    const STRUCTURE: [&str; 38] = [
        "action-type",
        "async",
        "autocomplete",
        "autofocus",
        "charset",
        "checked",
        "class",
        "cols",
        "colspan",
        "defer",
        "dir",
        "disabled",
        "enctype",
        "for",
        "height",
        "hidden",
        "http-equiv",
        "lang",
        "max",
        "maxlength",
        "method",
        "min",
        "minlength",
        "multiple",
        "name",
        "novalidate",
        "readonly",
        "rel",
        "required",
        "role",
        "rows",
        "rowspan",
        "selected",
        "step",
        "tabindex",
        "target",
        "type",
        "width",
    ];
    const LINKS: [&str; 6] = ["href", "src", "action", "formaction", "poster", "cite"];
    let src = search.src;
    let name = String::from_utf8_lossy(&src[attribute.name.clone()]).to_ascii_lowercase();
    let is_odd = !crate::names::is_structural(&name);
    if is_odd {
        search.leaf("html.", "tag", attribute.name, Encoding::HtmlAttribute);
    }
    let Some(value) = attribute.value else {
        return;
    };
    let structural = || {
        let text = &src[value.clone()];
        text.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'/'))
            .all(|word| {
                word.is_empty() || std::str::from_utf8(word).is_ok_and(crate::names::is_structural)
            })
    };
    match name.as_str() {
        known if LINKS.contains(&known) && !has_reference(&src[value.clone()]) => {
            uri::find(search, value, &format!("html.{known}."));
        }
        "value" if element == "input" || element == "button" || element == "option" => {
            let field = input.unwrap_or_default();
            search.leaf("html.input.", field, value, Encoding::HtmlAttribute);
        }
        "content" if element == "meta" => {
            let field = input.unwrap_or_default();
            search.leaf("html.meta.", field, value, Encoding::HtmlAttribute);
        }
        known if STRUCTURE.contains(&known) && structural() => (),
        _ if is_odd => search.leaf("html.attribute.", "", value, Encoding::HtmlAttribute),
        other => search.leaf("html.attribute.", other, value, Encoding::HtmlAttribute),
    }
}

/// Links with `&amp;` between parameters are written in two ways at once; they
/// are one value.
fn has_reference(value: &[u8]) -> bool {
    memchr::memchr(b'&', value).is_some()
}

fn raw_text_end(src: &[u8], start: usize, element: &str) -> usize {
    let mut at = start;
    while let Some(open) = memchr::memmem::find(&src[at..], b"</") {
        let name = &src[at + open + 2..];
        if name.len() >= element.len()
            && name[..element.len()].eq_ignore_ascii_case(element.as_bytes())
        {
            return at + open;
        }
        at += open + 2;
    }
    src.len()
}

/// Likewise, of what is not escaped.
fn raw_text(search: &mut Search<'_, impl Visit>, span: Range<usize>, kind: &str) {
    let span = super::trimmed(search.src, span);
    if !span.is_empty() {
        search.leaf("html.", kind, span, Encoding::Plain);
    }
}

/// Reports text without the white space around it.
fn text(search: &mut Search<'_, impl Visit>, span: Range<usize>, kind: &str) {
    let span = super::trimmed(search.src, span);
    if !span.is_empty() {
        search.leaf("html.", kind, span, Encoding::HtmlAttribute);
    }
}
