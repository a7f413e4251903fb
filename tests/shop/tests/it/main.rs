//! The shop and its driver, through HTTP.

mod binaries;
mod browser;
mod drive;
mod mutations;
mod regressions;
mod service;
mod walk;
