//! Header blocks, one after the other.

#![no_main]

#[path = "../../../crates/stream/tests/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::hpack(data));
