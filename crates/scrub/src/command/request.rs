//! A command's document: its statement's literals and its secrets, scrubbed before the rest.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::class::Class;
use crate::leaf::{Action, Encoding, Leaf, LinkTag, Part};
use crate::policy::{Decision, ValueAction};
use crate::rewrite::Means;
use crate::snapshot::redis::asked::{self, Asked};
use crate::snapshot::sql::Dialect;
use crate::snapshot::sql::statement::{self, NAME, SECRET, Statement};
use crate::snapshot::values::{Place, Replace};

/// A document whose statement and secrets are scrubbed.
pub(super) struct Read {
    pub(super) body: Bytes,
    /// Those of the statement, which is the first member.
    pub(super) leaves: Vec<Leaf>,
    /// What its arguments are.
    pub(super) arguments: Vec<Asked>,
}

/// The members in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prepared: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transaction: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
}

/// What comes before the statement's text.
const BEFORE_STATEMENT: &str = "{\"statement\":\"";

/// Reads the document of the command `name`; none where it is none, or its statement can't be
/// read.
pub(super) fn read(means: Means<'_>, name: &str, body: &[u8]) -> Option<Read> {
    let mut document: Document = serde_json::from_slice(body).ok()?;
    let mut leaves = Vec::new();
    let arguments = match &document.statement {
        Some(text) => {
            let dialect = match name.starts_with("COM_") {
                true => Dialect::Mysql,
                false => Dialect::Postgres,
            };
            let mut values = Values {
                means,
                notes: Vec::new(),
            };
            let keeps_names = means.keeps_names();
            let done = statement::scrub(text.as_bytes(), dialect, keeps_names, &mut values)?;
            let text = String::from_utf8(done.text.clone()).ok()?;
            leaves = self::leaves(&done, &text, &values.notes);
            document.statement = Some(text);
            let places = done.parameters.into_iter().map(Asked::Value);
            let rest = std::iter::repeat(Asked::Value("sql.value".to_owned()));
            places.chain(rest).take(document.arguments.len()).collect()
        }
        None if is_redis(name) => {
            let raws: Vec<Cow<'_, [u8]>> = document.arguments.iter().map(raw).collect();
            asked::arguments(name, &raws)
        }
        // Users, databases and settings of a session
        None => vec![Asked::Value("sql.argument".to_owned()); document.arguments.len()],
    };
    for (argument, asked) in document.arguments.iter_mut().zip(&arguments) {
        if *asked == Asked::Secret {
            let filler = means.pseudonyms.filler(&raw(argument));
            *argument = Value::String(String::from_utf8_lossy(&filler).into_owned());
        }
    }
    Some(Read {
        body: serde_json::to_vec(&document).ok()?.into(),
        leaves,
        arguments,
    })
}

/// Names of Redis' commands are in capitals; of the others `COM_QUERY` and the like alone.
fn is_redis(name: &str) -> bool {
    !name.starts_with("COM_") && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

fn raw(argument: &Value) -> Cow<'_, [u8]> {
    match argument {
        Value::String(text) => Cow::Borrowed(text.as_bytes()),
        other => Cow::Owned(other.to_string().into_bytes()),
    }
}

/// Decides about the values of a statement, and notes each.
struct Values<'a> {
    means: Means<'a>,
    notes: Vec<Note>,
}

struct Note {
    tag: LinkTag,
    action: Action,
    raw_chars: u32,
}

impl Replace for Values<'_> {
    fn replace(&mut self, place: Place<'_>, raw: &[u8]) -> Option<Vec<u8>> {
        let pseudonyms = self.means.pseudonyms;
        if place.path == NAME {
            return Some(pseudonyms.of(raw));
        }
        let class = || Class::of(raw, place.is_in_path);
        let decision = match self.means.view {
            _ if place.path == SECRET => Decision::DropBody,
            Some(view) => view.decide(place.path, place.name, class),
            None => Decision::Value(ValueAction::Allow),
        };
        let mut recent = pseudonyms.recent();
        let mut value = recent.of(pseudonyms, raw);
        let (action, new) = match decision {
            Decision::Value(ValueAction::Allow) => (Action::Allowed, None),
            Decision::Value(ValueAction::Pseudonym) => {
                let new = value.pseudonym().to_vec();
                (Action::Pseudonym, Some(new))
            }
            // Without the value the statement still says what was done.
            Decision::Value(ValueAction::Replace) | Decision::DropBody => {
                (Action::Replaced, Some(pseudonyms.filler(raw)))
            }
        };
        self.notes.push(Note {
            tag: value.tag(),
            action,
            raw_chars: value.chars(),
        });
        new.filter(|new| *new != raw)
    }
}

/// Leaves of the literals, where they stand in the document.
fn leaves(done: &Statement, text: &str, notes: &[Note]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let (mut read, mut written) = (0, BEFORE_STATEMENT.len());
    for literal in &done.literals {
        let (Some(before), Some(inside), Some(note)) = (
            text.get(read..literal.start),
            text.get(literal.start..literal.start + literal.len),
            notes.get(literal.index),
        ) else {
            break;
        };
        let start = written + json_len(before);
        let len = json_len(inside);
        (read, written) = (literal.start + literal.len, start + len);
        leaves.push(Leaf {
            part: Part::Body,
            path: format!("json./statement/{}", literal.index),
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(len).unwrap_or(u32::MAX),
            tag: note.tag,
            encoding: Encoding::JsonString,
            action: note.action,
            raw_chars: note.raw_chars,
        });
    }
    leaves
}

/// Bytes that a text takes inside of a JSON string.
fn json_len(text: &str) -> usize {
    serde_json::to_string(text).map_or(0, |json| json.len() - 2)
}
