//! Values that go from one side of a WebSocket to the other: what a server's message
//! gave and a later message of the client uses.

use std::collections::{HashMap, HashSet};

use twintap_scrub::{ExchangeRecord, Leaf, Timeline};
use twintap_stream::Timestamp;

use crate::model::Within;
use crate::shape::Shape;

/// What messages of the client in `record` use of the server's before them; nothing where it
/// is no WebSocket.
pub(crate) fn within(record: &ExchangeRecord) -> Vec<Within> {
    let exchange = &record.exchange;
    if !exchange.is_conversation() {
        return Vec::new();
    }
    let said = times(&record.request.timeline, exchange.request.first_byte);
    let heard = times(&record.response.timeline, exchange.response.first_byte);
    let mut given: HashMap<u64, Vec<(Timestamp, &str)>> = HashMap::new();
    for leaf in record
        .response
        .leaves
        .iter()
        .filter(|leaf| is_bindable(leaf))
    {
        if let Some(time) = time_of(leaf, &heard) {
            given
                .entry(leaf.tag.0)
                .or_default()
                .push((time, &leaf.path));
        }
    }
    // What the client said first is its own.
    let mut own = HashSet::new();
    let mut within = Vec::new();
    for leaf in record
        .request
        .leaves
        .iter()
        .filter(|leaf| is_bindable(leaf))
    {
        let Some(time) = time_of(leaf, &said) else {
            continue;
        };
        let givers = given.get(&leaf.tag.0).into_iter().flatten();
        let newest = givers
            .filter(|(given, _)| *given < time)
            .max_by_key(|(given, _)| *given);
        match newest {
            Some((_, path)) if !own.contains(&leaf.tag.0) => within.push(Within {
                producer_path: (*path).to_owned(),
                path: leaf.path.clone(),
                start: leaf.start,
                len: leaf.len,
                encoding: leaf.encoding,
            }),
            Some(_) => {}
            None => {
                own.insert(leaf.tag.0);
            }
        }
    }
    within
}

/// When each message was sent, pings and pongs left out, as their leaves count them.
fn times(timeline: &Timeline, begin: Timestamp) -> Vec<Timestamp> {
    let elements = timeline.marks.iter().filter(|mark| mark.piece.is_element());
    elements.map(|mark| begin.plus_ns(mark.after_ns)).collect()
}

fn time_of(leaf: &Leaf, times: &[Timestamp]) -> Option<Timestamp> {
    let place = leaf.path.strip_prefix("json./")?;
    let number: usize = place.split('/').next()?.parse().ok()?;
    times.get(number).copied()
}

fn is_bindable(leaf: &Leaf) -> bool {
    Shape::of(leaf, None).bindable()
}
