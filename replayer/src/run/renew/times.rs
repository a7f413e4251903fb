//! Times in requests, moved from when they were recorded to when they are replayed.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan as _};
use twintap_stream::Timestamp;

/// Times further from the capture than this are no times of the traffic, but data.
const MOST_AWAY_S: i64 = 2 * 365 * 24 * 3600;

/// Moves times by a span.
#[derive(Clone, Copy, Debug)]
pub struct Shift {
    /// In whole seconds, so that fractions stay as they are written.
    seconds: i64,
    capture_s: i64,
}

impl Shift {
    /// From the start of the capture to T0 of the run.
    pub fn new(capture_start: Timestamp, t0: Timestamp) -> Shift {
        let seconds = |time: Timestamp| i64::try_from(time.0 / 1_000_000_000).unwrap_or(i64::MAX);
        Shift {
            seconds: seconds(t0) - seconds(capture_start),
            capture_s: seconds(capture_start),
        }
    }

    /// By as much more.
    pub fn later(self, by: Duration) -> Shift {
        let more = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
        Shift {
            seconds: self.seconds.saturating_add(more),
            ..self
        }
    }

    /// The text with its time moved, written as it was; `None` for what is no time,
    /// or none near the capture. `name` is the leaf's path: numbers are times by name.
    pub fn text(&self, text: &str, name: &str) -> Option<String> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.number(text).filter(|_| says_time(name));
        }
        self.http_date(text).or_else(|| self.moment(text))
    }

    /// Seconds since 1970, or milliseconds.
    pub fn number(&self, digits: &str) -> Option<String> {
        let number: i64 = digits.parse().ok()?;
        let in_second = match digits.len() {
            10 => 1,
            13 => 1000,
            _ => return None,
        };
        self.is_near(number / in_second)
            .then(|| (number + self.seconds * in_second).to_string())
            .filter(|moved| moved.len() == digits.len())
    }

    /// RFC 3339, or the same without a zone.
    fn moment(&self, text: &str) -> Option<String> {
        let is_date = text.len() >= 19 && text.is_char_boundary(19);
        let (date_time, rest) = is_date.then(|| text.split_at(19))?;
        let separator = date_time.as_bytes()[10];
        if !matches!(separator, b'T' | b't' | b' ') {
            return None;
        }
        let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let is_zone = zone.is_empty()
            || matches!(zone, "Z" | "z")
            || zone.starts_with(['+', '-'])
                && zone[1..]
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b':');
        let local: DateTime = date_time.parse().ok().filter(|_| is_zone)?;
        let moved = self.civil(local)?;
        let separator = char::from(separator);
        Some(format!(
            "{}{separator}{}{rest}",
            moved.strftime("%Y-%m-%d"),
            moved.strftime("%H:%M:%S")
        ))
    }

    /// RFC 9110, section 5.6.7.
    fn http_date(&self, text: &str) -> Option<String> {
        const FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";
        let local = DateTime::strptime(FORMAT, text).ok()?;
        Some(self.civil(local)?.strftime(FORMAT).to_string())
    }

    /// What a zone would add is little beside what counts as near.
    fn civil(&self, local: DateTime) -> Option<DateTime> {
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let since: SignedDuration = local.duration_since(epoch);
        if !self.is_near(since.as_secs()) {
            return None;
        }
        local.checked_add(self.seconds.seconds()).ok()
    }

    fn is_near(&self, second: i64) -> bool {
        (second - self.capture_s).abs() <= MOST_AWAY_S
    }
}

/// True when the last word of a leaf's name says that it is a time.
fn says_time(name: &str) -> bool {
    const WORDS: [&str; 16] = [
        "at",
        "time",
        "timestamp",
        "ts",
        "date",
        "exp",
        "expires",
        "expiry",
        "iat",
        "nbf",
        "since",
        "until",
        "from",
        "to",
        "start",
        "end",
    ];
    let name = name.split('#').next().unwrap_or(name);
    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
    // `createdAt` and `created_at` end in the same word.
    let start = last
        .rfind(|c: char| c.is_ascii_uppercase() || !c.is_ascii_alphanumeric())
        .unwrap_or(0);
    let word = last[start..].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    WORDS.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14T22:13:20Z and a day later.
    const CAPTURE: u64 = 1_700_000_000;

    #[track_caller]
    fn check(name: &str, text: &str, expected: Option<&str>) {
        let at = |second: u64| Timestamp(second * 1_000_000_000);
        let shift = Shift::new(at(CAPTURE), at(CAPTURE + 86_400));
        assert_eq!(shift.text(text, name).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_are_moved_and_written_as_they_were() {
        for (text, moved) in [
            ("2023-11-14T22:13:20Z", "2023-11-15T22:13:20Z"),
            (
                "2023-11-14T22:13:20.125+02:00",
                "2023-11-15T22:13:20.125+02:00",
            ),
            ("2023-12-31 23:59:59", "2024-01-01 23:59:59"),
            (
                "Tue, 14 Nov 2023 22:13:20 GMT",
                "Wed, 15 Nov 2023 22:13:20 GMT",
            ),
        ] {
            check("json./any", text, Some(moved));
        }
        check("query.ts", "1700000001", Some("1700086401"));
        check("json./createdAt", "1700000001500", Some("1700086401500"));
        check("json./expires_at", "1700003600", Some("1700090000"));
    }

    #[test]
    fn what_is_no_time_of_the_traffic_stays() {
        check("json./id", "1700000001", None);
        check("json./format", "1700000001", None);
        check("json./born_at", "1975-01-01T00:00:00Z", None);
        check("json./day", "2023-11-14", None);
        check("json./at", "17000000", None);
        check("json./note", "2023-11-14T22:13:20 or so", None);
        check("json./note", "a text with é in it, and more", None);
    }
}
