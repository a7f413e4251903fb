//! The resources that one exchange touches.
//!
//! A resource is a collection and an id in it (`order`, 17), whatever says so: the
//! path `/api/orders/17`, a field `order_id`, an answer to `POST /orders` whose `id`
//! or Location is 17. A short id counts within its collection alone, and in a path
//! below another id within that: `/orders/17/items/3` is no other order's item. The
//! id stands there as its link tag, so that one value is one resource wherever and
//! however it is written.
//!
//! Safe methods (RFC 9110, section 9.2.1) read. Others write what their path names
//! last, and add to the collection around it; ids in their query or body they read,
//! but where the path names the collection and an action (`/orders/cancel`). A request
//! that the service refused (4xx) has read, too.

use std::sync::Arc;

use twintap_scrub::{ExchangeRecord, Leaf, LinkTag, Part};
use twintap_stream::Field;
use twintap_stream::grpc::Status;

use super::calls::{self, Call};
use super::trail::{Member, Trail, digest, member_key};
use super::words::{is_list, is_plural, of_id, singular};
use super::{Kind, Mode, Touch, grpc};
use crate::collect::{Interner, Span, deletes_cookie};
use crate::options::path_of;

/// Most ids taken from a request's query and body.
pub(super) const MOST_GIVEN: usize = 16;
/// Most ids taken from an answer.
pub(super) const MOST_SHOWN: usize = 32;
/// Most characters of an id.
pub(super) const MOST_CHARS: u32 = 256;

/// Names of resources for people.
pub(crate) type TouchNames = Interner<Arc<str>>;

/// What was derived of all exchanges.
#[derive(Debug, Default)]
pub(crate) struct Derivation {
    pub touches: Vec<Touch>,
    pub names: TouchNames,
}

impl Derivation {
    /// Derives what an exchange touches; gives where that is in
    /// [`Derivation::touches`].
    pub fn add(&mut self, record: &ExchangeRecord) -> Span {
        let start = self.touches.len();
        if let Some(view) = View::of(record) {
            if view.is_grpc {
                self.grpc(&view);
            } else if view.is_graphql() {
                self.graphql(&view);
            } else {
                self.rest(&view);
            }
            self.cookies(&view);
        }
        self.keep_strongest(start);
        Span::between(start, self.touches.len())
    }

    /// A resource that an exchange touches twice counts by the stronger touch.
    fn keep_strongest(&mut self, start: usize) {
        let own = &mut self.touches[start..];
        own.sort_by_key(|touch| (touch.key, touch.own, strength(touch.mode)));
        let mut kept = start;
        for index in start..self.touches.len() {
            let touch = self.touches[index];
            let is_known = kept > start && {
                let known = &self.touches[kept - 1];
                (known.key, known.own) == (touch.key, touch.own)
            };
            if is_known {
                let known = &mut self.touches[kept - 1];
                known.mode = touch.mode;
                known.parent = known.parent.or(touch.parent);
                if touch.kind == Kind::Named {
                    known.kind = Kind::Named;
                }
            } else {
                self.touches[kept] = touch;
                kept += 1;
            }
        }
        self.touches.truncate(kept);
    }

    fn rest(&mut self, view: &View<'_>) {
        let trail = &view.trail;
        if let Some(own) = &trail.own {
            let mode = view.mode(Mode::Write);
            self.push(own.key, None, mode, Kind::Named, &own.name, true);
        } else {
            self.addressed(view);
        }
        self.given(view);
        if view.succeeded {
            self.answered(view);
        }
    }

    /// What the path names.
    fn addressed(&mut self, view: &View<'_>) {
        let trail = &view.trail;
        if let Some((last, parents)) = trail.members.split_last() {
            for member in parents {
                self.member(member, Mode::Read);
            }
            let mode = match trail.words.last() {
                Some(word) if is_plural(word) => Mode::Append,
                _ => Mode::Write,
            };
            self.member(last, view.mode(mode));
            if let Some(collection) = last.parent
                && trail.words.is_empty()
                && view.mode(mode) != Mode::Read
            {
                let name = format!("/{}", last.collection_path);
                self.push(
                    collection,
                    None,
                    Mode::Append,
                    Kind::Collection,
                    &name,
                    false,
                );
            }
            return;
        }
        let Some((_, above)) = trail.words.split_last() else {
            return;
        };
        let path = trail.words.join("/");
        let key = view.path_key(&path);
        let name = format!("/{path}");
        let replaces = matches!(view.method, b"PUT" | b"PATCH" | b"DELETE");
        if replaces && !above.is_empty() {
            self.push(key, None, view.mode(Mode::Write), Kind::Named, &name, false);
            let above = above.join("/");
            let (key, name) = (view.path_key(&above), format!("/{above}"));
            let mode = view.mode(Mode::Append);
            self.push(key, None, mode, Kind::Collection, &name, false);
        } else {
            let mode = view.mode(Mode::Append);
            self.push(key, None, mode, Kind::Collection, &name, false);
        }
    }

