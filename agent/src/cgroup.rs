//! Cgroups: where they are mounted, and which one is meant.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why a cgroup could not be used.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// The mounts of this process could not be read.
    #[error("cannot read /proc/self/mounts: {0}")]
    Mounts(#[source] io::Error),
    /// There is no cgroup v2 mount.
    #[error(
        "no cgroup v2 file system is mounted; mount one, for example with \
         `mount -t cgroup2 none /sys/fs/cgroup/unified`"
    )]
    NoVersion2,
    /// The named cgroup does not exist.
    #[error("cgroup {name:?} does not exist: looked for {path}: {source}", path = path.display())]
    Missing {
        /// As it was named.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The named path lies outside of cgroup v2.
    #[error(
        "{path} is not in the cgroup v2 file system at {mount}",
        path = path.display(),
        mount = mount.display()
    )]
    Outside {
        /// The named path.
        path: PathBuf,
        /// The mount.
        mount: PathBuf,
    },
}

/// One cgroup, open.
#[derive(Debug)]
pub struct Cgroup {
    /// Its folder.
    pub path: PathBuf,
    /// The folder, open: what programs are attached to.
    pub folder: File,
}

impl Cgroup {
    /// Opens the cgroup called `name`: a path in the file system, or one relative to `mount`.
    ///
    /// # Errors
    ///
    /// When there is no such cgroup below `mount`.
    pub fn open(mount: &Path, name: &str) -> Result<Self, CgroupError> {
        let given = Path::new(name);
        let path = if given.starts_with(mount) {
            given.to_owned()
        } else {
            mount.join(name.trim_start_matches('/'))
        };
        let missing = |source| CgroupError::Missing {
            name: name.to_owned(),
            path: path.clone(),
            source,
        };
        let path = path.canonicalize().map_err(missing)?;
        if !path.starts_with(mount) {
            return Err(CgroupError::Outside {
                path,
                mount: mount.to_owned(),
            });
        }
        let folder = File::open(&path).map_err(|source| CgroupError::Missing {
            name: name.to_owned(),
            path: path.clone(),
            source,
        })?;
        Ok(Self { path, folder })
    }

    /// Opens all of `names`, leaving out those inside another of them: programs see the traffic of
    /// the cgroups below the one they are attached to, and would see it twice.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub fn open_all(mount: &Path, names: &[String]) -> Result<Vec<Self>, CgroupError> {
        let mut cgroups = names
            .iter()
            .map(|name| Self::open(mount, name))
            .collect::<Result<Vec<_>, _>>()?;
        cgroups.sort_by(|a, b| a.path.cmp(&b.path));
        let mut outermost: Vec<Self> = Vec::new();
        for cgroup in cgroups {
            if !outermost
                .iter()
                .any(|outer| cgroup.path.starts_with(&outer.path))
            {
                outermost.push(cgroup);
            }
        }
        Ok(outermost)
    }

    /// The processes in the cgroup and below it. Those that end meanwhile are left out.
    pub fn processes(&self) -> Vec<u32> {
        let mut processes = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            if let Ok(list) = fs::read_to_string(folder.join("cgroup.procs")) {
                processes.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
            }
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
        processes
    }
}

/// Where cgroup v2 is mounted: alone, or beside version 1 (hybrid).
///
/// # Errors
///
/// When it is not mounted.
pub fn mount_point() -> Result<PathBuf, CgroupError> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(CgroupError::Mounts)?;
    find_mount(&mounts).ok_or(CgroupError::NoVersion2)
}

fn find_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (_device, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        // Spaces in paths are written as \040 (proc(5)).
        (kind == "cgroup2").then(|| PathBuf::from(path.replace("\\040", " ")))
    })
}

/// The folder and the id of the cgroup that this process runs in.
pub fn own(mount: &Path) -> Option<(PathBuf, u64)> {
    let list = fs::read_to_string("/proc/self/cgroup").ok()?;
    let relative = list.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = mount.join(relative.trim_start_matches('/'));
    let id = fs::metadata(&path).ok()?.ino();
    Some((path, id))
}

#[cfg(test)]
mod tests {
    use super::find_mount;
    use std::path::Path;

    #[test]
    fn the_mount_is_found_alone_and_in_a_hybrid() {
        let alone = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(
            find_mount(alone).as_deref(),
            Some(Path::new("/sys/fs/cgroup"))
        );
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs ro 0 0\n\
                      cgroup /sys/fs/cgroup/unified\\040two cgroup2 rw 0 0\n";
        let expected = Some(Path::new("/sys/fs/cgroup/unified two"));
        assert_eq!(find_mount(hybrid).as_deref(), expected);
        assert_eq!(
            find_mount("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n"),
            None
        );
    }
}
