//! JSON (RFC 8259) and its pointers (RFC 6901).

mod shapes;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use self::shapes::{Object, PlaceId, Shapes};
use super::{Found, Repeats, Unparsable, Visit};
use crate::encoding;
use crate::leaf::Encoding;

/// How deep arrays and objects may be nested.
const MOST_DEEP: usize = 128;

/// Goes through one text, or through one on each line, which are called as if
/// they were the elements of an array.
pub(crate) fn find(body: &[u8], is_lines: bool, visit: &mut impl Visit) -> Result<(), Unparsable> {
    // Strings are cut at ASCII bytes, so that each of them is UTF-8 if all is.
    let text = std::str::from_utf8(body).map_err(|_| Unparsable)?;
    let mut scanner = Scanner {
        text,
        src: text.as_bytes(),
        at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        path: String::from("json."),
        place: String::from("json."),
        name: 5..5,
        odd_names: Vec::new(),
        shapes: Shapes::new(),
        visit,
    };
    scanner.space();
    if is_lines {
        let mut index = 0;
        let lines = scanner.shapes.element(PlaceId::ROOT);
        while scanner.at < scanner.src.len() {
            scanner.element(index, lines, 0)?;
            scanner.space();
            index += 1;
        }
        return Ok(());
    }
    scanner.value(PlaceId::ROOT, 0)?;
    scanner.space();
    if scanner.at == scanner.src.len() || scanner.visit.is_done() {
        Ok(())
    } else {
        Err(Unparsable)
    }
}

struct Scanner<'a, V> {
    text: &'a str,
    /// The same.
    src: &'a [u8],
    at: usize,
    path: String,
    place: String,
    /// Span of the last name in `place`.
    name: Range<usize>,
    /// Hashes of the names that may be values, of the objects that are open.
    odd_names: Vec<u64>,
    shapes: Shapes<'a>,
    visit: &'a mut V,
}

/// A string between its quotes.
struct Text {
    span: Range<usize>,
    has_escapes: bool,
}

