//! Where the built programs are.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The project's programs, as cargo built them.
#[derive(Clone, Debug)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// The programs in this directory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Binaries {
        Binaries {
            directory: directory.into(),
        }
    }

    /// The programs beside the running test (`target/PROFILE/deps/test-...`).
    pub fn beside_this_test() -> Result<Binaries> {
        let exe = std::env::current_exe()?;
        let Some(directory) = exe.parent().and_then(Path::parent) else {
            bail!("{} is not below a target directory", exe.display());
        };
        Ok(Binaries::in_directory(directory))
    }

    /// The path of one program; an error that says how to build it when absent.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        if !path.is_file() {
            bail!(
                "{} is not built; `cargo xtask test` builds it, or type `cargo build --workspace --bins --exclude twintap-agent-ebpf`",
                path.display()
            );
        }
        Ok(path)
    }
}
