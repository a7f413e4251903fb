//! What is changed in a request whatever the twin answers: times, and tokens that hold
//! for a while, are moved to the time of the run where its file asks for it; what a
//! session creates is another in each copy of it.

mod copies;
mod times;
mod tokens;

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twintap_plan::Plan;
use twintap_scrub::{Action, Leaf, Part, Scrubber, decode, encode, split_path};
use twintap_stream::{RequestHead, Timestamp};

pub use times::Shift;
pub use tokens::{Signer, TokenAlgorithm, TokenSettings};

use self::copies::Copies;
use super::file::RunFile;
use super::prepare::copies_key;
use crate::fire::wire::Edit;

/// What becomes of times in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestTimes {
    /// They are sent as recorded.
    #[default]
    Keep,
    /// They are moved by the span from the capture's start to the run's.
    Shift,
}

/// A request of the plan, each time that it is fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Its position in the plan.
    pub position: u32,
    /// Which copy of its session it belongs to; the first has the recorded values.
    pub copy: u32,
    /// How much later than the first time.
    pub later: Duration,
}

/// Makes the changes.
pub struct Renewal {
    times: RequestTimes,
    shift: Shift,
    signers: Vec<Signer>,
    copies: Copies,
}

impl Renewal {
    /// As the run file says, for a run that starts at `t0`.
    ///
    /// # Errors
    /// When a key can't be read.
    pub fn new(file: &RunFile, plan: &Plan, scrubber: &Scrubber, t0: Timestamp) -> Result<Renewal> {
        Ok(Renewal {
            times: file.settings.times,
            shift: Shift::new(plan.capture_start, t0),
            signers: file.signers()?,
            copies: Copies::new(plan, copies_key(scrubber), file.settings.is_endless()),
        })
    }

    /// As the run file says, for a run without end: what was sent at `origin` goes out as if it
    /// were `delay` later. Nothing has copies.
    ///
    /// # Errors
    /// When a key can't be read.
    pub fn following(file: &RunFile, origin: Timestamp, delay: Duration) -> Result<Renewal> {
        let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        Ok(Renewal {
            times: file.settings.times,
            shift: Shift::new(origin, origin.plus_ns(delay_ns)),
            signers: file.signers()?,
            copies: Copies::none(),
        })
    }

    /// Whether [`edits`](Self::edits) looks at leaves.
    pub fn needs_leaves(&self) -> bool {
        self.times == RequestTimes::Shift || !self.signers.is_empty()
    }

    /// The edits of a request with these `leaves`; where one would meet a bound value,
    /// that goes first.
    pub fn edits(
        &self,
        repeat: Repeat,
        leaves: &[Leaf],
        head: &RequestHead,
        body: &Bytes,
    ) -> Vec<Edit> {
        let mut edits = self.copies.edits(repeat.position, repeat.copy, head, body);
        if !self.needs_leaves() {
            return edits;
        }
        let whole = leaves
            .iter()
            .filter(|leaf| split_path(&leaf.path).is_none());
        let shift = self.shift.later(repeat.later);
        for edit in whole.filter_map(|leaf| self.edit(leaf, head, body, shift)) {
            if !edits.iter().any(|other| other.meets(&edit)) {
                edits.push(edit);
            }
        }
        edits
    }

    fn edit(&self, leaf: &Leaf, head: &RequestHead, body: &Bytes, shift: Shift) -> Option<Edit> {
        let (part, field) = match leaf.part {
            Part::Target => (&head.target, None),
            Part::Field(index) => {
                let field = head.fields.get(index as usize)?;
                (&field.value, Some(field))
            }
            Part::Body => (body, None),
        };
        let start = leaf.start as usize;
        let written = part.get(start..start.checked_add(leaf.len as usize)?)?;
        let raw = decode(written, leaf.encoding);
        let text = std::str::from_utf8(&raw).ok()?;
        let signer = field.and_then(|field| {
            let mut signers = self.signers.iter();
            signers.find(|signer| field.is(&signer.header))
        });
        let new = match signer {
            Some(signer) => signer.sign(text, shift)?,
            // A pseudonym of a time is a time of nothing.
            None if self.times == RequestTimes::Shift && leaf.action == Action::Allowed => {
                shift.text(text, &leaf.path)?
            }
            None => return None,
        };
        Some(Edit {
            part: leaf.part,
            start: leaf.start,
            len: leaf.len,
            value: Bytes::from(encode(new.as_bytes(), leaf.encoding)),
        })
    }
}
