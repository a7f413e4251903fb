//! Values that a service makes up itself, told by how they look.
//!
//! Two runs of the same code never agree on them, so they can't be compared by
//! value; but a UUID stays a UUID.

use crate::worded::{clock, worded_age, worded_date};

/// A form that chance doesn't make: a value either has it or hasn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// RFC 9562: 8-4-4-4-12 hexadecimal digits.
    Uuid,
    /// At least 16 hexadecimal digits, and how many.
    Hex(usize),
    /// A date and a time (RFC 3339 and kin): separator (its first byte) and way of naming the
    /// zone.
    Instant(u8, Zone),
    /// A calendar date alone.
    Date,
    /// A date in English words, and whether it has a time.
    Worded(bool),
    /// A time of day alone, and whether it names the half of the day.
    Clock(bool),
    /// How long ago something was, in English words.
    Age,
    /// RFC 9110, section 5.6.7.
    HttpDate,
    /// A count since 1970; the number of digits names the unit.
    Epoch(usize),
}

/// How an instant names its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Not at all.
    None,
    /// `Z`.
    Utc,
    /// `+hh:mm`.
    Offset,
}

/// What may stand between a date and its time; the last two are a blank that does not break,
/// and how HTML writes it.
const SEPARATORS: [&[u8]; 7] = [b"T", b"t", b" ", b".", b"_", "\u{a0}".as_bytes(), b"&nbsp;"];

/// The fewest characters of a value that is no word by chance.
const TOKEN_CHARS: usize = 16;

/// The form of a whole value.
pub(crate) fn form(text: &str) -> Option<Form> {
    let bytes = text.as_bytes();
    if is_uuid(bytes) {
        return Some(Form::Uuid);
    }
    if let Some((form, length)) = time_prefix(bytes)
        && length == bytes.len()
    {
        return Some(form);
    }
    if is_http_date(bytes) {
        return Some(Form::HttpDate);
    }
    if let Some(digits) = epoch_digits(bytes) {
        return Some(Form::Epoch(digits));
    }
    let is_hex = bytes.len() >= TOKEN_CHARS && bytes.iter().all(u8::is_ascii_hexdigit);
    is_hex.then_some(Form::Hex(bytes.len()))
}

/// Whether a whole value is a date, a time, or both.
pub(crate) fn says_time(text: &str) -> bool {
    form(text).is_some_and(|form| !matches!(form, Form::Uuid | Form::Hex(_)))
}

/// The instant that a value names, in seconds since 1970; one that names no zone counts as UTC.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    let of_timestamp = |at: jiff::Timestamp| at.as_nanosecond() as f64 / 1e9;
    match form(text)? {
        Form::Instant(_, Zone::None) => {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
            Some(of_timestamp(zoned.timestamp()))
        }
        Form::Instant(..) => text.parse().ok().map(of_timestamp),
        Form::HttpDate => {
            let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
            Some(of_timestamp(zoned.timestamp()))
        }
        // Of seconds, or of thousandths, millionths and so on of them.
        Form::Epoch(digits) => {
            let units = 10_f64.powi(i32::try_from(digits).ok()? - 10);
            text.parse::<f64>().ok().map(|count| count / units)
        }
        _ => None,
    }
}

/// Whether all of these could come from one generator: the same form, or long
/// tokens of like length of which at least one looks random, or texts that
/// differ in nothing but such parts.
pub(crate) fn alike(texts: &[&str]) -> bool {
    let Some((first, rest)) = texts.split_first() else {
        return false;
    };
    if let Some(form_of_first) = form(first)
        && rest.iter().all(|text| form(text) == Some(form_of_first))
    {
        return true;
    }
    are_tokens_alike(texts) || are_templates_alike(texts)
}

/// Whether a value breaks the mould that `model`'s have: for one value among
/// random ones this must not happen by chance.
pub(crate) fn breaks_mould(models: [&str; 2], value: &str) -> bool {
    if let Some(expected) = form(models[0])
        && form(models[1]) == Some(expected)
        && !matches!(expected, Form::Hex(_))
    {
        return form(value) != Some(expected);
    }
    if !are_tokens_alike(&models) {
        return false;
    }
    let chars = models[0].len();
    !is_token_charset(value) || value.len() * 2 < chars || value.len() > chars * 2
}

/// Whether a value looks random: long, without blanks, its digits and cases mixed.
pub(crate) fn looks_random(text: &str) -> bool {
    if text.len() < TOKEN_CHARS || !is_token_charset(text) {
        return false;
    }
    if form(text).is_some_and(|form| matches!(form, Form::Uuid | Form::Hex(_))) {
        return true;
    }
    let classes: Vec<u8> = text.bytes().filter_map(char_class).collect();
    let changes = classes.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let has_digit = classes.contains(&b'0');
    let has_letter = classes.iter().any(|class| *class != b'0');
    let needed = if has_digit {
        text.len() / 6
    } else {
        text.len() / 3
    };
    has_letter && changes >= needed.max(3)
}

