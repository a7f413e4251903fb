//! The detectors over anything.

use std::sync::LazyLock;

use proptest::prelude::*;
use twintap_scrub::detect::{Context, Detectors};

static DETECTORS: LazyLock<Detectors> = LazyLock::new(Detectors::new);

/// Spans are in order, apart, not empty and at borders of characters; scores are in their range.
fn hold(name: &str, text: &str) {
    let context = Context { path: name, name };
    let mut end = 0;
    for found in DETECTORS.detect(&context, text) {
        assert!(found.span.start >= end && !found.span.is_empty());
        assert!(text.get(found.span.clone()).is_some());
        assert!((50..=100).contains(&found.score));
        end = found.span.end;
    }
}

/// Pieces of what detectors read, in any order.
const PIECES: &str = "(\\PC{0,3}|[0-9]{1,5}|[-+ ./:@()']|[A-Z]{2}[0-9]{2}|4111 1111 1111 1111|é|a@b\\.de|://u:p@|-----BEGIN PRIVATE KEY|eyJhbGciOi|password=|token: |Mr\\. |131052-308T|::1|born |call ){0,12}";

proptest! {
    #[test]
    fn any_text_is_read(name in "\\PC{0,80}", text in any::<String>()) {
        hold(&name, &text);
    }

    #[test]
    fn any_pieces_are_read(name in "[a-zA-Z_.]{0,40}|password|secret|firstName|plate", text in PIECES) {
        hold(&name, &text);
    }
}
