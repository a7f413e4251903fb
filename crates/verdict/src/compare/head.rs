//! Header fields and trailers.

use std::collections::BTreeMap;

use twintap_scrub::Part;
use twintap_stream::Field;
use twintap_stream::content::Codings;

use super::{Comparison, Sameness, Side, Text, Witness, field};
use crate::kind::Kind;
use crate::roles::text_hash;

/// Fields of one name, with their positions in the head.
type Fields<'a> = BTreeMap<String, Vec<(u32, &'a Field)>>;

/// The fields of an answer, by where they stand.
#[derive(Default)]
struct Sections<'a> {
    head: Fields<'a>,
    trailers: Fields<'a>,
}

/// With `as_one` trailers count as fields of the head.
fn sections<'a>(side: &Side<'a>, as_one: bool) -> Sections<'a> {
    let fields = &side.answer.head.fields;
    let first_trailer = match as_one {
        true => fields.len(),
        false => fields.len().saturating_sub(side.answer.trailers),
    };
    let mut sections = Sections::default();
    for (place, field) in fields.iter().enumerate() {
        let name = String::from_utf8_lossy(&field.name).to_ascii_lowercase();
        let section = match place >= first_trailer && !is_grpc_status(&name) {
            true => &mut sections.trailers,
            false => &mut sections.head,
        };
        // A head is far shorter than 4 GiB.
        let index = u32::try_from(place).unwrap_or(u32::MAX);
        section.entry(name).or_default().push((index, field));
    }
    sections
}

/// To a client of gRPC it is all one whether the status comes with the head, where there is
/// no body, or after the body (gRPC over HTTP/2, responses).
fn is_grpc_status(name: &str) -> bool {
    matches!(
        name,
        "grpc-status" | "grpc-message" | "grpc-status-details-bin"
    )
}

/// True for an answer of gRPC that has no more than a head, which is its trailers.
fn is_trailers_only(side: &Side<'_>) -> bool {
    let mut fields = side.answer.head.fields.iter();
    side.answer.trailers == 0 && fields.any(|field| field.is("grpc-status"))
}

