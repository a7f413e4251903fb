//! JSON by its structure.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;
use twintap_scrub::LinkTag;
use twintap_stream::document;
use twintap_stream::message::field_values;

use super::align::{Parts, align, by_index};
use super::head::short;
use super::{BODY, Comparison, Difference, Mask, Parsed, Sameness, Side, Text, Witness, in_order};
use crate::generated::{Form, form, looks_random};
use crate::kind::Kind;
use crate::options::ArrayMatch;
use crate::roles::text_hash;

/// The most values by which an element is compared with others to find which it is.
const MOST_HELD: usize = 64;

/// A place in both documents, as JSON pointers (RFC 6901).
#[derive(Default)]
struct Place {
    left: String,
    right: String,
    /// Without indices and generated keys.
    general: String,
}

impl Place {
    fn lengths(&self) -> (usize, usize, usize) {
        (self.left.len(), self.right.len(), self.general.len())
    }

    fn truncate(&mut self, (left, right, general): (usize, usize, usize)) {
        self.left.truncate(left);
        self.right.truncate(right);
        self.general.truncate(general);
    }

    fn push_key(&mut self, key: &str) {
        let escaped = escape(key);
        for pointer in [&mut self.left, &mut self.right] {
            pointer.push('/');
            pointer.push_str(&escaped);
        }
        self.general.push('/');
        let is_value = looks_random(key)
            || matches!(
                form(key),
                Some(Form::Uuid | Form::Hex(_) | Form::Date | Form::Instant(..))
            )
            || (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()));
        self.general
            .push_str(if is_value { "{key}" } else { &escaped });
    }

    fn push_index(&mut self, left: usize, right: usize) {
        use std::fmt::Write as _;
        // Writing to a String can't fail.
        let _ = write!(self.left, "/{left}");
        let _ = write!(self.right, "/{right}");
        self.general.push_str("/*");
    }
}

/// Whether a reply of a database says that the order of its rows or elements at `pointer` says
/// nothing (`unordered` beside them).
fn is_set(side: &Side<'_>, pointer: &str) -> bool {
    let is_command = field_values(&side.answer.head.fields, "content-type")
        .any(|value| value == document::CONTENT_TYPE);
    let holder = pointer
        .strip_suffix("/rows")
        .or_else(|| pointer.strip_suffix("/reply"));
    match (holder, &side.body) {
        (Some(holder), Parsed::Json(document)) if is_command => {
            document.pointer(&format!("{holder}/unordered")) == Some(&Value::Bool(true))
        }
        _ => false,
    }
}

pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl Comparison<'_> {
    pub(super) fn json(&mut self, left: &Value, right: &Value) {
        self.values_at(left, right, &mut Place::default());
    }

    fn values_at(&mut self, left: &Value, right: &Value, place: &mut Place) {
        match (left, right) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, left) in one {
                    let lengths = place.lengths();
                    place.push_key(key);
                    match other.get(key) {
                        Some(right) => self.values_at(left, right, place),
                        None => {
                            let note = format!("{} → none", summary(left));
                            self.push_json(
                                place,
                                Kind::BodyMissing,
                                true,
                                None,
                                note,
                                (left, &Value::Null),
                            );
                        }
                    }
                    place.truncate(lengths);
                }
                for (key, right) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                    let lengths = place.lengths();
                    place.push_key(key);
                    let note = format!("none → {}", summary(right));
                    self.push_json(
                        place,
                        Kind::BodyAdded,
                        true,
                        None,
                        note,
                        (&Value::Null, right),
                    );
                    place.truncate(lengths);
                }
            }
            (Value::Array(one), Value::Array(other)) => self.arrays(one, other, place),
            _ if type_name(left) != type_name(right) => {
                let note = format!("{} → {}", typed(left), typed(right));
                self.push_json(place, Kind::BodyType, true, None, note, (left, right));
            }
            _ => self.scalars(left, right, place),
        }
    }

    fn scalars(&mut self, left: &Value, right: &Value, place: &Place) {
        let (left_text, right_text) = (spelling(left), spelling(right));
        let left_value = Text::of_value(&left_text, tag_at(self.left, &place.left));
        let right_value = Text::of_value(&right_text, tag_at(self.right, &place.right));
        let seen = self.witness_scalar(left, &place.left);
        let sameness = match &seen {
            Some((side, text, tag)) => {
                let seen_value = Text::of_value(text, *tag);
                self.texts(&left_value, &right_value, Some((side, &seen_value)))
            }
            None => self.texts(&left_value, &right_value, None),
        };
        let note = || format!("{} → {}", summary(left), summary(right));
        match sameness {
            Sameness::Same => {}
            Sameness::Masked(mask) => {
                self.push_json(
                    place,
                    Kind::BodyChanged,
                    false,
                    Some(mask),
                    note(),
                    (left, right),
                );
            }
            Sameness::Broken => {
                self.push_json(place, Kind::BodyType, true, None, note(), (left, right));
            }
            Sameness::Different => {
                self.push_json(place, Kind::BodyChanged, false, None, note(), (left, right));
            }
        }
    }

    /// Production's value of the same type at the same pointer.
    fn witness_scalar(
        &self,
        like: &Value,
        pointer: &str,
    ) -> Option<(&Side<'_>, String, Option<LinkTag>)> {
        let Witness::Seen(side) = self.witness else {
            return None;
        };
        let Parsed::Json(document) = &side.body else {
            return None;
        };
        let value = document.pointer(pointer)?;
        (type_name(value) == type_name(like))
            .then(|| (side, spelling(value), tag_at(side, pointer)))
    }

    /// Elements are matched by what they hold, generated values aside; what has
    /// no match is missing or added.
    fn arrays(&mut self, left: &[Value], right: &[Value], place: &mut Place) {
        let ruled = self.options.array_match(self.endpoint, &place.general);
        let how = ruled.or_else(|| is_set(self.left, &place.left).then_some(ArrayMatch::Set));
        let one = Elements::new(self.left, left, &place.left);
        let other = Elements::new(self.right, right, &place.right);
        let found = match how {
            Some(ArrayMatch::Sequence) => by_index(left.len(), right.len()),
            Some(ArrayMatch::Set) => align(&one, &other, false),
            None => align(&one, &other, true),
        };
        if found.is_reordered {
            let note = format!("the same {} elements in another order", left.len());
            let note = match left.len() == right.len() {
                true => note,
                false => "elements of both in another order".to_owned(),
            };
            self.found.push(Difference {
                place: in_order(&place.general),
                at_left: place.left.clone(),
                at_right: place.right.clone(),
                kind: Kind::BodyOrder,
                is_hard: false,
                mask: None,
                pair: (one.order(), other.order()),
                note,
                leaf: None,
            });
        }
        let lengths = place.lengths();
        for (one, other) in found.pairs {
            place.push_index(one, other);
            self.values_at(&left[one], &right[other], place);
            place.truncate(lengths);
        }
        if let Some(first) = found.missing.first() {
            place.push_index(*first, *first);
            let note = format!("{} → {} elements", left.len(), right.len());
            let pair = (&left[*first], &Value::Null);
            self.push_json(place, Kind::BodyMissing, true, None, note, pair);
            place.truncate(lengths);
        }
        if let Some(first) = found.added.first() {
            place.push_index(*first, *first);
            let note = format!("{} → {} elements", left.len(), right.len());
            let pair = (&Value::Null, &right[*first]);
            self.push_json(place, Kind::BodyAdded, true, None, note, pair);
            place.truncate(lengths);
        }
    }

    fn push_json(
        &mut self,
        place: &Place,
        kind: Kind,
        is_hard: bool,
        mask: Option<Mask>,
        note: String,
        (left, right): (&Value, &Value),
    ) {
        let general = if place.general.is_empty() {
            BODY
        } else {
            &place.general
        };
        self.found.push(Difference {
            place: general.to_owned(),
            at_left: place.left.clone(),
            at_right: place.right.clone(),
            kind,
            is_hard,
            mask,
            pair: (text_hash(&spelling(left)), text_hash(&spelling(right))),
            note,
            leaf: None,
        });
    }
}

