//! Frames in two directions of one connection.

#![no_main]

#[path = "../../../crates/stream/tests/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::http2(data));