fn are_tokens_alike(texts: &[&str]) -> bool {
    let shortest = texts.iter().map(|text| text.len()).min().unwrap_or(0);
    let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
    shortest >= TOKEN_CHARS
        && longest * 4 <= shortest * 5
        && texts.iter().all(|text| is_token_charset(text))
        && texts.iter().any(|text| looks_random(text))
}

fn are_templates_alike(texts: &[&str]) -> bool {
    let cut: Vec<Vec<Run<'_>>> = texts.iter().map(|text| runs(text, &[])).collect();
    let first = &cut[0];
    if cut.iter().any(|runs| runs.len() != first.len()) {
        return false;
    }
    let mut has_generated = false;
    for index in 0..first.len() {
        let column: Vec<&Run<'_>> = cut.iter().map(|runs| &runs[index]).collect();
        if column.iter().any(|run| run.before != first[index].before) {
            return false;
        }
        if column.iter().all(|run| run.word == first[index].word) {
            continue;
        }
        // A text of one word is no template of itself.
        let words: Vec<&str> = column.iter().map(|run| run.word).collect();
        if words.as_slice() == texts || !alike(&words) {
            return false;
        }
        has_generated = true;
    }
    has_generated
}

/// A word and what stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run<'a> {
    /// Blanks and punctuation between the word before and this one.
    pub(crate) before: &'a str,
    /// Letters, digits, `_` and `-`, or a date or a time; empty at the end of a text.
    pub(crate) word: &'a str,
    /// Position in the spans, when the word is one of them.
    pub(crate) span: Option<usize>,
}

/// A text cut into words, in order and without rest. Each of `spans` (start and
/// end, ascending, on character boundaries) is one word, whatever is in it.
pub(crate) fn runs<'a>(text: &'a str, spans: &[(usize, usize)]) -> Vec<Run<'a>> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut before_from = 0;
    let mut at = 0;
    let mut next_span = 0;
    while at < bytes.len() {
        while spans
            .get(next_span)
            .is_some_and(|(start, end)| *start < at || end <= start)
        {
            next_span += 1;
        }
        let (length, index) = match spans.get(next_span) {
            Some((start, end)) if *start == at => (end - start, Some(next_span)),
            Some((start, _)) => (word_length(&bytes[at..(*start).min(bytes.len())]), None),
            None => (word_length(&bytes[at..]), None),
        };
        if length == 0 {
            at += 1;
            continue;
        }
        // Both ends lie beside ASCII bytes or are a span's, so they are character boundaries.
        runs.push(Run {
            before: &text[before_from..at],
            word: &text[at..at + length],
            span: index,
        });
        at += length;
        before_from = at;
    }
    if before_from < bytes.len() {
        runs.push(Run {
            before: &text[before_from..],
            word: "",
            span: None,
        });
    }
    runs
}

/// How many of the next bytes belong together; 0 when the first is a separator.
fn word_length(bytes: &[u8]) -> usize {
    if let Some((_, length)) = time_prefix(bytes) {
        return length;
    }
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count()
}

fn is_token_charset(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.~".contains(&byte))
}

fn char_class(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(b'0'),
        b'a'..=b'z' => Some(b'a'),
        b'A'..=b'Z' => Some(b'A'),
        _ => None,
    }
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A date, a time or both at the start of `bytes`, and its length.
fn time_prefix(bytes: &[u8]) -> Option<(Form, usize)> {
    if let Some((length, has_time)) = worded_date(bytes) {
        return Some((Form::Worded(has_time), length));
    }
    if let Some(length) = worded_age(bytes) {
        return Some((Form::Age, length));
    }
    if let Some((length, has_half)) = clock(bytes) {
        return Some((Form::Clock(has_half), length));
    }
    if !matches(bytes, b"0000-00-00") || bytes.get(10).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let separator = SEPARATORS
        .into_iter()
        .find(|separator| bytes[10..].starts_with(separator));
    let Some(separator) = separator else {
        return Some((Form::Date, 10));
    };
    let time = 10 + separator.len();
    if !matches(&bytes[time..], b"00:00") {
        return Some((Form::Date, 10));
    }
    let mut end = time + 5;
    if matches(&bytes[end..], b":00") {
        end += 3;
        if bytes.get(end) == Some(&b'.') {
            let digits = count_digits(&bytes[end + 1..]);
            end += if digits > 0 { digits + 1 } else { 0 };
        }
    }
    let zone = match bytes.get(end) {
        Some(b'Z' | b'z') => {
            end += 1;
            Zone::Utc
        }
        Some(b'+' | b'-') if matches(&bytes[end + 1..], b"00:00") => {
            end += 6;
            Zone::Offset
        }
        _ => Zone::None,
    };
    Some((Form::Instant(separator[0], zone), end))
}

/// Whether `bytes` starts as `pattern` says, in which `0` stands for any digit.
fn matches(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.len() >= pattern.len()
        && bytes.iter().zip(pattern).all(|(byte, wanted)| {
            if *wanted == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == wanted
            }
        })
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