/// The elements of an array, made ready to be aligned.
struct Elements<'a> {
    side: &'a Side<'a>,
    elements: &'a [Value],
    pointer: &'a str,
    keys: Vec<u64>,
}

impl<'a> Elements<'a> {
    fn new(side: &'a Side<'a>, elements: &'a [Value], pointer: &'a str) -> Elements<'a> {
        let keys = elements.iter().enumerate().map(|(index, element)| {
            let mut hasher = DefaultHasher::new();
            let mut pointer = format!("{pointer}/{index}");
            hash_content(side, element, &mut pointer, &mut hasher);
            hasher.finish()
        });
        Elements {
            side,
            elements,
            pointer,
            keys: keys.collect(),
        }
    }

    /// A digest of the order of the elements.
    fn order(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.keys.hash(&mut hasher);
        hasher.finish()
    }
}

impl Parts for Elements<'_> {
    fn keys(&self) -> &[u64] {
        &self.keys
    }

    fn holds(&self, index: usize) -> Vec<u64> {
        let mut held = Vec::new();
        let mut pointer = format!("{}/{index}", self.pointer);
        let mut path = String::new();
        hold(
            self.side,
            &self.elements[index],
            &mut pointer,
            &mut path,
            &mut held,
        );
        held
    }

    fn sort(&self, _: usize) -> u64 {
        // A value of another type in the place of one is a change of type.
        0
    }
}

/// Digests of the members of an element and their values, below `path`; of the first
/// [`MOST_HELD`].
fn hold(
    side: &Side<'_>,
    value: &Value,
    pointer: &mut String,
    path: &mut String,
    held: &mut Vec<u64>,
) {
    let lengths = (pointer.len(), path.len());
    let mut enter = |key: &str, is_index: bool, member: &Value| {
        pointer.push('/');
        pointer.push_str(&escape(key));
        path.push('/');
        path.push_str(if is_index { "*" } else { key });
        hold(side, member, pointer, path, held);
        pointer.truncate(lengths.0);
        path.truncate(lengths.1);
        held.len() < MOST_HELD
    };
    match value {
        Value::Object(members) => {
            let _ = members
                .iter()
                .all(|(key, member)| enter(key, false, member));
        }
        Value::Array(elements) => {
            let mut elements = elements.iter().enumerate();
            let _ = elements.all(|(index, element)| enter(&index.to_string(), true, element));
        }
        scalar => {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            hash_content(side, scalar, pointer, &mut hasher);
            held.push(hasher.finish());
        }
    }
}

/// Hashes what an element holds: values by their roles, those that look
/// generated by nothing but being there.
fn hash_content(side: &Side<'_>, value: &Value, pointer: &mut String, hasher: &mut DefaultHasher) {
    let length = pointer.len();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                key.hash(hasher);
                pointer.push('/');
                pointer.push_str(&escape(key));
                hash_content(side, member, pointer, hasher);
                pointer.truncate(length);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                hash_content(side, element, pointer, hasher);
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) => spelling(value).hash(hasher),
        Value::Number(_) | Value::String(_) => {
            let text = spelling(value);
            if form(&text).is_some() || looks_random(&text) {
                0_u8.hash(hasher);
            } else {
                match tag_at(side, pointer) {
                    Some(tag) => side.role(tag).hash(hasher),
                    None => side.role_of_text(&text).hash(hasher),
                }
            }
        }
    }
    type_name(value).hash(hasher);
}

/// The tag of the leaf at a pointer.
fn tag_at(side: &Side<'_>, pointer: &str) -> Option<LinkTag> {
    side.leaf(&format!("json.{pointer}")).map(|leaf| leaf.tag)
}

/// A scalar as text; containers as JSON.
fn spelling(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn typed(value: &Value) -> String {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => summary(value),
        _ => format!("{} {}", type_name(value), summary(value)),
    }
}

fn summary(value: &Value) -> String {
    match value {
        Value::Array(elements) => format!("array of {}", elements.len()),
        Value::Object(members) => format!("object of {}", members.len()),
        scalar => short(&scalar.to_string()),
    }
}
