//! What only the name of its field tells, and coordinates.

use std::ops::Range;

use super::topics::Topic;
use super::{Evidence, Kind, Search, persons, secret};

/// Reads a whole value by its field's name.
pub(super) fn read(search: &mut Search<'_>) {
    secret::by_name(search);
    persons::by_name(search);
    plate(search);
}

/// Two to ten letters and digits, both of them, under a name that says plate.
fn plate(search: &mut Search<'_>) {
    let text = search.text;
    let count = text.bytes().filter(u8::is_ascii_alphanumeric).count();
    let is_plate = (2..=10).contains(&count)
        && text.len() <= 12
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte));
    if is_plate && search.name.has(Topic::Plate) {
        search.weigh(
            0..text.len(),
            Evidence::form(Kind::Plate, "letters and digits", 30).about(&[Topic::Plate]),
        );
    }
}

/// Two fractions of degrees with a comma between.
pub(super) fn pair(search: &mut Search<'_>, span: Range<usize>) -> Option<usize> {
    let (latitude, longitude) = search.text[span.clone()].split_once(',')?;
    let latitude: f64 = latitude.trim().parse().ok()?;
    let longitude: f64 = longitude.trim().parse().ok()?;
    if latitude.abs() > 90.0 || longitude.abs() > 180.0 {
        return None;
    }
    // Four places are some ten metres: nobody writes other pairs of numbers so.
    let is_fine = search.text[span.clone()].split(',').all(|part| {
        part.trim()
            .rsplit_once('.')
            .is_some_and(|(_, places)| places.len() >= 4)
    });
    let end = span.end;
    search.weigh(
        span,
        Evidence::form(
            Kind::Coordinates,
            "latitude and longitude",
            if is_fine { 60 } else { 30 },
        )
        .about(&[Topic::Place, Topic::Latitude, Topic::Longitude]),
    );
    Some(end)
}
