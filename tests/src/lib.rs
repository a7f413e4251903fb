//! Harness of the end-to-end tests and the demo: cgroups of their own, child
//! processes that end with their owner, the project's binaries, the shop, and what its faults
//! look like.
//!
//! Everything is torn down on drop, whatever a test did.

pub mod arrivals;
pub mod binaries;
pub mod browser;
pub mod cgroup;
pub mod corpus;
pub mod databases;
pub mod matrix;
pub mod privileges;
pub mod process;
pub mod scenario;
pub mod services;
pub mod shop;

pub use binaries::Binaries;
pub use cgroup::Cgroup;
pub use privileges::{Privileges, skip};
pub use process::Process;
pub use scenario::Scenario;
