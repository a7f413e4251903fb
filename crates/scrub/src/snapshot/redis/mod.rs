//! Commands of Redis that write, as lines of text or in RESP, as `redis-cli --pipe`
//! takes them.
//!
//! Names of commands, options and numbers of theirs stay; keys and values are leaves.

pub(crate) mod asked;
mod commands;
mod line;
mod resp;

use std::borrow::Cow;

use self::commands::{Command, Role};
use super::values::{Place, Values};
use super::{Problem, line_len, without_end};
use crate::names;

/// Reads commands. It holds the names of keys' parts only to spare making them anew.
#[derive(Default)]
pub(super) struct Redis {
    /// `redis.key.0`, `redis.key.1` and so on, as far as they were needed.
    key_parts: Vec<String>,
}

/// An argument, its value told from how it is written.
struct Argument<'a> {
    span: std::ops::Range<usize>,
    raw: Cow<'a, [u8]>,
}

/// Parts of a key that are told apart; those after them are one.
const MOST_KEY_PARTS: usize = 16;

impl Redis {
    /// Takes a command.
    pub(super) fn step(
        &mut self,
        src: &[u8],
        is_end: bool,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) -> Result<usize, Problem> {
        if src[0] == b'*' {
            let Some((len, arguments)) = resp::read(src)? else {
                return Ok(0);
            };
            let new = self.command(&arguments, values)?;
            resp::write(src, len, &arguments, &new, out);
            return Ok(len);
        }
        let Some(len) = line_len(src, is_end) else {
            return Ok(0);
        };
        let line = without_end(&src[..len]);
        let arguments = line::read(line)?;
        let new = self.command(&arguments, values)?;
        line::write(line, &arguments, &new, out);
        out.extend_from_slice(&src[line.len()..len]);
        Ok(len)
    }

    /// What takes the place of each argument; `None` where it stays.
    fn command(
        &mut self,
        arguments: &[Argument<'_>],
        values: &mut Values,
    ) -> Result<Vec<Option<Vec<u8>>>, Problem> {
        let Some((name, rest)) = arguments.split_first() else {
            return Ok(Vec::new());
        };
        let Some(command) = Command::of(&name.raw) else {
            return Problem::new(
                name.span.start,
                "a command that can't be scrubbed, expected one that writes plain values",
            );
        };
        let mut new = Vec::with_capacity(arguments.len());
        new.push(None);
        let mut roles = command.roles(rest);
        let mut field = None;
        for argument in rest {
            let raw = &*argument.raw;
            new.push(match roles.next() {
                Some(Role::Key) => self.key(raw, values),
                Some(Role::Value) => value(raw, field.take(), values),
                Some(Role::Field) => {
                    field = field_name(raw);
                    match field {
                        Some(_) => None,
                        None => scrub("redis.field", "field", raw, values),
                    }
                }
                Some(Role::Kept) => None,
                None => {
                    return Problem::new(
                        argument.span.start,
                        "an argument that this command does not take",
                    );
                }
            });
        }
        match roles.is_whole() {
            true => Ok(new),
            false => Problem::new(name.span.start, "a command that lacks arguments"),
        }
    }

    /// A key by its parts: `user:42:cart` is a path, but for its colons.
    fn key(&mut self, raw: &[u8], values: &mut Values) -> Option<Vec<u8>> {
        let mut new = Vec::with_capacity(raw.len());
        for (index, part) in raw.splitn(MOST_KEY_PARTS, |byte| *byte == b':').enumerate() {
            if index > 0 {
                new.push(b':');
            }
            if index == self.key_parts.len() {
                self.key_parts.push(format!("redis.key.{index}"));
            }
            let path = &self.key_parts[index];
            let place = Place {
                path,
                name: &path["redis.key.".len()..],
                is_in_path: true,
            };
            let scrubbed = values.scrub(place, part);
            new.extend_from_slice(scrubbed.as_deref().unwrap_or(part));
        }
        (new != raw).then_some(new)
    }
}

/// The name of a hash's or stream's field, where it looks like one.
fn field_name(raw: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(raw).ok()?;
    names::is_structural(name).then(|| name.to_owned())
}

fn value(raw: &[u8], field: Option<String>, values: &mut Values) -> Option<Vec<u8>> {
    match field {
        Some(field) => scrub(&format!("redis.field.{field}"), &field, raw, values),
        None => scrub("redis.value", "value", raw, values),
    }
}

fn scrub(path: &str, name: &str, raw: &[u8], values: &mut Values) -> Option<Vec<u8>> {
    let place = Place {
        path,
        name,
        is_in_path: false,
    };
    values.scrub(place, raw)
}
