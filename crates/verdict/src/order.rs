//! Observations back into the order of the plan, in bounded memory.

use std::collections::BTreeMap;

use crate::observation::{Answer, Body, Observation, Outcome};

/// Observations come as requests finish; values are followed from answer to
/// answer in the order of the plan.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    next: u32,
    waiting: BTreeMap<u32, Observation>,
    waiting_bytes: usize,
    /// One bit for each position that was given.
    given: Vec<u64>,
}

impl Reorder {
    /// Takes one; gives it back when its position was given before.
    pub(crate) fn push(&mut self, observation: Observation) -> Result<(), Box<Observation>> {
        let position = observation.position;
        let (word, bit) = (position as usize / 64, 1_u64 << (position % 64));
        if self.given.len() <= word {
            self.given.resize(word + 1, 0);
        }
        if self.given[word] & bit != 0 {
            return Err(Box::new(observation));
        }
        self.given[word] |= bit;
        self.waiting_bytes += size(&observation);
        self.waiting.insert(position, observation);
        Ok(())
    }

    /// The next one whose turn it is, or the first that waits when more than
    /// `most_bytes` are held.
    pub(crate) fn pop(&mut self, most_bytes: usize) -> Option<Observation> {
        let entry = self.waiting.first_entry()?;
        if *entry.key() > self.next && self.waiting_bytes <= most_bytes {
            return None;
        }
        let observation = entry.remove();
        self.next = self.next.max(observation.position.saturating_add(1));
        self.waiting_bytes -= size(&observation);
        Some(observation)
    }
}

/// Roughly the memory that an observation holds.
fn size(observation: &Observation) -> usize {
    const FIXED: usize = 512;
    let of_outcome = |outcome: &Outcome| match outcome {
        Outcome::Answered { answer, .. } => size_of_answer(answer),
        Outcome::Errored { detail, .. } => detail.len(),
        Outcome::Refused(_) | Outcome::Skipped(_) => 0,
    };
    FIXED
        + observation.request.target.len()
        + observation.request.fields.len() * 96
        + size_of_body(&observation.request_body)
        + observation.produced.len() * 64
        + observation.depends_on.len() * 4
        + observation.races.len() * 96
        + observation.production.as_ref().map_or(0, size_of_answer)
        + of_outcome(&observation.baseline)
        + of_outcome(&observation.candidate)
        + observation.second_baseline.as_ref().map_or(0, of_outcome)
}

fn size_of_answer(answer: &Answer) -> usize {
    let of_fields: usize = answer
        .head
        .fields
        .iter()
        .map(|field| 96 + field.name.len() + field.value.len())
        .sum();
    let of_leaves: usize = answer.leaves.iter().map(|leaf| 80 + leaf.path.len()).sum();
    of_fields + of_leaves + size_of_body(&answer.body)
}

fn size_of_body(body: &Body) -> usize {
    match body {
        Body::Whole(bytes) => bytes.len(),
        Body::Digest { .. } => 0,
    }
}
