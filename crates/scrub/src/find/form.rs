//! Parameters: form bodies and query strings.

use std::ops::Range;

use super::{Search, Visit, pieces};
use crate::leaf::Encoding;
use crate::names;

/// Goes through `name=value` pairs joined by `&`, below `prefix`.
pub(crate) fn find(
    search: &mut Search<'_, impl Visit>,
    span: Range<usize>,
    prefix: &str,
    is_form: bool,
) {
    for piece in pieces(search.src, span, b'&') {
        if search.visit.is_done() {
            return;
        }
        let written = &search.src[piece.clone()];
        match memchr::memchr(b'=', written) {
            Some(at) => {
                let name = piece.start..piece.start + at;
                let value = piece.start + at + 1..piece.end;
                let encoding = encoding_of(search.src, &name, is_form);
                let name = if name.is_empty() {
                    String::new()
                } else {
                    search.name(name, encoding)
                };
                let encoding = encoding_of(search.src, &value, is_form);
                search.leaf(prefix, &name, value, encoding);
            }
            None if written.is_empty() => (),
            // A flag such as `?debug` is a name without a value; other things
            // without a name are a value.
            None if is_flag(written) => (),
            None => {
                let encoding = encoding_of(search.src, &piece, is_form);
                search.leaf(prefix, "", piece, encoding);
            }
        }
    }
}

fn is_flag(written: &[u8]) -> bool {
    std::str::from_utf8(written).is_ok_and(|text| names::is_structural(text) && text.len() <= 20)
}

/// A space in a query may be written either way; a value that has none is
/// written the way of RFC 3986, which every server reads.
fn encoding_of(src: &[u8], span: &Range<usize>, is_form: bool) -> Encoding {
    if is_form || memchr::memchr(b'+', &src[span.clone()]).is_some() {
        Encoding::Form
    } else {
        Encoding::Percent
    }
}
