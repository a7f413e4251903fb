//! Values in binary form, by the object ids of their types (`pg_type.dat`).

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time, date};

use super::read::Fields;
use crate::command::Argument;

/// A parameter in binary form.
pub(super) fn argument(type_id: u32, value: &Bytes) -> Argument {
    let is_number = matches!(type_id, 20 | 21 | 23 | 26 | 700 | 701);
    match text_of(type_id, value) {
        Some(Cow::Borrowed(text)) => Argument::Text(value.slice_ref(text)),
        Some(Cow::Owned(digits)) if is_number => {
            Argument::Number(String::from_utf8_lossy(&digits).into_owned())
        }
        Some(Cow::Owned(text)) => Argument::Text(text.into()),
        None => Argument::Binary(value.clone()),
    }
}

/// The same value as the server writes it in text form; none where the type is not known here, or
/// the bytes are none of it.
pub(super) fn text_of(type_id: u32, value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let text = match type_id {
        // char, name, text, json, xml, unknown, bpchar, varchar: their binary form is text.
        18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 => return Some(Cow::Borrowed(value)),
        // jsonb: a version before the text
        3802 => return value.strip_prefix(&[1]).map(Cow::Borrowed),
        16 => match value {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            _ => return None,
        },
        17 => bytea(value),
        20 => i64::from_be_bytes(value.try_into().ok()?).to_string(),
        21 => i16::from_be_bytes(value.try_into().ok()?).to_string(),
        23 => i32::from_be_bytes(value.try_into().ok()?).to_string(),
        26 => u32::from_be_bytes(value.try_into().ok()?).to_string(),
        700 => f32::from_be_bytes(value.try_into().ok()?).to_string(),
        701 => f64::from_be_bytes(value.try_into().ok()?).to_string(),
        1082 => day(value)?.to_string(),
        1083 => time(value)?.to_string(),
        1114 => moment(value)?,
        1184 => moment(value)? + "+00",
        1700 => numeric(value)?,
        2950 => uuid(value)?,
        _ => return None,
    };
    Some(Cow::Owned(text.into_bytes()))
}

fn bytea(value: &[u8]) -> String {
    let mut text = "\\x".to_owned();
    for byte in value {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Dates and times count from here.
const EPOCH: Date = date(2000, 1, 1);

fn day(value: &[u8]) -> Option<Date> {
    let days = i32::from_be_bytes(value.try_into().ok()?);
    let since = SignedDuration::from_hours(i64::from(days) * 24);
    EPOCH.checked_add(since).ok()
}

fn time(value: &[u8]) -> Option<Time> {
    let micros = i64::from_be_bytes(value.try_into().ok()?);
    let since = SignedDuration::from_micros(micros);
    Time::midnight().checked_add(since).ok()
}

fn moment(value: &[u8]) -> Option<String> {
    let micros = i64::from_be_bytes(value.try_into().ok()?);
    let since = SignedDuration::from_micros(micros);
    let moment: DateTime = EPOCH
        .to_datetime(Time::midnight())
        .checked_add(since)
        .ok()?;
    Some(format!("{} {}", moment.date(), moment.time()))
}

fn uuid(value: &[u8]) -> Option<String> {
    let value: &[u8; 16] = value.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (index, byte) in value.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// Digits in base 10000: their number, the weight of the first, a sign, digits after the point.
fn numeric(value: &[u8]) -> Option<String> {
    let mut fields = Fields(value);
    let count = fields.count()?;
    let weight = i32::from(fields.int16()?);
    let sign = match fields.count()? {
        0 => "",
        0x4000 => "-",
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let scale = fields.count()?;
    let groups = fields.take(count.checked_mul(2)?)?;
    let group = |index: i32| {
        let at = usize::try_from(index).ok()?.checked_mul(2)?;
        let bytes = groups.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    };
    let mut text = sign.to_owned();
    match weight {
        ..0 => text.push('0'),
        _ => {
            for index in 0..=weight {
                let digits = group(index).unwrap_or(0);
                let _ = match index {
                    0 => write!(text, "{digits}"),
                    _ => write!(text, "{digits:04}"),
                };
            }
        }
    }
    if scale > 0 {
        let mut digits = String::new();
        let groups = i32::try_from(scale.div_ceil(4)).ok()?;
        for index in weight + 1..=weight + groups {
            let _ = write!(digits, "{:04}", group(index).unwrap_or(0));
        }
        digits.truncate(scale);
        text.push('.');
        text.push_str(&digits);
    }
    Some(text)
}
