//! Processes of this machine, with those they start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::{FDTarget, LimitValue, Process, all_processes};
use thiserror::Error;
use twintap_verdict::Resource;

use super::cgroup::Cgroup;
use super::{Look, Use};

/// How often it is looked whether processes were started or have ended: all processes of
/// the machine are gone through.
const FAMILY_EVERY: Duration = Duration::from_secs(2);
/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Some processes and all that they start.
#[derive(Debug)]
pub struct Processes {
    roots: Vec<Process>,
    /// The roots and what they started, when it was looked last.
    family: Option<(Instant, Vec<Process>)>,
}

/// Why the processes that listen at an address can't be looked at.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Unseen {
    /// There are none here.
    #[error(
        "no process of this machine and network namespace listens at {0}, so that nobody's use \
         of resources was looked at; `resources` of a target may name a process, a control group, \
         or where its metrics are"
    )]
    Nobody(SocketAddr),
    /// They are another user's.
    #[error(
        "whose process listens at {0} may not be seen by this user, so that nobody's use of \
         resources was looked at; run as the twin's user or as root"
    )]
    Hidden(SocketAddr),
}

impl Processes {
    /// That with this number.
    ///
    /// # Errors
    /// When there is none, or it can't be looked at.
    pub fn of(pid: i32) -> Result<Processes> {
        let looking = || format!("looking at process {pid}");
        let process = Process::new(pid).with_context(looking)?;
        process.status().with_context(looking)?;
        Ok(Processes::from_roots(vec![process]))
    }

    /// Those that listen at an address of this machine, as far as they can be seen.
    ///
    /// # Errors
    /// When none can.
    pub fn listening(address: SocketAddr) -> Result<Processes, Unseen> {
        let entries = [procfs::net::tcp(), procfs::net::tcp6()];
        let sockets: BTreeSet<u64> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| listens_at(entry, address))
            .map(|entry| entry.inode)
            .collect();
        if sockets.is_empty() {
            return Err(Unseen::Nobody(address));
        }
        let has_socket = |process: &Process| {
            let descriptors = process.fd().into_iter().flatten().flatten();
            let mut targets = descriptors.map(|descriptor| descriptor.target);
            targets
                .any(|target| matches!(target, FDTarget::Socket(inode) if sockets.contains(&inode)))
        };
        let all = all_processes().into_iter().flatten().flatten();
        let roots: Vec<Process> = all.filter(has_socket).collect();
        match roots.is_empty() {
            true => Err(Unseen::Hidden(address)),
            false => Ok(Processes::from_roots(roots)),
        }
    }

    fn from_roots(roots: Vec<Process>) -> Processes {
        Processes {
            roots,
            family: None,
        }
    }

    /// Whether one of them is still there.
    pub fn are_there(&mut self) -> bool {
        self.roots.iter().any(Process::is_alive)
    }

    /// What they use together.
    ///
    /// # Errors
    /// Why nothing is known, for people.
    pub fn look(&mut self) -> Result<Look, String> {
        if !self.are_there() {
            return Err("its process has ended".to_owned());
        }
        let mut look = Look::default();
        for process in self.family() {
            let Some((used, cpu_seconds)) = used(process) else {
                continue;
            };
            for (resource, value) in used {
                *look.used.entry(resource).or_default() += value;
            }
            *look.cpu_seconds.get_or_insert_default() += cpu_seconds;
        }
        match look.used.is_empty() {
            true => Err("its process may not be looked at by this user".to_owned()),
            false => Ok(look),
        }
    }

    /// The limits that hold for the first of them: its own, and its control group's.
    pub fn limits(&self) -> Use {
        let Some(root) = self.roots.first() else {
            return Use::new();
        };
        let group = group_of(root).and_then(|directory| Cgroup::open(&directory).ok());
        let mut limits = group.map(|group| group.limits()).unwrap_or_default();
        let files = root.limits().map(|limits| limits.max_open_files.soft_limit);
        if let Ok(LimitValue::Value(files)) = files {
            limits.insert(Resource::FileDescriptors, files as f64);
        }
        limits
    }

    /// The processes, each once.
    fn family(&mut self) -> &[Process] {
        let is_old = |(looked, _): &(Instant, _)| looked.elapsed() >= FAMILY_EVERY;
        if self.family.as_ref().is_none_or(is_old) {
            self.family = Some((Instant::now(), descendants(&self.roots)));
        }
        self.family.as_ref().map_or(&[], |(_, family)| family)
    }
}