    /// Ids in the query and the body of the request.
    fn given(&mut self, view: &View<'_>) {
        let leaves = view.record.request.leaves.iter();
        let ids = leaves.filter_map(|leaf| Some((leaf, given_noun(leaf)?)));
        for (leaf, noun) in ids.take(MOST_GIVEN) {
            let words = &view.trail.words;
            let of_path = words.last().map(|word| singular(word));
            let noun = if noun.is_empty() {
                let Some(word) = of_path.clone() else {
                    continue;
                };
                word
            } else {
                noun
            };
            let names_action = words.len() >= 2
                && of_path.as_ref() != Some(&noun)
                && words.iter().any(|word| singular(word) == noun);
            let mode = if view.trail.own.is_none() && names_action {
                view.mode(Mode::Write)
            } else {
                Mode::Read
            };
            self.id(view, &noun, leaf.tag, mode, None);
        }
    }

    /// Ids in the answer: what was made, or what is shown.
    fn answered(&mut self, view: &View<'_>) {
        let mode = if view.safe { Mode::Read } else { Mode::Birth };
        if let Some(made) = view.location_trail()
            && made.own.is_none()
            && made.words.is_empty()
            && let Some(member) = made.members.last()
        {
            self.member(member, mode);
        }
        let trail = &view.trail;
        let leaves = view.record.response.leaves.iter();
        let ids = leaves.filter_map(|leaf| Some((leaf, shown_noun(leaf, view.safe)?)));
        for (leaf, noun) in ids.take(MOST_SHOWN) {
            if !noun.is_empty() {
                let parent = view.parent_of(&noun);
                self.id(view, &noun, leaf.tag, mode, parent);
            } else if let Some(word) = trail.words.last()
                && trail.own.is_none()
                && trail.members.is_empty()
            {
                let noun = singular(word);
                let parent = view.parent_of(&noun);
                self.id(view, &noun, leaf.tag, mode, parent);
            }
        }
    }

    /// What the client's cookies stand for: an answer that deletes one of them ended that.
    fn cookies(&mut self, view: &View<'_>) {
        let head = view.record.exchange.response.head.as_ref();
        let fields = head.map_or(&[][..], |head| &head.fields);
        let leaves = view.record.request.leaves.iter();
        let sent = leaves.filter_map(|leaf| Some((leaf, leaf.path.strip_prefix("cookie.")?)));
        for (leaf, name) in sent.take(MOST_GIVEN) {
            let is_deleted = fields.iter().any(|field| deletes(field, name));
            let mode = match is_deleted {
                true => Mode::Write,
                false => Mode::Read,
            };
            let name = format!("cookie {name}");
            let key = member_key(view.port, &name, leaf.tag.0, None);
            self.push(key, None, mode, Kind::Cookie, &name, false);
        }
    }

    fn graphql(&mut self, view: &View<'_>) {
        let calls = view.root_fields();
        for call in &calls {
            let mode = if call.writes {
                view.mode(Mode::Append)
            } else {
                Mode::Read
            };
            let key = view.path_key(&format!("graphql/{}", call.noun));
            let name = format!("{{{}}}", call.noun);
            self.push(key, None, mode, Kind::Collection, &name, false);
        }
        let leaves = view.record.request.leaves.iter();
        let ids = leaves.filter_map(|leaf| Some((leaf, given_noun(leaf)?)));
        for (leaf, noun) in ids.take(MOST_GIVEN) {
            let call = calls
                .iter()
                .find(|call| noun.is_empty() || call.noun == noun);
            let writes = call.is_some_and(|call| call.writes);
            let noun = call.map_or(&noun, |call| &call.noun);
            if noun.is_empty() {
                continue;
            }
            let mode = if writes { Mode::Write } else { Mode::Read };
            self.id(view, noun, leaf.tag, mode, None);
        }
        if !view.succeeded {
            return;
        }
        let leaves = view.record.response.leaves.iter();
        let ids = leaves.filter_map(|leaf| Some((leaf, graphql_noun(leaf, &calls)?)));
        for (leaf, (call, noun)) in ids.take(MOST_SHOWN) {
            let mode = if call.writes { Mode::Birth } else { Mode::Read };
            let parent = view.path_key(&format!("graphql/{noun}"));
            self.id(view, &noun, leaf.tag, mode, Some(parent));
        }
    }

