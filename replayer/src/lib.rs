//! The daemon and the command line: ingest, import, replay, report.

pub mod fire;
pub mod run;
