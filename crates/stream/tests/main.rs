//! Everything that is tested from outside.

mod capture_file;
mod common;
mod conformance;
mod content;
mod corpus;
mod documents;
mod duplicates;
mod grpc;
mod grpc_captures;
mod honesty;
mod hostile;
mod http1;
mod http2;
mod laws;
mod memory;
mod mutations;
mod mysql;
mod parts;
mod postgres;
mod properties;
mod reassembly;
mod redis;
mod regressions;
mod smuggling;
mod websocket;
