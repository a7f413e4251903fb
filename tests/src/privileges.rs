//! What this process may do, and saying so when it is too little.

use crate::cgroup;

/// What the privileged tests need.
#[derive(Clone, Copy, Debug)]
pub struct Privileges {
    /// Effective user 0.
    pub root: bool,
    /// A cgroup v2 mount.
    pub cgroup_v2: bool,
    /// Type information of the running kernel.
    pub btf: bool,
}

impl Privileges {
    /// Looks at this process and machine.
    pub fn of_this_process() -> Privileges {
        Privileges {
            // SAFETY: geteuid has no preconditions and cannot fail.
            root: unsafe { libc::geteuid() } == 0,
            cgroup_v2: cgroup::mount().is_ok(),
            btf: std::path::Path::new("/sys/kernel/btf/vmlinux").exists(),
        }
    }

    /// What is missing for live capture, if anything.
    pub fn missing(self) -> Option<&'static str> {
        if !self.root {
            Some("root")
        } else if !self.cgroup_v2 {
            Some("a cgroup v2 mount")
        } else if !self.btf {
            Some("kernel BTF at /sys/kernel/btf/vmlinux")
        } else {
            None
        }
    }
}

/// Says that a test was skipped; `cargo xtask test` collects these lines.
pub fn skip(test: &str, why: &str) {
    eprintln!("skipped: {test}: {why}");
    if let Some(path) = std::env::var_os("TWINTAP_SKIPPED") {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        if let Ok(mut file) = file {
            // The line above has said it; the collected list is a convenience.
            let _ = writeln!(file, "{test}: {why}");
        }
    }
}
