//! Where a log ends, read from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::{memchr, memrchr};

use super::line::{Entry, Link};
use super::signer::PublicKey;

/// What is read at first; four times as much whenever no sound line was in it.
const FIRST_WINDOW_BYTES: u64 = 64 << 10;

/// The end of a log.
pub struct Tail {
    /// The last line that the key signed; [`Link::START`] where there is none.
    pub link: Link,
    /// What stands after it.
    pub rest: Vec<u8>,
    /// Whether the file does not end with a line feed.
    pub is_open: bool,
}

impl Tail {
    /// Reads it.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(file: &File, key: &PublicKey) -> io::Result<Tail> {
        let (link, rest) = whole_lines(file, key)?;
        let is_open = !rest.is_empty() && !rest.ends_with(b"\n");
        // A crash may have cut off nothing but a line feed.
        Ok(match link.follow(&rest, key) {
            Ok((_, link)) => Tail {
                link,
                rest: Vec::new(),
                is_open,
            },
            Err(_) => Tail {
                link,
                rest,
                is_open,
            },
        })
    }
}

/// The last line that the key signed and that has its end, and what stands after it.
fn whole_lines(file: &File, key: &PublicKey) -> io::Result<(Link, Vec<u8>)> {
    let length = file.metadata()?.len();
    let mut window = FIRST_WINDOW_BYTES;
    loop {
        let start = length.saturating_sub(window);
        let bytes = read(file, start, length)?;
        // A line that began before the window is not whole in it.
        let from = match start {
            0 => 0,
            _ => memchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1),
        };
        if let Some((link, end)) = last_sound(&bytes[from..], key) {
            return Ok((link, bytes[from + end..].to_vec()));
        }
        if start == 0 {
            return Ok((Link::START, bytes));
        }
        window *= 4;
    }
}

fn read(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(end - start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// The last line that the key signed, and the place after its line feed.
fn last_sound(bytes: &[u8], key: &PublicKey) -> Option<(Link, usize)> {
    let mut end = memrchr(b'\n', bytes)?;
    loop {
        let before = memrchr(b'\n', &bytes[..end]);
        let line = &bytes[before.map_or(0, |before| before + 1)..end];
        if let Ok(entry) = Entry::check(line, key) {
            let link = Link {
                seq: entry.seq,
                hash: blake3::hash(line),
            };
            return Some((link, end + 1));
        }
        end = before?;
    }
}
