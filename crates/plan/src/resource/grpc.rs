//! What calls of gRPC touch.
//!
//! The name of the method says what is done to what: its verb whether it reads, lists,
//! makes or changes, its noun, or that of the service, the collection. A verb that is not
//! known says nothing, and such a call touches nothing. Fields have no names without
//! descriptors, so that of all ids only the one that convention puts first is known: field 1
//! of a message, or of the message in its field 1.

use twintap_scrub::Leaf;
use twintap_stream::RequestHead;
use twintap_stream::message::field_values;

use super::calls::{self, Rpc, Verb};
use super::keys::{Derivation, MOST_CHARS, MOST_GIVEN, MOST_SHOWN, View};
use super::{Kind, Mode};

impl Derivation {
    /// What a call touches whose path names service and method.
    pub(super) fn grpc(&mut self, view: &View<'_>) {
        let path = String::from_utf8_lossy(view.path);
        let mut names = path.rsplit('/');
        let (Some(method), Some(service)) = (names.next(), names.next()) else {
            return;
        };
        let Some(Rpc { verb, noun }) = calls::of_method(service, method) else {
            return;
        };
        let collection = view.path_key(&format!("grpc/{noun}"));
        let mode = match verb {
            Verb::Read | Verb::List => Mode::Read,
            Verb::Make | Verb::Change => view.mode(Mode::Append),
        };
        let name = format!("{{{noun}}}");
        if verb != Verb::Read {
            self.push(collection, None, mode, Kind::Collection, &name, false);
        }
        let of_request = match verb {
            Verb::Read => Some(Mode::Read),
            Verb::Change => Some(view.mode(Mode::Write)),
            // What is made has no id yet, and what is listed is asked for by others.
            Verb::Make | Verb::List => None,
        };
        if let Some(mode) = of_request {
            for leaf in ids(&view.record.request.leaves).take(MOST_GIVEN) {
                self.id(view, &noun, leaf.tag, mode, Some(collection));
            }
        }
        let of_answer = match verb {
            Verb::Read | Verb::List => Some(Mode::Read),
            Verb::Make => Some(Mode::Birth),
            Verb::Change => None,
        };
        if let Some(mode) = of_answer.filter(|_| view.succeeded) {
            for leaf in ids(&view.record.response.leaves).take(MOST_SHOWN) {
                self.id(view, &noun, leaf.tag, mode, Some(collection));
            }
        }
    }
}

/// True for a call of gRPC, by its content type.
pub(super) fn is_call(head: &RequestHead) -> bool {
    let mut types = field_values(&head.fields, "content-type");
    types.any(|value| value.starts_with(b"application/grpc"))
}

/// The values that stand where ids do in the messages of a body.
fn ids(leaves: &[Leaf]) -> impl Iterator<Item = &Leaf> {
    let is_at = |leaf: &&Leaf, place: &str| {
        let inside = leaf.path.strip_prefix("grpc.").unwrap_or_default();
        let field = inside.split_once(">proto.").map(|(_, field)| field);
        let field = field.and_then(|field| field.split('#').next());
        field == Some(place) && (1..=MOST_CHARS).contains(&leaf.raw_chars)
    };
    let is_flat = leaves.iter().any(|leaf| is_at(&leaf, "/1"));
    let place = if is_flat { "/1" } else { "/1/1" };
    leaves.iter().filter(move |leaf| is_at(leaf, place))
}
