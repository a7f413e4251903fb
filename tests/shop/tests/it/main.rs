//! The shop and its driver, through HTTP.

mod binaries;
mod browser;
mod drive;
mod regressions;
mod service;
mod walk;
