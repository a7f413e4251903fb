//! How bytes and times are shown.

use std::io::{self, Write};

use clap::ValueEnum;
use twintap_stream::Timestamp;

/// How a listing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns, for people.
    Table,
    /// One JSON object a line.
    Jsonl,
}

/// RFC 3339 in UTC with nanoseconds.
pub fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.0)) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
        // Past the year 9999 there is no RFC 3339.
        Err(_) => format!("{}ns", time.0),
    }
}

/// Text of wire bytes: UTF-8 where it is, else each byte as the code point of
/// its number (ISO 8859-1), so that nothing is lost.
pub fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// `text`, with control characters escaped, cut to `width` characters for a column.
pub fn cell(bytes: &[u8], width: usize) -> String {
    let mut out: String = text(bytes)
        .chars()
        .flat_map(|c| {
            let escape = c.is_control();
            let plain = (!escape).then_some(c);
            let escaped = escape.then(|| c.escape_default());
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .take(width + 1)
        .collect();
    if out.chars().count() > width {
        out.pop();
        out.pop();
        out.push('…');
    }
    out
}

/// Writes one line; `Ok(false)` when the reader went away (`| head`).
pub fn line(out: &mut impl Write, text: &str) -> io::Result<bool> {
    match writeln!(out, "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_decimals() {
        let time = Timestamp(1_700_000_000_000_000_001);
        assert_eq!(rfc3339(time), "2023-11-14T22:13:20.000000001Z");
    }

    #[test]
    fn cells_never_carry_control_characters() {
        assert_eq!(cell(b"a\x1b[0m\n", 20), "a\\u{1b}[0m\\n");
        assert_eq!(cell(b"abcdef", 4), "abc…");
    }
}
