//! What values look like at a place where they vary: an always noisy place hides no value
//! that leaves the mould of all others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::compare::{BODY, Parsed, Side, cookie_at};
use crate::evidence::Evidence;
use crate::generated::{Form, form, seconds};
use crate::range::{Range, joined};
use crate::stats::{class_exceedance, range_exceedance};
use crate::tally::Session;

/// Classes told apart at one place; where there are as many, none is new.
const MOST_CLASSES: usize = 24;
/// A value leaves a range only by so much of its width: what starts a little later, or
/// serves a little more, does not.
const MARGIN: f64 = 0.25;
/// Things that are looked at: numbers, lengths, classes.
const ASPECTS: f64 = 3.0;

/// The values at one place, where answers differ there.
#[derive(Debug, Default)]
pub(crate) struct Mould {
    /// Of production and baseline.
    known: Looks,
    /// Of the candidate.
    shown: BTreeMap<Session, Looks>,
    /// Of the candidate's, one example of each way to leave the mould.
    examples: BTreeMap<Way, (f64, Evidence)>,
}

/// What some values look like.
#[derive(Clone, Debug, Default)]
struct Looks {
    classes: BTreeSet<Class>,
    number: Option<Range>,
    chars: Option<Range>,
}

/// What one value looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    class: Class,
    number: Option<f64>,
    /// Of texts.
    chars: Option<f64>,
    /// Of what names an instant, in seconds since 1970.
    pub(crate) seconds: Option<f64>,
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Null,
    Truth,
    Number,
    /// A text of a known form, by its name.
    Form(&'static str),
    /// Another text, by what is in it: digits, letters, blanks, other ASCII, anything else.
    Text([bool; 5]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Below,
    Above,
    Shorter,
    Longer,
    OfAnotherClass,
}

/// How a candidate's values leave the mould.
pub(crate) struct Leaving<'a> {
    /// The chance of as many sessions by chance.
    pub(crate) p_value: f64,
    pub(crate) sessions: BTreeSet<Session>,
    /// Whether they are another kind of value.
    pub(crate) is_class: bool,
    /// What they are, and what the others are.
    pub(crate) statement: String,
    pub(crate) examples: Vec<&'a Evidence>,
}

impl Mould {
    /// Learns a value of production or of the baseline.
    pub(crate) fn learn(&mut self, look: Option<Look>) {
        if let Some(look) = look {
            self.known.add(look);
        }
    }

    /// Takes a value of the candidate; `example` is asked for when none is further out.
    pub(crate) fn show(
        &mut self,
        session: Session,
        look: Option<Look>,
        example: impl FnOnce() -> Evidence,
    ) {
        let Some(look) = look else {
            return;
        };
        self.shown.entry(session).or_default().add(look);
        let known = &self.known;
        let number = look.number.and_then(|value| known.number?.beyond(value));
        let chars = look.chars.and_then(|value| known.chars?.beyond(value));
        let way = match (known.lacks(look.class), number, chars) {
            (true, ..) => (Way::OfAnotherClass, 0.0),
            (_, Some(far), _) if far < 0.0 => (Way::Below, -far),
            (_, Some(far), _) => (Way::Above, far),
            (_, _, Some(far)) if far < 0.0 => (Way::Shorter, -far),
            (_, _, Some(far)) => (Way::Longer, far),
            (_, None, None) => return,
        };
        let farthest = self.examples.get(&way.0).map(|(far, _)| *far);
        if farthest.is_none_or(|farthest| way.1 > farthest) {
            self.examples.insert(way.0, (way.1, example()));
        }
    }

    pub(crate) fn merge(&mut self, other: Mould) {
        self.known.merge(&other.known);
        for (session, looks) in other.shown {
            self.shown.entry(session).or_default().merge(&looks);
        }
        for (way, example) in other.examples {
            let farthest = self.examples.get(&way).map(|(far, _)| *far);
            if farthest.is_none_or(|farthest| example.0 > farthest) {
                self.examples.insert(way, example);
            }
        }
    }

