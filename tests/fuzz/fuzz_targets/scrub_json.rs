//! Any JSON, sound or not, under the default policy: every span lies inside what
//! is kept, and what is kept is still JSON.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use twintap_scrub::{Key, Part, Policy, Scrubber};
use twintap_stream::{Field, RequestHead, ResponseHead};

static SCRUBBER: LazyLock<Scrubber> =
    LazyLock::new(|| Scrubber::new(Policy::default_policy(), &Key::from_bytes([7; Key::BYTES])));

fuzz_target!(|body: &[u8]| {
    let request = RequestHead {
        method: Bytes::from_static(b"GET"),
        target: Bytes::from_static(b"/"),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields: Vec::new(),
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let head = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status: 200,
        reason: Bytes::from_static(b"OK"),
        fields: vec![Field::new(&b"content-type"[..], &b"application/json"[..])],
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let (_, kept, note) = SCRUBBER.scrub_response(&request, &head, Bytes::copy_from_slice(body));
    let Some(kept) = kept else { return };
    for leaf in note.leaves.iter().filter(|leaf| leaf.part == Part::Body) {
        let start = leaf.start as usize;
        assert!(kept.get(start..start + leaf.len as usize).is_some());
        let value = SCRUBBER.extract(&head, body, &leaf.path);
        assert_eq!(value.map(|value| SCRUBBER.link_tag(&value)), Some(leaf.tag));
    }
    let was_sound = serde_json::from_slice::<serde_json::Value>(body).is_ok();
    let is_sound = serde_json::from_slice::<serde_json::Value>(&kept).is_ok();
    assert!(is_sound || !was_sound);
});
