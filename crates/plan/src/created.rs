//! Values that a session's client makes and a service takes once only: who signs up,
//! and keys that tell a repeated request from a new one. A copy of the session needs
//! others in their place.
//!
//! An identity is created where it is first sent at all, by a request that signs
//! somebody up and was not refused, in a leaf whose name says that it tells people
//! apart. One that is first sent at a login was there before, and exists only in the
//! twin's state: its copies share it.

use std::collections::HashMap;

use twintap_scrub::LinkTag;
use twintap_stream::RequestHead;

use crate::capture::{Capture, Value};
use crate::collect::Use;
use crate::model::{Created, CreatedKind, CreatedPlace};

/// What was created so far, and who sent what first.
#[derive(Debug, Default)]
pub(crate) struct Creations {
    /// By value, the position in `created`.
    known: HashMap<Value, usize>,
    /// For each value that could be one, the first session that sent it.
    first_sent: HashMap<Value, u32>,
    created: Vec<Created>,
}

impl Creations {
    /// Takes up a leaf of the request at `position` that no response made.
    pub fn add(
        &mut self,
        capture: &Capture,
        position: u32,
        session: u32,
        used: &Use,
        value: Value,
    ) {
        if let Some(index) = self.known.get(&value) {
            self.created[*index]
                .places
                .push(place(capture, position, used));
            return;
        }
        let Some(kind) = capture.names.facts(used.path).creates else {
            return;
        };
        let first = *self.first_sent.entry(value).or_insert(session);
        let creates = match kind {
            CreatedKind::Identity => first == session && capture.items[position as usize].signs_up,
            CreatedKind::IdempotencyKey => first == session,
        };
        if creates {
            self.known.insert(value, self.created.len());
            self.created.push(Created {
                session,
                kind,
                tag: LinkTag(capture.link_tag(value)),
                places: vec![place(capture, position, used)],
            });
        }
    }

    /// All of them, in the order of their creation.
    pub fn finish(self) -> Vec<Created> {
        self.created
    }
}

fn place(capture: &Capture, position: u32, used: &Use) -> CreatedPlace {
    CreatedPlace {
        request: position,
        part: used.part,
        path: capture.names.text(used.path).to_owned(),
        start: used.start,
        len: used.len,
        encoding: used.encoding,
    }
}

/// What a leaf of this name holds, if clients create it.
pub(crate) fn kind_of(path: &str) -> Option<CreatedKind> {
    let path = path.split('#').next().unwrap_or(path);
    let (kind, names) = path.split_once('.')?;
    let name = names.rsplit(['/', '.']).next()?.to_ascii_lowercase();
    let name: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    match name.as_str() {
        "idempotencykey" | "xidempotencykey" | "idempotencytoken" | "clientrequestid"
        | "clienttoken" => Some(CreatedKind::IdempotencyKey),
        "email" | "mail" | "emailaddress" | "username" | "user" | "login" | "nickname"
        | "handle" | "phone" | "phonenumber" | "mobile" | "useremail" | "userlogin"
            if matches!(kind, "json" | "form" | "multipart" | "xml") =>
        {
            Some(CreatedKind::Identity)
        }
        _ => None,
    }
}

/// True when the request signs somebody up: its path says so, or it makes a member of
/// a collection of people.
pub(crate) fn signs_up(head: &RequestHead, status: Option<u16>) -> bool {
    const SIGNS_UP: [&str; 7] = [
        "signup",
        "register",
        "registration",
        "registrations",
        "join",
        "enroll",
        "subscribe",
    ];
    const PEOPLE: [&str; 8] = [
        "users",
        "user",
        "accounts",
        "account",
        "customers",
        "customer",
        "members",
        "people",
    ];
    const KNOWN: [&str; 12] = [
        "login",
        "signin",
        "session",
        "sessions",
        "auth",
        "authenticate",
        "token",
        "tokens",
        "oauth",
        "password",
        "reset",
        "logout",
    ];
    let is_refused = status.is_none_or(|status| status >= 400);
    if is_refused || !matches!(&head.method[..], b"POST" | b"PUT") {
        return false;
    }
    let end = head.target.iter().position(|byte| *byte == b'?');
    let path = String::from_utf8_lossy(&head.target[..end.unwrap_or(head.target.len())]);
    let path = path.to_ascii_lowercase();
    let words: Vec<String> = path
        .split('/')
        .map(|segment| segment.chars().filter(|c| c.is_alphanumeric()).collect())
        .filter(|word: &String| !word.is_empty())
        .collect();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let ends_in = |list: &[&str]| {
        let last = words.last().map(String::as_str);
        last.is_some_and(|last| list.contains(&last))
    };
    has(&SIGNS_UP) || ends_in(&PEOPLE) && !has(&KNOWN)
}
