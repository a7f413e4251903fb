//! Numbers of persons and banks that are digits alone.
//!
//! A rule weighs form and checksum. What holds for one number in ten by chance
//! says little, so that most of them need a word beside them, or their own form.

use super::checksum::{luhn, mod_11_10, value, verhoeff, weighted};
use super::date::is_day;
use super::number::Digits;
use super::topics::Topic;
use super::{Evidence, Kind};

/// Weighs digits, if they can be such a number at all.
pub(super) type Rule = fn(&Digits<'_>) -> Option<Evidence>;

/// All rules.
pub(super) const RULES: &[Rule] = &[
    us_ssn, us_itin, uk_nhs, de_tax_id, fr_nir, nl_bsn, belgian, pesel, swedish, norwegian, danish,
    cpf, aadhaar, australian, canadian, ahv, routing,
];

/// The weight of a checksum that one number in ten has by chance, in its own form or bare.
fn tenth(has_form: bool) -> u8 {
    if has_form { 45 } else { 25 }
}

/// The weight of a checksum that one number in a hundred has by chance.
fn hundredth(has_form: bool) -> u8 {
    if has_form { 65 } else { 40 }
}

fn is_nine_in_parts(digits: &Digits<'_>, marks: &[&str]) -> bool {
    marks.iter().any(|marks| digits.is(&[3, 2, 4], marks))
}

/// No checksum; areas 000, 666 and 900 to 999 are never given (SSA, since 2011).
fn us_ssn(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    let (area, group, serial) = (
        value(&values[..3]),
        value(&values[3..5]),
        value(&values[5..]),
    );
    if matches!(area, 0 | 666 | 900..) || group == 0 || serial == 0 {
        return None;
    }
    let weight = match digits.lengths() {
        [9] => 15,
        _ if is_nine_in_parts(digits, &["--"]) => 50,
        _ if is_nine_in_parts(digits, &["  ", ".."]) => 40,
        _ => return None,
    };
    Some(
        Evidence::form(Kind::UsSsn, "social security number", weight)
            .about(&[Topic::Ssn, Topic::Identity]),
    )
}

/// Begins with 9; the group is 50 to 65, 70 to 88, 90 to 92 or 94 to 99 (IRS).
fn us_itin(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    let group = value(&values[3..5]);
    if values[0] != 9 || !matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99) {
        return None;
    }
    let weight = match digits.lengths() {
        [9] => 15,
        _ if is_nine_in_parts(digits, &["--"]) => 50,
        _ if is_nine_in_parts(digits, &["  "]) => 40,
        _ => return None,
    };
    Some(
        Evidence::form(Kind::UsItin, "taxpayer number", weight).about(&[
            Topic::Itin,
            Topic::Ssn,
            Topic::Identity,
            Topic::DeTax,
        ]),
    )
}

fn uk_nhs(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 10] = digits.values().try_into().ok()?;
    let sum = weighted(values, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    if sum % 11 != 0 || value(values) == 0 {
        return None;
    }
    let weight = match digits.lengths() {
        [10] => 25,
        _ if digits.is(&[3, 3, 4], "  ") => 50,
        _ if digits.is(&[3, 3, 4], "--") => 45,
        _ => return None,
    };
    Some(Evidence::checked(Kind::UkNhs, "health service number", weight).about(&[Topic::Nhs]))
}

/// One digit is there twice or thrice among the first ten, and others are missing.
fn de_tax_id(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 11] = digits.values().try_into().ok()?;
    let mut counts = [0; 10];
    for &digit in &values[..10] {
        counts[usize::from(digit)] += 1;
    }
    let repeated = counts.iter().filter(|&&count| count > 1).count();
    let is_most_thrice = counts.iter().all(|&count| count <= 3);
    if values[0] == 0 || repeated != 1 || !is_most_thrice || !mod_11_10(values) {
        return None;
    }
    let has_form = digits.is(&[2, 3, 3, 3], "   ");
    let is_bare = digits.lengths().len() == 1;
    (has_form || is_bare).then_some(())?;
    Some(
        Evidence::checked(Kind::DeTaxId, "tax id", tenth(has_form))
            .about(&[Topic::DeTax, Topic::Identity]),
    )
}

