//! Keyed pseudonyms: the same value becomes the same pseudonym wherever it stands.
//!
//! What a value becomes depends on the key and the value alone, never on its
//! place. Length, case, script, punctuation and the formats of [`formats`]
//! survive. Short values are permuted within their alphabet, so that no two of
//! them become one; of long values that is so for all practical purposes.

mod alphabet;
pub(crate) mod formats;
pub(crate) mod inside;
mod permute;
mod recent;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use base64::Engine as _;

use self::alphabet::{Alphabet, is_punctuation};
use self::formats::{Moment, Number};
use self::permute::permute;
use self::recent::Recents;
pub(crate) use self::recent::{Lent, Recent};
use crate::key::Keys;
use crate::policy::View;

/// Makes pseudonyms and fillers.
pub(crate) struct Pseudonyms {
    keys: Keys,
    /// Beginnings that are kept, e.g. `ord_`.
    prefixes: Vec<String>,
    /// What decides about values inside of others, as if those were bodies; without
    /// it each becomes a pseudonym.
    inside: Option<Arc<View>>,
    recents: Recents,
}

impl Pseudonyms {
    pub(crate) fn new(keys: Keys, prefixes: Vec<String>, inside: Option<Arc<View>>) -> Pseudonyms {
        Pseudonyms {
            keys,
            prefixes,
            inside,
            recents: Recents::default(),
        }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The pseudonym of a raw value. That of a JSON literal is a JSON literal.
    pub(crate) fn of(&self, raw: &[u8]) -> Vec<u8> {
        self.of_inner(raw, 0)
    }

    /// The pseudonym of a value so deep inside of others. Of one that has values
    /// inside, those are replaced, so that it keeps its form.
    fn of_inner(&self, raw: &[u8], depth: usize) -> Vec<u8> {
        if let Some(new) = inside::of(self, raw, depth) {
            return new;
        }
        match std::str::from_utf8(raw) {
            Ok(text) => self.of_text(text, Mode::Keyed).into_bytes(),
            Err(_) => self.of_bytes(raw),
        }
    }

    /// What is known of values seen lately, for one part of a message.
    pub(crate) fn recent(&self) -> Lent<'_> {
        self.recents.lend()
    }

    /// What stands for any value of like length and alphabet.
    pub(crate) fn filler(&self, raw: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(raw) {
            Ok(text) => self.of_text(text, Mode::Filler).into_bytes(),
            Err(_) => vec![b'x'; raw.len()],
        }
    }

    /// The pseudonym of a client's address; loopback addresses stay.
    pub(crate) fn address(&self, address: IpAddr) -> IpAddr {
        if address.is_loopback() {
            return address;
        }
        self.ip(address, Mode::Keyed)
    }

    fn of_text(&self, text: &str, mode: Mode) -> String {
        let prefix = self
            .prefixes
            .iter()
            .filter(|prefix| text.len() > prefix.len() && text.starts_with(prefix.as_str()))
            .max_by_key(|prefix| prefix.len());
        match prefix {
            Some(prefix) => prefix.clone() + &self.of_format(&text[prefix.len()..], mode),
            None => self.of_format(text, mode),
        }
    }

    fn of_format(&self, text: &str, mode: Mode) -> String {
        let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        if starts_with_digit {
            if formats::is_luhn(text) {
                return self.luhn(text, mode);
            }
            if let Some(number) = formats::number(text) {
                return self.number(text, number, mode);
            }
            if let Some(moment) = formats::moment(text) {
                return self.moment(moment, mode);
            }
        }
        match text {
            // Of two values, a permutation hides neither.
            "true" | "false" if mode == Mode::Filler => return false.to_string(),
            "" | "null" | "true" | "false" => return text.to_owned(),
            _ => (),
        }
        if formats::is_iban(text) {
            let account = self.general(&text[4..], Start::Free, mode);
            let check = formats::iban_digits(&text[..2], &account);
            return format!("{}{check}{account}", &text[..2]);
        }
        if memchr::memchr2(b'.', b':', text.as_bytes()).is_some()
            && let Ok(address) = text.parse::<IpAddr>()
        {
            return self.ip(address, mode).to_string();
        }
        if let Some((local, domain)) = formats::email(text) {
            return format!(
                "{}@{}.example.com",
                self.general(local, Start::Free, mode),
                self.general(&domain.replace('.', "-"), Start::Free, mode),
            );
        }
        if let Some((bytes, engine)) = formats::base64_bytes(text) {
            return match formats::credentials(&bytes) {
                Some((user, password)) => engine.encode(format!(
                    "{}:{}",
                    self.of_text(user, mode),
                    self.of_text(password, mode)
                )),
                None => engine.encode(self.opaque(&bytes, mode)),
            };
        }
        self.general(text, Start::Free, mode)
    }