fn descendants(roots: &[Process]) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    let all = all_processes().into_iter().flatten().flatten();
    for stat in all.filter_map(|process| process.stat().ok()) {
        children.entry(stat.ppid).or_default().push(stat.pid);
    }
    let mut family = BTreeSet::new();
    let mut open: Vec<i32> = roots.iter().map(|process| process.pid).collect();
    while let Some(pid) = open.pop() {
        if family.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    family.into_iter().flat_map(Process::new).collect()
}

/// The directory of its control group of version 2.
fn group_of(process: &Process) -> Option<PathBuf> {
    let groups = process.cgroups().ok()?;
    let unified = groups.into_iter().find(|group| group.hierarchy == 0)?;
    let path = unified.pathname.strip_prefix('/')?.to_owned();
    Some(Path::new(CGROUPS).join(path))
}

/// With its processor time, that of what it started and saw end included. None for a
/// process that has just ended.
fn used(process: &Process) -> Option<([(Resource, f64); 4], f64)> {
    let status = process.status().ok()?;
    // Not what is mapped of files: the kernel takes that back.
    let kib = status.rssanon? + status.rssshmem.unwrap_or(0);
    let (mut descriptors, mut sockets) = (0, 0);
    for descriptor in process.fd().ok()?.flatten() {
        descriptors += 1;
        sockets += u32::from(matches!(descriptor.target, FDTarget::Socket(_)));
    }
    let stat = process.stat().ok()?;
    let own = stat.utime + stat.stime;
    let ended = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    let used = [
        (Resource::Memory, kib as f64 * 1024.0),
        (Resource::FileDescriptors, f64::from(descriptors)),
        (Resource::Threads, status.threads as f64),
        (Resource::Sockets, f64::from(sockets)),
    ];
    Some((
        used,
        (own + ended) as f64 / procfs::ticks_per_second() as f64,
    ))
}

fn listens_at(entry: &TcpNetEntry, address: SocketAddr) -> bool {
    let local = entry.local_address;
    let takes = |ip: IpAddr| ip.is_unspecified() || ip.to_canonical() == address.ip();
    entry.state == TcpState::Listen && local.port() == address.port() && takes(local.ip())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn who_listens_is_found_and_looked_at() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let mut processes = Processes::listening(address).expect("this process listens");
        let pids: Vec<i32> = processes.roots.iter().map(|process| process.pid).collect();
        assert_eq!(pids, [std::process::id() as i32]);
        let Look { used, cpu_seconds } = processes.look().expect("it may be looked at");
        assert!(cpu_seconds.is_some());
        assert!(used[&Resource::Memory] > 0.0);
        assert!(used[&Resource::Threads] >= 1.0);
        assert!(used[&Resource::FileDescriptors] > used[&Resource::Sockets]);
        assert!(used[&Resource::Sockets] >= 1.0);
        assert!(processes.limits().contains_key(&Resource::FileDescriptors));
        drop(listener);
        let unseen = Processes::listening(address).expect_err("nobody listens any more");
        assert_eq!(unseen, Unseen::Nobody(address));
    }

    #[test]
    fn what_it_starts_counts_and_what_has_ended_says_so() {
        let mut child = Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep is there");
        let pid = i32::try_from(child.id()).expect("it fits");
        let own = i32::try_from(std::process::id()).expect("it fits");
        let mut family = Processes::of(own).expect("this process is there");
        let is_in = |family: &mut Processes| family.family().iter().any(|one| one.pid == pid);
        assert!(is_in(&mut family));
        let mut alone = Processes::of(pid).expect("it is there");
        assert!(alone.look().is_ok());
        child.kill().expect("it is there");
        child.wait().expect("it is there");
        assert_eq!(alone.look(), Err("its process has ended".to_owned()));
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        let error = Processes::of(i32::MAX).expect_err("no process has this number");
        assert!(error.to_string().contains(&i32::MAX.to_string()));
    }
}
