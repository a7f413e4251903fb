//! Snapshots of databases.

mod laws;
mod rows;
mod same;
mod sql;

use twintap_scrub::{Scrubber, SnapshotFormat};

use crate::hostile;
use crate::support::scrubber_of;

/// Texts become filler, which can be read off: `x` for a small letter, `X` for a large one.
const FILLER: &str = "version: 1\nbase: none\nclasses: {text: replace, word: replace, number: allow, boolean: allow, nothing: allow, timestamp: allow, path_word: allow, path_number: replace, long_number: replace}\n";

/// Scrubs `input` at once and byte by byte.
#[track_caller]
fn check(scrubber: &Scrubber, format: SnapshotFormat, input: &str, expected: &str) {
    for piece in [input.len(), 1] {
        let out = hostile::in_pieces(scrubber, format, input.as_bytes(), piece);
        let out = out.unwrap_or_else(|error| panic!("{input}\n{error}"));
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

/// Scrubs `input`, whose texts become filler.
#[track_caller]
fn check_filler(format: SnapshotFormat, input: &str, expected: &str) {
    check(&scrubber_of(FILLER), format, input, expected);
}

#[track_caller]
fn check_error(format: SnapshotFormat, input: &str, expected: &str) {
    let scrubber = scrubber_of(FILLER);
    for piece in [input.len(), 1] {
        let error = hostile::in_pieces(&scrubber, format, input.as_bytes(), piece)
            .expect_err("it can't be read");
        let error = error.to_string();
        assert!(error.starts_with(expected), "{input}\n{error}");
    }
}
