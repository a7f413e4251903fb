//! The sets of characters within which a character is replaced.

use std::sync::LazyLock;

/// What one character may become: as many characters of its own kind, so that a
/// value keeps its length, case, script and punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    Lower,
    Upper,
    Digit,
    /// `1` to `9`: what a number begins with.
    FirstDigit,
    HexLower,
    HexUpper,
    Punctuation,
    /// A run of letters of one script and case, by its place in [`SCRIPTS`].
    Script(u16),
    /// The letters of like case among the 64 characters around it.
    Window(u32, Case),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    None,
}

impl Alphabet {
    /// The alphabet of a character that stands alone; `None` for what is kept:
    /// punctuation, marks, symbols, white space and controls.
    pub(crate) fn of(c: char) -> Option<Alphabet> {
        match c {
            'a'..='z' => Some(Alphabet::Lower),
            'A'..='Z' => Some(Alphabet::Upper),
            '0'..='9' => Some(Alphabet::Digit),
            c if c.is_ascii() || !c.is_alphanumeric() => None,
            c => Some(of_script(c)),
        }
    }

    pub(crate) fn size(self) -> u64 {
        match self {
            Alphabet::Lower | Alphabet::Upper => 26,
            Alphabet::Digit => 10,
            Alphabet::FirstDigit => 9,
            Alphabet::HexLower | Alphabet::HexUpper => 16,
            Alphabet::Punctuation => PUNCTUATION.len() as u64,
            Alphabet::Script(script) => SCRIPTS[usize::from(script)].letters.len() as u64,
            Alphabet::Window(start, case) => window(start, case).count() as u64,
        }
    }

    /// The place of `c`, which belongs to the alphabet.
    pub(crate) fn index(self, c: char) -> u64 {
        let ascii = |base: u8| u64::from(c as u32).saturating_sub(u64::from(base));
        match self {
            Alphabet::Lower => ascii(b'a'),
            Alphabet::Upper => ascii(b'A'),
            Alphabet::Digit => ascii(b'0'),
            Alphabet::FirstDigit => ascii(b'1'),
            Alphabet::HexLower | Alphabet::HexUpper => {
                u64::from(c.to_digit(16).unwrap_or_default())
            }
            Alphabet::Punctuation => PUNCTUATION
                .iter()
                .position(|&member| char::from(member) == c)
                .unwrap_or_default() as u64,
            Alphabet::Script(script) => SCRIPTS[usize::from(script)]
                .letters
                .binary_search(&c)
                .unwrap_or_default() as u64,
            Alphabet::Window(start, case) => window(start, case)
                .position(|member| member == c)
                .unwrap_or_default() as u64,
        }
    }

    /// Takes a character off a number that spells several: the character, and the
    /// number without it.
    #[inline]
    pub(crate) fn draw(self, value: u64) -> (char, u64) {
        // Constant divisors are several times as fast as those of `size`.
        let ascii = |base: u8, index: u64| char::from(base + index as u8);
        match self {
            Alphabet::Lower => (ascii(b'a', value % 26), value / 26),
            Alphabet::Upper => (ascii(b'A', value % 26), value / 26),
            Alphabet::Digit => (ascii(b'0', value % 10), value / 10),
            Alphabet::FirstDigit => (ascii(b'1', value % 9), value / 9),
            Alphabet::HexLower => (
                char::from(b"0123456789abcdef"[(value % 16) as usize]),
                value / 16,
            ),
            Alphabet::HexUpper => (
                char::from(b"0123456789ABCDEF"[(value % 16) as usize]),
                value / 16,
            ),
            other => other.draw_other(value),
        }
    }

    fn draw_other(self, value: u64) -> (char, u64) {
        let size = self.size().max(1);
        let index = (value % size) as usize;
        let c = match self {
            Alphabet::Punctuation => Some(char::from(PUNCTUATION[index])),
            Alphabet::Script(script) => SCRIPTS[usize::from(script)].letters.get(index).copied(),
            Alphabet::Window(start, case) => window(start, case).nth(index),
            _ => None,
        };
        (c.unwrap_or(char::REPLACEMENT_CHARACTER), value / size)
    }

