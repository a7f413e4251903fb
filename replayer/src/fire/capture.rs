//! Keeping an answer's body for comparison, within bounds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use twintap_scrub::LinkTag;

/// A body as far as it was kept, raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawBody {
    /// All of it.
    Whole(Bytes),
    /// Too large to hold.
    Digest {
        /// Bytes after transfer decoding.
        bytes: u64,
        /// Keyed digest of them.
        tag: Option<LinkTag>,
    },
}

/// A keyed digest that takes a body piece by piece.
pub trait BodyDigest: Send {
    /// Takes the next piece.
    fn push(&mut self, piece: &[u8]);
    /// The tag of all pieces, if there is one.
    fn finish(self: Box<Self>) -> Option<LinkTag>;
}

/// Makes digests.
pub type DigestMaker = Arc<dyn Fn() -> Box<dyn BodyDigest> + Send + Sync>;

/// How much of the answers may be held, and how much is.
pub struct CaptureLimits {
    max_body_bytes: usize,
    max_held_bytes: usize,
    held_bytes: AtomicUsize,
    digest: Option<DigestMaker>,
}

impl CaptureLimits {
    /// Bodies of at most `max_body_bytes` are held while all that are held take no
    /// more than `max_held_bytes`; others go to a digest.
    pub fn new(
        max_body_bytes: usize,
        max_held_bytes: usize,
        digest: Option<DigestMaker>,
    ) -> Arc<CaptureLimits> {
        Arc::new(CaptureLimits {
            max_body_bytes,
            max_held_bytes,
            held_bytes: AtomicUsize::new(0),
            digest,
        })
    }

    /// The largest body that is held.
    pub fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    /// True when even digests and heads take more than they may: nothing more
    /// should be asked for.
    pub fn is_overrun(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) / 2 > self.max_held_bytes
    }
}

impl fmt::Debug for CaptureLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureLimits")
            .field("held_bytes", &self.held_bytes)
            .finish_non_exhaustive()
    }
}

/// Bytes counted as held until this is dropped.
#[derive(Debug)]
pub struct Held {
    limits: Arc<CaptureLimits>,
    bytes: usize,
}

impl Held {
    /// Counts `more` bytes as held too, or nothing where there is no room for them. Twins ask
    /// at the same time, so that looking and counting are one step.
    fn take(&mut self, more: usize) -> bool {
        let most = self.limits.max_held_bytes;
        let held = &self.limits.held_bytes;
        let with_these = |held: usize| held.checked_add(more).filter(|&held| held <= most);
        let had_room = held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_these)
            .is_ok();
        if had_room {
            self.bytes += more;
        }
        had_room
    }

    fn set(&mut self, bytes: usize) {
        let held = &self.limits.held_bytes;
        if bytes > self.bytes {
            held.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What an answer takes beside its body, about.
const HEAD_BYTES: usize = 1024;

/// Collects one body after another.
pub struct Capture {
    limits: Arc<CaptureLimits>,
    body: Vec<u8>,
    bytes: u64,
    is_digest: bool,
    digest: Option<Box<dyn BodyDigest>>,
    held: Held,
}

impl Capture {
    /// Holds bodies within `limits`.
    pub fn new(limits: Arc<CaptureLimits>) -> Capture {
        Capture {
            held: Held {
                limits: Arc::clone(&limits),
                bytes: 0,
            },
            limits,
            body: Vec::new(),
            bytes: 0,
            is_digest: false,
            digest: None,
        }
    }

    /// Takes the next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        if !self.is_digest {
            let is_large = self.bytes > self.limits.max_body_bytes as u64;
            if !is_large && self.held.take(piece.len()) {
                if self.body.is_empty() {
                    // Mostly all of it comes at once.
                    self.body.reserve_exact(piece.len());
                }
                self.body.extend_from_slice(piece);
                return;
            }
            self.is_digest = true;
            self.digest = self.limits.digest.as_ref().map(|maker| maker());
            let body = std::mem::take(&mut self.body);
            if let Some(digest) = &mut self.digest {
                digest.push(&body);
            }
            self.held.set(0);
        }
        if let Some(digest) = &mut self.digest {
            digest.push(piece);
        }
    }

    /// The body, and the count of what it holds. Makes ready for the next.
    pub fn finish(&mut self) -> (RawBody, Held) {
        let bytes = std::mem::take(&mut self.bytes);
        let body = if std::mem::take(&mut self.is_digest) {
            RawBody::Digest {
                bytes,
                tag: self.digest.take().and_then(BodyDigest::finish),
            }
        } else {
            RawBody::Whole(Bytes::from(std::mem::take(&mut self.body)))
        };
        let next = Held {
            limits: Arc::clone(&self.limits),
            bytes: 0,
        };
        let mut held = std::mem::replace(&mut self.held, next);
        held.set(held.bytes + HEAD_BYTES);
        (body, held)
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("bytes", &self.bytes)
            .field("held", &self.held.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let limits = CaptureLimits::new(10, 15, None);
        let mut capture = Capture::new(Arc::clone(&limits));
        let held = |limits: &CaptureLimits| limits.held_bytes.load(Ordering::Relaxed);
        capture.push(b"12345");
        capture.push(b"67890");
        assert_eq!(held(&limits), 10);
        let (body, first) = capture.finish();
        assert_eq!(body, RawBody::Whole(Bytes::from_static(b"1234567890")));
        assert_eq!(held(&limits), 10 + HEAD_BYTES);
        drop(first);
        assert_eq!(held(&limits), 0);

        capture.push(b"12345678901");
        let (body, _held) = capture.finish();
        let digest = RawBody::Digest {
            bytes: 11,
            tag: None,
        };
        assert_eq!(body, digest);
    }

    #[test]
    fn when_others_hold_too_much_a_body_becomes_a_digest() {
        let limits = CaptureLimits::new(10, 15, None);
        let mut one = Capture::new(Arc::clone(&limits));
        let mut other = Capture::new(Arc::clone(&limits));
        one.push(b"1234567890");
        other.push(b"12345");
        other.push(b"6");
        let (body, held) = other.finish();
        assert!(matches!(body, RawBody::Digest { bytes: 6, .. }));
        assert!(limits.is_overrun());
        drop((one, held));
        assert!(!limits.is_overrun());
    }

    #[test]
    fn of_two_that_ask_at_once_one_alone_finds_the_last_room() {
        for _ in 0..500 {
            let limits = CaptureLimits::new(10, 15, None);
            let at_once = std::sync::Barrier::new(2);
            let hold = || {
                let mut capture = Capture::new(Arc::clone(&limits));
                at_once.wait();
                capture.push(b"1234567890");
                capture.finish()
            };
            let held = std::thread::scope(|scope| {
                let other = scope.spawn(hold);
                [hold(), other.join().expect("no panic")]
            });
            let whole = |(body, _): &&(RawBody, Held)| matches!(body, RawBody::Whole(_));
            assert!(held.iter().filter(whole).count() <= 1);
        }
    }
}
