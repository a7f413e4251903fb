//! What a conversation in HTTP/1 comes to does not depend on how it was cut into segments, in
//! which order these came, and how often.

use std::fmt;

use crate::common::Talk;
use crate::properties::{Shuffle, outcome, shuffle};
use proptest::collection::vec;
use proptest::prelude::*;
use twintap_stream::Direction::{self, Client, Server};
use twintap_stream::{Limits, Segment};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_cut_gives_the_same_exchanges(play in play(), cuts in cuts()) {
        let expected = play.outcome(&[usize::MAX], None);
        prop_assert_eq!(expected.len(), play.exchanges());
        prop_assert_eq!(play.outcome(&cuts, None), expected);
    }

    #[test]
    fn any_order_gives_the_same_exchanges(play in play(), cuts in cuts(), shuffle in shuffle()) {
        let expected = play.outcome(&[usize::MAX], None);
        prop_assert_eq!(play.outcome(&cuts, Some(&shuffle)), expected);
    }
}

/// What client and server say, in turn.
#[derive(Clone)]
struct Play {
    turns: Vec<Turn>,
    end: End,
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = self.says();
        let says = says
            .iter()
            .map(|(from, bytes)| format!("{from:?}: {}", bytes.escape_ascii()));
        f.debug_list().entries(says).finish()
    }
}

/// One or more exchanges, with what is said in them in its order.
#[derive(Clone, Debug)]
struct Turn {
    says: Vec<(Direction, Vec<u8>)>,
    exchanges: usize,
}

/// How it ends.
#[derive(Clone, Debug)]
enum End {
    Close,
    /// A request without version, and a text.
    Simple(Vec<u8>),
    /// A response that is over when the connection is.
    UntilClose(Vec<u8>),
    /// Bytes of something else through a proxy.
    Tunnel(Vec<u8>),
}

impl Play {
    fn exchanges(&self) -> usize {
        let turns: usize = self.turns.iter().map(|turn| turn.exchanges).sum();
        turns + usize::from(!matches!(self.end, End::Close))
    }

    fn says(&self) -> Vec<(Direction, Vec<u8>)> {
        let mut says: Vec<_> = self
            .turns
            .iter()
            .flat_map(|turn| turn.says.clone())
            .collect();
        match &self.end {
            End::Close => {}
            End::Simple(text) => {
                says.push((Client, b"GET /old\r\n".to_vec()));
                says.push((Server, text.clone()));
            }
            End::UntilClose(text) => {
                says.push((Client, b"GET /last HTTP/1.0\r\n\r\n".to_vec()));
                says.push((Server, [b"HTTP/1.0 200 OK\r\n\r\n", &text[..]].concat()));
            }
            End::Tunnel(text) => {
                says.push((
                    Client,
                    b"CONNECT far:22 HTTP/1.1\r\nHost: far\r\n\r\n".to_vec(),
                ));
                says.push((Server, b"HTTP/1.1 200 Connected\r\n\r\n".to_vec()));
                says.push((Client, [b"\0", &text[..]].concat()));
                says.push((Server, [b"\0", &text[..]].concat()));
            }
        }
        says
    }

    fn segments(&self, cuts: &[usize]) -> Vec<Segment> {
        let mut cuts = cuts.iter().copied().cycle();
        let mut talk = Talk::new().handshake();
        for (direction, bytes) in self.says() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let cut = cuts.next().unwrap_or(usize::MAX).min(rest.len());
                let (segment, after) = rest.split_at(cut);
                rest = after;
                talk = match direction {
                    Client => talk.ask(segment),
                    Server => talk.answer(segment),
                };
            }
        }
        talk.close().segments()
    }

    fn outcome(&self, cuts: &[usize], shuffle: Option<&Shuffle>) -> Vec<String> {
        let segments = self.segments(cuts);
        let segments = match shuffle {
            Some(shuffle) => shuffle.apply(segments),
            None => segments,
        };
        outcome(segments, Limits::default())
    }
}

fn play() -> impl Strategy<Value = Play> {
    let text = || vec(b'a'..=b'z', 1..60);
    let end = prop_oneof![
        3 => Just(End::Close),
        1 => text().prop_map(End::Simple),
        1 => text().prop_map(End::UntilClose),
        1 => text().prop_map(End::Tunnel),
    ];
    (vec(turn(), 1..5), end).prop_map(|(turns, end)| Play { turns, end })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..8usize, 1..10), vec(1..80usize, 1..10)]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => vec((message(), message()), 1..4).prop_map(|pairs| pipelined(&pairs)),
        1 => (message(), message()).prop_map(|(ask, answer)| without_body(&ask, &answer)),
        1 => (message(), message()).prop_map(|(ask, answer)| with_interim(&ask, &answer)),
        2 => (message(), message(), any::<bool>())
            .prop_map(|(ask, answer, is_closed)| with_leave(&ask, &answer, is_closed)),
        2 => (message(), any::<bool>(), any::<bool>())
            .prop_map(|(answer, is_sent, is_chunked)| refused(&answer, is_sent, is_chunked)),
        1 => message().prop_map(|answer| upgrade_refused(&answer)),
        1 => message().prop_map(|answer| connect_refused(&answer)),
    ]
}

/// A message's body, and what is odd about its writing.
#[derive(Clone, Debug)]
struct Message {
    body: Vec<u8>,
    is_chunked: bool,
    chunks: usize,
    /// Bare line feeds; a folded line; blanks and cases as nobody writes them; an extension; a
    /// trailer.
    odd: [bool; 5],
}

