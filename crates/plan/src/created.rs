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

/// The value that copy `copy` of a session has in place of a created one: of the same
/// kind and, but for names and addresses of mail, which become longer, of the same
/// length; the same for the same key.
#[must_use]
pub fn for_copy(raw: &[u8], key: &[u8; 32], copy: u32) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&copy.to_le_bytes());
    hasher.update(raw);
    let mut stream = hasher.finalize_xof();
    let mut draw = move |bound: u8| {
        let mut byte = [0];
        stream.fill(&mut byte);
        byte[0] % bound
    };
    let Ok(text) = std::str::from_utf8(raw) else {
        return raw.iter().map(|_| draw(255)).collect();
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits >= 6
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-() ".contains(&byte));
    if is_number {
        // The first digits of a phone number say where it is.
        let kept = digits - digits.min(6);
        return other_characters(text, kept, &mut draw);
    }
    let is_random = text.len() >= 16 && digits > 0 && !text.contains(['@', ' ']);
    if is_random {
        return other_characters(text, 0, &mut draw);
    }
    let suffix: String = (0..6).map(|_| char::from(b'a' + draw(26))).collect();
    match text.split_once('@') {
        Some((local, domain)) => format!("{local}{suffix}@{domain}").into_bytes(),
        None => format!("{text}{suffix}").into_bytes(),
    }
}

/// Other characters of the same kinds, but for the first `kept` digits, and what says
/// which kind of UUID it is (RFC 9562, section 4).
fn other_characters(text: &str, kept: usize, draw: &mut impl FnMut(u8) -> u8) -> Vec<u8> {
    let is_hex = text
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_uuid = is_hex && text.len() == 36 && text.as_bytes()[8] == b'-';
    let mut digits = 0;
    text.bytes()
        .enumerate()
        .map(|(at, byte)| {
            digits += usize::from(byte.is_ascii_digit());
            let is_kept = byte.is_ascii_digit() && digits <= kept;
            match byte {
                _ if is_kept || is_uuid && matches!(at, 14 | 19) => byte,
                b'a'..=b'f' if is_hex => b'a' + draw(6),
                b'A'..=b'F' if is_hex => b'A' + draw(6),
                b'0'..=b'9' => b'0' + draw(10),
                b'a'..=b'z' => b'a' + draw(26),
                b'A'..=b'Z' => b'A' + draw(26),
                other => other,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, is_like: impl Fn(&str) -> bool) {
        let copy = |copy| String::from_utf8(for_copy(raw.as_bytes(), &[7; 32], copy)).unwrap();
        let (one, other) = (copy(1), copy(2));
        assert!(is_like(&one), "{one}");
        assert_ne!(one, raw);
        assert_ne!(one, other);
        assert_eq!(one, copy(1));
        assert_ne!(for_copy(raw.as_bytes(), &[8; 32], 1), one.as_bytes());
    }

    #[test]
    fn copies_have_values_of_their_own_that_look_alike() {
        check("ada@example.org", |text| {
            text.starts_with("ada") && text.ends_with("@example.org") && text.len() == 21
        });
        check("ada", |text| text.starts_with("ada") && text.len() == 9);
        check("+49 151 2345678", |text| {
            text.starts_with("+49 15") && text.len() == 15
        });
        check("0f0e0d0c-0b0a-4900-8800-070605040302", |text| {
            text.len() == 36 && text.as_bytes()[14] == b'4' && text.as_bytes()[19] == b'8'
        });
        check("kJ8xQ2mW9pL4vT7z", |text| text.len() == 16);
    }
}
