//! Two directions of one flow of PostgreSQL, with holes.

#![no_main]

#[path = "../../../crates/stream/tests/postgres/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::postgres(data));