    /// Tells alphabets apart in a tweak.
    pub(crate) fn id(self) -> u64 {
        match self {
            Alphabet::Lower => 1,
            Alphabet::Upper => 2,
            Alphabet::Digit => 3,
            Alphabet::FirstDigit => 4,
            Alphabet::HexLower => 5,
            Alphabet::HexUpper => 6,
            Alphabet::Punctuation => 7,
            Alphabet::Script(script) => 0x1_0000 + u64::from(script),
            Alphabet::Window(start, case) => 0x10_0000 + (u64::from(start) << 2) + case as u64,
        }
    }
}

/// What needs no escape in any place that a value is written in.
const PUNCTUATION: &[u8] = b"!*-._~:@()";

pub(crate) fn is_punctuation(c: char) -> bool {
    c.is_ascii() && PUNCTUATION.contains(&(c as u8))
}

struct Script {
    first: u32,
    last: u32,
    case: Case,
    letters: Vec<char>,
}

/// Ranges of one script whose characters are of one length in UTF-8 each. What
/// they leave out is covered by windows.
const RANGES: &[(u32, u32)] = &[
    (0xc0, 0xff),     // Latin-1
    (0x100, 0x17f),   // Latin Extended-A
    (0x180, 0x24f),   // Latin Extended-B
    (0x370, 0x3ff),   // Greek
    (0x400, 0x45f),   // Cyrillic, what Slavic languages use
    (0x531, 0x587),   // Armenian
    (0x5d0, 0x5ea),   // Hebrew
    (0x620, 0x64a),   // Arabic
    (0x904, 0x939),   // Devanagari
    (0xe01, 0xe30),   // Thai
    (0x10d0, 0x10fa), // Georgian
    (0x1e00, 0x1eff), // Latin Extended Additional
    (0x1f00, 0x1fff), // Greek Extended
    (0x3041, 0x3096), // Hiragana
    (0x30a1, 0x30fa), // Katakana
    (0x4e00, 0x9fff), // Han
    (0xac00, 0xd7a3), // Hangul
];

static SCRIPTS: LazyLock<Vec<Script>> = LazyLock::new(|| {
    let mut scripts = Vec::new();
    for &(first, last) in RANGES {
        for case in [Case::Lower, Case::Upper, Case::None] {
            let letters: Vec<char> = members(first..=last, case).collect();
            if !letters.is_empty() {
                scripts.push(Script {
                    first,
                    last,
                    case,
                    letters,
                });
            }
        }
    }
    scripts
});

fn of_script(c: char) -> Alphabet {
    let case = case_of(c);
    let code = c as u32;
    SCRIPTS
        .iter()
        .position(|script| script.case == case && (script.first..=script.last).contains(&code))
        .map_or(Alphabet::Window(code & !0x3f, case), |index| {
            // There are far fewer scripts than 2^16.
            Alphabet::Script(index as u16)
        })
}

fn window(start: u32, case: Case) -> impl Iterator<Item = char> {
    members(start..=start + 0x3f, case)
}

fn members(codes: std::ops::RangeInclusive<u32>, case: Case) -> impl Iterator<Item = char> {
    codes
        .filter_map(char::from_u32)
        .filter(move |&c| !c.is_ascii() && c.is_alphanumeric() && case_of(c) == case)
}

fn case_of(c: char) -> Case {
    if c.is_lowercase() {
        Case::Lower
    } else if c.is_uppercase() {
        Case::Upper
    } else {
        Case::None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_character_is_found_where_it_is(c in any::<char>()) {
            if let Some(alphabet) = Alphabet::of(c) {
                prop_assert!(alphabet.index(c) < alphabet.size());
                prop_assert_eq!(alphabet.draw(alphabet.index(c)).0, c);
            }
        }
    }

    #[test]
    fn scripts_and_cases_are_kept() {
        for (c, like) in [
            ('é', 'ß'),
            ('É', 'Ø'),
            ('ł', 'ş'),
            ('О', 'Д'),
            ('ж', 'я'),
            ('美', '龍'),
        ] {
            assert_eq!(Alphabet::of(c), Alphabet::of(like), "{c} {like}");
        }
    }
}
