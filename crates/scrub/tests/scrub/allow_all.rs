//! The policy that keeps everything.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use twintap_scrub::{Action, BodyFate, Policy, Scrubber};
use twintap_stream::{Field, RequestHead, ResponseHead};

use crate::support::{exchange, key, request, response, scrub_in_chunks};

fn allow_all() -> Scrubber {
    static SCRUBBER: LazyLock<Scrubber> =
        LazyLock::new(|| Scrubber::new(Policy::allow_all(), &key()));
    SCRUBBER.clone()
}

#[test]
fn leaves_and_tags_are_made_all_the_same() {
    let fields = [
        ("Content-Type", "application/json"),
        ("Content-Length", "11"),
    ];
    let exchange = exchange(request("GET /orders/17", &[]), response(200, "OK", &fields));
    let scrubbed = scrub_in_chunks(&allow_all(), exchange, b"", br#"{"id":"17"}"#, 3);
    assert_eq!(scrubbed.response.body, BodyFate::Allowed);
    let (leaf, value) = scrubbed.response_values().pop().unwrap();
    assert_eq!(
        (leaf.path.as_str(), value.as_slice()),
        ("json./id", &b"17"[..])
    );
    assert_eq!(leaf.action, Action::Allowed);
    assert_eq!(leaf.tag, scrubbed.request.leaves[1].tag);
    assert_eq!(scrubbed.request.leaves[1].path, "path.1");
}

prop_compose! {
    fn field()(name in any::<Vec<u8>>(), known in 0..8_usize, value in any::<Vec<u8>>()) -> Field {
        let known = [
            "content-type", "cookie", "set-cookie", "location", "authorization", "content-length",
            "content-encoding",
        ].get(known);
        let name = known.map_or(Bytes::from(name), |name| Bytes::from_static(name.as_bytes()));
        Field::new(name, value)
    }
}

proptest! {
    #[test]
    fn nothing_changes(
        method in any::<Vec<u8>>(),
        target in any::<Vec<u8>>(),
        end in any::<Vec<u8>>(),
        fields in proptest::collection::vec(field(), 0..6),
        media_type in prop_oneof![
            Just("application/json"), Just("text/html"), Just("application/x-www-form-urlencoded"),
            Just("image/png"),
        ],
        body in any::<Vec<u8>>(),
        chunk_bytes in 1..64_usize,
    ) {
        let request = RequestHead {
            method: method.into(),
            target: target.into(),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields: fields.clone(),
            line_spelling: None,
            end: end.into(),
        };
        let mut response: ResponseHead = response(200, "whatever", &[("content-type", media_type)]);
        response.fields.extend(fields);
        let before = exchange(request, response);
        let scrubbed = scrub_in_chunks(&allow_all(), before.clone(), &body, &body, chunk_bytes);
        // Reading the values makes sure that the spans lie inside.
        scrubbed.request_values();
        scrubbed.response_values();
        prop_assert_eq!(&scrubbed.exchange, &before);
        prop_assert_eq!(&scrubbed.request_body, &body);
        prop_assert_eq!(&scrubbed.response_body, &body);
    }
}
