//! Numbers of persons and accounts that have letters in them.

use std::ops::Range;

use super::topics::Topic;
use super::{Evidence, Kind, Search, checksum, date};

/// Lengths of IBANs by country (SWIFT's registry).
const IBAN_LENGTHS: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];
/// The longest of them.
const IBAN_BYTES: usize = 33;

/// Country, two check digits, account; perhaps in groups of four.
pub(super) fn iban(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = search.text.as_bytes();
    let country = search.text[span.start..span.start + 2].to_ascii_uppercase();
    let (length, _) = IBAN_LENGTHS
        .iter()
        .find(|(_, countries)| countries.contains(&country))?;
    let mut characters = [0; IBAN_BYTES];
    let mut count = 0;
    let mut end = span.start;
    while count < *length {
        match text[end..] {
            [byte, ..] if byte.is_ascii_alphanumeric() => {
                characters[count] = byte;
                count += 1;
            }
            [b' ' | b'-', next, ..] if next.is_ascii_alphanumeric() && count >= 4 => (),
            _ => return None,
        }
        end += 1;
    }
    let goes_on = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    if goes_on || !checksum::iban(&characters[..count]) {
        return None;
    }
    search.weigh(
        span.start..end,
        Evidence::checked(Kind::Iban, "IBAN", 85).about(&[Topic::Iban]),
    )
}

/// Fifteen characters and one of check by two tables of values (Ministerial decree 23/12/1976).
pub(super) fn fiscal_code(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    /// What digits and letters count at odd places, the first place being odd.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let code = &search.text.as_bytes()[span.clone()];
    let sum: u32 = code[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let value = match byte {
                b'0'..=b'9' => usize::from(byte - b'0'),
                _ => usize::from(byte.to_ascii_uppercase() - b'A'),
            };
            if place % 2 == 0 {
                ODD[value]
            } else {
                value as u32
            }
        })
        .sum();
    if sum % 26 != u32::from(code[15].to_ascii_uppercase() - b'A') {
        return None;
    }
    search.weigh(
        span,
        Evidence::checked(Kind::ItFiscalCode, "fiscal code", 80).about(&[Topic::Fiscal]),
    )
}

/// Eight digits, or X, Y or Z and seven, and the letter of their rest by 23.
pub(super) fn dni(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let text = &search.text.as_bytes()[span.clone()];
    let mut number = 0;
    for (place, byte) in text[..text.len() - 1].iter().enumerate() {
        match byte {
            b'X'..=b'Z' if place == 0 => number = usize::from(byte - b'X'),
            b'0'..=b'9' => number = number * 10 + usize::from(byte - b'0'),
            _ => (),
        }
    }
    if text.last() != Some(&LETTERS[number % 23]) {
        return None;
    }
    // A letter apart may be the next word.
    let is_apart = text.contains(&b' ');
    let weight = if is_apart { 40 } else { 60 };
    search.weigh(
        span,
        Evidence::checked(Kind::EsDni, "DNI or NIE", weight).about(&[Topic::Dni, Topic::Identity]),
    )
}

/// No checksum; some pairs of letters are never given (HMRC, NIM39110).
pub(super) fn nino(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let text = &search.text[span.clone()];
    if ["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].contains(&&text[..2]) {
        return None;
    }
    search.weigh(
        span,
        Evidence::form(Kind::UkNino, "national insurance number", 60).about(&[Topic::Nino]),
    )
}

/// Six digits of birth, a sign of the century, three digits, a check character by 31.
pub(super) fn finnish(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    const CHARACTERS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let code = &search.text[span.clone()];
    let number: usize = [&code[..6], &code[7..10]].concat().parse().ok()?;
    let is_born = date::is_day(code[..2].parse().ok()?, code[2..4].parse().ok()?);
    if !is_born || code.as_bytes()[10] != CHARACTERS[number % 31] {
        return None;
    }
    let topics = &[Topic::Finnish, Topic::Identity];
    // Six digits, a hyphen and four digits are also Sweden's and Denmark's form.
    if code.as_bytes()[10].is_ascii_digit() {
        super::number::read(search, span.start);
    }
    search.weigh(
        span,
        Evidence::checked(Kind::FiIdentityCode, "identity code", 55).about(topics),
    )
}

/// Ethereum; the checksum in its capitals (ERC-55) is not looked at.
pub(super) fn ethereum(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let form = Evidence::form(Kind::CryptoAddress, "Ethereum address", 60);
    search.weigh(span, form.about(&[Topic::Crypto]))
}

/// Bech32 (BIP 173) and Bech32m (BIP 350).
pub(super) fn bech32(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let rest = &search.text.as_bytes()[span.start..];
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    if length > 90 || !checksum::bech32(&rest[..length]) {
        return None;
    }
    let span = span.start..span.start + length;
    search.weigh(
        span,
        Evidence::checked(Kind::CryptoAddress, "Bech32 address", 95).about(&[Topic::Crypto]),
    )
}

/// Base58Check.
pub(super) fn base58(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    if !checksum::base58(&search.text.as_bytes()[span.clone()]) {
        return None;
    }
    search.weigh(
        span,
        Evidence::checked(Kind::CryptoAddress, "Base58Check address", 95).about(&[Topic::Crypto]),
    )
}
