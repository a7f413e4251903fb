//! Two directions after an exchange that opened a WebSocket.

#![no_main]

#[path = "../../../crates/stream/tests/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::websocket(data));
