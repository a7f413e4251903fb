//! A field's name, a line feed, and any text: what is found lies in the text, in order.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use twintap_scrub::detect::{Context, Detectors};

static DETECTORS: LazyLock<Detectors> = LazyLock::new(Detectors::new);

fuzz_target!(|input: &str| {
    let (name, text) = input.split_once('\n').unwrap_or(("", input));
    let mut end = 0;
    for found in DETECTORS.detect(&Context { path: name, name }, text) {
        assert!(found.span.start >= end && !found.span.is_empty());
        assert!(text.get(found.span.clone()).is_some());
        end = found.span.end;
    }
});
