//! Laws that hold for all conversations.

use std::collections::BTreeMap;

use super::*;
use crate::common::Tap;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use twintap_stream::{CommandExchange, Direction, Event, EventKind, Segment, Timestamp};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_stream(data in vec(any::<u8>(), 0..2000)) {
        hostile::postgres(&data);
    }

    #[test]
    fn any_split_gives_the_same_exchanges(
        turns in vec(turn(), 1..12),
        sizes in vec(1_usize..60, 1..8),
    ) {
        let whole = exchanges(&replay(segments(&turns, &[usize::MAX])));
        prop_assert!(whole.len() > turns.len());
        prop_assert_eq!(exchanges(&replay(segments(&turns, &sizes))), whole.clone());
        prop_assert_eq!(exchanges(&replay(segments(&turns, &[1]))), whole);
    }

    #[test]
    fn no_loss_shifts_a_reply(
        turns in vec(turn(), 1..12),
        sizes in vec(20_usize..300, 1..8),
        lost in vec(any::<Index>(), 1..4),
    ) {
        let whole = replay(segments(&turns, &[usize::MAX]));
        let truth: BTreeMap<String, CommandExchange> = commands(&whole)
            .map(|exchange| (exchange.id.to_string(), exchange.clone()))
            .collect();
        let mut segments = segments(&turns, &sizes);
        for index in lost {
            // Without the handshake and the start-up it is another flow.
            let first = 5.min(segments.len());
            if first < segments.len() {
                segments.remove(first + index.index(segments.len() - first));
            }
        }
        let damaged = replay(segments);
        for exchange in commands(&damaged) {
            let Some(whole) = truth.get(&exchange.id.to_string()) else {
                continue;
            };
            let is_answered = exchange.response.body_bytes > 0
                && whole.response.body_bytes > 0
                && !exchange.response.flags.iter().any(|flag| flag == "pairing_uncertain");
            if is_answered {
                // What it was answered with lies within its true answer.
                let begin = whole.response.offset;
                // A notification of 17 bytes may lie in it.
                let end = begin + whole.response.body_bytes + 17;
                let seen = exchange.response.offset;
                prop_assert!((begin..end).contains(&seen), "{exchange:?} {whole:?}");
            }
        }
    }
}