fn message() -> impl Strategy<Value = Message> {
    let odd = || prop::bool::weighted(0.15);
    let odds = (odd(), odd(), odd(), any::<bool>(), any::<bool>());
    (vec(any::<u8>(), 0..80), any::<bool>(), 1..30usize, odds).prop_map(
        |(body, is_chunked, chunks, odds)| Message {
            body,
            is_chunked,
            chunks,
            odd: odds.into(),
        },
    )
}

impl Message {
    /// The head up to its empty line, which is in it where `is_over`.
    fn head(&self, line: &str, fields: &str) -> Vec<u8> {
        let [_, is_folded, is_odd, ..] = self.odd;
        let mut head = format!("{line}\r\n");
        if is_odd {
            head.push_str("x-ODD:\t two  blanks \r\nNo-Value:\r\n");
        }
        if is_folded {
            head.push_str("Folded: one\r\n two\r\n\tthree\r\n");
        }
        head.push_str(fields);
        self.lines(&head)
    }

    fn lines(&self, text: &str) -> Vec<u8> {
        match self.odd[0] {
            true => text.replace("\r\n", "\n").into_bytes(),
            false => text.as_bytes().to_vec(),
        }
    }

    /// The fields that frame the body, with the empty line.
    fn framing(&self) -> String {
        match self.is_chunked {
            true => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
            false => format!("Content-Length: {}\r\n\r\n", self.body.len()),
        }
    }

    fn wire_body(&self) -> Vec<u8> {
        if !self.is_chunked {
            return self.body.clone();
        }
        let [.., has_extension, has_trailer] = self.odd;
        let extension = if has_extension { ";a=\"b\"" } else { "" };
        let mut wire = Vec::new();
        for chunk in self.body.chunks(self.chunks) {
            wire.extend(self.lines(&format!("{:x}{extension}\r\n", chunk.len())));
            wire.extend(chunk);
            wire.extend(self.lines("\r\n"));
        }
        let trailer = if has_trailer { "Sum: 1\r\n" } else { "" };
        wire.extend(self.lines(&format!("0\r\n{trailer}\r\n")));
        wire
    }

    fn whole(&self, line: &str, fields: &str) -> Vec<u8> {
        let head = self.head(line, &format!("{fields}{}", self.framing()));
        [head, self.wire_body()].concat()
    }

    fn request(&self, method: &str) -> Vec<u8> {
        self.whole(&format!("{method} /a HTTP/1.1"), "Host: h\r\n")
    }

    fn response(&self, status: &str) -> Vec<u8> {
        self.whole(&format!("HTTP/1.1 {status}"), "")
    }
}

/// All requests, and then all responses.
fn pipelined(pairs: &[(Message, Message)]) -> Turn {
    let asks = pairs.iter().map(|(ask, _)| (Client, ask.request("POST")));
    let answers = pairs
        .iter()
        .map(|(_, answer)| (Server, answer.response("200 OK")));
    Turn {
        says: asks.chain(answers).collect(),
        exchanges: pairs.len(),
    }
}

/// A response to HEAD has the fields of a body, and none.
fn without_body(ask: &Message, answer: &Message) -> Turn {
    let head = answer.head("HTTP/1.1 200 OK", &answer.framing());
    one(&[(Client, ask.request("HEAD")), (Server, head)])
}

fn with_interim(ask: &Message, answer: &Message) -> Turn {
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec();
    one(&[
        (Client, ask.request("PUT")),
        (Server, hints),
        (Server, answer.response("404 Not Found")),
    ])
}

/// A client that asks for leave to send its body, and gets it.
fn with_leave(ask: &Message, answer: &Message, is_early: bool) -> Turn {
    let fields = format!("Host: h\r\nExpect: 100-continue\r\n{}", ask.framing());
    let head = ask.head("POST /large HTTP/1.1", &fields);
    let leave = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let body = (Client, ask.wire_body());
    let answer = (Server, answer.response("201 Created"));
    match is_early {
        // It does not wait.
        true => one(&[(Client, head), body, (Server, leave), answer]),
        false => one(&[(Client, head), (Server, leave), body, answer]),
    }
}

/// A client that asks for leave to send its body, and does not get it. It sends it all the same,
/// or goes on with what comes next.
fn refused(answer: &Message, is_sent: bool, is_chunked: bool) -> Turn {
    let framing = match is_chunked {
        true => "Transfer-Encoding: chunked",
        false => "Content-Length: 12",
    };
    let head =
        format!("POST /large HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{framing}\r\n\r\n");
    let mut says = vec![
        (Client, head.into_bytes()),
        (Server, answer.response("417 Expectation Failed")),
    ];
    if is_sent {
        let body = match is_chunked {
            true => &b"5\r\nGET /\r\n0\r\n\r\n"[..],
            false => b"GET / whole.",
        };
        says.push((Client, body.to_vec()));
    }
    one(&says)
}

fn upgrade_refused(answer: &Message) -> Turn {
    let ask = b"GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    one(&[(Client, ask.to_vec()), (Server, answer.response("200 OK"))])
}

fn connect_refused(answer: &Message) -> Turn {
    let ask = b"CONNECT far:443 HTTP/1.1\r\nHost: far\r\n\r\n";
    one(&[
        (Client, ask.to_vec()),
        (Server, answer.response("403 Forbidden")),
    ])
}

fn one(says: &[(Direction, Vec<u8>)]) -> Turn {
    Turn {
        says: says.to_vec(),
        exchanges: 1,
    }
}
