//! The pseudonym key and the policy that commands work with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rand::TryRngCore;
use twintap_scrub::{Key, Policy};

/// Where the key of an archive lies unless another file is named: beside the
/// archive and never in it, so that a copy of the archive carries no key.
pub fn default_key_file(archive: &Path) -> PathBuf {
    beside(archive, ".key")
}

/// What lies beside an archive, under its name and this ending.
pub fn beside(archive: &Path, ending: &str) -> PathBuf {
    let mut name = archive
        .file_name()
        .map(std::ffi::OsStr::to_os_string)
        .unwrap_or_else(|| "archive".into());
    name.push(ending);
    archive.with_file_name(name)
}

/// What tells one key from another, and nothing about either.
pub fn fingerprint(key: &Key) -> String {
    let digits = key.to_hex();
    let hash = blake3::derive_key("twintap key fingerprint v1", digits.as_bytes());
    hex(&hash[..8])
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key in `path`.
pub fn load_key(path: &Path) -> Result<Key> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("reading the key file {}", path.display()))?;
    Key::from_hex(text.trim())
        .with_context(|| format!("the key file {} must hold 64 hex digits", path.display()))
}

/// The key in `path`; a new random one, readable by its owner alone, when there is none.
pub fn load_or_create_key(path: &Path) -> Result<Key> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    match options.open(path) {
        Ok(mut file) => {
            let mut bytes = [0u8; 32];
            rand::rngs::OsRng
                .try_fill_bytes(&mut bytes)
                .context("reading the operating system's randomness")?;
            writeln!(file, "{}", hex(&bytes))
                .and_then(|()| file.sync_all())
                .with_context(|| format!("writing the key file {}", path.display()))?;
            load_key(path)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => load_key(path),
        Err(error) => Err(error).with_context(|| format!("making the key file {}", path.display())),
    }
}

/// The policy that a flag names: `default`, `allow-all`, or a file.
pub fn load_policy(name: &str) -> Result<Policy> {
    match name {
        "default" => Ok(Policy::default_policy()),
        "allow-all" => Ok(Policy::allow_all()),
        file => {
            let text = match std::fs::read_to_string(file) {
                Ok(text) => text,
                Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                    "policy {file:?} is neither `default`, `allow-all` nor a file that exists"
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("reading the policy {file}"));
                }
            };
            Ok(Policy::from_yaml(&text, file)?)
        }
    }
}
