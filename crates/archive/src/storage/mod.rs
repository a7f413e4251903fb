//! Where the files of an archive lie.

use std::any::Any;
use std::fmt::Debug;
use std::io;

mod disk;

pub use disk::LocalDisk;

/// A flat directory of files.
///
/// [`LocalDisk`] is one; tests have one that fails at will.
pub trait Storage: Debug + Send + Sync {
    /// What to call it in messages.
    fn describe(&self) -> String;

    /// The names of its files, in any order.
    ///
    /// # Errors
    /// `NotFound` when the directory is not there.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes the directory, if it is not there, and takes the writer's lock, which
    /// is held until the value is dropped; `None` when another holds it.
    ///
    /// # Errors
    /// When the directory or the lock file can't be made.
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;

    /// Makes a new, empty file, for reading and writing; one of that name goes.
    ///
    /// # Errors
    /// When it can't be made.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file, for writing too if `write`.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    fn open(&self, name: &str, write: bool) -> io::Result<Box<dyn StorageFile>>;

    /// Renames a file, over another one if need be, atomically.
    ///
    /// # Errors
    /// When it keeps its name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it is still there.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes what was created, renamed and removed durable.
    ///
    /// # Errors
    /// When that is not known to be so.
    fn sync_directory(&self) -> io::Result<()>;
}

/// An open file.
pub trait StorageFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// When it can't be told.
    fn length(&self) -> io::Result<u64>;

    /// Reads at most `buffer.len()` bytes from `offset` on; 0 at the end.
    ///
    /// # Errors
    /// When the storage can't be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// When not all was written; some of it may have been.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or fills it up with zeros.
    ///
    /// # Errors
    /// When its length did not change.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Makes its bytes and its length durable.
    ///
    /// # Errors
    /// When that is not known to be so.
    fn sync(&self) -> io::Result<()>;
}

/// Reads until `buffer` is full or the file ends; gives how much was read.
pub(crate) fn read_full(
    file: &dyn StorageFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
