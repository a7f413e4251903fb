//! Frames of any link layer, and capture files.

#![no_main]

#[path = "../../../crates/stream/tests/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::packet(data));
