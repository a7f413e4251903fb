//! Driver
