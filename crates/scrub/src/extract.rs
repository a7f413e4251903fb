//! Reads single values from responses that were not scrubbed.

use std::ops::Range;

use bytes::Bytes;
use twintap_stream::ResponseHead;

use crate::body;
use crate::encoding::decode;
use crate::find::{Found, Repeats, Search, Visit, head, is_in_body};
use crate::leaf::Encoding;
use crate::media::Media;
use crate::nest;
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
        container: nest::split_path(path).map(|(container, _)| container),
        renames,
        found: None,
    };
    if is_in_body(path) {
        let media = Media::of(&head.fields, &head.version);
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
    /// The leaf that it lies in, where it lies in one.
    container: Option<&'a str>,
    renames: Option<&'a Pseudonyms>,
    /// Its span, how it is written, and whether it is the container.
    found: Option<(Range<usize>, Encoding, bool)>,
}

impl Wanted<'_> {
    fn value_in(mut self, src: &[u8]) -> Option<Vec<u8>> {
        let (span, encoding, is_container) = self.found.take()?;
        let raw = decode(&src[span], encoding);
        match self.container.filter(|_| is_container) {
            Some(container) => self.value_inside(&raw, container),
            None => Some(raw.into_owned()),
        }
    }

    /// Names inside of a value are scrubbed where the value is, which its path does
    /// not say: both are tried.
    fn value_inside(&self, raw: &[u8], container: &str) -> Option<Vec<u8>> {
        let mut value = None;
        for renames in [self.renames, None] {
            let mut rename = |name: &str| {
                let new = renames?.of(name.as_bytes());
                Some(String::from_utf8_lossy(&new).into_owned())
            };
            nest::values(raw, container, &mut rename, &mut |path, raw| {
                if path == self.path && value.is_none() {
                    value = Some(raw.to_vec());
                }
            });
        }
        value
    }
}

impl Visit for Wanted<'_> {
    fn odd_name(&mut self, name: &str, _: Range<usize>, _: Encoding) -> Option<String> {
        let new = self.renames?.of(name.as_bytes());
        Some(String::from_utf8_lossy(&new).into_owned())
    }

    fn leaf(&mut self, found: Found<'_>) {
        let is_container = self.container == Some(found.path);
        if self.found.is_none() && (is_container || found.path == self.path) {
            self.found = Some((found.span, found.encoding, is_container));
        }
    }

    fn is_done(&self) -> bool {
        self.found.is_some()
    }
}