    /// Sign, point and exponent stay, and a number that is not 0 begins with no 0.
    fn number(&self, text: &str, number: Number<'_>, mode: Mode) -> String {
        let mantissa = &text[..text.len() - number.exponent.len()];
        let start = if number.whole.starts_with('0') {
            Start::Kept
        } else {
            Start::NotZero
        };
        let mut out = self.general(mantissa, start, mode);
        out.push_str(number.exponent);
        out
    }

    fn luhn(&self, text: &str, mode: Mode) -> String {
        let start = if text.starts_with('0') {
            Start::Free
        } else {
            Start::NotZero
        };
        let mut out = self.general(&text[..text.len() - 1], start, mode);
        let digit = formats::luhn_digit(&out);
        out.push(char::from(digit));
        out
    }

    /// A sound date between 1900 and 2099, time and fraction written as before.
    fn moment(&self, moment: Moment<'_>, mode: Mode) -> String {
        const DAY_S: u64 = 24 * 60 * 60;
        let Some((separator, clock)) = moment.time else {
            return formats::date_of(self.below(1, formats::DAYS, moment.day, mode));
        };
        let grain = if clock.has_seconds { 1 } else { 60 };
        let value = (moment.day * DAY_S + clock.second_of_day) / grain;
        let bound = formats::DAYS * DAY_S / grain;
        let value = self.below(2, bound, value, mode) * grain;
        let mut out = formats::date_of(value / DAY_S);
        let (hours, minutes, seconds) = (value / 3600 % 24, value / 60 % 60, value % 60);
        // Writing to a string never fails.
        let _ = write!(out, "{separator}{hours:02}:{minutes:02}");
        if clock.has_seconds {
            let _ = write!(out, ":{seconds:02}");
        }
        if !clock.fraction.is_empty() {
            out.push('.');
            out.push_str(&self.general(clock.fraction, Start::Free, mode));
        }
        out.push_str(clock.zone);
        out
    }

    /// An address of 10.0.0.0/8 (RFC 1918) or fd00::/8 (RFC 4193).
    fn ip(&self, address: IpAddr, mode: Mode) -> IpAddr {
        match address {
            IpAddr::V4(address) => {
                let bytes = self.opaque(&address.octets(), mode);
                Ipv4Addr::new(10, bytes[0], bytes[1], bytes[2]).into()
            }
            IpAddr::V6(address) => {
                let mut octets = address.octets();
                octets.copy_from_slice(&self.opaque(&address.octets(), mode));
                octets[0] = 0xfd;
                Ipv6Addr::from(octets).into()
            }
        }
    }

    /// As many bytes as `bytes` has, which tell nothing of them.
    fn opaque(&self, bytes: &[u8], mode: Mode) -> Vec<u8> {
        let mut out = vec![0; bytes.len()];
        if mode == Mode::Keyed {
            self.keys.stream(bytes).fill(&mut out);
        }
        out
    }

    fn below(&self, tweak: u64, bound: u64, value: u64, mode: Mode) -> u64 {
        match mode {
            Mode::Keyed => permute(&self.keys.permutation(), tweak, bound, value % bound),
            Mode::Filler => 0,
        }
    }

    /// Replaces each character by one of its alphabet.
    fn general(&self, text: &str, start: Start, mode: Mode) -> String {
        let slots = slots(text, start);
        if mode == Mode::Filler {
            return rewrite(&slots, |alphabet| alphabet.draw(filler_index(alphabet)).0);
        }
        if let Some(space) = Space::of(&slots) {
            let prf = self.keys.permutation();
            let mut value = permute(&prf, space.tweak, space.bound, space.value);
            return rewrite(&slots, |alphabet| {
                let (c, rest) = alphabet.draw(value);
                value = rest;
                c
            });
        }
        let mut stream = self.keys.stream(text.as_bytes());
        // Alphabets have far fewer than 2^16 characters but for Han and Hangul, of
        // which 2^16 is several times as many.
        rewrite(&slots, |alphabet| alphabet.draw(stream.next_u16().into()).0)
    }