impl Comparison<'_> {
    /// Compares the header fields and the trailers by name, whatever their case; repeated
    /// ones in order.
    pub(super) fn heads(&mut self) {
        let as_one = is_trailers_only(self.left) || is_trailers_only(self.right);
        let mut left = sections(self.left, as_one);
        let mut right = sections(self.right, as_one);
        let seen = match self.witness {
            Witness::Seen(side) => sections(side, as_one),
            Witness::NotNeeded | Witness::Unseen => Sections::default(),
        };
        let is_moved = |name: &str| {
            !right.trailers.contains_key(name)
                && right.head.contains_key(name)
                && !left.head.contains_key(name)
        };
        let moved: Vec<String> = left
            .trailers
            .keys()
            .filter(|name| is_moved(name))
            .cloned()
            .collect();
        for name in moved {
            left.trailers.remove(&name);
            right.head.remove(&name);
            if !self.options.ignores_header(&name) {
                let pair = (text_hash("trailer"), text_hash("header"));
                let note = "trailer → header".to_owned();
                let place = format!("trailer.{name}");
                self.push_at(&place, Kind::TrailerMoved, true, None, pair, note);
            }
        }
        self.codings();
        self.fields("header", &left.head, right.head, &seen.head);
        self.fields("trailer", &left.trailers, right.trailers, &seen.trailers);
    }

    /// Compares the content codings that were undone, as the field that named them.
    fn codings(&mut self) {
        const FIELD: &str = "content-encoding";
        let undone = [self.left, self.right].map(|side| side.answer.undone.as_ref());
        let [Some(left), Some(right)] = undone else {
            return;
        };
        if left == right || self.options.ignores_header(FIELD) {
            return;
        }
        let kind = match (left.is_identity(), right.is_identity()) {
            (true, _) => Kind::HeaderAdded,
            (_, true) => Kind::HeaderMissing,
            _ => Kind::HeaderChanged,
        };
        let named = |codings: &Codings| match codings.is_identity() {
            true => "none".to_owned(),
            false => codings.to_string(),
        };
        let (left, right) = (named(left), named(right));
        let masks = self.options.masks_header(FIELD) && kind == Kind::HeaderChanged;
        let mask = masks.then_some(super::Mask::Volatile);
        let pair = (text_hash(&left), text_hash(&right));
        let is_hard = kind != Kind::HeaderChanged;
        let place = format!("header.{FIELD}");
        self.push_at(
            &place,
            kind,
            is_hard,
            mask,
            pair,
            format!("{left} → {right}"),
        );
    }

    fn fields(
        &mut self,
        section: &str,
        left: &Fields<'_>,
        mut right: Fields<'_>,
        seen: &Fields<'_>,
    ) {
        for (name, left_values) in left {
            let right_values = right.remove(name);
            if self.options.ignores_header(name) {
                continue;
            }
            if name == "set-cookie" {
                let right_values = right_values.as_deref().unwrap_or_default();
                let seen_values = seen.get(name).map_or(&[][..], Vec::as_slice);
                self.cookies(left_values, right_values, seen_values);
                continue;
            }
            let place = format!("{section}.{name}");
            match right_values {
                None => self.push_presence(&place, Kind::HeaderMissing, left_values[0].1),
                Some(right_values) => {
                    let seen_values = seen.get(name).map_or(&[][..], Vec::as_slice);
                    self.values(name, &place, left_values, &right_values, seen_values);
                }
            }
        }
        for (name, values) in right {
            if self.options.ignores_header(&name) {
                continue;
            }
            if name == "set-cookie" {
                self.cookies(&[], &values, &[]);
            } else {
                let place = format!("{section}.{name}");
                self.push_presence(&place, Kind::HeaderAdded, values[0].1);
            }
        }
    }

    fn values(
        &mut self,
        name: &str,
        place: &str,
        left: &[(u32, &Field)],
        right: &[(u32, &Field)],
        seen: &[(u32, &Field)],
    ) {
        let is_normal = |fields: &[(u32, &Field)], other: &[(u32, &Field)]| {
            let normal = |fields: &[(u32, &Field)]| field::normal(name, fields);
            normal(fields).is_some_and(|value| Some(value) == normal(other))
        };
        if is_normal(left, right) {
            return;
        }
        if left.len() != right.len() {
            let note = format!("{} → {} fields", left.len(), right.len());
            let pair = (left.len() as u64, right.len() as u64);
            self.push_at(place, Kind::HeaderChanged, false, None, pair, note);
            return;
        }
        for (index, (one, other)) in left.iter().zip(right).enumerate() {
            let (left_value, right_value) = (value(one.1), value(other.1));
            let left_text = text(self.left, one.0, &left_value);
            let right_text = text(self.right, other.0, &right_value);
            let seen_value = seen.get(index).map(|(at, field)| (*at, value(field)));
            let seen_text = match (&self.witness, &seen_value) {
                (Witness::Seen(side), Some((at, value))) => Some((*side, text(side, *at, value))),
                _ => None,
            };
            let witness = seen_text.as_ref().map(|(side, text)| (*side, text));
            let sameness = self.texts(&left_text, &right_text, witness);
            if sameness == Sameness::Same {
                continue;
            }
            let mask = match sameness {
                _ if self.options.masks_header(name) => Some(super::Mask::Volatile),
                Sameness::Masked(mask) => Some(mask),
                _ => None,
            };
            let pair = (text_hash(&left_value), text_hash(&right_value));
            let note = format!("{} → {}", short(&left_value), short(&right_value));
            let is_hard = mask.is_none() && sameness == Sameness::Broken;
            self.push_at(place, Kind::HeaderChanged, is_hard, mask, pair, note);
        }
    }

    fn push_presence(&mut self, place: &str, kind: Kind, field: &Field) {
        let value = value(field);
        let hash = text_hash(&value);
        let (pair, note) = match kind {
            Kind::HeaderMissing => ((hash, 0), format!("{} → none", short(&value))),
            _ => ((0, hash), format!("none → {}", short(&value))),
        };
        self.push_at(place, kind, true, None, pair, note);
    }
}

fn text<'a>(side: &Side<'a>, index: u32, value: &'a str) -> Text<'a> {
    Text::of_part(side, Part::Field(index), value)
}

pub(super) fn value(field: &Field) -> String {
    String::from_utf8_lossy(&field.value).into_owned()
}

/// The head of a value, for a note.
pub(super) fn short(value: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = value.chars().take(MOST).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}
