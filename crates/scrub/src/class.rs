//! Classes of values, by which a policy decides where no rule does.

use crate::names;
use crate::pseudonym::formats;

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Anything else.
    Text,
    /// 1 to 24 lower-case ASCII letters, perhaps with `-` or `_` between them.
    Word,
    /// A number of fewer than nine digits.
    Number,
    /// A number of nine digits or more: it may be that of a person, a card, a phone.
    LongNumber,
    /// `true` or `false`.
    Boolean,
    /// `null`, or nothing at all.
    Nothing,
    /// A date with a time of day.
    Timestamp,
    /// A word of the service's own, in a path.
    PathWord,
    /// A number in a path.
    PathNumber,
}

impl Class {
    /// The class of a raw value, in a path or elsewhere.
    pub(crate) fn of(raw: &[u8], is_in_path: bool) -> Class {
        let Ok(text) = std::str::from_utf8(raw) else {
            return Class::Text;
        };
        match text {
            "" => return Class::Nothing,
            _ if is_in_path && names::is_path_word(text) => return Class::PathWord,
            "null" => return Class::Nothing,
            "true" | "false" => return Class::Boolean,
            _ => (),
        }
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            // A whole number with a large exponent is rather an identifier: 12345e67.
            if formats::number(text).is_some_and(|number| number.exponent.len() <= 2) {
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                return match digits {
                    _ if is_in_path => Class::PathNumber,
                    0..9 => Class::Number,
                    _ => Class::LongNumber,
                };
            }
            if formats::moment(text).is_some_and(|moment| moment.time.is_some()) {
                return Class::Timestamp;
            }
        }
        let is_word = text.len() <= 24
            && text
                .split(['-', '_'])
                .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
        if is_word { Class::Word } else { Class::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_classes() {
        for (text, class) in [
            ("Ada Lovelace", Class::Text),
            ("paid", Class::Word),
            ("in_transit", Class::Word),
            ("-12.5", Class::Number),
            ("1e5", Class::Number),
            ("12345e67", Class::Text),
            ("4111111111111111", Class::LongNumber),
            ("007", Class::Text),
            ("true", Class::Boolean),
            ("null", Class::Nothing),
            ("", Class::Nothing),
            ("2024-05-01T12:00:00Z", Class::Timestamp),
            ("1990-02-28", Class::Text),
        ] {
            assert_eq!(Class::of(text.as_bytes(), false), class, "{text}");
        }
        assert_eq!(Class::of(b"orders", true), Class::PathWord);
        assert_eq!(Class::of(b"17", true), Class::PathNumber);
    }
}