    pub(super) fn id(
        &mut self,
        view: &View<'_>,
        noun: &str,
        tag: LinkTag,
        mode: Mode,
        parent: Option<u64>,
    ) {
        let key = member_key(view.port, noun, tag.0, None);
        let name = format!("{noun}/*");
        self.push(key, parent, mode, Kind::Member, &name, false);
    }

    fn member(&mut self, member: &Member, mode: Mode) {
        let name = format!("{}/*", member.noun);
        let parent = member.parent;
        self.push(member.key, parent, mode, Kind::Member, &name, false);
    }

    pub(super) fn push(
        &mut self,
        key: u64,
        parent: Option<u64>,
        mode: Mode,
        kind: Kind,
        name: &str,
        own: bool,
    ) {
        let name = self.names.intern_str(name);
        self.touches.push(Touch {
            key,
            parent,
            name,
            mode,
            kind,
            own,
        });
    }
}

/// The later, the more it does.
fn strength(mode: Mode) -> u8 {
    match mode {
        Mode::Read => 0,
        Mode::Birth => 1,
        Mode::Append => 2,
        Mode::Write => 3,
    }
}

/// What matters of an exchange.
pub(super) struct View<'a> {
    pub(super) record: &'a ExchangeRecord,
    method: &'a [u8],
    /// The path, without its query.
    pub(super) path: &'a [u8],
    is_grpc: bool,
    port: u16,
    trail: Trail,
    safe: bool,
    /// The service did what it was asked.
    pub(super) succeeded: bool,
    /// It refused (4xx; of gRPC any status but 0).
    refused: bool,
}

impl<'a> View<'a> {
    fn of(record: &'a ExchangeRecord) -> Option<View<'a>> {
        let exchange = &record.exchange;
        let head = exchange.request.head.as_ref()?;
        let method: &[u8] = &head.method;
        let status = exchange.response.head.as_ref().map(|head| head.status);
        let port = exchange.endpoints.server.port();
        let leaves = &record.request.leaves;
        let path_bytes = without_query(path_of(&head.target));
        let path = String::from_utf8_lossy(path_bytes);
        let is_grpc = grpc::is_call(head);
        let (succeeded, refused) = match (is_grpc, &exchange.response.head) {
            (true, Some(head)) => {
                let status = Status::of(&head.fields, &exchange.response.trailers);
                let code = status.and_then(|status| status.code);
                (code == Some(0), code.is_some_and(|code| code != 0))
            }
            _ => (
                status.is_some_and(|status| (200..400).contains(&status)),
                status.is_some_and(|status| (400..500).contains(&status)),
            ),
        };
        Some(View {
            record,
            method,
            path: path_bytes,
            is_grpc,
            port,
            trail: Trail::of(port, &path, |index| {
                let is_it = |leaf: &&Leaf| {
                    leaf.part == Part::Target && segment_of(leaf, "path.") == Some(index)
                };
                leaves.iter().find(is_it).map(|leaf| leaf.tag)
            }),
            safe: matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE"),
            succeeded,
            refused,
        })
    }

    /// What a touch is that would be `mode` if it succeeded.
    pub(super) fn mode(&self, mode: Mode) -> Mode {
        if self.safe || self.refused {
            Mode::Read
        } else {
            mode
        }
    }

    pub(super) fn path_key(&self, path: &str) -> u64 {
        digest(&(self.port, "path", path))
    }

    /// The collection of the path where it holds what `noun` names.
    fn parent_of(&self, noun: &str) -> Option<u64> {
        let trail = &self.trail;
        let holds = trail.own.is_none()
            && trail.members.is_empty()
            && trail
                .words
                .last()
                .is_some_and(|word| singular(word) == noun);
        holds.then(|| self.path_key(&trail.words.join("/")))
    }

    fn location_trail(&self) -> Option<Trail> {
        let fields = &self.record.exchange.response.head.as_ref()?.fields;
        let field = fields
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(b"location"))?;
        let path = String::from_utf8_lossy(without_query(path_of(&field.value)));
        let leaves = &self.record.response.leaves;
        Some(Trail::of(self.port, &path, |index| {
            let is_it = |leaf: &&Leaf| segment_of(leaf, "location.path.") == Some(index);
            leaves.iter().find(is_it).map(|leaf| leaf.tag)
        }))
    }

