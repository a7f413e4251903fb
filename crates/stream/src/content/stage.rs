//! One coding of several: members in a row, and what comes after the last of them.

use super::codec::{self, Codec, Step};
use super::{Coding, DecodeLimits, Fault};

/// What a stage may make in all.
pub(super) struct Budget {
    pub limits: DecodeLimits,
    /// More than this is too dense.
    pub dense_bytes: u64,
}

const BUFFER_BYTES: usize = 16 << 10;
/// What tells whether another member follows.
const START_BYTES: usize = 4;

pub(super) struct Stage {
    coding: Coding,
    codec: Box<dyn Codec>,
    place: Place,
    made_bytes: u64,
    buffer: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the first byte.
    Fresh,
    Inside,
    /// After a member; so many bytes that may begin another were seen.
    After {
        start: [u8; START_BYTES],
        bytes: usize,
    },
    /// After the last member, and so many bytes more.
    Trailing(u64),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("coding", &self.coding)
            .field("place", &self.place)
            .field("made_bytes", &self.made_bytes)
            .finish_non_exhaustive()
    }
}

/// Pushes bytes through all stages.
pub(super) fn push(
    stages: &mut [Stage],
    bytes: &[u8],
    budget: &Budget,
    take: &mut dyn FnMut(&[u8]),
) -> Result<(), Fault> {
    match stages.split_first_mut() {
        None => take(bytes),
        Some((first, rest)) => {
            first.push(bytes, budget, &mut |made| push(rest, made, budget, take))?;
        }
    }
    Ok(())
}

type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Fault>;

impl Stage {
    pub fn new(coding: Coding) -> Stage {
        Stage {
            coding,
            codec: codec::new(coding),
            place: Place::Fresh,
            made_bytes: 0,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        }
    }

    fn push(&mut self, bytes: &[u8], budget: &Budget, take: Take<'_>) -> Result<(), Fault> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match &mut self.place {
                Place::Trailing(count) => {
                    *count = count.saturating_add(rest.len() as u64);
                    rest.len()
                }
                Place::After { .. } => self.look(rest, budget, take)?,
                Place::Fresh | Place::Inside => {
                    self.place = Place::Inside;
                    self.inflate(rest, budget, take)?
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    pub fn finish(&self) -> Result<(), Fault> {
        let coding = self.coding;
        let bytes = match self.place {
            Place::Fresh => 0,
            Place::Inside => return Err(Fault::Truncated { coding }),
            Place::After { bytes, .. } => bytes as u64,
            Place::Trailing(bytes) => bytes,
        };
        match bytes {
            0 => Ok(()),
            bytes => Err(Fault::Trailing { coding, bytes }),
        }
    }

    /// Takes one byte after a member, and knows what follows as soon as that tells it.
    fn look(&mut self, rest: &[u8], budget: &Budget, take: Take<'_>) -> Result<usize, Fault> {
        let Place::After { mut start, bytes } = self.place else {
            return Ok(0);
        };
        for (to, from) in start.iter_mut().skip(bytes).zip(rest).take(1) {
            *to = *from;
        }
        let bytes = bytes + 1;
        let seen = start.get(..bytes).unwrap_or(&start);
        match self.codec.is_start(seen) {
            None => self.place = Place::After { start, bytes },
            Some(false) => self.place = Place::Trailing(bytes as u64),
            Some(true) => {
                self.codec.restart();
                self.place = Place::Inside;
                let mut again = seen;
                while !again.is_empty() {
                    let taken = self.inflate(again, budget, take)?;
                    again = again.get(taken..).unwrap_or_default();
                }
            }
        }
        Ok(1)
    }

    /// Takes bytes of a member until there is no more to be made of them, or the member is over.
    fn inflate(&mut self, bytes: &[u8], budget: &Budget, take: Take<'_>) -> Result<usize, Fault> {
        let corrupt = Fault::Corrupt {
            coding: self.coding,
        };
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let Some(step) = self.codec.step(rest, &mut self.buffer) else {
                return Err(corrupt);
            };
            let Step {
                taken: more,
                made,
                is_over,
            } = step;
            taken += more;
            self.made_bytes = self.made_bytes.saturating_add(made as u64);
            budget.check(self.made_bytes)?;
            take(self.buffer.get(..made).unwrap_or_default())?;
            if is_over {
                self.place = Place::After {
                    start: [0; START_BYTES],
                    bytes: 0,
                };
                return Ok(taken);
            }
            let is_full = made == self.buffer.len();
            match (more, made) {
                (0, 0) if taken < bytes.len() => return Err(corrupt),
                _ if taken >= bytes.len() && !is_full => return Ok(taken),
                _ => {}
            }
        }
    }
}

impl Budget {
    fn check(&self, made_bytes: u64) -> Result<(), Fault> {
        if made_bytes > self.limits.output_bytes {
            return Err(Fault::TooLarge {
                limit_bytes: self.limits.output_bytes,
            });
        }
        if made_bytes > self.dense_bytes {
            return Err(Fault::TooDense {
                limit: self.limits.ratio,
            });
        }
        Ok(())
    }
}
