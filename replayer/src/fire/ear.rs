//! Values that an answer of several gRPC messages or server-sent events gives while it goes
//! on: a subscription that stays open hands out ids long before it ends.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use twintap_scrub::{value_in_event, value_inside};
use twintap_stream::ResponseHead;
use twintap_stream::message::field_values;

/// A value of an answer that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyValue {
    /// Its leaf's path in the answer.
    pub path: Arc<str>,
    /// The value.
    pub value: Bytes,
}

/// Listens to the messages of one answer.
#[derive(Debug)]
pub struct Ear {
    /// What is listened for, each with the number of the message that is to give it, in that
    /// order.
    wanted: Vec<(usize, Arc<str>)>,
    /// What the head is to give.
    of_head: Vec<Arc<str>>,
    number: usize,
    /// What the answer is; nothing is heard before its head says so.
    form: Option<Form>,
    /// The message or event that is being received.
    held: BytesMut,
    /// Bytes to come of a message that is too long to hold.
    passed_over: u64,
    max_bytes: usize,
}

/// What an answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Messages,
    Events,
}

/// The flag and the length before each message.
const PREFIX_BYTES: usize = 5;

impl Ear {
    /// Listens for the values at these leaves' paths, in messages of at most `max_bytes`.
    pub fn new(paths: &[Arc<str>], max_bytes: usize) -> Ear {
        let numbered = paths
            .iter()
            .filter_map(|path| Some((number(path)?, Arc::clone(path))));
        let mut wanted: Vec<(usize, Arc<str>)> = numbered.collect();
        wanted.sort();
        let of_head = paths.iter().filter(|path| number(path).is_none());
        Ear {
            wanted,
            of_head: of_head.cloned().collect(),
            number: 0,
            form: None,
            held: BytesMut::new(),
            passed_over: 0,
            max_bytes,
        }
    }

    /// The answer has this head: what is heard of its body goes by its media type. Gives the
    /// values that it has itself, where the answer may go on.
    pub fn begin(&mut self, head: &ResponseHead, found: &mut Vec<EarlyValue>) {
        let is = |start: &[u8]| {
            field_values(&head.fields, "content-type").any(|value| value.starts_with(start))
        };
        self.form = if is(b"application/grpc") {
            Some(Form::Messages)
        } else {
            is(b"text/event-stream").then_some(Form::Events)
        };
        if self.form.is_some() {
            found.extend(values_of_head(head, &self.of_head));
        }
    }

    /// Takes the next bytes of the body; gives the values that are whole with them.
    pub fn hear(&mut self, data: &[u8], found: &mut Vec<EarlyValue>) {
        match self.form {
            Some(Form::Messages) => self.hear_messages(data, found),
            Some(Form::Events) => self.hear_events(data, found),
            None => {}
        }
    }

    fn hear_messages(&mut self, mut data: &[u8], found: &mut Vec<EarlyValue>) {
        while !data.is_empty() && !self.wanted.is_empty() {
            if self.passed_over > 0 {
                let most = usize::try_from(self.passed_over).unwrap_or(usize::MAX);
                let skip = data.len().min(most);
                data = &data[skip..];
                self.passed_over -= skip as u64;
                continue;
            }
            let missing = self.missing_bytes();
            let (piece, rest) = data.split_at(missing.min(data.len()));
            self.held.extend_from_slice(piece);
            data = rest;
            if self.held.len() < PREFIX_BYTES {
                continue;
            }
            let length = self.length();
            if length > self.max_bytes {
                self.passed_over = (length - self.held.len().min(length)) as u64;
                self.held.clear();
                self.number += 1;
            } else if self.held.len() == length {
                let message = self.held.split().freeze();
                self.find(&message, found);
                self.number += 1;
            }
        }
    }