/// Thirteen digits and 97 less their rest by 97. Corsica's letters are not read.
fn fr_nir(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 15] = digits.values().try_into().ok()?;
    let month = value(&values[3..5]);
    let check = 97 - value(&values[..13]) % 97;
    let is_month = matches!(month, 1..=12 | 20..=42 | 50..=99);
    if !matches!(values[0], 1..=4 | 7 | 8) || !is_month || check != value(&values[13..]) {
        return None;
    }
    let has_form = digits.lengths().len() >= 6;
    Some(
        Evidence::checked(
            Kind::FrNir,
            "social security number",
            hundredth(has_form).max(50),
        )
        .about(&[Topic::Nir, Topic::Ssn, Topic::Identity]),
    )
}

/// The eleven test, the last digit counting against.
fn nl_bsn(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    let sum = weighted(values, &[9, 8, 7, 6, 5, 4, 3, 2, -1]);
    if sum % 11 != 0 || value(values) == 0 {
        return None;
    }
    Some(
        Evidence::checked(Kind::NlBsn, "citizen service number", 20)
            .about(&[Topic::Bsn, Topic::Identity]),
    )
}

/// Nine digits and 97 less their rest; those born since 2000 count with a 2 before.
fn belgian(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 11] = digits.values().try_into().ok()?;
    let (number, check) = (value(&values[..9]), value(&values[9..]));
    let is_checked = [number, number + 2_000_000_000]
        .iter()
        .any(|n| 97 - n % 97 == check);
    let is_born = is_day(value(&values[4..6]), value(&values[2..4]));
    if !is_checked || !is_born {
        return None;
    }
    let has_form = digits.is(&[2, 2, 2, 3, 2], "..-.") || digits.is(&[6, 3, 2], "--");
    Some(
        Evidence::checked(
            Kind::BeNationalNumber,
            "national number",
            hundredth(has_form),
        )
        .about(&[Topic::Belgian, Topic::Identity]),
    )
}

/// The century is in the month.
fn pesel(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 11] = digits.values().try_into().ok()?;
    let sum = weighted(values, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let is_born = is_day(value(&values[4..6]), value(&values[2..4]) % 20);
    if sum % 10 != 0 || !is_born || digits.lengths().len() != 1 {
        return None;
    }
    Some(Evidence::checked(Kind::PlPesel, "PESEL", 40).about(&[Topic::Pesel, Topic::Identity]))
}

/// Six or eight digits of birth, four with Luhn over the last ten.
fn swedish(digits: &Digits<'_>) -> Option<Evidence> {
    let values = digits.values();
    let last = match values.len() {
        10 | 12 => &values[values.len() - 10..],
        _ => return None,
    };
    // A coordination number has 60 added to the day.
    let day = value(&last[4..6]) % 60;
    let is_century = values.len() == 10 || matches!(value(&values[..2]), 18..=20);
    if !luhn(last) || !is_day(day, value(&last[2..4])) || !is_century {
        return None;
    }
    let has_form = digits.is(&[6, 4], "-") || digits.is(&[8, 4], "-");
    (has_form || digits.lengths().len() == 1).then_some(())?;
    let weight = if has_form { 50 } else { 25 };
    Some(
        Evidence::checked(Kind::SePersonalNumber, "personal number", weight)
            .about(&[Topic::Swedish, Topic::Identity]),
    )
}

