//! JSON (RFC 8259) and its pointers (RFC 6901).

use std::fmt::Write as _;

use super::{Found, Repeats, Unparsable, Visit};
use crate::encoding;
use crate::leaf::Encoding;
use crate::names;

/// How deep arrays and objects may be nested.
const MOST_DEEP: usize = 128;

/// Goes through one text, or through one on each line, which are called as if
/// they were the elements of an array.
pub(crate) fn find(body: &[u8], is_lines: bool, visit: &mut impl Visit) -> Result<(), Unparsable> {
    // Strings are cut at ASCII bytes, so that each of them is UTF-8 if all is.
    let text = std::str::from_utf8(body).map_err(|_| Unparsable)?;
    let mut scanner = Scanner {
        src: text.as_bytes(),
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        path: String::from("json."),
        place: String::from("json."),
        name: 5..5,
        keys: Vec::new(),
        visit,
    };
    scanner.space();
    if is_lines {
        let mut index = 0;
        while scanner.at < scanner.src.len() {
            scanner.element(index, 0)?;
            scanner.space();
            index += 1;
        }
        return Ok(());
    }
    scanner.value(0)?;
    scanner.space();
    if scanner.at == scanner.src.len() || scanner.visit.is_done() {
        Ok(())
    } else {
        Err(Unparsable)
    }
}

struct Scanner<'a, V> {
    src: &'a [u8],
    at: usize,
    path: String,
    place: String,
    /// Span of the last name in `place`.
    name: std::ops::Range<usize>,
    /// Hashes of the keys of the objects that are open.
    keys: Vec<u64>,
    visit: &'a mut V,
}

impl<V: Visit> Scanner<'_, V> {
    fn value(&mut self, depth: usize) -> Result<(), Unparsable> {
        if depth > MOST_DEEP {
            return Err(Unparsable);
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let span = self.string()?;
                self.leaf(span, Encoding::JsonString);
                Ok(())
            }
            _ => {
                let span = self.literal()?;
                self.leaf(span, Encoding::JsonLiteral);
                Ok(())
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Unparsable> {
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        let first_key = self.keys.len();
        let mut many = None;
        loop {
            if self.peek() != Some(b'"') {
                return Err(Unparsable);
            }
            let span = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(Unparsable);
            }
            self.space();
            self.member(span, first_key, &mut many, depth)?;
            if self.visit.is_done() {
                return Ok(());
            }
            self.space();
            if self.eat(b'}') {
                self.keys.truncate(first_key);
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(Unparsable);
            }
            self.space();
        }
    }

    fn member(
        &mut self,
        key: std::ops::Range<usize>,
        first_key: usize,
        many: &mut Option<Repeats>,
        depth: usize,
    ) -> Result<(), Unparsable> {
        let src = self.src;
        let decoded = encoding::decode(&src[key.clone()], Encoding::JsonString);
        let name = String::from_utf8_lossy(&decoded);
        let (path_len, place_len, last) = (self.path.len(), self.place.len(), self.name.clone());
        self.path.push('/');
        self.place.push('/');
        if names::is_structural(&name) || name.is_empty() {
            push_token(&mut self.path, &name);
            self.name = self.place.len()..self.place.len() + name.len();
            push_token(&mut self.place, &name);
            self.name.end = self.place.len();
        } else {
            let new = self.visit.odd_name(&name, key, Encoding::JsonString);
            push_token(&mut self.path, new.as_deref().unwrap_or(&name));
            self.place.push('*');
        }
        let count = self.repeats(&name, first_key, many);
        if count > 0 {
            // Writing to a string never fails.
            let _ = write!(self.path, "#{count}");
        }
        let result = self.value(depth + 1);
        self.path.truncate(path_len);
        self.place.truncate(place_len);
        self.name = last;
        result
    }

    /// How often the object had this key before. Few keys are compared one by
    /// one, many in a table.
    fn repeats(&mut self, name: &str, first_key: usize, many: &mut Option<Repeats>) -> u32 {
        const FEW: usize = 32;
        if let Some(many) = many {
            return many.count(fingerprint(name));
        }
        let hash = fingerprint(name);
        let count = self.keys[first_key..]
            .iter()
            .filter(|&&key| key == hash)
            .count() as u32;
        self.keys.push(hash);
        if self.keys.len() - first_key == FEW {
            let mut repeats = Repeats::default();
            for key in &self.keys[first_key..] {
                repeats.count(*key);
            }
            *many = Some(repeats);
        }
        count
    }

    fn array(&mut self, depth: usize) -> Result<(), Unparsable> {
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.element(index, depth + 1)?;
            index += 1;
            if self.visit.is_done() {
                return Ok(());
            }
            self.space();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(Unparsable);
            }
            self.space();
        }
    }

    fn element(&mut self, index: usize, depth: usize) -> Result<(), Unparsable> {
        let (path_len, place_len) = (self.path.len(), self.place.len());
        // Writing to a string never fails.
        let _ = write!(self.path, "/{index}");
        self.place.push_str("/*");
        let result = self.value(depth);
        self.path.truncate(path_len);
        self.place.truncate(place_len);
        result
    }

    /// The span between the quotes.
    fn string(&mut self) -> Result<std::ops::Range<usize>, Unparsable> {
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += memchr::memchr2(b'"', b'\\', &self.src[at..]).ok_or(Unparsable)?;
            if self.src[at] == b'"' {
                self.at = at + 1;
                return Ok(start..at);
            }
            let is_sound = match self.src.get(at + 1) {
                Some(b'u') => self
                    .src
                    .get(at + 2..at + 6)
                    .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
                Some(escape) => b"\"\\/bfnrt".contains(escape),
                None => false,
            };
            if !is_sound {
                return Err(Unparsable);
            }
            at += 2;
        }
    }

    fn literal(&mut self) -> Result<std::ops::Range<usize>, Unparsable> {
        let rest = &self.src[self.at..];
        let len = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))
            .unwrap_or(rest.len());
        let text = std::str::from_utf8(&rest[..len]).map_err(|_| Unparsable)?;
        let is_sound = matches!(text, "true" | "false" | "null")
            || crate::pseudonym::formats::number(text).is_some();
        if !is_sound {
            return Err(Unparsable);
        }
        let span = self.at..self.at + len;
        self.at = span.end;
        Ok(span)
    }

    fn leaf(&mut self, span: std::ops::Range<usize>, encoding: Encoding) {
        self.visit.leaf(Found {
            path: &self.path,
            place: &self.place,
            name: &self.place[self.name.clone()],
            is_in_path: false,
            span,
            encoding,
        });
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.src.get(self.at).copied()
    }
}

/// FNV-1a; see [`Repeats::count`] for what a collision does.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// RFC 6901, section 3.
fn push_token(pointer: &mut String, name: &str) {
    if memchr::memchr2(b'~', b'/', name.as_bytes()).is_none() {
        pointer.push_str(name);
        return;
    }
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
