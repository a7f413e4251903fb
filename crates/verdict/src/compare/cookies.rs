//! Cookies that an answer sets (RFC 6265, section 4.1).

use std::collections::BTreeMap;

use twintap_scrub::Part;
use twintap_stream::Field;

use super::head::{short, value};
use super::{Comparison, Difference, Mask, Sameness, Side, Text, Witness};
use crate::kind::Kind;
use crate::roles::text_hash;

/// What the place of a cookie's value ends in: names of cookies have no such character.
const VALUE: char = '=';

/// A cookie as a field sets it.
struct Cookie {
    /// Of the field in the head.
    index: u32,
    /// The field's value.
    text: String,
    /// Where the cookie's value stands in it.
    start: usize,
    len: usize,
    /// What else of it must not change: dates pass.
    attributes: String,
}

impl Cookie {
    /// A field's cookie, and its name.
    fn read(index: u32, field: &Field) -> (String, Cookie) {
        let text = value(field);
        let pair = text.split(';').next().unwrap_or_default();
        let (name, after) = pair.split_once('=').unwrap_or_default();
        let start = pair.len() - after.trim_start().len();
        let len = after.trim().len();
        let mut attributes: Vec<String> = text
            .split(';')
            .skip(1)
            .map(str::trim)
            .map(|attribute| match attribute.split_once('=') {
                Some((name, value)) => format!("{}={value}", name.trim().to_ascii_lowercase()),
                None => attribute.to_ascii_lowercase(),
            })
            .filter(|attribute| !attribute.starts_with("expires="))
            .collect();
        attributes.sort_unstable();
        let has_value = if len == 0 { "no value" } else { "a value" };
        attributes.insert(0, has_value.to_owned());
        let name = name.trim().to_owned();
        let attributes = attributes.join("; ");
        let cookie = Cookie {
            index,
            start,
            len,
            attributes,
            text,
        };
        (name, cookie)
    }

    fn value(&self) -> &str {
        &self.text[self.start..self.start + self.len]
    }

    fn text<'a>(&'a self, side: &Side<'a>) -> Text<'a> {
        let part = Part::Field(self.index);
        Text::of_span(side, part, &self.text, self.start, self.len)
    }
}

/// By their names; of several with one name the last counts.
fn by_name(fields: &[(u32, &Field)]) -> BTreeMap<String, Cookie> {
    let cookies = fields.iter();
    cookies
        .map(|(index, field)| Cookie::read(*index, field))
        .collect()
}

/// The value of a cookie at a place that is that of one.
pub(crate) fn value_at(side: &Side<'_>, place: &str) -> Option<String> {
    let name = place.strip_prefix("set-cookie.")?.strip_suffix(VALUE)?;
    let fields = side.answer.head.fields.iter();
    let cookies = fields.filter(|field| field.is("set-cookie"));
    let mut named = cookies
        .map(|field| Cookie::read(0, field))
        .filter(|(of, _)| of == name);
    named
        .next_back()
        .map(|(_, cookie)| cookie.value().to_owned())
}

impl Comparison<'_> {
    /// Compares cookies by name: their attributes, and their values by the part that these
    /// play, at places of their own, since a value that varies must not hide an attribute.
    pub(super) fn cookies(
        &mut self,
        left: &[(u32, &Field)],
        right: &[(u32, &Field)],
        seen: &[(u32, &Field)],
    ) {
        let (left, mut right, seen) = (by_name(left), by_name(right), by_name(seen));
        for (name, one) in &left {
            let place = format!("set-cookie.{name}");
            let Some(other) = right.remove(name) else {
                let pair = (text_hash(name), 0);
                let note = format!("cookie {} is gone", short(name));
                self.push_at(&place, Kind::HeaderMissing, true, None, pair, note);
                continue;
            };
            if one.attributes == other.attributes {
                self.cookie_values(&place, one, &other, seen.get(name));
            } else {
                let pair = (text_hash(&one.attributes), text_hash(&other.attributes));
                let note = format!("{} → {}", one.attributes, other.attributes);
                self.push_at(&place, Kind::HeaderChanged, false, None, pair, note);
            }
        }
        for (name, _) in right {
            let place = format!("set-cookie.{name}");
            let pair = (0, text_hash(&name));
            let note = format!("cookie {} is new", short(&name));
            self.push_at(&place, Kind::HeaderAdded, true, None, pair, note);
        }
    }

    fn cookie_values(&mut self, of: &str, one: &Cookie, other: &Cookie, seen: Option<&Cookie>) {
        let seen = match (self.witness, seen) {
            (Witness::Seen(side), Some(cookie)) => Some((side, cookie.text(side))),
            _ => None,
        };
        let witness = seen.as_ref().map(|(side, text)| (*side, text));
        let sameness = self.texts(&one.text(self.left), &other.text(self.right), witness);
        let mask: Option<Mask> = match sameness {
            Sameness::Same => return,
            Sameness::Masked(mask) => Some(mask),
            Sameness::Broken | Sameness::Different => None,
        };
        let place = format!("{of}{VALUE}");
        self.found.push(Difference {
            place: place.clone(),
            at_left: place.clone(),
            at_right: place,
            kind: Kind::HeaderChanged,
            is_hard: sameness == Sameness::Broken,
            mask,
            pair: (text_hash(one.value()), text_hash(other.value())),
            note: format!("{} → {}", short(one.value()), short(other.value())),
            leaf: Some(of.to_owned()),
        });
    }
}
