//! Formats whose rules a pseudonym has to follow, or the twin would refuse it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::civil::Date;

/// A number as JSON spells it (RFC 8259, section 6), in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    /// The digits before the point, without the sign.
    pub(crate) whole: &'a str,
    /// From `e` or `E` on; may be empty.
    pub(crate) exponent: &'a str,
}

pub(crate) fn number(text: &str) -> Option<Number<'_>> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let at = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(at);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_sound = digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && (exponent.is_empty() || digits(exponent[1..].trim_start_matches_once(['+', '-'])));
    is_sound.then_some(Number { whole, exponent })
}

trait TrimOnce {
    fn trim_start_matches_once(&self, signs: [char; 2]) -> &str;
}

impl TrimOnce for str {
    fn trim_start_matches_once(&self, signs: [char; 2]) -> &str {
        self.strip_prefix(signs).unwrap_or(self)
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// True for 12 to 19 digits, spaced or dashed or not, whose last is the check
/// digit of the others (ISO/IEC 7812-1, annex B).
pub(crate) fn is_luhn(text: &str) -> bool {
    if !(12..=40).contains(&text.len()) || !text.ends_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut count = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => count += 1,
            b' ' | b'-' if count > 0 => (),
            _ => return false,
        }
    }
    let last = text.len() - 1;
    (12..=19).contains(&count) && luhn_digit(&text[..last]) == text.as_bytes()[last]
}

/// The check digit of the digits in `text`, as a character.
pub(crate) fn luhn_digit(text: &str) -> u8 {
    let sum: u32 = text
        .bytes()
        .rev()
        .filter(u8::is_ascii_digit)
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0');
            match index % 2 {
                0 => digit * 2 / 10 + digit * 2 % 10,
                _ => digit,
            }
        })
        .sum();
    b'0' + ((10 - sum % 10) % 10) as u8
}

/// True for an IBAN with sound check digits (ISO 13616).
pub(crate) fn is_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    (15..=34).contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..]
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && iban_remainder(&text[..2], &text[2..4], &text[4..]) == 1
}

/// The two check digits that make an IBAN of the country and the account.
pub(crate) fn iban_digits(country: &str, account: &str) -> String {
    format!("{:02}", 98 - iban_remainder(country, "00", account))
}

/// ISO/IEC 7064, MOD 97-10, with letters as 10 to 35.
fn iban_remainder(country: &str, check: &str, account: &str) -> u32 {
    [account, country, check]
        .into_iter()
        .flat_map(str::chars)
        .filter_map(|c| c.to_digit(36))
        .fold(0, |remainder, value| {
            let shift = if value < 10 { 10 } else { 100 };
            (remainder * shift + value) % 97
        })
}

/// A date, and perhaps a time of day, as ISO 8601 and RFC 3339 write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment<'a> {
    /// Days since the first of [`FIRST_YEAR`].
    pub(crate) day: u64,
    /// `T`, `t` or a space, and the second of the day.
    pub(crate) time: Option<(char, Clock<'a>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock<'a> {
    pub(crate) second_of_day: u64,
    pub(crate) has_seconds: bool,
    /// Digits after the second's point; may be empty.
    pub(crate) fraction: &'a str,
    /// `Z`, an offset, or nothing.
    pub(crate) zone: &'a str,
}

const FIRST_YEAR: i16 = 1900;
const LAST_YEAR: i16 = 2099;
/// Days in the years whose dates get pseudonyms.
pub(crate) const DAYS: u64 = 73_049;

pub(crate) fn moment(text: &str) -> Option<Moment<'_>> {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' || !text.is_ascii() {
        return None;
    }
    let pair = |text: &str| digits(text).then(|| text.parse::<i8>().ok()).flatten();
    let year: i16 = digits(&text[..4]).then(|| text[..4].parse().ok())??;
    if !(FIRST_YEAR..=LAST_YEAR).contains(&year) {
        return None;
    }
    let date = Date::new(year, pair(&text[5..7])?, pair(&text[8..10])?).ok()?;
    let day = u64::try_from(date.since(first_day()).ok()?.get_days()).ok()?;
    let Some(separator) = text[10..].chars().next() else {
        return Some(Moment { day, time: None });
    };
    if !matches!(separator, 'T' | 't' | ' ') {
        return None;
    }
    let clock = clock(&text[11..])?;
    Some(Moment {
        day,
        time: Some((separator, clock)),
    })
}

fn clock(text: &str) -> Option<Clock<'_>> {
    let part = |from: usize, bound: u64| {
        let value: u64 = text
            .get(from..from + 2)
            .filter(|part| digits(part))?
            .parse()
            .ok()?;
        (value < bound).then_some(value)
    };
    let hours = part(0, 24)?;
    let minutes = text
        .get(2..3)
        .filter(|&colon| colon == ":")
        .and(part(3, 60))?;
    let (seconds, mut rest, has_seconds) = match text.get(5..6) {
        Some(":") => (part(6, 60)?, &text[8..], true),
        _ => (0, &text[5..], false),
    };
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.').filter(|_| has_seconds) {
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        (fraction, rest) = after.split_at(end);
        if fraction.is_empty() {
            return None;
        }
    }
    let is_offset = |text: &str| {
        text.len() <= 6
            && text.starts_with(['+', '-'])
            && text[1..]
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':')
    };
    if !matches!(rest, "" | "Z" | "z") && !is_offset(rest) {
        return None;
    }
    Some(Clock {
        second_of_day: (hours * 60 + minutes) * 60 + seconds,
        has_seconds,
        fraction,
        zone: rest,
    })
}

