//! Runs of digits in groups: cards, phones, national ids, dates, addresses.

use std::ops::Range;

use super::kind::Kind;
use super::topics::Topic;
use super::{Evidence, Found, Search, date, national, net, score};

/// As many digits as anything known has; a longer group is nothing.
const DIGITS: usize = 20;
/// As many groups are read at once.
const GROUPS: usize = 8;

/// Groups of digits with what stands between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digits<'a> {
    /// The text of it, from its first digit, `+` or `(` to its last digit.
    pub(super) text: &'a str,
    values: [u8; DIGITS],
    count: usize,
    lengths: [u8; GROUPS],
    groups: usize,
}

impl Digits<'_> {
    /// Digits as values, groups joined.
    pub(super) fn values(&self) -> &[u8] {
        &self.values[..self.count]
    }

    /// How many digits each group has.
    pub(super) fn lengths(&self) -> &[u8] {
        &self.lengths[..self.groups]
    }

    /// Whether groups have these lengths, and what stands between them, one byte a place, is
    /// `marks`.
    pub(super) fn is(&self, lengths: &[u8], marks: &str) -> bool {
        self.lengths() == lengths && self.marks().eq(marks.bytes())
    }

    /// What stands between groups, byte by byte.
    pub(super) fn marks(&self) -> impl Iterator<Item = u8> {
        self.text.bytes().filter(|byte| !byte.is_ascii_digit())
    }
}

/// A group, and whether a space stands between it and the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    start: usize,
    end: usize,
    is_apart: bool,
}

/// Reads a run from `start` (a digit, `+` or `(`) and says where to go on.
pub(super) fn read(search: &mut Search<'_>, start: usize) -> usize {
    if let Some(end) = net::ipv4(search, start) {
        return end;
    }
    let text = search.text.as_bytes();
    let first = start
        + text[start..]
            .iter()
            .take_while(|byte| b"+(".contains(byte))
            .count();
    let mut groups = [Group::default(); GROUPS];
    let mut count = 0;
    let mut at = first;
    while count < GROUPS {
        let end = at
            + text[at..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
        if end == at || end - at > DIGITS || is_word(text, end) {
            break;
        }
        let is_apart = text[..at].ends_with(b" ") || text[..at].ends_with(b"\n");
        groups[count] = Group {
            start: at,
            end,
            is_apart,
        };
        count += 1;
        let marks = text[end..]
            .iter()
            .take(3)
            .take_while(|byte| b" .-/()\n".contains(byte));
        at = end + marks.count();
        if !text.get(at).is_some_and(u8::is_ascii_digit) {
            break;
        }
    }
    let Some(last) = groups[..count].last() else {
        return first
            + text[first..]
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count()
                .max(1);
    };
    let end = last.end;
    // The tail of a longer name: `a716-446655440000`.
    let is_tail = first >= 2 && text[first - 1] == b'-' && text[first - 2].is_ascii_alphanumeric();
    if !is_tail {
        groups[0].start = start;
        parts(search, &groups[..count]);
    }
    end
}

/// Whether a word goes on behind a group of digits. A `T` before a time of day is none.
fn is_word(text: &[u8], end: usize) -> bool {
    let rest = &text[end..];
    match rest {
        [b'T', digit, ..] if digit.is_ascii_digit() => false,
        [b'-' | b'_', next, ..] => next.is_ascii_alphabetic(),
        [next, ..] => next.is_ascii_alphabetic() || *next == b'_',
        [] => false,
    }
}

/// Takes the best part of the groups, then what is left and right of it.
fn parts(search: &mut Search<'_>, groups: &[Group]) {
    let mut best: Option<(usize, usize, Found)> = None;
    for from in 0..groups.len() {
        // What hangs on its neighbour by anything but a space is a part of it.
        if from > 0 && !groups[from].is_apart {
            continue;
        }
        for to in from..groups.len() {
            if groups.get(to + 1).is_some_and(|next| !next.is_apart) {
                continue;
            }
            let span = groups[from].start..groups[to].end;
            let Some(found) = weigh(search, &groups[from..=to], span) else {
                continue;
            };
            let is_better = best.as_ref().is_none_or(|(.., best)| {
                (found.score, found.span.len()) > (best.score, best.span.len())
            });
            if is_better {
                best = Some((from, to, found));
            }
        }
    }
    if let Some((from, to, found)) = best {
        search.found.push(found);
        parts(search, &groups[..from]);
        parts(search, &groups[to + 1..]);
    }
}

/// What the groups are, if anything.
fn weigh(search: &Search<'_>, groups: &[Group], span: Range<usize>) -> Option<Found> {
    let digits = digits(search.text, groups, span.clone())?;
    let mut near = None;
    let mut best: Option<Found> = None;
    for rule in [card, phone, date::numeric, fraction]
        .iter()
        .chain(national::RULES)
    {
        let Some(evidence) = rule(&digits) else {
            continue;
        };
        let near = *near.get_or_insert_with(|| search.near(&span));
        let Some((score, reason)) = score(&evidence, near) else {
            continue;
        };
        if best.as_ref().is_none_or(|best| best.score < score) {
            best = Some(Found {
                span: span.clone(),
                kind: evidence.kind,
                score,
                reason,
            });
        }
    }
    best
}

fn digits<'a>(text: &'a str, groups: &[Group], span: Range<usize>) -> Option<Digits<'a>> {
    let mut digits = Digits {
        text: &text[span],
        values: [0; DIGITS],
        count: 0,
        lengths: [0; GROUPS],
        groups: groups.len(),
    };
    for byte in digits.text.bytes().filter(u8::is_ascii_digit) {
        *digits.values.get_mut(digits.count)? = byte - b'0';
        digits.count += 1;
    }
    for (length, group) in digits.lengths.iter_mut().zip(groups) {
        let bytes = text[group.start..group.end].bytes();
        *length = bytes.filter(u8::is_ascii_digit).count() as u8;
    }
    Some(digits)
}

