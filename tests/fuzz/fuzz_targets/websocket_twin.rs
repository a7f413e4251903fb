//! What a twin says over a WebSocket to the client that fires one.

#![no_main]

#[path = "../../../replayer/tests/replay/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::websocket_twin(data));
