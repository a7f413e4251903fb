//! Reads single values from responses that were not scrubbed.

use std::ops::Range;

use bytes::Bytes;
use twintap_stream::ResponseHead;

use crate::body;
use crate::encoding::decode;
use crate::find::{Found, Repeats, Search, Visit, head, is_in_body};
use crate::leaf::Encoding;
use crate::media::Media;
use crate::pseudonym::Pseudonyms;

/// The raw value, decoded, of the leaf called `path` in a response as a twin sent
/// it; names are those of [`Leaf::path`](crate::Leaf::path).
///
/// A content coding that scrubbing would undo is undone, up to 64 MiB.
#[must_use]
pub fn extract(head: &ResponseHead, body: &[u8], path: &str) -> Option<Vec<u8>> {
    extract_with(head, body, path, None)
}

const MOST_DECODED_BYTES: usize = 64 << 20;

/// With `renames`, names that scrubbing replaces are replaced likewise.
pub(crate) fn extract_with(
    head: &ResponseHead,
    body: &[u8],
    path: &str,
    renames: Option<&Pseudonyms>,
) -> Option<Vec<u8>> {
    let mut repeats = Repeats::default();
    let mut wanted = Wanted {
        path,
        renames,
        found: None,
    };
    if is_in_body(path) {
        let media = Media::of(&head.fields);
        let body = Bytes::copy_from_slice(body);
        let body = match media.is_plain() {
            true => body,
            false => media.decoded(&body, MOST_DECODED_BYTES).ok()?,
        };
        // What was found before a body turned out unsound would not have been stored.
        body::visit(media.kind()?, &body, &mut repeats, &mut wanted).ok()?;
        return wanted.value_in(&body);
    }
    for field in &head.fields {
        head::find_value(
            &mut Search {
                src: &field.value,
                visit: &mut wanted,
                repeats: &mut repeats,
            },
            &field.name,
        );
        if wanted.found.is_some() {
            return wanted.value_in(&field.value);
        }
    }
    None
}

/// The visitor that waits for one path.
struct Wanted<'a> {
    path: &'a str,
    renames: Option<&'a Pseudonyms>,
    found: Option<(Range<usize>, Encoding)>,
}

impl Wanted<'_> {
    fn value_in(self, src: &[u8]) -> Option<Vec<u8>> {
        let (span, encoding) = self.found?;
        Some(decode(&src[span], encoding).into_owned())
    }
}

impl Visit for Wanted<'_> {
    fn odd_name(&mut self, name: &str, _: Range<usize>, _: Encoding) -> Option<String> {
        let new = self.renames?.of(name.as_bytes());
        Some(String::from_utf8_lossy(&new).into_owned())
    }

    fn leaf(&mut self, found: Found<'_>) {
        if self.found.is_none() && found.path == self.path {
            self.found = Some((found.span, found.encoding));
        }
    }

    fn is_done(&self) -> bool {
        self.found.is_some()
    }
}
