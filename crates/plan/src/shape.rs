//! What kind of value a leaf holds, told from its length and its spelling.
//!
//! A value itself is never seen here: only its scrubbed spelling, which keeps
//! length and character classes, and that only where it stands in a head.

use twintap_scrub::{Encoding, Leaf, split_path};

/// Fewest characters of a value that can be bound: shorter ones are equal by chance.
pub(crate) const LEAST_CHARS: u32 = 6;
/// Fewest characters of a value whose spelling is unseen; words hide there.
const LEAST_UNSEEN_CHARS: u32 = 12;
/// Fewest characters of plain words that can be bound.
const LEAST_WORDS_CHARS: u32 = 20;
/// Fewest characters of a token: 64 random bits in hexadecimal.
const LEAST_TOKEN_CHARS: u32 = 16;

const SEEN: u8 = 1;
const DIGIT: u8 = 2;
/// An upper-case letter follows a lower-case one, as in base64.
const MIXED: u8 = 4;
/// It stood somewhere as a JSON literal: with six characters or more, a number.
const LITERAL: u8 = 8;
/// It has something beside digits.
const OTHER: u8 = 16;
/// Names say what thing it is the id of.
const SMALL: u8 = 32;
/// Somewhere its name says that it names something, or is made by a machine.
const NAMED: u8 = 64;

/// The kind of a value; what is known of it from several places adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    // Characters in the upper 24 bits (saturating), the flags below.
    packed: u32,
}

impl Shape {
    /// The shape of a leaf, with its scrubbed spelling where that is at hand.
    pub fn of(leaf: &Leaf, text: Option<&[u8]>) -> Shape {
        let mut bits = 0;
        // Inside of another value, span and encoding are that one's.
        let is_inside = split_path(&leaf.path).is_some();
        if leaf.encoding == Encoding::JsonLiteral && !is_inside {
            bits |= LITERAL;
        }
        if says_id(&leaf.path) {
            bits |= NAMED;
        }
        if let Some(text) = text.filter(|_| !is_inside) {
            bits |= SEEN | spelling_bits(text, leaf.encoding);
        }
        Shape {
            packed: leaf.raw_chars.min(0x00ff_ffff) << 8 | u32::from(bits),
        }
    }

    /// Marks a small id: see `small`.
    pub fn small(self) -> Shape {
        Shape {
            packed: self.packed | u32::from(SMALL),
        }
    }

    /// True for a small id.
    pub fn is_small(self) -> bool {
        self.has(SMALL)
    }

    /// Adds what another leaf with the same value shows.
    pub fn merge(&mut self, other: Shape) {
        let chars = self.chars().max(other.chars());
        self.packed = chars << 8 | (self.packed | other.packed) & 0xff;
    }

    /// Characters of the value.
    pub fn chars(self) -> u32 {
        self.packed >> 8
    }

    /// True when the value can be told from others that are equal by chance.
    pub fn bindable(self) -> bool {
        if self.is_small() {
            return self.has(SEEN) && self.has(DIGIT) && !self.has(OTHER);
        }
        let least = if self.has(LITERAL) {
            LEAST_CHARS
        } else if !self.has(SEEN) && !self.has(NAMED) {
            LEAST_UNSEEN_CHARS
        } else if self.words() {
            LEAST_WORDS_CHARS
        } else {
            LEAST_CHARS
        };
        self.chars() >= least
    }

    /// True when the value looks made by a machine and hard to guess.
    pub fn token(self) -> bool {
        self.chars() >= LEAST_TOKEN_CHARS && !self.words()
    }

    /// True when it was seen and is letters and punctuation alone, in words.
    pub fn words(self) -> bool {
        self.has(SEEN) && !self.has(DIGIT) && !self.has(MIXED)
    }

    fn has(self, bit: u8) -> bool {
        self.packed & u32::from(bit) != 0
    }
}

/// True when the last word of a leaf's name says that it names something, or that a
/// machine makes it.
fn says_id(path: &str) -> bool {
    const WORDS: [&str; 13] = [
        "id", "ids", "uuid", "guid", "key", "token", "csrf", "nonce", "ticket", "sid", "ref",
        "hash", "cursor",
    ];
    let name = path.split('#').next().unwrap_or(path);
    let name = name
        .rsplit(['/', '.'])
        .find(|name| name.parse::<u32>().is_err());
    let Some(name) = name else { return false };
    let lower = name.to_ascii_lowercase();
    WORDS.iter().any(|word| {
        let Some(before) = lower.strip_suffix(word) else {
            return false;
        };
        // `order_id`, `orderId`, and not `paid`.
        let begins_word = name.as_bytes()[before.len()].is_ascii_uppercase();
        before.is_empty() || begins_word || !before.ends_with(|c: char| c.is_ascii_alphanumeric())
    })
}

fn spelling_bits(text: &[u8], encoding: Encoding) -> u8 {
    let percent = matches!(encoding, Encoding::Percent | Encoding::Form);
    let mut bits = 0;
    let mut previous = 0u8;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        if percent && byte == b'%' {
            previous = 0;
            at += 3;
            continue;
        }
        if byte.is_ascii_digit() {
            bits |= DIGIT;
        } else {
            bits |= OTHER;
        }
        if byte.is_ascii_uppercase() && previous.is_ascii_lowercase() {
            bits |= MIXED;
        }
        previous = byte;
        at += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use twintap_scrub::{Action, LinkTag, Part};

    use super::*;

    #[track_caller]
    fn check(text: &str, seen: bool, encoding: Encoding, bindable: bool, token: bool) {
        let leaf = Leaf {
            part: Part::Target,
            path: "path.0".to_owned(),
            start: 0,
            len: 0,
            tag: LinkTag(1),
            encoding,
            action: Action::Allowed,
            raw_chars: text.chars().count() as u32,
        };
        let shape = Shape::of(&leaf, seen.then_some(text.as_bytes()));
        assert_eq!(
            (shape.bindable(), shape.token()),
            (bindable, token),
            "{text}"
        );
    }

    #[test]
    fn generated_values_bind_and_words_do_not() {
        check("4bf92f3577b34da6", true, Encoding::Plain, true, true);
        check("xKqPzRtbWvNmLkJh", true, Encoding::Plain, true, true);
        check("SKU-1234", true, Encoding::Plain, true, false);
        check("checkout", true, Encoding::Plain, false, false);
        check(
            "summer-clothes-sale-for-all",
            true,
            Encoding::Plain,
            true,
            false,
        );
        check("1042", true, Encoding::Plain, false, false);
        check("104233", true, Encoding::Plain, true, false);
    }

    #[test]
    fn an_unseen_value_must_be_longer() {
        check("completed", false, Encoding::JsonString, false, false);
        check("4bf92f3577b3", false, Encoding::JsonString, true, false);
        check("104233", false, Encoding::JsonLiteral, true, false);
        check("false", false, Encoding::JsonLiteral, false, false);
    }

    #[test]
    fn names_make_short_unseen_values_ids() {
        for (path, expected) in [
            ("json./order_id", true),
            ("json./orderId", true),
            ("json./items/0/id", true),
            ("form.csrf", true),
            ("json./paid", false),
            ("json./name", false),
            ("json./key/0", true),
        ] {
            assert_eq!(says_id(path), expected, "{path}");
        }
    }

    #[test]
    fn percent_escapes_are_not_digits() {
        check(
            "blue%20cotton%2Fshirt",
            true,
            Encoding::Percent,
            true,
            false,
        );
        check("blue%20shirt", true, Encoding::Percent, false, false);
    }
}
