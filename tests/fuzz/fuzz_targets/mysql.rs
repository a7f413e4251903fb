//! Two directions of one flow of MySQL.

#![no_main]

#[path = "../../../crates/stream/tests/mysql/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::mysql(data));
