//! The twins' latest answers, for requests that use values of them much later.

use std::collections::{BTreeMap, HashMap};

use twintap_stream::message::Framing;
use twintap_verdict::Twin;

use crate::fire::capture::RawBody;
use crate::fire::response::RawAnswer;
use crate::run::compare::RawAnswerKept;

/// Answers, raw: in memory alone. Those that were used longest ago go first.
#[derive(Debug)]
pub struct Answers {
    max_bytes: usize,
    bytes: usize,
    kept: HashMap<(u32, Twin), Entry>,
    /// By the stamp of the last use.
    by_use: BTreeMap<u64, (u32, Twin)>,
    last_stamp: u64,
}

#[derive(Debug)]
struct Entry {
    answer: RawAnswerKept,
    bytes: usize,
    stamp: u64,
}

impl Answers {
    /// Keeps about `max_bytes`.
    pub fn new(max_bytes: usize) -> Answers {
        Answers {
            max_bytes,
            bytes: 0,
            kept: HashMap::new(),
            by_use: BTreeMap::new(),
            last_stamp: 0,
        }
    }

    /// Keeps an answer. A body that would push everything else out is left out.
    pub fn keep(&mut self, position: u32, twin: Twin, answer: &RawAnswer) {
        let body = match &answer.body {
            RawBody::Whole(body) if body.len() <= self.max_bytes / 64 => body.clone(),
            _ => bytes::Bytes::new(),
        };
        let fields = answer.head.fields.iter();
        let of_fields: usize = fields
            .map(|field| 96 + field.name.len() + field.value.len())
            .sum();
        let said = (answer.framing == Framing::Socket).then(|| answer.timeline.clone());
        let of_marks = said.as_ref().map_or(0, |said| size_of_val(&said.marks[..]));
        let bytes = 256 + of_fields + body.len() + of_marks;
        self.last_stamp += 1;
        let entry = Entry {
            answer: RawAnswerKept {
                head: answer.head.clone(),
                body,
                said,
            },
            bytes,
            stamp: self.last_stamp,
        };
        self.by_use.insert(self.last_stamp, (position, twin));
        self.bytes += bytes;
        if let Some(before) = self.kept.insert((position, twin), entry) {
            self.by_use.remove(&before.stamp);
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            if let Some(entry) = self.kept.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(entry.bytes);
            }
        }
    }

    /// An answer, which is used now.
    pub fn get(&mut self, position: u32, twin: Twin) -> Option<&RawAnswerKept> {
        let entry = self.kept.get_mut(&(position, twin))?;
        self.by_use.remove(&entry.stamp);
        self.last_stamp += 1;
        entry.stamp = self.last_stamp;
        self.by_use.insert(entry.stamp, (position, twin));
        Some(&entry.answer)
    }
}
