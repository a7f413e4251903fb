//! The agent at work, on cgroups and network namespaces of the tests' own.
//!
//! The tests need root and built programs (`cargo xtask build-ebpf`); without, each says so and passes.

mod kernel;
mod ship;
mod support;

/// Not a test: what the tests run in processes of their own.
#[test]
#[ignore = "a helper that other tests run in a process of its own"]
fn helper_process() {
    support::helper_process();
}