    /// An event is over with the line feed of an empty line; one that ends in carriage
    /// returns alone is heard with the next.
    fn hear_events(&mut self, mut data: &[u8], found: &mut Vec<EarlyValue>) {
        while !self.wanted.is_empty()
            && let Some(end) = memchr::memchr(b'\n', data)
        {
            let (line, rest) = data.split_at(end + 1);
            data = rest;
            self.hold(line);
            if !self.held.ends_with(b"\n\n") && !self.held.ends_with(b"\n\r\n") {
                continue;
            }
            let block = self.held.split().freeze();
            let events = twintap_scrub::read_events(&block).len();
            self.find(&block, found);
            self.number += events;
        }
        self.hold(data);
    }

    /// Of an event that is too long to hold its end is, by which it is told from the next.
    fn hold(&mut self, piece: &[u8]) {
        if self.held.len() + piece.len() > self.max_bytes {
            self.held.clear();
            self.held.extend_from_slice(b"data\n");
        }
        let most = piece.len().min(self.max_bytes);
        self.held.extend_from_slice(&piece[piece.len() - most..]);
    }

    /// Bytes until the prefix, or then the message, is whole.
    fn missing_bytes(&self) -> usize {
        match self.held.len() {
            held @ 0..PREFIX_BYTES => PREFIX_BYTES - held,
            held => self.length() - held,
        }
    }

    /// The length of the message whose prefix is held, with it.
    fn length(&self) -> usize {
        let length = self.held.get(1..PREFIX_BYTES).unwrap_or_default();
        let length = length.try_into().map_or(0, u32::from_be_bytes);
        PREFIX_BYTES + length as usize
    }

    /// Takes the values of this message. Where the twin says something else first, what comes
    /// after it is looked at.
    fn find(&mut self, message: &[u8], found: &mut Vec<EarlyValue>) {
        let due = self
            .wanted
            .partition_point(|(number, _)| *number <= self.number);
        let heard = self.wanted.extract_if(..due, |(_, path)| {
            let value = match twintap_scrub::split_path(path) {
                Some((container, inside)) => value_inside(message, container, inside),
                None => value_in_event(message, path),
            };
            found.extend(value.as_ref().map(|value| EarlyValue {
                path: Arc::clone(path),
                value: Bytes::copy_from_slice(value),
            }));
            value.is_some()
        });
        heard.for_each(drop);
    }
}

/// The values at these of the paths that lie in a head.
pub(crate) fn values_of_head<'a>(
    head: &'a ResponseHead,
    paths: &'a [Arc<str>],
) -> impl Iterator<Item = EarlyValue> + 'a {
    paths.iter().filter_map(|path| {
        let value = twintap_scrub::extract(head, &[], path)?;
        Some(EarlyValue {
            path: Arc::clone(path),
            value: Bytes::from(value),
        })
    })
}