    /// ASCII becomes ASCII of its alphabet, other bytes become other bytes.
    fn of_bytes(&self, raw: &[u8]) -> Vec<u8> {
        let mut stream = self.keys.stream(raw);
        raw.iter()
            .map(|&byte| {
                let random = stream.next_u16();
                match Alphabet::of(char::from(byte)) {
                    // The alphabets of ASCII hold ASCII alone.
                    Some(alphabet) if byte.is_ascii() => alphabet.draw(random.into()).0 as u8,
                    _ if byte.is_ascii() => byte,
                    _ => 0xa0 + (random % 0x60) as u8,
                }
            })
            .collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Keyed,
    Filler,
}

/// What the first digit may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Free,
    NotZero,
    Kept,
}

fn filler_index(alphabet: Alphabet) -> u64 {
    match alphabet {
        Alphabet::Lower | Alphabet::Upper => 23,
        _ => 0,
    }
}

/// A character and the alphabet it is replaced within; without one it is kept.
type Slot = (char, Option<Alphabet>);

/// A value as a number among all that its alphabets can spell.
struct Space {
    value: u64,
    bound: u64,
    tweak: u64,
}

impl Space {
    /// `None` when there are too many to count: then a keyed stream does.
    fn of(slots: &[Slot]) -> Option<Space> {
        let mut space = Space {
            value: 0,
            bound: 1,
            tweak: 0xcbf2_9ce4_8422_2325,
        };
        for &(c, alphabet) in slots {
            let (id, size) = match alphabet {
                Some(alphabet) => (alphabet.id(), alphabet.size()),
                None => ((c as u64) << 32, 1),
            };
            // FNV-1a keeps the permutations of different shapes apart.
            space.tweak = (space.tweak ^ id).wrapping_mul(0x0100_0000_01b3);
            if let Some(alphabet) = alphabet {
                let bound = space.bound.checked_mul(size);
                let bound = bound.filter(|&bound| bound <= permute::MOST)?;
                space.value += alphabet.index(c).min(size.saturating_sub(1)) * space.bound;
                space.bound = bound;
            }
        }
        Some(space)
    }
}

fn rewrite(slots: &[Slot], mut new: impl FnMut(Alphabet) -> char) -> String {
    slots
        .iter()
        .map(|&(c, alphabet)| alphabet.map_or(c, &mut new))
        .collect()
}

fn slots(text: &str, start: Start) -> Vec<Slot> {
    let is_uuid = formats::is_uuid(text);
    let mut is_first_digit = true;
    let mut has_letters = false;
    // The present run of ASCII letters and digits, and whether it is hexadecimal.
    let mut run: Option<(&[u8], bool)> = None;
    let mut slots = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let alphabet = if c.is_ascii_alphanumeric() {
            let (run, is_hex) = *run.get_or_insert_with(|| {
                let rest = &text.as_bytes()[at..];
                let len = rest
                    .iter()
                    .position(|byte| !byte.is_ascii_alphanumeric())
                    .unwrap_or(rest.len());
                (&rest[..len], formats::is_hex_run(&rest[..len]))
            });
            if is_uuid {
                uuid_alphabet(text, at)
            } else if is_hex {
                Some(hex_alphabet(run))
            } else if c.is_ascii_digit() && is_first_digit && start != Start::Free {
                (start == Start::NotZero).then_some(Alphabet::FirstDigit)
            } else {
                Alphabet::of(c)
            }
        } else {
            run = None;
            Alphabet::of(c)
        };
        is_first_digit &= !c.is_ascii_digit();
        has_letters |= c.is_alphanumeric();
        slots.push((c, alphabet));
    }
    if !has_letters && slots.len() >= 4 {
        for (c, alphabet) in &mut slots {
            *alphabet = is_punctuation(*c).then_some(Alphabet::Punctuation);
        }
    }
    slots
}

/// Version and variant stay.
fn uuid_alphabet(text: &str, at: usize) -> Option<Alphabet> {
    match at {
        14 | 19 => None,
        _ => Some(hex_alphabet(text.as_bytes())),
    }
}

fn hex_alphabet(digits: &[u8]) -> Alphabet {
    if digits.iter().any(u8::is_ascii_uppercase) {
        Alphabet::HexUpper
    } else {
        Alphabet::HexLower
    }
}

#[cfg(test)]
mod tests;
