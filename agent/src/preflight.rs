//! What capturing takes, checked before anything is loaded.

use std::{fmt, fs, path::Path};

use crate::{cgroup, probes};

/// One thing that capturing takes.
#[derive(Debug)]
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// Why it is missing; `None` when it is there.
    pub missing: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.missing {
            None => write!(formatter, "ok       {}", self.name),
            Some(why) => write!(formatter, "missing  {}: {why}", self.name),
        }
    }
}

/// The oldest kernel whose `cgroup_skb` programs may ask for the cookie of a network namespace.
const OLDEST_KERNEL: (u32, u32) = (6, 15);

/// Capabilities, by their number (`capability.h`).
const CAPABILITIES: [(u32, &str); 3] =
    [(12, "CAP_NET_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];
const CAP_SYS_ADMIN: u32 = 21;

/// Checks everything.
pub fn check() -> Vec<Finding> {
    vec![
        Finding {
            name: "kernel programs in this build",
            missing: probes::OBJECT
                .is_empty()
                .then(|| probes::ProbeError::NoObject.to_string()),
        },
        Finding {
            name: "Linux 6.15 or later",
            missing: kernel(),
        },
        Finding {
            name: "type information of the kernel (BTF)",
            missing: (!Path::new("/sys/kernel/btf/vmlinux").exists()).then(|| {
                "there is no /sys/kernel/btf/vmlinux: use a kernel built with \
                 CONFIG_DEBUG_INFO_BTF"
                    .to_owned()
            }),
        },
        Finding {
            name: "capabilities",
            missing: capabilities(),
        },
        Finding {
            name: "cgroup v2",
            missing: cgroup::mount_point().err().map(|error| error.to_string()),
        },
    ]
}

fn kernel() -> Option<String> {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let version = parse_release(&release);
    let is_old = version.is_some_and(|version| version < OLDEST_KERNEL);
    is_old.then(|| {
        format!("this is {release}, where programs on sockets cannot tell network namespaces apart")
    })
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn capabilities() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bits = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())?;
    missing_capabilities(bits)
}

fn missing_capabilities(effective: u64) -> Option<String> {
    if effective & (1 << CAP_SYS_ADMIN) != 0 && effective & (1 << CAPABILITIES[0].0) != 0 {
        return None;
    }
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(number, _)| effective & (1 << number) == 0)
        .map(|(_, name)| *name)
        .collect();
    (!missing.is_empty()).then(|| format!("run as root, or grant {}", missing.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{missing_capabilities, parse_release};

    #[test]
    fn releases_of_distributions_are_read() {
        assert_eq!(parse_release("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse_release("5.4"), Some((5, 4)));
        assert_eq!(parse_release("linux"), None);
    }

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(missing_capabilities(u64::MAX), None);
        let missing = missing_capabilities(1 << 12).expect("two are missing");
        assert!(missing.contains("CAP_BPF") && !missing.contains("NET_ADMIN"));
    }
}
