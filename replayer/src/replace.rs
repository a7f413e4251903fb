//! Replacing small files that must outlive a crash.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Puts a file with these bytes in the place of the one at `path`, or where there is none.
/// Readers find the old one or the new one, also after a crash.
///
/// # Errors
/// When the place can't be written to.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_directory(path)
}

/// A new name in a directory is there after a crash once the directory is synced.
///
/// # Errors
/// When it can't be.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