impl<V: Visit> Scanner<'_, V> {
    fn value(&mut self, at: PlaceId, depth: usize) -> Result<(), Unparsable> {
        if depth > MOST_DEEP {
            return Err(Unparsable);
        }
        match self.peek() {
            Some(b'{') => self.object(at, depth),
            Some(b'[') => self.array(at, depth),
            Some(b'"') => {
                let text = self.string()?;
                self.leaf(at, text.span, Encoding::JsonString, text.has_escapes);
                Ok(())
            }
            _ => {
                let span = self.literal()?;
                self.leaf(at, span, Encoding::JsonLiteral, false);
                Ok(())
            }
        }
    }

    fn object(&mut self, at: PlaceId, depth: usize) -> Result<(), Unparsable> {
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        let mut object = self.shapes.object(at);
        let mut odd_names = OddNames {
            first: self.odd_names.len(),
            many: None,
        };
        loop {
            if self.peek() != Some(b'"') {
                return Err(Unparsable);
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(Unparsable);
            }
            self.space();
            self.member(key, &mut object, &mut odd_names, depth)?;
            if self.visit.is_done() {
                return Ok(());
            }
            self.space();
            if self.eat(b'}') {
                self.odd_names.truncate(odd_names.first);
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
        key: Text,
        object: &mut Object,
        odd_names: &mut OddNames,
        depth: usize,
    ) -> Result<(), Unparsable> {
        let (path_len, place_len, last) = (self.path.len(), self.place.len(), self.name.clone());
        self.path.push('/');
        self.place.push('/');
        let written = &self.src[key.span.clone()];
        let (at, count) = match self.shapes.expected(object, written) {
            Some(at) => self.named(at, object),
            None => self.unexpected(key, object, odd_names),
        };
        if count > 0 {
            // Writing to a string never fails.
            let _ = write!(self.path, "#{count}");
        }
        let result = self.value(at, depth + 1);
        self.path.truncate(path_len);
        self.place.truncate(place_len);
        self.name = last;
        result
    }

    /// Goes to a member whose name is none that may be a value; how often it was there before.
    fn named(&mut self, at: PlaceId, object: &Object) -> (PlaceId, u32) {
        let token = self.shapes.place(at).token();
        self.path.push_str(&token);
        let start = self.place.len();
        self.place.push_str(&token);
        self.name = start..self.place.len();
        (at, self.shapes.repeats(object, at))
    }

    /// Goes to a member that did not come next before.
    fn unexpected(
        &mut self,
        key: Text,
        object: &mut Object,
        odd_names: &mut OddNames,
    ) -> (PlaceId, u32) {
        let written = &self.text[key.span.clone()];
        let name: Cow<'_, str> = match key.has_escapes {
            true => {
                let decoded = encoding::decode(written.as_bytes(), Encoding::JsonString);
                String::from_utf8_lossy(&decoded).into_owned().into()
            }
            false => written.into(),
        };
        let name = match self.shapes.member(object, name) {
            Ok(at) => return self.named(at, object),
            Err(name) => name,
        };
        let new = self.visit.odd_name(&name, key.span, Encoding::JsonString);
        let name_here = new.as_deref().unwrap_or(&name);
        self.path.push_str(&token(name_here));
        self.place.push('*');
        let count = self.odd_repeats(&name, odd_names);
        (self.shapes.odd(object), count)
    }

    /// How often the object had this name before. Few names are compared one by
    /// one, many in a table.
    fn odd_repeats(&mut self, name: &str, names: &mut OddNames) -> u32 {
        const FEW: usize = 32;
        let hash = fingerprint(name);
        if let Some(many) = &mut names.many {
            return many.count(hash);
        }
        let before = self.odd_names[names.first..].iter();
        let count = before.filter(|&&other| other == hash).count() as u32;
        self.odd_names.push(hash);
        if self.odd_names.len() - names.first == FEW {
            let mut repeats = Repeats::default();
            for name in &self.odd_names[names.first..] {
                repeats.count(*name);
            }
            names.many = Some(repeats);
        }
        count
    }

    fn array(&mut self, at: PlaceId, depth: usize) -> Result<(), Unparsable> {
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        let elements = self.shapes.element(at);
        let mut index = 0;
        loop {
            self.element(index, elements, depth + 1)?;
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

    fn element(&mut self, index: usize, at: PlaceId, depth: usize) -> Result<(), Unparsable> {
        let (path_len, place_len) = (self.path.len(), self.place.len());
        // Writing to a string never fails.
        let _ = write!(self.path, "/{index}");
        self.place.push_str("/*");
        let result = self.value(at, depth);
        self.path.truncate(path_len);
        self.place.truncate(place_len);
        result
    }

    fn string(&mut self) -> Result<Text, Unparsable> {
        let start = self.at + 1;
        let mut at = start;
        let mut has_escapes = false;
        loop {
            at += end_or_escape(&self.src[at..]).ok_or(Unparsable)?;
            if self.src[at] == b'"' {
                self.at = at + 1;
                return Ok(Text {
                    span: start..at,
                    has_escapes,
                });
            }
            has_escapes = true;
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

    fn literal(&mut self) -> Result<Range<usize>, Unparsable> {
        let rest = &self.src[self.at..];
        let len = rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || b"+-.".contains(byte)))
            .unwrap_or(rest.len());
        let text = &self.text[self.at..self.at + len];
        let is_sound = matches!(text, "true" | "false" | "null")
            || crate::pseudonym::formats::number(text).is_some();
        if !is_sound {
            return Err(Unparsable);
        }
        let span = self.at..self.at + len;
        self.at = span.end;
        Ok(span)
    }

    fn leaf(&mut self, at: PlaceId, span: Range<usize>, encoding: Encoding, has_escapes: bool) {
        self.visit.leaf(Found {
            ruled: Some(&self.shapes.place(at).ruled),
            has_escapes,
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

/// Where the next quote or backslash stands. Most strings are so short that calling a search
/// costs more than looking at eight bytes at once.
fn end_or_escape(text: &[u8]) -> Option<usize> {
    const WORDS: usize = 4;
    let (words, _) = text.as_chunks::<8>();
    for (index, word) in words.iter().take(WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = has(word, b'"') | has(word, b'\\');
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let seen = 8 * words.len().min(WORDS);
    Some(seen + memchr::memchr2(b'"', b'\\', &text[seen..])?)
}

/// The highest bit of the lowest byte that is `wanted` is the lowest that is set; none is where
/// no byte is (Bit Twiddling Hacks, "Determine if a word has a byte equal to n").
fn has(word: u64, wanted: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let zero_where_wanted = word ^ u64::from_le_bytes([wanted; 8]);
    zero_where_wanted.wrapping_sub(LOW) & !zero_where_wanted & HIGH
}

/// The names of one object that may be values.
struct OddNames {
    /// Where they begin among those of all open objects.
    first: usize,
    /// How often each came, once they are many.
    many: Option<Repeats>,
}

/// FNV-1a; see [`Repeats::count`] for what a collision does.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The step of a pointer for a name (RFC 6901, section 3).
fn token(name: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'~', b'/', name.as_bytes()) {
        Some(_) => name.replace('~', "~0").replace('/', "~1").into(),
        None => name.into(),
    }
}

#[cfg(test)]
mod tests;
