//! Laws that hold for all connections.

use super::build::*;
use crate::common::{Talk, Tap, from_kernel, render, restart};
use crate::hostile;
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::{Direction, Event, EventKind, Limits, Segment, Timestamp};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_frames(data in vec(any::<u8>(), 0..2000)) {
        hostile::http2(&data);
    }

    #[test]
    fn any_header_blocks(data in vec(any::<u8>(), 0..2000)) {
        hostile::hpack(&data);
    }

    #[test]
    fn any_segments_give_the_same_exchanges(acts in acts(), cuts in vec(1..40usize, 1..40)) {
        let whole = events(&acts, &[usize::MAX]);
        let cut = events(&acts, &cuts);
        prop_assert_eq!(render(&heads_aside(&cut)), render(&heads_aside(&whole)));
        prop_assert_eq!(exchanges(&cut), exchanges(&whole));
    }

    #[test]
    fn what_is_complete_in_spite_of_loss_took_place(
        acts in acts(),
        cuts in vec(1..60usize, 1..40),
        lost in vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let acts = lawful(acts);
        let whole = exchanges(&events(&acts, &[usize::MAX]));
        let mut segments = talk(&acts, &cuts).segments();
        for index in lost {
            // The handshake stays.
            let index = 3 + index.index(segments.len() - 3);
            segments.remove(index);
        }
        let seen = exchanges(&run(segments));
        for (text, is_complete) in seen {
            prop_assert!(
                !is_complete || whole.iter().any(|(other, _)| *other == text),
                "made up: {text}\nof {whole:#?}"
            );
        }
    }

    #[test]
    fn a_restart_loses_nothing(acts in acts(), cuts in vec(1..60usize, 1..40), at in any::<prop::sample::Index>()) {
        let acts = lawful(acts);
        let segments = from_kernel(talk(&acts, &cuts).segments());
        let whole = exchanges(&run(segments.clone()));
        let at = at.index(segments.len());
        let [first, second] = restart(&segments, at);
        let both = [ids(&first.events), ids(&second.events)].concat();
        let known = ids(&run(segments));
        for id in &known {
            prop_assert!(both.contains(id), "{id} is lost");
        }
        // What comes again is told by its id.
        for id in &both {
            prop_assert!(known.contains(id), "{id} is made up");
        }
        // The header tables are not known again, so that some may be incomplete.
        for (text, is_complete) in exchanges(&second.events) {
            prop_assert!(
                !is_complete || whole.iter().any(|(other, _)| *other == text),
                "made up: {text}\nof {whole:#?}"
            );
        }
    }
}

