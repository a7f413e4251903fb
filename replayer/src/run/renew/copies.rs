//! What a session creates, in copies of it: who signs up, and idempotency keys.

use std::collections::HashMap;

use bytes::Bytes;
use twintap_plan::{CreatedPlace, Plan, for_copy};
use twintap_scrub::{Part, decode, encode, fit, replace_inside, split_path, value_inside};
use twintap_stream::RequestHead;

use crate::fire::wire::Edit;

/// The places of created values in requests of copies.
pub struct Copies {
    key: [u8; 32],
    /// By position in the plan.
    places: HashMap<u32, Vec<CreatedPlace>>,
}

impl Copies {
    /// Those of a plan, which may be gone through again. The first of the copies has the
    /// recorded values.
    pub fn new(plan: &Plan, key: [u8; 32], is_again: bool) -> Copies {
        let mut places: HashMap<u32, Vec<CreatedPlace>> = HashMap::new();
        for place in plan.created.iter().flat_map(|created| &created.places) {
            let copy = plan.requests[place.request as usize].copy;
            if copy > 0 || is_again {
                let known = places.entry(place.request).or_default();
                known.push(place.clone());
            }
        }
        Copies { key, places }
    }

    /// None: every request is recorded once and fired once.
    pub fn none() -> Copies {
        Copies {
            key: [0; 32],
            places: HashMap::new(),
        }
    }

    /// The edits of the request at `position` in this copy.
    pub fn edits(&self, position: u32, copy: u32, head: &RequestHead, body: &Bytes) -> Vec<Edit> {
        let places = self.places.get(&position).filter(|_| copy > 0);
        let mut edits: Vec<Edit> = Vec::new();
        for place in places.into_iter().flatten() {
            if let Some(new) = self.edit(copy, place, head, body)
                && !edits.iter().any(|old| old.meets(&new))
            {
                edits.push(new);
            }
        }
        edits
    }

    fn edit(
        &self,
        copy: u32,
        place: &CreatedPlace,
        head: &RequestHead,
        body: &Bytes,
    ) -> Option<Edit> {
        let part = match place.part {
            Part::Target => &head.target,
            Part::Field(index) => &head.fields.get(index as usize)?.value,
            Part::Body => body,
        };
        let start = place.start as usize;
        let written = part.get(start..start.checked_add(place.len as usize)?)?;
        let raw = decode(written, place.encoding);
        let new = match split_path(&place.path) {
            None => for_copy(&raw, &self.key, copy),
            Some((container, inside)) => {
                let old = value_inside(&raw, container, inside)?;
                let new = for_copy(&old, &self.key, copy);
                replace_inside(&raw, &[(inside, &new)])?
            }
        };
        Some(Edit {
            part: place.part,
            start: place.start,
            len: place.len,
            value: Bytes::from(encode(&fit(&new, place.encoding), place.encoding)),
        })
    }
}
