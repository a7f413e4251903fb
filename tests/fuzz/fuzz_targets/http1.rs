//! Two directions of one flow, in order.

#![no_main]

#[path = "../../../crates/stream/tests/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::http1(data));
