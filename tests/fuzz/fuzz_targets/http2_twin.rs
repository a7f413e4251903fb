//! What a twin sends to the client that fires HTTP/2.

#![no_main]

#[path = "../../../replayer/tests/replay/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::http2_twin(data));