/// The number of the message or event that a leaf's path names.
fn number(path: &str) -> Option<usize> {
    let of_message = || path.strip_prefix("grpc.")?.split_once('>');
    let of_event = || path.strip_prefix("json./")?.split_once('/');
    let (number, _) = of_message().or_else(of_event)?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use twintap_stream::Field;

    use super::*;

    fn head(media_type: &str) -> ResponseHead {
        let fields = [("content-type", media_type), ("x-ticket", "of the head")];
        let fields = fields.map(|(name, value)| Field::new(name, value.to_owned()));
        ResponseHead {
            version: Bytes::from_static(b"HTTP/2"),
            status: 200,
            reason: Bytes::new(),
            fields: fields.to_vec(),
            line_spelling: None,
            end: Bytes::new(),
        }
    }

    fn framed(text: &str) -> Vec<u8> {
        let mut message = vec![0, 0, 0, 0, text.len() as u8 + 2, 0x0a, text.len() as u8];
        message.extend(text.as_bytes());
        message
    }

    /// What is heard of these messages in pieces of `size`, after how many bytes each.
    fn heard(paths: &[&str], messages: &[&str], size: usize) -> Vec<(usize, String, Bytes)> {
        let paths: Vec<Arc<str>> = paths.iter().map(|path| Arc::from(*path)).collect();
        let mut ear = Ear::new(&paths, 40);
        ear.begin(&head("application/grpc"), &mut Vec::new());
        let body: Vec<u8> = messages.iter().flat_map(|text| framed(text)).collect();
        let mut all = Vec::new();
        for (number, piece) in (1..).zip(body.chunks(size)) {
            let mut found = Vec::new();
            ear.hear(piece, &mut found);
            let found = found.into_iter();
            all.extend(found.map(|early| (number, early.path.to_string(), early.value)));
        }
        all
    }

    #[test]
    fn values_are_heard_with_their_messages_end() {
        let paths = ["grpc.0>proto./1", "grpc.2>proto./1", "grpc.1>proto./2"];
        let messages = ["one", "two", "three", "four"];
        let expected = [
            (10, "grpc.0>proto./1", "one"),
            (32, "grpc.2>proto./1", "three"),
        ];
        let expected = expected.map(|(at, path, value)| (at, path.to_owned(), Bytes::from(value)));
        assert_eq!(heard(&paths, &messages, 1), expected);
        let at_once = heard(&paths, &messages, 1000);
        assert_eq!(at_once.len(), 2);
    }

    #[test]
    fn what_is_too_long_to_hold_counts_and_gives_nothing() {
        let long = "x".repeat(50);
        let paths = ["grpc.0>proto./1", "grpc.1>proto./1"];
        for size in [1, 7, 1000] {
            let found = heard(&paths[1..], &[&long, "two"], size);
            assert_eq!(found.len(), 1, "in pieces of {size}");
            assert_eq!(found[0].2, "two");
        }
    }

    #[test]
    fn events_are_heard_with_their_end() {
        let paths = ["json./0/data/id", "json./2/data/id", "json./1/id"];
        let paths: Vec<Arc<str>> = paths.iter().map(|path| Arc::from(*path)).collect();
        let stream = ": beat\n\ndata: {\"id\":\"one\"}\n\nid: 7\r\ndata: x\r\n\r\n\
                      data: {\"id\":\"three\"}\n\n";
        for size in [1, 5, 1000] {
            let mut ear = Ear::new(&paths, 60);
            let mut found = Vec::new();
            ear.hear(stream.as_bytes(), &mut found);
            assert!(found.is_empty(), "no head said what it is");
            ear.begin(&head("text/event-stream; charset=utf-8"), &mut found);
            for piece in stream.as_bytes().chunks(size) {
                ear.hear(piece, &mut found);
            }
            let found: Vec<&[u8]> = found.iter().map(|early| &early.value[..]).collect();
            assert_eq!(found, [&b"one"[..], b"7", b"three"], "in pieces of {size}");
        }
        let mut ear = Ear::new(&paths[1..2], 20);
        let mut found = Vec::new();
        ear.begin(&head("text/event-stream"), &mut found);
        let long = format!(
            "data: {}\n\ndata: x\n\ndata: {{\"id\":\"c\"}}\n\n",
            "y".repeat(50)
        );
        for piece in long.as_bytes().chunks(7) {
            ear.hear(piece, &mut found);
        }
        assert_eq!(found.len(), 1, "what is too long counts");
    }

    #[test]
    fn values_of_the_head_come_with_it_where_the_answer_may_go_on() {
        let paths = [Arc::from("header.x-ticket"), Arc::from("json./0/data/id")];
        for (media_type, expected) in [("text/event-stream", 1), ("application/json", 0)] {
            let mut ear = Ear::new(&paths, 60);
            let mut found = Vec::new();
            ear.begin(&head(media_type), &mut found);
            assert_eq!(found.len(), expected, "{media_type}");
            assert!(found.iter().all(|early| early.value == "of the head"));
        }
    }
}