/// What one side does; small numbers pick the stream.
#[derive(Clone, Debug)]
enum Act {
    Ask {
        has_body: bool,
        is_added: bool,
    },
    Send {
        from: Direction,
        pick: usize,
        body: Vec<u8>,
        padding: u8,
        ends: bool,
    },
    Answer {
        pick: usize,
        is_interim: bool,
        known: u8,
        ends: bool,
    },
    Trailers {
        from: Direction,
        pick: usize,
    },
    Reset {
        from: Direction,
        pick: usize,
    },
    Resize {
        bytes: u8,
    },
    Other {
        from: Direction,
        kind: u8,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let from = || prop_oneof![Just(Direction::Client), Just(Direction::Server)];
    let pick = || 0..8usize;
    let act = prop_oneof![
        4 => any::<(bool, bool)>().prop_map(|(has_body, is_added)| Act::Ask { has_body, is_added }),
        4 => (from(), pick(), vec(any::<u8>(), 0..80), 0..4u8, any::<bool>()).prop_map(
            |(from, pick, body, padding, ends)| Act::Send { from, pick, body, padding, ends }
        ),
        4 => (pick(), prop::bool::weighted(0.2), 0..4u8, any::<bool>()).prop_map(
            |(pick, is_interim, known, ends)| Act::Answer { pick, is_interim, known, ends }
        ),
        1 => (from(), pick()).prop_map(|(from, pick)| Act::Trailers { from, pick }),
        1 => (from(), pick()).prop_map(|(from, pick)| Act::Reset { from, pick }),
        1 => any::<u8>().prop_map(|bytes| Act::Resize { bytes }),
        2 => (from(), any::<u8>()).prop_map(|(from, kind)| Act::Other { from, kind }),
    ];
    vec(act, 1..30)
}

/// What peers do that keep to the rules: nobody answers what was not asked, or says anything
/// before its head or after its end. Nor are there resets: what follows one counts where it is
/// lost.
fn lawful(acts: Vec<Act>) -> Vec<Act> {
    // Of each stream: whether the client's message is over, and how far the server's is.
    let mut streams: Vec<(bool, Server)> = Vec::new();
    let mut is_lawful = |act: &Act| {
        if let Act::Ask { has_body, .. } = act {
            streams.push((!has_body, Server::Silent));
            return true;
        }
        let (Act::Send { pick, .. } | Act::Answer { pick, .. } | Act::Trailers { pick, .. }) = act
        else {
            return match act {
                // What is referred to has to have room: no entry takes more than 63 bytes.
                Act::Resize { bytes } => bytes & 0x7f >= 32,
                _ => !matches!(act, Act::Reset { .. }),
            };
        };
        let Some(place) = streams.len().checked_sub(1 + pick % streams.len().max(1)) else {
            return false;
        };
        let (client_is_over, server) = &mut streams[place];
        match act {
            Act::Send {
                from: Direction::Client,
                ends,
                ..
            } => !std::mem::replace(client_is_over, *client_is_over || *ends),
            Act::Trailers {
                from: Direction::Client,
                ..
            } => !std::mem::replace(client_is_over, true),
            Act::Answer {
                is_interim: true, ..
            } => *server == Server::Silent,
            Act::Answer { ends, .. } => {
                let is_first = *server == Server::Silent;
                if is_first {
                    *server = if *ends { Server::Over } else { Server::Begun };
                }
                is_first
            }
            Act::Send { ends, .. } => {
                let is_begun = *server == Server::Begun;
                if is_begun && *ends {
                    *server = Server::Over;
                }
                is_begun
            }
            _ => {
                let is_begun = *server == Server::Begun;
                if is_begun {
                    *server = Server::Over;
                }
                is_begun
            }
        }
    };
    acts.into_iter().filter(|act| is_lawful(act)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Silent,
    Begun,
    Over,
}

/// The frames of what is done, with who sends them.
fn wire(acts: &[Act]) -> Vec<(Direction, Vec<u8>)> {
    use Direction::{Client, Server};
    let mut says = vec![
        (Client, [PREFACE, &settings(&[])].concat()),
        (Server, [settings(&[]), acknowledge()].concat()),
    ];
    let mut streams = Vec::new();
    let mut resize = Vec::new();
    let mut asked = 0;
    for act in acts {
        let stream = |pick: &usize| match streams.len() {
            0 => 1,
            count => streams[count - 1 - pick % count],
        };
        let end = |ends: &bool| if *ends { END_STREAM } else { 0 };
        let say = match act {
            Act::Ask { has_body, is_added } => {
                let path = format!("/{asked}");
                let fields = [(":path", &path[..]), ("cookie", "a=b")];
                let rest = if *is_added {
                    added(&fields)
                } else {
                    build_fields(&fields, asked)
                };
                let block = [std::mem::take(&mut resize), vec![0x82, 0x86], rest].concat();
                let stream = 2 * asked + 1;
                asked += 1;
                streams.push(stream);
                let half = block.len() / 2;
                let flags = end(&!has_body);
                let frames = match asked % 3 {
                    0 => [
                        frame(1, flags, stream, &block[..half]),
                        frame(9, END_HEADERS, stream, &block[half..]),
                    ]
                    .concat(),
                    _ => headers(stream, flags, &block),
                };
                (Client, frames)
            }
            Act::Send {
                from,
                pick,
                body,
                padding,
                ends,
            } => {
                let mut payload = vec![*padding];
                payload.extend(body);
                payload.extend(vec![0; usize::from(*padding)]);
                let frame = match padding {
                    0 => frame(0, end(ends), stream(pick), body),
                    _ => frame(0, end(ends) | PADDED, stream(pick), &payload),
                };
                (*from, frame)
            }
            Act::Answer {
                pick,
                is_interim: true,
                ..
            } => (
                Server,
                headers(stream(pick), 0, &fields(&[(":status", "103")])),
            ),
            Act::Answer {
                pick, known, ends, ..
            } => {
                let block = [vec![0x88 + known], added(&[("server", "s")]), vec![0xbe]].concat();
                (Server, headers(stream(pick), end(ends), &block))
            }
            Act::Trailers { from, pick } => (
                *from,
                headers(stream(pick), END_STREAM, &fields(&[("digest", "x")])),
            ),
            Act::Reset { from, pick } => (*from, reset(stream(pick), 8)),
            Act::Resize { bytes } => {
                resize = vec![0x3f, bytes & 0x7f];
                continue;
            }
            Act::Other { from, kind } => {
                let frame = match kind % 4 {
                    0 => frame(6, 0, 0, b"12345678"),
                    1 => frame(8, 0, 0, &[0, 0, 1, 0]),
                    2 => settings(&[(3, 7)]),
                    _ => frame(0x10, 0, 0, b"something else"),
                };
                (*from, frame)
            }
        };
        says.push(say);
    }
    says
}

/// Fields of which the first refers to what was added before, where there was something.
fn build_fields(all: &[(&str, &str)], asked: u32) -> Vec<u8> {
    match asked % 2 {
        0 => fields(all),
        _ => [fields(&all[..1]), vec![0xbe]].concat(),
    }
}

fn talk(acts: &[Act], cuts: &[usize]) -> Talk {
    let mut cuts = cuts.iter().copied().cycle();
    let mut talk = Talk::new().handshake();
    for (from, bytes) in wire(acts) {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let cut = cuts.next().unwrap_or(usize::MAX).min(rest.len());
            let (segment, after) = rest.split_at(cut);
            rest = after;
            talk = match from {
                Direction::Client => talk.ask(segment),
                Direction::Server => talk.answer(segment),
            };
        }
    }
    talk.close()
}

fn events(acts: &[Act], cuts: &[usize]) -> Vec<Event> {
    run(talk(acts, cuts).segments())
}

fn run(segments: Vec<Segment>) -> Vec<Event> {
    let mut tap = Tap::new(Limits::default());
    for segment in segments {
        tap.segment(segment);
    }
    tap.finish(Timestamp(1 << 50));
    tap.events
}

fn ids(events: &[Event]) -> Vec<String> {
    let of = |event: &Event| match &event.kind {
        EventKind::Exchange(exchange) => Some(exchange.id.to_string()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

fn heads_aside(events: &[Event]) -> Vec<Event> {
    let is_kept = |event: &&Event| {
        !matches!(
            event.kind,
            EventKind::RequestHead { .. } | EventKind::ResponseHead { .. }
        )
    };
    events.iter().filter(is_kept).cloned().collect()
}

/// Each exchange with all its parts but times and places, and whether it is complete.
fn exchanges(events: &[Event]) -> Vec<(String, bool)> {
    use twintap_stream::message::MessageState::Complete;
    let mut found = Vec::new();
    for event in events {
        let EventKind::Exchange(exchange) = &event.kind else {
            continue;
        };
        let body = |from: Direction| -> Vec<u8> {
            let chunks = events.iter().filter_map(|event| match &event.kind {
                EventKind::Body {
                    exchange: id,
                    direction,
                    chunk,
                    ..
                } if *id == exchange.id && *direction == from => Some(chunk.to_vec()),
                _ => None,
            });
            chunks.collect::<Vec<_>>().concat()
        };
        let (request, response) = (&exchange.request, &exchange.response);
        let text = format!(
            "{:?} {:?} {:?} {:?} {:?} -> {:?} {:?} {:?} {:?}",
            request.head,
            request.trailers,
            body(Direction::Client),
            request.state,
            exchange.id.offset,
            response.head,
            response.trailers,
            body(Direction::Server),
            response.state,
        );
        let is_complete = (request.state, response.state) == (Complete, Complete);
        found.push((text, is_complete));
    }
    found
}
