//! What a run file says of a twin's resources.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Whose use of resources is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceSettings {
    /// That of the processes of this machine which listen at the twin's address.
    #[default]
    Listener,
    /// That of nobody.
    None,
    /// That of this process and those it starts.
    Process(i32),
    /// Likewise, by the number in a file.
    PidFile(PathBuf),
    /// That of a control group (version 2), by its directory.
    Cgroup(PathBuf),
}

impl ResourceSettings {
    /// Makes its paths count from `base`.
    pub fn resolve(&mut self, base: &Path) {
        if let ResourceSettings::PidFile(path) | ResourceSettings::Cgroup(path) = self {
            *path = base.join(&path);
        }
    }
}
