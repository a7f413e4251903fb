//! The driver of the sample service.
fn main() {}
