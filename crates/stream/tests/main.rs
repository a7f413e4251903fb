//! Everything that is tested from outside.

mod common;
mod corpus;
mod hostile;
mod properties;
mod reassembly;