/// Writes the date of a day, `YYYY-MM-DD`.
pub(crate) fn date_of(day: u64) -> String {
    use jiff::ToSpan as _;
    let days = i32::try_from(day % DAYS).unwrap_or_default();
    // Every day below DAYS lies in the years that jiff knows.
    let date = first_day().saturating_add(days.days());
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn first_day() -> Date {
    jiff::civil::date(FIRST_YEAR, 1, 1)
}

/// Local part and domain of what looks like an address of mail.
pub(crate) fn email(text: &str) -> Option<(&str, &str)> {
    if text.len() > 254 {
        return None;
    }
    let (local, domain) = text.split_once('@')?;
    let is_local = !local.is_empty()
        && local
            .chars()
            .all(|c| c.is_alphanumeric() || "._%+'-".contains(c));
    let is_domain = domain.contains('.')
        && domain.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    (is_local && is_domain).then_some((local, domain))
}

/// The bytes of a base64 text that is long and mixed enough to be no word, and
/// the engine that writes it the same way.
pub(crate) fn base64_bytes(text: &str) -> Option<(Vec<u8>, &'static GeneralPurpose)> {
    let bytes = text.as_bytes();
    let has = |test: fn(&u8) -> bool| bytes.iter().any(test);
    let is_opaque = bytes.len() >= 16
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
        && (has(u8::is_ascii_digit) || text.ends_with('='));
    if !is_opaque {
        return None;
    }
    // Where nothing tells the alphabets apart, padding is a sign of the standard
    // one, and its absence of the one for URLs.
    [&STANDARD, &URL_SAFE_UNPADDED, &URL_SAFE, &STANDARD_UNPADDED]
        .into_iter()
        .filter(|engine| !std::ptr::eq(*engine, &STANDARD) || is_standard(text))
        .find_map(|engine| Some((engine.decode(bytes).ok()?, engine)))
}

fn is_standard(text: &str) -> bool {
    text.contains(['+', '/', '='])
}

const fn engine(alphabet: &alphabet::Alphabet, padded: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padded)
        .with_decode_padding_mode(if padded {
            DecodePaddingMode::RequireCanonical
        } else {
            DecodePaddingMode::RequireNone
        });
    GeneralPurpose::new(alphabet, config)
}

static STANDARD: GeneralPurpose = engine(&alphabet::STANDARD, true);
static STANDARD_UNPADDED: GeneralPurpose = engine(&alphabet::STANDARD, false);
static URL_SAFE: GeneralPurpose = engine(&alphabet::URL_SAFE, true);
static URL_SAFE_UNPADDED: GeneralPurpose = engine(&alphabet::URL_SAFE, false);

/// User and password of the credentials of RFC 7617, once decoded.
pub(crate) fn credentials(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    text.split_once(':').filter(|(user, _)| !user.is_empty())
}

/// True for the 36 characters of a UUID (RFC 9562, section 4), all of one case.
pub(crate) fn is_uuid(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.bytes().any(|byte| test(&byte));
    text.len() == 36
        && !(has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase))
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// True for a run of letters and digits that are hexadecimal, of one case, and no word.
pub(crate) fn is_hex_run(run: &[u8]) -> bool {
    if run.len() < 8 || !run.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let has = |test: fn(&u8) -> bool| run.iter().any(test);
    let is_of_one_case = has(u8::is_ascii_lowercase) != has(u8::is_ascii_uppercase);
    is_of_one_case && has(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for sound in ["0", "-0", "17", "-1.5", "1e5", "1.25E-07"] {
            assert!(number(sound).is_some(), "{sound}");
        }
        for unsound in [
            "", "-", "01", "1.", ".5", "+1", "1e", "1e+", "1e++1", "0x1", "NaN",
        ] {
            assert!(number(unsound).is_none(), "{unsound}");
        }
    }

    #[test]
    fn check_digits_are_checked() {
        assert!(is_luhn("4111111111111111"));
        assert!(is_luhn("4111 1111 1111 1111"));
        assert!(!is_luhn("4111111111111112"));
        assert!(is_iban("DE89370400440532013000"));
        assert!(!is_iban("DE88370400440532013000"));
        assert_eq!(iban_digits("GB", "WEST12345698765432"), "82");
    }

    #[test]
    fn moments_are_read_and_written() {
        assert_eq!(moment("1900-01-01").map(|moment| moment.day), Some(0));
        assert_eq!(
            moment("2099-12-31").map(|moment| moment.day),
            Some(DAYS - 1)
        );
        assert_eq!(date_of(DAYS - 1), "2099-12-31");
        assert_eq!(date_of(36_583), "2000-02-29");
        for sound in [
            "2024-05-01T12:00:00Z",
            "2024-05-01 12:00",
            "2024-05-01T12:00:00.123456+02:00",
        ] {
            assert!(
                moment(sound).is_some_and(|moment| moment.time.is_some()),
                "{sound}"
            );
        }
        for unsound in [
            "2024-02-30",
            "2024-05-01T25:00:00Z",
            "2024-05-01T12:00:00.Z",
            "1850-01-01",
            "2024-05-01é",
        ] {
            assert!(moment(unsound).is_none(), "{unsound}");
        }
    }
}