/// What a client says at once, and what a server answers at once.
#[derive(Clone)]
struct Turn(Vec<u8>, Vec<u8>);

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Turn(question, answer) = self;
        write!(
            f,
            "{} -> {}",
            question.escape_ascii(),
            answer.escape_ascii()
        )
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    let name = prop_oneof![Just(""), Just("s1"), Just("s2")];
    let value = vec(any::<u8>(), 0..40);
    (0..9_u8, name, value, 0..4_usize, any::<bool>()).prop_map(
        |(shape, name, value, rows, fails)| {
            let text = format!("select {}", value.len());
            let some_rows = vec![row(&["x", "a longer value"]); rows].concat();
            let outcome = match fails {
                true => error("ERROR", "22012", "division by zero"),
                false => [some_rows.clone(), done(&format!("SELECT {rows}"))].concat(),
            };
            let (question, answer) = match shape {
                0 => (
                    query(&text),
                    [columns(&["a", "b"]), outcome, ready('I')].concat(),
                ),
                1 => (
                    [
                        parse(name, &text, &[23]),
                        describe(&format!("S{name}")),
                        bare('S'),
                    ]
                    .concat(),
                    [bare('1'), types(&[23]), columns(&["a", "b"]), ready('I')].concat(),
                ),
                2 => (
                    [
                        bind("", name, &[(1, Some(&value))]),
                        execute("", 0),
                        bare('S'),
                    ]
                    .concat(),
                    [bare('2'), outcome, ready('T')].concat(),
                ),
                3 => (
                    [
                        bind("", name, &[(0, Some(&value)), (0, None)]),
                        execute("", 0),
                        bind("", name, &[(0, Some(&value))]),
                        execute("", 0),
                        bare('S'),
                    ]
                    .concat(),
                    match fails {
                        true => [bare('2'), outcome, ready('E')].concat(),
                        false => {
                            [bare('2'), outcome.clone(), bare('2'), outcome, ready('I')].concat()
                        }
                    },
                ),
                4 => (
                    query("copy t to stdout"),
                    [
                        message('H', [0, 0, 0]),
                        message('d', &value),
                        message('d', &value),
                        bare('c'),
                        done("COPY 2"),
                        ready('I'),
                    ]
                    .concat(),
                ),
                5 => (
                    [close(&format!("S{name}")), bare('S')].concat(),
                    [bare('3'), message('A', b"\0\0\0\x09a\0hello\0"), ready('I')].concat(),
                ),
                6 => (
                    [query("begin"), query("select"), query("commit")].concat(),
                    [
                        done("BEGIN"),
                        ready('T'),
                        columns(&["a"]),
                        outcome,
                        ready('T'),
                        done("COMMIT"),
                        ready('I'),
                    ]
                    .concat(),
                ),
                7 => (
                    [
                        parse("", &text, &[]),
                        bind("c", "", &[]),
                        execute("c", 2),
                        bare('H'),
                        execute("c", 2),
                        bare('S'),
                    ]
                    .concat(),
                    [
                        bare('1'),
                        bare('2'),
                        some_rows.clone(),
                        bare('s'),
                        some_rows,
                        done("SELECT 1"),
                        ready('T'),
                    ]
                    .concat(),
                ),
                _ => (
                    message('F', b"\0\0\x04\xd2\0\0\0\0\0\0"),
                    [message('V', b"\0\0\0\x01x"), ready('I')].concat(),
                ),
            };
            Turn(question, answer)
        },
    )
}

/// A conversation after a start-up, each turn cut into segments of these sizes.
fn segments(turns: &[Turn], sizes: &[usize]) -> Vec<Segment> {
    let mut sizes = sizes.iter().copied().cycle();
    let mut talk = Talk::new().handshake().ask(startup()).answer(welcome());
    for Turn(question, answer) in turns {
        for (direction, bytes) in [(Direction::Client, question), (Direction::Server, answer)] {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let size = sizes.next().unwrap_or(usize::MAX).min(rest.len());
                let (part, later) = rest.split_at(size);
                rest = later;
                talk = match direction {
                    Direction::Client => talk.ask(part),
                    Direction::Server => talk.answer(part),
                };
            }
        }
    }
    talk.close().segments()
}

#[track_caller]
fn replay(segments: Vec<Segment>) -> Vec<Event> {
    let mut tap = Tap::new(Limits::default());
    for segment in segments {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    tap.events
}

fn commands(events: &[Event]) -> impl Iterator<Item = &CommandExchange> {
    events.iter().filter_map(|event| match &event.kind {
        EventKind::Command(exchange) => Some(&**exchange),
        _ => None,
    })
}

/// Everything of each exchange but times and the boundaries of chunks.
fn exchanges(events: &[Event]) -> Vec<String> {
    let mut bytes: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    let mut found = Vec::new();
    for event in events {
        match &event.kind {
            EventKind::CommandData {
                exchange,
                direction,
                chunk,
                ..
            } => bytes
                .entry((exchange.clone(), *direction))
                .or_default()
                .extend_from_slice(chunk),
            EventKind::Command(exchange) => {
                let mut side = |direction| bytes.remove(&(exchange.id.clone(), direction));
                let (request, response) = (side(Direction::Client), side(Direction::Server));
                let mut exchange = exchange.clone();
                for time in [
                    &mut exchange.request.first_byte,
                    &mut exchange.request.last_byte,
                    &mut exchange.response.first_byte,
                    &mut exchange.response.last_byte,
                ] {
                    *time = Timestamp::default();
                }
                found.push(format!("{exchange:?} {request:?} {response:?}"));
            }
            _ => {}
        }
    }
    assert!(bytes.is_empty(), "data without an exchange");
    found
}
