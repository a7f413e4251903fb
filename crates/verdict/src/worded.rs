//! Dates as people write them in English: `Nov. 23, 2026, 5:45 a.m.`, `23 November 2026`.

/// The first three letters of each month, in lower case.
const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
/// Letters of the longest month's name.
const MONTH_LETTERS: usize = 9;
/// What names the half of a day, the longer first.
const HALVES: [&[u8]; 4] = [b"a.m.", b"p.m.", b"am", b"pm"];

/// The length of a date in words at the start of `bytes`, and whether a time belongs to it.
pub(crate) fn worded_date(bytes: &[u8]) -> Option<(usize, bool)> {
    let date = month_first(bytes).or_else(|| day_first(bytes))?;
    let gap = [&b", "[..], b" at ", b" "]
        .into_iter()
        .find(|gap| bytes[date..].starts_with(gap))
        .map_or(0, <[u8]>::len);
    match time(&bytes[date + gap..]) {
        Some(length) if gap > 0 => Some((date + gap + length, true)),
        _ => Some((date, false)),
    }
}

/// `Nov. 23, 2026`
fn month_first(bytes: &[u8]) -> Option<usize> {
    let mut at = month(bytes)?;
    at += literal(&bytes[at..], b" ")?;
    at += digits(&bytes[at..], 1, 2)?;
    at += literal(&bytes[at..], b",").unwrap_or(0);
    at += literal(&bytes[at..], b" ")?;
    Some(at + digits(&bytes[at..], 4, 4)?)
}

/// `23 November 2026`
fn day_first(bytes: &[u8]) -> Option<usize> {
    let mut at = digits(bytes, 1, 2)?;
    at += literal(&bytes[at..], b" ")?;
    at += month(&bytes[at..])?;
    at += literal(&bytes[at..], b" ")?;
    Some(at + digits(&bytes[at..], 4, 4)?)
}

/// `5:45 a.m.`, `17:45:02`, `5 p.m.`, `noon`, `midnight`
fn time(bytes: &[u8]) -> Option<usize> {
    for word in [&b"noon"[..], b"midnight"] {
        if bytes.starts_with(word) {
            return Some(word.len());
        }
    }
    let hour = digits(bytes, 1, 2)?;
    let mut at = hour;
    while bytes.get(at) == Some(&b':')
        && let Some(length) = digits(&bytes[at + 1..], 2, 2)
    {
        at += 1 + length;
    }
    let blank = literal(&bytes[at..], b" ").unwrap_or(0);
    let half = HALVES.into_iter().find(|half| {
        let found = bytes.get(at + blank..at + blank + half.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(half))
    });
    match half {
        Some(half) => Some(at + blank + half.len()),
        // An hour alone is just a number.
        None => (at > hour).then_some(at),
    }
}

/// A month's name or the beginning of it, with the full stop of an abbreviation.
fn month(bytes: &[u8]) -> Option<usize> {
    let letters = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let name = bytes.get(..3)?.to_ascii_lowercase();
    let is_month = MONTHS.iter().any(|month| month[..] == name);
    if !is_month || letters > MONTH_LETTERS {
        return None;
    }
    Some(letters + literal(&bytes[letters..], b".").unwrap_or(0))
}

fn literal(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.starts_with(wanted).then_some(wanted.len())
}

/// The length of a number of `least` to `most` digits, no more following.
fn digits(bytes: &[u8], least: usize, most: usize) -> Option<usize> {
    let count = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (least..=most).contains(&count).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, bool)>) {
        let found = worded_date(text.as_bytes());
        let found = found.map(|(length, has_time)| (&text[..length], has_time));
        assert_eq!(found, expected);
    }

    #[test]
    fn dates_in_words_are_told_from_other_words() {
        check(
            "Nov. 23, 2026, 5:45 a.m.</b>",
            Some(("Nov. 23, 2026, 5:45 a.m.", true)),
        );
        check("May 3, 2026, noon", Some(("May 3, 2026, noon", true)));
        check(
            "23 November 2026 17:45:02 by ann",
            Some(("23 November 2026 17:45:02", true)),
        );
        check("Sept 1 2026 at 5 PM", Some(("Sept 1 2026 at 5 PM", true)));
        check("Nov. 23, 2026, by ann", Some(("Nov. 23, 2026", false)));
        check("Nov. 23, 2026 5 items", Some(("Nov. 23, 2026", false)));
        check("March past the post", None);
        check("Nov. 231, 2026", None);
        check("23 items of 2026", None);
        check("nov", None);
        check("", None);
    }
}
