//! Frames from the moment they are sealed until the daemon says that they are durable.

use std::collections::VecDeque;

use twintap_proto::v1;

/// What a frame takes in memory beside its payload.
const FRAME_OVERHEAD_BYTES: usize = 512;

/// How far a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not sent on this connection.
    Waiting,
    /// Sent on this connection, nothing heard of.
    Sent,
    /// The daemon has it, and would lose it if it died.
    Received,
}

#[derive(Debug)]
struct Held {
    frame: v1::Frame,
    /// TCP payload in it.
    payload_bytes: u64,
    progress: Progress,
}

impl Held {
    fn memory_bytes(&self) -> usize {
        self.frame.payload.len() + FRAME_OVERHEAD_BYTES
    }
}

/// What became of frames that are held no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetGo {
    /// How many.
    pub frames: u64,
    /// The TCP payload in them.
    pub payload_bytes: u64,
}

impl LetGo {
    fn add(&mut self, held: &Held) {
        self.frames += 1;
        self.payload_bytes += held.payload_bytes;
    }
}

/// The frames of one boot, in order.
///
/// A connection begins with [`Self::resume`]; then [`Self::next_to_send`] gives frames and
/// [`Self::apply`] takes what the daemon says of them.
#[derive(Debug, Default)]
pub struct Outbox {
    frames: VecDeque<Held>,
    memory_bytes: usize,
    last_sequence: u64,
}

impl Outbox {
    /// Memory in use.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// How many frames are held.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no frame is held.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames the daemon has not confirmed in any way.
    pub fn unconfirmed(&self) -> usize {
        self.frames
            .iter()
            .filter(|held| held.progress != Progress::Received)
            .count()
    }

    /// Adds a frame and gives it the next sequence number.
    pub fn push(&mut self, mut frame: v1::Frame, payload_bytes: u64) -> u64 {
        self.last_sequence += 1;
        frame.sequence = self.last_sequence;
        let held = Held {
            frame,
            payload_bytes,
            progress: Progress::Waiting,
        };
        self.memory_bytes += held.memory_bytes();
        self.frames.push_back(held);
        self.last_sequence
    }

    /// Whether a frame waits to be sent.
    pub fn has_next_to_send(&self) -> bool {
        // New frames stand at the end, and those of a new connection everywhere.
        self.frames
            .iter()
            .rev()
            .any(|held| held.progress == Progress::Waiting)
    }

    /// The next frame to send on this connection; from now on it counts as sent.
    pub fn next_to_send(&mut self) -> Option<v1::Frame> {
        let held = self
            .frames
            .iter_mut()
            .find(|held| held.progress == Progress::Waiting)?;
        held.progress = Progress::Sent;
        Some(held.frame.clone())
    }

    /// Begins a connection: everything that the daemon does not have is sent anew, in order. What
    /// it had only received, and no longer names, it has forgotten.
    pub fn resume(&mut self, marks: &v1::Marks) {
        for held in &mut self.frames {
            held.progress = Progress::Waiting;
        }
        self.apply(marks);
    }

    /// Takes the daemon's marks: durable frames are forgotten.
    pub fn apply(&mut self, marks: &v1::Marks) {
        for held in &mut self.frames {
            if contains(&marks.received, held.frame.sequence) {
                held.progress = Progress::Received;
            }
        }
        self.remove(|held| contains(&marks.durable, held.frame.sequence));
    }

    /// Lets the oldest received frames go until `bytes` are freed, or none is left. The daemon
    /// still has them: they are unprotected, not lost.
    pub fn make_room(&mut self, bytes: usize) -> LetGo {
        let mut freed = 0;
        self.remove(|held| {
            let goes = freed < bytes && held.progress == Progress::Received;
            if goes {
                freed += held.memory_bytes();
            }
            goes
        })
    }

    /// Lets frames go that the daemon would refuse, because they take more than `limit_bytes`.
    pub fn remove_larger(&mut self, limit_bytes: usize) -> LetGo {
        self.remove(|held| prost::Message::encoded_len(&held.frame) > limit_bytes)
    }

    fn remove(&mut self, mut goes: impl FnMut(&Held) -> bool) -> LetGo {
        let mut let_go = LetGo::default();
        let memory_bytes = &mut self.memory_bytes;
        self.frames.retain(|held| {
            let goes = goes(held);
            if goes {
                let_go.add(held);
                *memory_bytes -= held.memory_bytes();
            }
            !goes
        });
        let_go
    }
}

fn contains(ranges: &[v1::Range], sequence: u64) -> bool {
    ranges
        .iter()
        .any(|range| (range.first..=range.last).contains(&sequence))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use twintap_proto::v1;

    use super::{LetGo, Outbox};

    fn outbox(frames: u64) -> Outbox {
        let mut outbox = Outbox::default();
        for _ in 0..frames {
            let frame = v1::Frame {
                payload: Bytes::from_static(&[0; 100]),
                ..v1::Frame::default()
            };
            outbox.push(frame, 1_000);
        }
        outbox
    }

    fn marks(received: &[(u64, u64)], durable: &[(u64, u64)]) -> v1::Marks {
        let ranges = |pairs: &[(u64, u64)]| {
            let range = |&(first, last)| v1::Range { first, last };
            pairs.iter().map(range).collect()
        };
        v1::Marks {
            received: ranges(received),
            durable: ranges(durable),
        }
    }

    fn sent(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.next_to_send())
            .map(|frame| frame.sequence)
            .collect()
    }

    #[test]
    fn frames_are_sent_once_and_kept_until_durable() {
        let mut outbox = outbox(4);
        assert_eq!(sent(&mut outbox), [1, 2, 3, 4]);
        outbox.apply(&marks(&[(1, 4)], &[(2, 2)]));
        assert_eq!(outbox.len(), 3);
        assert!(sent(&mut outbox).is_empty());
        outbox.apply(&marks(&[(1, 4)], &[(1, 4)]));
        assert_eq!((outbox.len(), outbox.memory_bytes()), (0, 0));
    }

    #[test]
    fn a_daemon_that_kept_its_memory_is_not_sent_what_it_received() {
        let mut outbox = outbox(4);
        sent(&mut outbox);
        outbox.apply(&marks(&[(1, 2)], &[]));
        outbox.resume(&marks(&[(1, 2)], &[(1, 1)]));
        assert_eq!(sent(&mut outbox), [3, 4]);
    }

    #[test]
    fn a_daemon_that_forgot_is_sent_everything_not_durable_in_order() {
        let mut outbox = outbox(4);
        sent(&mut outbox);
        outbox.apply(&marks(&[(1, 4)], &[]));
        outbox.resume(&marks(&[], &[(2, 2)]));
        assert_eq!(sent(&mut outbox), [1, 3, 4]);
    }

    #[test]
    fn only_received_frames_are_let_go_the_oldest_first() {
        let mut outbox = outbox(4);
        assert_eq!(outbox.make_room(1), LetGo::default());
        sent(&mut outbox);
        outbox.apply(&marks(&[(2, 4)], &[]));
        let let_go = outbox.make_room(700);
        assert_eq!((let_go.frames, let_go.payload_bytes), (2, 2_000));
        outbox.resume(&v1::Marks::default());
        assert_eq!(sent(&mut outbox), [1, 4]);
    }

    #[test]
    fn frames_too_large_for_the_daemon_are_let_go() {
        let mut outbox = outbox(2);
        assert_eq!(outbox.remove_larger(1 << 20).frames, 0);
        assert_eq!(outbox.remove_larger(100).frames, 2);
        assert_eq!(outbox.memory_bytes(), 0);
    }
}