fn is_http_date(bytes: &[u8]) -> bool {
    bytes.len() == 29 && bytes[3] == b',' && bytes[4] == b' ' && bytes.ends_with(b" GMT")
}

/// Seconds, milli-, micro- or nanoseconds since 1970, between 2001 and 2096:
/// the digits before the point.
fn epoch_digits(bytes: &[u8]) -> Option<usize> {
    let whole = count_digits(bytes);
    let fraction = &bytes[whole..];
    let is_number = fraction.is_empty()
        || (fraction[0] == b'.'
            && fraction.len() > 1
            && count_digits(&fraction[1..]) == fraction.len() - 1);
    let is_epoch = matches!(whole, 10 | 13 | 16 | 19) && matches!(bytes[0], b'1'..=b'3');
    (is_number && is_epoch).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Form>) {
        assert_eq!(form(text), expected, "{text}");
    }

    #[test]
    fn forms_are_told() {
        check("1b4e28ba-2fa1-41d2-883f-0016d3cca427", Some(Form::Uuid));
        check("9f86d081884c7d65", Some(Form::Hex(16)));
        check("2026-11-22", Some(Form::Date));
        check("2026-11-22T10:00:00Z", Some(Form::Instant(b'T', Zone::Utc)));
        check(
            "2026-11-22T10:00:00.12Z",
            Some(Form::Instant(b'T', Zone::Utc)),
        );
        check(
            "2026-11-22 10:00:00+01:00",
            Some(Form::Instant(b' ', Zone::Offset)),
        );
        check("2026-11-22 10:00", Some(Form::Instant(b' ', Zone::None)));
        check(
            "2026-11-22&nbsp;10:00:07",
            Some(Form::Instant(b'&', Zone::None)),
        );
        check("10:00", Some(Form::Clock(false)));
        check("5 minutes ago", Some(Form::Age));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(Form::HttpDate));
        check("1763806197", Some(Form::Epoch(10)));
        check("1763806197123", Some(Form::Epoch(13)));
        check("1763806197.25", Some(Form::Epoch(10)));
        check("", None);
        check("hello", None);
        check("1999", None);
    }

    #[test]
    fn words_and_names_do_not_look_random() {
        for text in [
            "InternalServerErrorException",
            "international-shipping-2026",
            "a sentence of several words, 17",
            "private, no-store",
            "max-age=300",
        ] {
            assert!(!looks_random(text), "{text}");
        }
        assert!(looks_random("ord_9f86d081884c7d659a2feaa0c55ad015"));
        assert!(looks_random("kE9Rz2_qwX7bT0aLm3"));
    }

    #[track_caller]
    fn cut(text: &str, spans: &[(usize, usize)], expected: &[&str]) {
        let runs = runs(text, spans);
        let whole: String = runs.iter().flat_map(|run| [run.before, run.word]).collect();
        assert_eq!(whole, text);
        let words: Vec<&str> = runs.iter().map(|run| run.word).collect();
        assert_eq!(words, expected);
    }

    #[test]
    fn a_text_is_cut_without_rest() {
        cut("", &[], &[]);
        cut("...", &[], &[""]);
        cut(
            "für 12 Stück am 2026-11-22 10:00:00Z.",
            &[],
            &["f", "r", "12", "St", "ck", "am", "2026-11-22 10:00:00Z", ""],
        );
        cut("a=b+c/d;e", &[(2, 7)], &["a", "b+c/d", "e"]);
        cut("a=bc", &[(2, 2)], &["a", "bc"]);
        cut("abc", &[(1, 2)], &["a", "b", "c"]);
    }

    #[test]
    fn alike_values_come_from_one_generator() {
        assert!(alike(&["2026-11-22T10:00:00Z", "2026-11-23T11:30:00.5Z"]));
        assert!(!alike(&[
            "2026-11-22T10:00:00Z",
            "2026-11-23T11:30:00+00:00"
        ]));
        assert!(alike(&[
            "/orders/9f86d081884c7d659a2feaa0c55ad015",
            "/orders/60303ae22b998861bce3b28f33eec1be"
        ]));
        assert!(!alike(&["blue", "green"]));
        assert!(alike(&["07:33 by ann", "09:05 by ann"]));
        assert!(alike(&["saved just now", "saved 2 minutes ago"]));
        assert!(!alike(&["07:33 by ann", "09:05 by bob"]));
        assert!(!alike(&["07:33", "9:05 a.m."]));
        // One of the two has no digit by chance.
        assert!(alike(&["kE9Rz2qwX7bT0aLm", "qweRtyUiOpasDfgh"]));
        assert!(breaks_mould(
            ["kE9Rz2qwX7bT0aLm", "pQ8Rz2qwX7bT0aLx"],
            "not yet known"
        ));
        assert!(!breaks_mould(
            ["kE9Rz2qwX7bT0aLm", "pQ8Rz2qwX7bT0aLx"],
            "qwertyuiopasdfgh"
        ));
    }
}
