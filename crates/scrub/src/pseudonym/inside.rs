//! Pseudonyms of values that have others inside: JSON in a string, tokens, links.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::{Mode, Pseudonyms, Start};
use crate::class::Class;
use crate::encoding::is_literal;
use crate::leaf::Encoding;
use crate::nest::{Guest, map};
use crate::policy::{Decision, ValueAction};

/// How deep values are looked into: further down they are texts.
const MOST_DEEP: usize = 4;

/// The pseudonym of `raw`, where it has values inside.
pub(super) fn of(pseudonyms: &Pseudonyms, raw: &[u8], depth: usize) -> Option<Vec<u8>> {
    if depth > MOST_DEEP || std::str::from_utf8(raw).is_err() {
        return None;
    }
    let new = map(raw, "", 0, &mut Hides { pseudonyms, depth })?;
    Some(new.unwrap_or_else(|| raw.to_vec()))
}

/// The pseudonym of a script: names of strings stay, each string becomes its
/// pseudonym, and so does what stands between them.
pub(crate) fn of_script(pseudonyms: &Pseudonyms, script: &[u8]) -> Vec<u8> {
    let mut hides = Hides {
        pseudonyms,
        depth: 0,
    };
    let new = map(script, "html.script>", 0, &mut hides).flatten();
    new.unwrap_or_else(|| pseudonyms.of(script))
}

struct Hides<'a> {
    pseudonyms: &'a Pseudonyms,
    depth: usize,
}

impl Guest for Hides<'_> {
    fn value(&mut self, path: &str, raw: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
        if is_of_token(path, raw) {
            return None;
        }
        let new = match self.decide(path, raw) {
            ValueAction::Allow => return None,
            ValueAction::Pseudonym => self.pseudonyms.of_inner(raw, self.depth + 1),
            ValueAction::Replace => self.pseudonyms.filler(raw),
        };
        if encoding == Encoding::JsonLiteral && !is_literal(&new) {
            return Some(b"0".to_vec());
        }
        Some(new)
    }

    fn name(&mut self, name: &str) -> Option<String> {
        let new = self.pseudonyms.of_inner(name.as_bytes(), self.depth + 1);
        Some(String::from_utf8_lossy(&new).into_owned())
    }

    fn authority(&mut self, authority: &str) -> Option<String> {
        Some(self.pseudonyms.general(authority, Start::Free, Mode::Keyed))
    }

    fn between(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        Some(match std::str::from_utf8(text) {
            Ok(text) => self
                .pseudonyms
                .general(text, Start::Free, Mode::Keyed)
                .into_bytes(),
            Err(_) => self.pseudonyms.of_bytes(text),
        })
    }

    fn signature(&mut self, signature: &str) -> Option<String> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).ok();
        Some(match bytes {
            Some(bytes) => {
                BASE64_URL_SAFE_NO_PAD.encode(self.pseudonyms.opaque(&bytes, Mode::Keyed))
            }
            None => self.pseudonyms.general(signature, Start::Free, Mode::Keyed),
        })
    }

    fn enters(&self, _: &str) -> bool {
        false
    }
}

impl Hides<'_> {
    /// What the policy says of a value in a body of this form, whoever sent it: then
    /// the pseudonym of the whole depends on nothing but the whole. What a token says
    /// is of somebody.
    fn decide(&self, path: &str, raw: &[u8]) -> ValueAction {
        let Some(view) = self
            .pseudonyms
            .inside
            .as_ref()
            .filter(|_| !path.starts_with("jwt."))
        else {
            return ValueAction::Pseudonym;
        };
        let path = path.split('#').next().unwrap_or(path);
        let is_index =
            |step: &&str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
        let steps = path
            .split('/')
            .map(|step| if is_index(&step) { "*" } else { step });
        let place = steps.collect::<Vec<_>>().join("/");
        let names = path.rsplit(['/', '.']);
        let name = names
            .into_iter()
            .find(|name| !is_index(name))
            .unwrap_or_default();
        let is_in_path = path.contains("uri.path.");
        match view.decide(&place, name, || Class::of(raw, is_in_path)) {
            Decision::Value(action) => action,
            Decision::DropBody => ValueAction::Replace,
        }
    }
}

/// How a token is signed, and when it holds, is the format's and nobody's.
fn is_of_token(path: &str, raw: &[u8]) -> bool {
    let is_short_word = || raw.len() <= 8 && raw.iter().all(u8::is_ascii_alphanumeric);
    let is_time = || {
        raw.len() <= 17
            && raw
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    match path {
        "jwt.header./alg" | "jwt.header./typ" => is_short_word(),
        "jwt./exp" | "jwt./iat" | "jwt./nbf" | "jwt./auth_time" => is_time(),
        _ => false,
    }
}
