//! What becomes of a value of a snapshot.

use std::sync::Arc;

use bytes::Bytes;

use super::SnapshotCounts;
use crate::class::Class;
use crate::find::{Unparsable, json};
use crate::leaf::{Action, Leaf, Part};
use crate::nest;
use crate::policy::{Decision, ValueAction, View};
use crate::rewrite::Rewriter;
use crate::scrubber::Scrubber;

/// Decides about the values of a statement.
pub(crate) trait Replace {
    /// What takes the place of the value `raw`; `None` where it stays.
    fn replace(&mut self, place: Place<'_>, raw: &[u8]) -> Option<Vec<u8>>;
}

/// Decides about values, makes what takes their place, and counts.
pub(super) struct Values {
    scrubber: Scrubber,
    /// A snapshot is of no route: rules with `on` hold unless they allow something.
    view: Arc<View>,
    counts: SnapshotCounts,
}

/// A value's name, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a str,
    pub(crate) name: &'a str,
    /// Whether its words are the service's own, as in the path of a request.
    pub(crate) is_in_path: bool,
}

impl Replace for Values {
    fn replace(&mut self, place: Place<'_>, raw: &[u8]) -> Option<Vec<u8>> {
        self.scrub(place, raw)
    }
}

impl Values {
    pub(super) fn new(scrubber: &Scrubber) -> Values {
        Values {
            view: scrubber.view_of_no_route(),
            scrubber: scrubber.clone(),
            counts: SnapshotCounts::default(),
        }
    }

    pub(super) fn counts(&self) -> SnapshotCounts {
        self.counts
    }

    /// What takes the place of the value `raw`; `None` where it stays.
    pub(super) fn scrub(&mut self, place: Place<'_>, raw: &[u8]) -> Option<Vec<u8>> {
        let class = || Class::of(raw, place.is_in_path);
        let new = match self.view.decide(place.path, place.name, class) {
            Decision::Value(ValueAction::Allow) => {
                self.counts.allowed += 1;
                return None;
            }
            Decision::Value(ValueAction::Pseudonym) => {
                self.counts.pseudonyms += 1;
                self.pseudonym(raw)
            }
            // There is no body here that could be dropped, but the value.
            Decision::Value(ValueAction::Replace) | Decision::DropBody => {
                self.counts.replaced += 1;
                self.scrubber.pseudonyms().filler(raw)
            }
        };
        (new != raw).then_some(new)
    }

    /// A JSON text, its values scrubbed as those of a body.
    pub(super) fn json_text(&mut self, text: &[u8]) -> Result<Bytes, Unparsable> {
        let (text, leaves) = self.rewritten(text)?;
        for leaf in leaves {
            // Those inside of another are counted with it.
            if nest::split_path(&leaf.path).is_none() {
                match leaf.action {
                    Action::Allowed => self.counts.allowed += 1,
                    Action::Pseudonym => self.counts.pseudonyms += 1,
                    Action::Replaced => self.counts.replaced += 1,
                }
            }
        }
        Ok(text)
    }

    fn pseudonym(&self, raw: &[u8]) -> Vec<u8> {
        // Elsewhere a JSON text this long is a text as any other. A column that holds JSON
        // takes nothing else.
        let may_be_json = raw.len() > nest::MOST_BYTES && matches!(raw[0], b'{' | b'[');
        let limits = self.scrubber.policy().limits;
        if may_be_json
            && raw.len() <= limits.decoded_body_bytes.get()
            && let Ok((text, _)) = self.rewritten(raw)
        {
            return text.into();
        }
        let pseudonyms = self.scrubber.pseudonyms();
        let mut recent = pseudonyms.recent();
        recent.of(pseudonyms, raw).pseudonym().to_vec()
    }

    fn rewritten(&self, text: &[u8]) -> Result<(Bytes, Vec<Leaf>), Unparsable> {
        let src = Bytes::copy_from_slice(text);
        let mut leaves = Vec::new();
        // Not as a part of a body: a rule that would drop one replaces the value.
        let means = self.scrubber.means(&self.view);
        let mut recent = means.pseudonyms.recent();
        let mut rewriter = Rewriter::new(means, &mut recent, Part::Field(0), &src, &mut leaves);
        json::find(&src, false, &mut rewriter)?;
        let text = rewriter.finish(&src).map_err(|_| Unparsable)?;
        Ok((text, leaves))
    }
}
