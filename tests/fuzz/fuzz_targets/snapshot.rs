//! Snapshots of databases, more or less.

#![no_main]

#[path = "../../../crates/scrub/tests/scrub/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::snapshot(data));
