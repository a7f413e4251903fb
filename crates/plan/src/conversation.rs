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

#[cfg(test)]
mod tests {
    use twintap_scrub::{Action, Encoding, LinkTag, Mark, MessageNote, Part, Piece, PolicyHash};
    use twintap_stream::Exchange;
    use twintap_stream::message::{Framing, Message};

    use super::*;

    /// Leaves as `(path, tag, characters)`, and when the messages of a side ended.
    type Side<'a> = (&'a [(&'a str, u64, u32)], &'a [u64]);

    fn note((leaves, ends): Side<'_>) -> MessageNote {
        let leaf = |&(path, tag, chars): &(&str, u64, u32)| Leaf {
            part: Part::Body,
            path: path.to_owned(),
            start: 0,
            len: chars,
            tag: LinkTag(tag),
            encoding: Encoding::JsonString,
            action: Action::Allowed,
            raw_chars: chars,
        };
        let mark = |&after_ns: &u64| Mark {
            end: 0,
            after_ns,
            piece: Piece::Text,
            dropped_bytes: 0,
        };
        MessageNote {
            leaves: leaves.iter().map(leaf).collect(),
            timeline: Timeline {
                marks: ends.iter().map(mark).collect(),
                ..Timeline::default()
            },
            ..MessageNote::default()
        }
    }

    /// The values that stay within, as `use <- producer`.
    fn found(said: Side<'_>, heard: Side<'_>) -> Vec<String> {
        let record = ExchangeRecord {
            exchange: Exchange::of_no_flow(
                Message {
                    framing: Framing::Socket,
                    ..Message::default()
                },
                Message::default(),
            ),
            policy: PolicyHash("test".to_owned()),
            request: note(said),
            response: note(heard),
        };
        let within = within(&record).into_iter();
        within
            .map(|value| format!("{} <- {}", value.path, value.producer_path))
            .collect()
    }

    #[test]
    fn a_value_comes_from_the_newest_message_before_its_use() {
        let said: Side<'_> = (&[("json./1/t", 7, 20)], &[10, 50]);
        let heard: Side<'_> = (
            &[
                ("json./0/t", 7, 20),
                ("json./1/t", 7, 20),
                ("json./2/t", 7, 20),
            ],
            &[20, 30, 60],
        );
        assert_eq!(found(said, heard), ["json./1/t <- json./1/t"]);
    }

    #[test]
    fn what_the_client_said_first_and_what_is_short_stays() {
        let said: Side<'_> = (
            &[
                ("json./0/t", 7, 20),
                ("json./1/t", 7, 20),
                ("json./1/n", 8, 3),
            ],
            &[10, 50],
        );
        let heard: Side<'_> = (&[("json./0/t", 7, 20), ("json./0/n", 8, 3)], &[20]);
        assert!(found(said, heard).is_empty());
    }
}
