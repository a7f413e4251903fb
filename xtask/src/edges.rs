//! The dependency edges that the design allows, held against `cargo metadata`.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Edges inside the workspace: package, and what it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("twintap-abi", &[]),
    ("twintap-agent-ebpf", &["twintap-abi"]),
    ("twintap-agent", &["twintap-abi", "twintap-proto"]),
    ("twintap-proto", &[]),
    ("twintap-stream", &[]),
    ("twintap-scrub", &["twintap-stream"]),
    ("twintap-archive", &["twintap-scrub", "twintap-stream"]),
    ("twintap-plan", &["twintap-scrub", "twintap-stream"]),
    ("twintap-verdict", &["twintap-scrub", "twintap-stream"]),
    (
        "twintap-replayer",
        &[
            "twintap-archive",
            "twintap-plan",
            "twintap-proto",
            "twintap-scrub",
            "twintap-stream",
            "twintap-verdict",
        ],
    ),
];

/// Outer crates that bring a runtime, sockets, clocks or the kernel: only for
/// the two binaries, `proto` (tonic), `xtask` and `tests`.
const IMPURE: &[&str] = &[
    "aya",
    "aya-log",
    "axum",
    "hyper",
    "libc",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rustix",
    "socket2",
    "tokio",
    "tokio-stream",
    "tokio-util",
    "tonic",
];

/// Crates that stay pure. (`archive` writes files by std alone.)
const PURE: &[&str] = &[
    "twintap-abi",
    "twintap-stream",
    "twintap-scrub",
    "twintap-archive",
    "twintap-plan",
    "twintap-verdict",
];

/// Outer crates that one pure crate may have all the same, and what for.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("twintap-abi", "aya", "`Pod`, behind the feature `user`"),
    ("twintap-archive", "rand", "the identity of a new archive"),
];

/// Fails with every edge that the design does not allow.
pub fn check() -> Result<()> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed = ALLOWED.iter().find(|(from, _)| *from == name);
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            let normal = dependency.kind == DependencyKind::Normal;
            if let Some((_, allowed)) = allowed
                && normal
                && ours.contains(to)
                && !allowed.contains(&to)
            {
                wrong.push(format!("{name} -> {to}"));
            }
            let excepted = EXCEPTIONS
                .iter()
                .any(|(from, outer, _)| *from == name && *outer == to);
            if normal && PURE.contains(&name) && IMPURE.contains(&to) && !excepted {
                wrong.push(format!("{name} -> {to} ({name} is pure)"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("edges that the design forbids:\n  {}", wrong.join("\n  "));
    }
    println!("dependency edges: as the design says");
    Ok(())
}
