//! The arguments of a command of the traffic, which may read too.

use std::borrow::Cow;

use super::commands::{Command, Role};
use super::{Argument, MOST_KEY_PARTS, field_name};

/// What an argument of a command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A key, each part of which is a value.
    Key,
    /// What rules call it.
    Value(String),
    /// An option, a number or a name of the server's own.
    Kept,
    /// A password, or what may hold one.
    Secret,
}

/// Commands whose arguments are never shown, but for the first ones: so many.
const SECRET: &[(&str, usize)] = &[
    ("ACL", 1),
    ("AUTH", 0),
    ("CONFIG", 2),
    ("HELLO", 1),
    ("MIGRATE", 0),
    ("REPLICAOF", 0),
    ("SENTINEL", 1),
];

/// Words of commands that read, and of options that the commands of a snapshot have not.
const WORDS: &[&str] = &[
    "AFTER",
    "ALPHA",
    "ASC",
    "BEFORE",
    "BLOCK",
    "BY",
    "BYLEX",
    "BYSCORE",
    "CH",
    "COUNT",
    "DESC",
    "EX",
    "EXAT",
    "FIELDS",
    "GET",
    "GETNAME",
    "GROUP",
    "GT",
    "ID",
    "IDLETIME",
    "INCR",
    "KEEPTTL",
    "LEFT",
    "LIMIT",
    "LT",
    "MATCH",
    "MAXLEN",
    "MAX",
    "MIN",
    "MINID",
    "MKSTREAM",
    "NOACK",
    "NOVALUES",
    "NX",
    "PERSIST",
    "PX",
    "PXAT",
    "RANK",
    "REV",
    "RIGHT",
    "SETINFO",
    "SETNAME",
    "STORE",
    "STREAMS",
    "TYPE",
    "WEIGHTS",
    "WITHSCORE",
    "WITHSCORES",
    "WITHVALUES",
    "XX",
];

/// What the arguments of the command `name` are.
pub(crate) fn arguments(name: &str, raws: &[Cow<'_, [u8]>]) -> Vec<Asked> {
    if let Some((_, shown)) = SECRET.iter().find(|(secret, _)| *secret == name) {
        let kept = raws.len().min(*shown);
        let secrets = raws.iter().skip(kept).map(|_| Asked::Secret);
        return raws
            .iter()
            .take(kept)
            .map(|_| Asked::Kept)
            .chain(secrets)
            .collect();
    }
    let arguments: Vec<Argument<'_>> = raws
        .iter()
        .map(|raw| Argument {
            span: 0..0,
            raw: Cow::Borrowed(raw),
        })
        .collect();
    let mut roles = Command::of_traffic(name).map(|command| command.roles(&arguments));
    let mut field = None;
    let asked = raws.iter().map(|raw| {
        let role = roles.as_mut().and_then(|roles| roles.next());
        if role.is_none() {
            roles = None;
        }
        match role {
            Some(Role::Key) => Asked::Key,
            Some(Role::Kept) => Asked::Kept,
            Some(Role::Field) => {
                field = field_name(raw);
                match field {
                    Some(_) => Asked::Kept,
                    None => Asked::Value("redis.field".to_owned()),
                }
            }
            Some(Role::Value) => Asked::Value(match field.take() {
                Some(field) => format!("redis.field.{field}"),
                None => "redis.value".to_owned(),
            }),
            None if is_word(raw) => Asked::Kept,
            None => Asked::Value("redis.value".to_owned()),
        }
    });
    asked.collect()
}

fn is_word(raw: &[u8]) -> bool {
    let mut words = WORDS.iter();
    words.any(|word| word.as_bytes().eq_ignore_ascii_case(raw))
}

/// The parts of a key as it is written, with the paths that rules see.
pub(crate) fn key_parts(key: &[u8]) -> impl Iterator<Item = (String, std::ops::Range<usize>)> {
    let mut start = 0;
    key.splitn(MOST_KEY_PARTS, |byte| *byte == b':')
        .enumerate()
        .map(move |(index, part)| {
            let span = start..start + part.len();
            start = span.end + 1;
            (format!("redis.key.{index}"), span)
        })
}
