//! The rings as one stream of records, in the order of their time.

use std::{os::fd::AsFd, time::Duration};

use aya::maps::{MapData, RingBuf};
use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use twintap_abi::{CloseRecord, RecordHeader, RecordKind};

/// Payload is copied out of the rings into pieces of this size.
const ARENA_BYTES: usize = 256 * 1024;

/// A record as it came out of a ring.
#[derive(Clone, Debug)]
pub enum Captured {
    /// A segment, or a part of one.
    Segment(RecordHeader, Bytes),
    /// The end of a flow.
    Close(CloseRecord),
}

impl Captured {
    /// The head of the record.
    pub fn header(&self) -> &RecordHeader {
        match self {
            Self::Segment(header, _) => header,
            Self::Close(close) => &close.header,
        }
    }

    /// Reads a ring's entry. Entries are written by the programs of the same build, so that one
    /// that does not fit is of no use to anybody.
    fn read(entry: &[u8], arena: &mut BytesMut) -> Option<Self> {
        let (header, rest) = RecordHeader::split_from(entry)?;
        if header.kind == RecordKind::Close as u8 {
            return CloseRecord::split_from(entry).map(|(close, _)| Self::Close(close));
        }
        let payload = rest.get(..header.payload_bytes as usize)?;
        if arena.capacity() < payload.len() {
            *arena = BytesMut::with_capacity(ARENA_BYTES.max(payload.len()));
        }
        arena.extend_from_slice(payload);
        Some(Self::Segment(header, arena.split().freeze()))
    }
}

/// All rings, merged by the time of their records.
///
/// A close record is given only after every ring was looked into once more since it was found: all
/// payload that it speaks of was in a ring before the kernel wrote it.
pub struct Rings {
    rings: Vec<RingBuf<MapData>>,
    heads: Vec<Option<Head>>,
    arena: BytesMut,
    unreadable: u64,
}

struct Head {
    record: Captured,
    looked_again: bool,
}

impl Rings {
    /// Merges `rings`.
    pub fn new(rings: Vec<RingBuf<MapData>>) -> Self {
        Self {
            heads: rings.iter().map(|_| None).collect(),
            rings,
            arena: BytesMut::new(),
            unreadable: 0,
        }
    }

    /// The next record, unless the rings are empty.
    pub fn next_record(&mut self) -> Option<Captured> {
        loop {
            self.refill();
            let first = self
                .heads
                .iter()
                .enumerate()
                .filter_map(|(ring, head)| Some((head.as_ref()?.record.header().boottime_ns, ring)))
                .min()
                .map(|(_, ring)| ring)?;
            let head = self.heads[first].as_mut()?;
            if matches!(head.record, Captured::Close(_)) && !head.looked_again {
                head.looked_again = true;
                continue;
            }
            return self.heads[first].take().map(|head| head.record);
        }
    }

    /// Entries that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Waits until a ring fills past its threshold, or `timeout` is over.
    pub fn wait(&self, timeout: Duration) {
        let mut waits: Vec<PollFd<'_>> = self
            .rings
            .iter()
            .map(|ring| PollFd::from_borrowed_fd(ring.as_fd(), PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // An interruption ends the wait early, which does no harm.
        let _ = poll(&mut waits, Some(&timeout));
    }

    fn refill(&mut self) {
        for (ring, head) in self.rings.iter_mut().zip(&mut self.heads) {
            while head.is_none() {
                let Some(entry) = ring.next() else {
                    break;
                };
                match Captured::read(&entry, &mut self.arena) {
                    Some(record) => {
                        *head = Some(Head {
                            record,
                            looked_again: false,
                        });
                    }
                    None => self.unreadable += 1,
                }
            }
        }
    }
}