    fn is_graphql(&self) -> bool {
        let last = self.trail.words.last();
        last.is_some_and(|word| word == "graphql") && self.trail.members.is_empty()
    }

    /// The calls that a GraphQL answer has the results of.
    fn root_fields(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        for leaf in &self.record.response.leaves {
            let Some(rest) = leaf.path.strip_prefix("json./data/") else {
                continue;
            };
            let field = rest.split('/').next().unwrap_or(rest);
            let call = calls::of_graphql(field);
            if !calls.contains(&call) && calls.len() < MOST_GIVEN {
                calls.push(call);
            }
        }
        calls
    }
}

/// Whether a field of an answer deletes the cookie of this name.
fn deletes(field: &Field, name: &str) -> bool {
    let named = || field.value.split(|byte| *byte == b'=').next();
    field.is("set-cookie")
        && named().is_some_and(|named| named.trim_ascii() == name.as_bytes())
        && deletes_cookie(field)
}

fn without_query(path: &[u8]) -> &[u8] {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    &path[..end.unwrap_or(path.len())]
}

fn segment_of(leaf: &Leaf, prefix: &str) -> Option<usize> {
    leaf.path.strip_prefix(prefix)?.parse().ok()
}

/// Of a request's leaf in query or body, what it is an id of; empty where that is
/// for the path to say.
fn given_noun(leaf: &Leaf) -> Option<String> {
    if !(1..=MOST_CHARS).contains(&leaf.raw_chars) {
        return None;
    }
    if let Some(pointer) = leaf.path.strip_prefix("json.") {
        let steps = steps(pointer);
        let (name, around) = steps.split_last()?;
        let name = if pointer.ends_with(|c: char| c.is_ascii_digit()) {
            name.strip_suffix('s').unwrap_or(name)
        } else {
            name
        };
        let noun = of_id(name)?;
        if !noun.is_empty() {
            return Some(noun);
        }
        let holder = around
            .iter()
            .rev()
            .find(|step| !is_list(step) && !matches!(**step, "variables" | "input"));
        return Some(holder.map(|step| singular(step)).unwrap_or_default());
    }
    let name = leaf
        .path
        .strip_prefix("query.")
        .or_else(|| leaf.path.strip_prefix("form."))?;
    of_id(name.split('#').next().unwrap_or(name))
}

/// Of a leaf of an answer, what it is the id of; empty where the path says it. A
/// field such as `order_id` names what was made at the top of an answer to a request
/// that is not safe; elsewhere it refers to something that is not shown.
fn shown_noun(leaf: &Leaf, safe: bool) -> Option<String> {
    let steps = steps(leaf.path.strip_prefix("json.")?);
    let (name, around) = steps.split_last()?;
    if !(1..=MOST_CHARS).contains(&leaf.raw_chars) || around.len() > 2 {
        return None;
    }
    let noun = of_id(name)?;
    if noun.is_empty() {
        let holder = around.iter().rev().find(|step| !is_list(step));
        return Some(holder.map(|step| singular(step)).unwrap_or_default());
    }
    (!safe && around.is_empty()).then_some(noun)
}

/// The same for a GraphQL answer, with the call whose result it is in.
fn graphql_noun<'a>(leaf: &Leaf, calls: &'a [Call]) -> Option<(&'a Call, String)> {
    let steps = steps(leaf.path.strip_prefix("json./data/")?);
    let (name, around) = steps.split_last()?;
    let (root, below) = around.split_first()?;
    if !(1..=MOST_CHARS).contains(&leaf.raw_chars) || below.len() > 2 {
        return None;
    }
    let root = calls::of_graphql(root);
    let call = calls.iter().find(|call| **call == root)?;
    if !of_id(name)?.is_empty() {
        return None;
    }
    let holder = below.iter().rev().find(|step| !is_list(step));
    let noun = holder.map_or_else(|| call.noun.clone(), |step| singular(step));
    (!noun.is_empty()).then_some((call, noun))
}

/// The names in a JSON pointer (RFC 6901), positions in arrays left out.
fn steps(pointer: &str) -> Vec<&str> {
    pointer
        .split('/')
        .filter(|step| !step.is_empty() && !step.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}
