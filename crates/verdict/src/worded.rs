//! Times as people write them in English: `Nov. 23, 2026, 5:45 a.m.`, `23 November 2026`,
//! `07:33`, `3 minutes ago`.

/// The first three letters of each month, in lower case.
const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
/// Letters of the longest month's name.
const MONTH_LETTERS: usize = 9;
/// What names the half of a day, the longer first.
const HALVES: [&[u8]; 4] = [b"a.m.", b"p.m.", b"am", b"pm"];

/// What may stand between the words of an age, of HTML's the longer first.
const BLANKS: [&[u8]; 3] = [b"&nbsp;", "\u{a0}".as_bytes(), b" "];
/// Spans of time, of one each.
const UNITS: [&[u8]; 9] = [
    b"second", b"sec", b"minute", b"min", b"hour", b"day", b"week", b"month", b"year",
];

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

/// The length of a time of day at the start of `bytes`, and whether it names the half of the
/// day: `07:33`, `07:33:05`, `7:33 a.m.`; not `3:16`, which may be a score.
pub(crate) fn clock(bytes: &[u8]) -> Option<(usize, bool)> {
    let hour = digits(bytes, 1, 2)?;
    let minute = bytes.get(hour + 1..hour + 3)?;
    if bytes[hour] != b':' || !is_below(&bytes[..hour], 24) || !is_below(minute, 60) {
        return None;
    }
    let length = time(bytes)?;
    let has_half = !bytes[length - 1].is_ascii_digit();
    let goes_on = bytes
        .get(length)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b':');
    (!goes_on && (has_half || hour == 2)).then_some((length, has_half))
}

/// The length of an age in words at the start of `bytes`: `just now`, `a minute ago`,
/// `2 hours, 5 minutes ago`.
pub(crate) fn worded_age(bytes: &[u8]) -> Option<usize> {
    if let Some(length) = words(bytes, &[b"just", b"now"]) {
        return Some(length);
    }
    let mut at = span(bytes)?;
    loop {
        if let Some(blank) = blank(&bytes[at..])
            && let Some(ago) = word(&bytes[at + blank..], b"ago")
        {
            return Some(at + blank + ago);
        }
        at += literal(&bytes[at..], b",").unwrap_or(0);
        at += blank(&bytes[at..])?;
        at += span(&bytes[at..])?;
    }
}

/// `3 minutes`, `an hour`
fn span(bytes: &[u8]) -> Option<usize> {
    let count = digits(bytes, 1, 4)
        .or_else(|| words(bytes, &[b"a", b"few"]))
        .or_else(|| word(bytes, b"an"))
        .or_else(|| word(bytes, b"a"))?;
    let at = count + blank(&bytes[count..])?;
    let letters = letters(&bytes[at..]);
    let name = bytes[at..at + letters].to_ascii_lowercase();
    let name = name.strip_suffix(b"s").unwrap_or(&name);
    UNITS.contains(&name).then_some(at + letters)
}

/// These words, with blanks between them.
fn words(bytes: &[u8], wanted: &[&[u8]]) -> Option<usize> {
    let mut at = 0;
    for (index, wanted) in wanted.iter().enumerate() {
        if index > 0 {
            at += blank(&bytes[at..])?;
        }
        at += word(&bytes[at..], wanted)?;
    }
    Some(at)
}

/// This word, and no longer one.
fn word(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let found = &bytes[..letters(bytes)];
    found.eq_ignore_ascii_case(wanted).then_some(found.len())
}

fn blank(bytes: &[u8]) -> Option<usize> {
    BLANKS.into_iter().find_map(|blank| literal(bytes, blank))
}

fn letters(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()
}

/// Whether digits, of which there are few, make a number below `bound`.
fn is_below(digits: &[u8], bound: u32) -> bool {
    let number = std::str::from_utf8(digits).ok();
    let number: Option<u32> = number.and_then(|digits| digits.parse().ok());
    number.is_some_and(|number| number < bound)
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
    let letters = letters(bytes);
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
    #[track_caller]
    fn check_clock(text: &str, expected: Option<(&str, bool)>) {
        let found = clock(text.as_bytes());
        let found = found.map(|(length, has_half)| (&text[..length], has_half));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn times_of_day_are_told_from_other_numbers() {
        check_clock("07:33 by ann", Some(("07:33", false)));
        check_clock("23:59:07", Some(("23:59:07", false)));
        check_clock("7:33 a.m.", Some(("7:33 a.m.", true)));
        check_clock("3:16", None);
        check_clock("24:00", None);
        check_clock("12:60", None);
        check_clock("12:345", None);
        check_clock("00:1a:07", None);
        check_clock("00:11:07:aa", None);
        check_clock("07:", None);
        check_clock("07", None);
    }

    #[track_caller]
    fn check_age(text: &str, expected: Option<&str>) {
        let found = worded_age(text.as_bytes()).map(|length| &text[..length]);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn ages_are_told_from_other_spans() {
        check_age("Just now</b>", Some("Just now"));
        check_age("0 minutes ago", Some("0 minutes ago"));
        check_age("0&nbsp;minutes ago by", Some("0&nbsp;minutes ago"));
        check_age("An hour ago", Some("An hour ago"));
        check_age("a few seconds ago", Some("a few seconds ago"));
        check_age("2 hours, 5 mins ago", Some("2 hours, 5 mins ago"));
        check_age("1 day 3 hours ago", Some("1 day 3 hours ago"));
        check_age("14 days to pay", None);
        check_age("14 dogs ago", None);
        check_age("just nowhere", None);
        check_age("5 minutes agog", None);
        check_age("a", None);
        check_age("", None);
    }
}