/// Two check digits, each by eleven.
fn norwegian(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 11] = digits.values().try_into().ok()?;
    let is_checked = weighted(values, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 == 0
        && weighted(values, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 == 0;
    // A D-number has 40 added to the day.
    let is_born = is_day(value(&values[..2]) % 40, value(&values[2..4]) % 40);
    if !is_checked || !is_born {
        return None;
    }
    let has_form = digits.is(&[6, 5], " ");
    (has_form || digits.lengths().len() == 1).then_some(())?;
    Some(
        Evidence::checked(
            Kind::NoBirthNumber,
            "birth number",
            hundredth(has_form).max(50),
        )
        .about(&[Topic::Norwegian, Topic::Identity]),
    )
}

/// A date of birth and four digits; the checksum has not held for all since 2007.
fn danish(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 10] = digits.values().try_into().ok()?;
    if !is_day(value(&values[..2]), value(&values[2..4])) {
        return None;
    }
    let is_checked = weighted(values, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 == 0;
    let has_form = digits.is(&[6, 4], "-") || digits.is(&[6, 4], " ");
    (has_form || digits.lengths().len() == 1).then_some(())?;
    let weight = match (has_form, is_checked) {
        (true, true) => 50,
        (true, false) => 30,
        (false, _) => 15,
    };
    let evidence =
        Evidence::form(Kind::DkCpr, "CPR number", weight).about(&[Topic::Cpr, Topic::Identity]);
    Some(Evidence {
        is_checked,
        ..evidence
    })
}

/// Two check digits, each by eleven; eleven equal digits are none.
fn cpf(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 11] = digits.values().try_into().ok()?;
    let check = |count: usize| {
        let weights = &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2][10 - count..];
        weighted(&values[..count], weights) * 10 % 11 % 10 == i32::from(values[count])
    };
    if !check(9) || !check(10) || values.iter().all(|&digit| digit == values[0]) {
        return None;
    }
    let has_form = digits.is(&[3, 3, 3, 2], "..-");
    (has_form || digits.lengths().len() == 1).then_some(())?;
    Some(
        Evidence::checked(Kind::BrCpf, "CPF", hundredth(has_form))
            .about(&[Topic::Cpf, Topic::Identity]),
    )
}

/// Verhoeff; never begins with 0 or 1.
fn aadhaar(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 12] = digits.values().try_into().ok()?;
    if values[0] < 2 || !verhoeff(values) {
        return None;
    }
    let has_form = digits.is(&[4, 4, 4], "  ") || digits.is(&[4, 4, 4], "--");
    (has_form || digits.lengths().len() == 1).then_some(())?;
    let weight = if has_form { 50 } else { 25 };
    Some(
        Evidence::checked(Kind::InAadhaar, "Aadhaar", weight)
            .about(&[Topic::Aadhaar, Topic::Identity]),
    )
}

fn australian(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    let sum = weighted(values, &[1, 4, 3, 7, 5, 8, 6, 9, 10]);
    if sum % 11 != 0 || value(values) == 0 {
        return None;
    }
    Some(Evidence::checked(Kind::AuTfn, "tax file number", 20).about(&[Topic::AuTfn]))
}

fn canadian(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    if matches!(values[0], 0 | 8) || !luhn(values) {
        return None;
    }
    Some(Evidence::checked(Kind::CaSin, "social insurance number", 20).about(&[Topic::CaSin]))
}

/// 756 and the check digit of EAN-13.
fn ahv(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 13] = digits.values().try_into().ok()?;
    let sum = weighted(values, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    if !values.starts_with(&[7, 5, 6]) || sum % 10 != 0 {
        return None;
    }
    let weight = if digits.is(&[3, 4, 4, 2], "...") {
        80
    } else {
        50
    };
    Some(Evidence::checked(Kind::ChAhv, "AHV number", weight).about(&[Topic::Ahv, Topic::Identity]))
}

/// Weights 3, 7, 1; the first two digits name a district of the Federal Reserve.
fn routing(digits: &Digits<'_>) -> Option<Evidence> {
    let values: &[u8; 9] = digits.values().try_into().ok()?;
    let district = value(&values[..2]);
    let is_district = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    let sum = weighted(values, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    if !is_district || sum % 10 != 0 || value(values) == 0 || digits.lengths().len() > 3 {
        return None;
    }
    Some(Evidence::checked(Kind::BankRouting, "routing number", 20).about(&[Topic::Routing]))
}