    /// The likeliest way in which the candidate's values leave the mould, if there is one:
    /// with numbers beyond all others, texts longer or shorter than all, or of a class that
    /// no other has.
    pub(crate) fn left(&self) -> Option<Leaving<'_>> {
        if self.known.classes.is_empty() {
            return None;
        }
        let of_range = |what: &str, of: fn(&Looks) -> Option<Range>, ways: [Way; 2]| {
            let known = of(&self.known)?;
            let outside = |looks: &Looks| of(looks).is_some_and(|range| known.is_left(range));
            let sessions = self.sessions(outside);
            let shown = of(&self.all_shown(&sessions))?;
            Some(Leaving {
                p_value: range_exceedance(sessions.len()),
                is_class: false,
                statement: format!(
                    "{what} from {} to {}, where those of production and baseline are from {} to {}",
                    shown.low, shown.high, known.low, known.high
                ),
                examples: self.examples(&ways),
                sessions,
            })
        };
        let new: BTreeSet<Class> = self
            .shown
            .values()
            .flat_map(|looks| looks.classes.clone())
            .collect();
        let new = new.into_iter().filter(|class| self.known.lacks(*class));
        let new: Vec<Class> = new.collect();
        let classes = self.known.classes.len() + new.len();
        let of_classes = new.into_iter().map(|class| {
            let sessions = self.sessions(|looks| looks.classes.contains(&class));
            let known: Vec<String> = self.known.classes.iter().map(Class::words).collect();
            Leaving {
                p_value: class_exceedance(sessions.len(), classes),
                is_class: true,
                statement: format!(
                    "values that are {}, where those of production and baseline are {}",
                    class.words(),
                    known.join(" or ")
                ),
                examples: self.examples(&[Way::OfAnotherClass]),
                sessions,
            }
        });
        let of_ranges = [
            of_range("numbers", |looks| looks.number, [Way::Below, Way::Above]),
            of_range(
                "texts with lengths",
                |looks| looks.chars,
                [Way::Shorter, Way::Longer],
            ),
        ];
        let best = of_classes
            .chain(of_ranges.into_iter().flatten())
            .filter(|leaving| !leaving.sessions.is_empty())
            .min_by(|one, other| one.p_value.total_cmp(&other.p_value))?;
        Some(Leaving {
            p_value: (best.p_value * ASPECTS).min(1.0),
            ..best
        })
    }

    fn sessions(&self, is_outside: impl Fn(&Looks) -> bool) -> BTreeSet<Session> {
        let shown = self.shown.iter().filter(|(_, looks)| is_outside(looks));
        shown.map(|(session, _)| *session).collect()
    }

    fn all_shown(&self, sessions: &BTreeSet<Session>) -> Looks {
        let mut all = Looks::default();
        let shown = self.shown.iter();
        let shown = shown.filter(|(session, _)| sessions.contains(session));
        shown.for_each(|(_, looks)| all.merge(looks));
        all
    }

    fn examples(&self, ways: &[Way]) -> Vec<&Evidence> {
        let kept = ways.iter().filter_map(|way| self.examples.get(way));
        kept.map(|(_, evidence)| evidence).collect()
    }
}

impl Looks {
    fn add(&mut self, look: Look) {
        if self.classes.len() < MOST_CLASSES {
            self.classes.insert(look.class);
        }
        self.number = joined(self.number, look.number.map(Range::of));
        self.chars = joined(self.chars, look.chars.map(Range::of));
    }

    /// Whether a class is none of these, as far as that is known.
    fn lacks(&self, class: Class) -> bool {
        self.classes.len() < MOST_CLASSES && !self.classes.contains(&class)
    }

    fn merge(&mut self, other: &Looks) {
        let room = MOST_CLASSES.saturating_sub(self.classes.len());
        let new = other.classes.difference(&self.classes).copied();
        let new: Vec<Class> = new.take(room).collect();
        self.classes.extend(new);
        self.number = joined(self.number, other.number);
        self.chars = joined(self.chars, other.chars);
    }
}

impl Range {
    fn margin(self) -> f64 {
        (self.high - self.low) * MARGIN
    }

