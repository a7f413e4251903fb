//! HTTP/2: streams, heads, resets, and what is missing.

mod build;
mod laws;
mod limits;
mod loss;
mod streams;
mod upgrade;
