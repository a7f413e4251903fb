//! Processes of this machine, with those they start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, LimitValue, Process, all_processes};
use twintap_verdict::Resource;

use super::Use;

/// Some processes and all that they start.
#[derive(Debug)]
pub struct Processes {
    roots: Vec<i32>,
}

impl Processes {
    /// That with this number.
    ///
    /// # Errors
    /// When there is none, or it can't be looked at.
    pub fn of(pid: i32) -> Result<Processes> {
        let process = Process::new(pid).with_context(|| format!("looking at process {pid}"))?;
        process
            .status()
            .with_context(|| format!("looking at process {pid}"))?;
        Ok(Processes { roots: vec![pid] })
    }

    /// Those that listen at an address of this machine, as far as they can be seen.
    pub fn listening(address: SocketAddr) -> Option<Processes> {
        let entries = [procfs::net::tcp(), procfs::net::tcp6()];
        let sockets: BTreeSet<u64> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| listens_at(entry, address))
            .map(|entry| entry.inode)
            .collect();
        let has_socket = |process: &Process| {
            let descriptors = process.fd().into_iter().flatten().flatten();
            let mut targets = descriptors.map(|descriptor| descriptor.target);
            targets
                .any(|target| matches!(target, FDTarget::Socket(inode) if sockets.contains(&inode)))
        };
        if sockets.is_empty() {
            return None;
        }
        let roots: Vec<i32> = all_processes()
            .ok()?
            .flatten()
            .filter(has_socket)
            .map(|process| process.pid)
            .collect();
        (!roots.is_empty()).then_some(Processes { roots })
    }

    pub fn look(&self) -> Use {
        let mut sum = Use::new();
        for process in self.family() {
            for (resource, value) in used(&process).into_iter().flatten() {
                *sum.entry(resource).or_default() += value;
            }
        }
        sum
    }

    /// The limits that hold for the first of them.
    pub fn limits(&self) -> Use {
        let limits = self
            .roots
            .first()
            .and_then(|pid| Process::new(*pid).ok()?.limits().ok());
        let files = limits.map(|limits| limits.max_open_files.soft_limit);
        match files {
            Some(LimitValue::Value(files)) => {
                Use::from([(Resource::FileDescriptors, files as f64)])
            }
            _ => Use::new(),
        }
    }

    /// The processes, each once.
    fn family(&self) -> Vec<Process> {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for stat in all_processes()
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|process| process.stat().ok())
        {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
        let mut family = BTreeSet::new();
        let mut open = self.roots.clone();
        while let Some(pid) = open.pop() {
            if family.insert(pid) {
                open.extend(children.get(&pid).into_iter().flatten());
            }
        }
        let processes = family.into_iter().map(Process::new);
        processes.flatten().collect()
    }
}

/// None for a process that has just ended.
fn used(process: &Process) -> Option<[(Resource, f64); 4]> {
    let status = process.status().ok()?;
    // Not what is mapped of files: the kernel takes that back.
    let kib = status.rssanon? + status.rssshmem.unwrap_or(0);
    let (mut descriptors, mut sockets) = (0, 0);
    for descriptor in process.fd().ok()?.flatten() {
        descriptors += 1;
        sockets += u32::from(matches!(descriptor.target, FDTarget::Socket(_)));
    }
    Some([
        (Resource::Memory, kib as f64 * 1024.0),
        (Resource::FileDescriptors, f64::from(descriptors)),
        (Resource::Threads, status.threads as f64),
        (Resource::Sockets, f64::from(sockets)),
    ])
}

fn listens_at(entry: &TcpNetEntry, address: SocketAddr) -> bool {
    let local = entry.local_address;
    let takes = |ip: IpAddr| ip.is_unspecified() || ip.to_canonical() == address.ip();
    entry.state == TcpState::Listen && local.port() == address.port() && takes(local.ip())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_found_and_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let processes = Processes::listening(address).expect("this process listens");
        assert_eq!(processes.roots, [std::process::id() as i32]);
        let used = processes.look();
        assert!(used[&Resource::Memory] > 0.0);
        assert!(used[&Resource::Threads] >= 1.0);
        assert!(used[&Resource::FileDescriptors] > used[&Resource::Sockets]);
        assert!(used[&Resource::Sockets] >= 1.0);
        assert!(processes.limits().contains_key(&Resource::FileDescriptors));
        drop(listener);
        assert!(Processes::listening(address).is_none());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        let error = Processes::of(i32::MAX).expect_err("no process has this number");
        assert!(error.to_string().contains(&i32::MAX.to_string()));
    }
}