    /// By how much a value lies beyond: below 0 it is too low.
    fn beyond(self, value: f64) -> Option<f64> {
        if value < self.low - self.margin() {
            Some(value - self.low)
        } else {
            (value > self.high + self.margin()).then_some(value - self.high)
        }
    }

    fn is_left(self, other: Range) -> bool {
        self.beyond(other.low).is_some() || self.beyond(other.high).is_some()
    }
}

impl Look {
    /// What is at a place of an answer, where that is one value.
    pub(crate) fn at(side: &Side<'_>, place: &str, at: &str) -> Option<Look> {
        let name = place.strip_prefix("header.");
        if let Some(name) = name.or_else(|| place.strip_prefix("trailer.")) {
            let fields = &side.answer.head.fields;
            let field = fields.iter().find(|field| field.is(name))?;
            return Some(Look::of_text(&String::from_utf8_lossy(&field.value)));
        }
        if place.starts_with("set-cookie.") {
            return cookie_at(side, place).map(|value| Look::of_text(&value));
        }
        match &side.body {
            Parsed::Json(document) if place == BODY || place.starts_with('/') => {
                Look::of_value(document.pointer(at)?)
            }
            Parsed::Markup(document) => document.value(at).map(Look::of_text),
            _ => None,
        }
    }

    /// The same without its magnitude and its length.
    pub(crate) fn of_class_alone(self) -> Look {
        Look {
            number: None,
            chars: None,
            ..self
        }
    }

    fn of_value(value: &Value) -> Option<Look> {
        let bare = |class, number| Look {
            class,
            number,
            chars: None,
            seconds: None,
        };
        match value {
            Value::Null => Some(bare(Class::Null, None)),
            Value::Bool(_) => Some(bare(Class::Truth, None)),
            Value::Number(number) => Some(Look {
                seconds: seconds(&number.to_string()),
                ..bare(Class::Number, number.as_f64())
            }),
            Value::String(text) => Some(Look::of_text(text)),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn of_text(text: &str) -> Look {
        let is_number = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".-+".contains(&byte));
        let number = text.parse().ok().filter(|_| is_number);
        let class = form(text).map_or_else(|| Class::of_text(text), Class::of_form);
        Look {
            class,
            number,
            chars: Some(text.chars().count() as f64),
            seconds: seconds(text),
        }
    }
}

impl Class {
    fn of_form(form: Form) -> Class {
        Class::Form(match form {
            Form::Uuid => "UUIDs",
            Form::Hex(_) => "hexadecimal digits",
            Form::Instant(..) => "dates with times",
            Form::Date => "dates",
            Form::Worded(true) => "dates with times in words",
            Form::Worded(false) => "dates in words",
            Form::Clock(_) => "times of day",
            Form::Age => "ages in words",
            Form::HttpDate => "dates of HTTP",
            Form::Epoch(_) => "seconds since 1970 or parts of them",
        })
    }

    fn of_text(text: &str) -> Class {
        let mut has = [false; 5];
        for char in text.chars() {
            let place = match char {
                '0'..='9' => 0,
                'a'..='z' | 'A'..='Z' => 1,
                ' ' | '\t' | '\r' | '\n' => 2,
                _ if char.is_ascii() => 3,
                _ => 4,
            };
            has[place] = true;
        }
        Class::Text(has)
    }

    fn words(&self) -> String {
        match self {
            Class::Null => "null".to_owned(),
            Class::Truth => "true or false".to_owned(),
            Class::Number => "numbers".to_owned(),
            Class::Form(name) => (*name).to_owned(),
            Class::Text(has) => {
                let names = [
                    "digits",
                    "letters",
                    "blanks",
                    "signs",
                    "letters beyond ASCII",
                ];
                let names = names.iter().zip(has).filter(|(_, has)| **has);
                let names: Vec<&str> = names.map(|(name, _)| *name).collect();
                match names.as_slice() {
                    [] => "empty texts".to_owned(),
                    names => format!("texts of {}", names.join(", ")),
                }
            }
        }
    }
}
