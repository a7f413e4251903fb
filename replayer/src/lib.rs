//! The daemon and the command line: ingest, import, replay, report.

pub mod audit;
pub mod capture;
pub mod checkpoint;
pub mod cli;
pub mod fire;
pub mod import;
pub mod ingest;
pub mod keys;
pub mod privacy;
mod replace;
pub mod run;
pub mod serve;
pub mod sessions;