/// Payment cards: ranges of issuers (ISO/IEC 7812), lengths, Luhn.
fn card(digits: &Digits<'_>) -> Option<Evidence> {
    let values = digits.values();
    if values.len() < 12 || values.len() > 19 || !super::checksum::luhn(values) {
        return None;
    }
    if !digits.marks().all(|mark| b" -".contains(&mark)) || digits.lengths().contains(&1) {
        return None;
    }
    let head = super::checksum::value(&values[..4]);
    let is_issued = match (head, values.len()) {
        (4000..5000, 13 | 16 | 19)
        | (5100..5600 | 2221..2721, 16)
        | (3400..3500 | 3700..3800, 15)
        | (3000..3060 | 3095 | 3600..3700 | 3800..4000, 14..=19)
        | (6011 | 6440..6600 | 6220..6230, 16..=19)
        | (3528..3590, 16..=19)
        | (1800 | 2131, 15)
        | (6200..6300 | 8100..8200, 16..=19)
        | (2200..2205, 16..=19) => 50,
        // Maestro has wide ranges and short numbers; JCB is left some room.
        (5000..5100 | 5600..5900 | 6000..7000, 12..=19) | (3500..3600, 16) => 30,
        _ => return None,
    };
    Some(Evidence::checked(Kind::Card, "card number", is_issued).about(&[Topic::Card]))
}

/// Telephones: E.164, the form of North America, else by context.
fn phone(digits: &Digits<'_>) -> Option<Evidence> {
    let (values, lengths) = (digits.values(), digits.lengths());
    let is_international = digits.text.starts_with('+') || digits.text.starts_with("(+");
    let area = values.len() == 10 && values[0] > 1 && values[3] > 1;
    let has_parts = lengths.len() > 1 && lengths.iter().all(|&length| length < 8);
    // A date, a time, a fraction.
    let is_date = date::numeric(digits).is_some();
    let is_fraction = lengths.len() == 2 && digits.marks().eq(*b".");
    let weight = match (values.len(), lengths) {
        (7..=15, _) if is_international && values[0] != 0 => 60,
        _ if is_international || is_date || is_fraction => return None,
        (10, [3, 3, 4]) if area && digits.marks().any(|mark| b"-.()".contains(&mark)) => 50,
        (11, [1, 3, 3, 4]) if values[0] == 1 => 50,
        (9..=14, _) if values.starts_with(&[0, 0]) && values[2] != 0 => 30,
        (7..=14, _) if has_parts => 20,
        (9..=12, [_]) => 15,
        (7..=8, [_]) => 10,
        _ => return None,
    };
    Some(Evidence {
        kind: Kind::Phone,
        pattern: "telephone number",
        weight,
        is_checked: false,
        topics: &[Topic::Phone],
    })
}

/// A decimal fraction in a field for latitude or longitude.
fn fraction(digits: &Digits<'_>) -> Option<Evidence> {
    if digits.lengths().len() != 2 || !digits.marks().eq(*b".") || digits.lengths()[1] < 3 {
        return None;
    }
    let whole = super::checksum::value(&digits.values()[..usize::from(digits.lengths()[0])]);
    (whole <= 180).then_some(
        Evidence::form(Kind::Coordinates, "fraction of a degree", 20).about(&[
            Topic::Latitude,
            Topic::Longitude,
            Topic::Place,
        ]),
    )
}
