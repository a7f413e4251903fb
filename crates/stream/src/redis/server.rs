//! The server's direction: replies, and what comes unasked.

use bytes::Bytes;

use super::Redis;
use super::open::{Open, Role};
use super::queue::Doubt;
use super::resp::{self, Fault, Scanner, Seen};
use crate::command::{ReplyHead, ReplyKind, TransactionStep};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;

/// What tells a published message from a reply lies within so many bytes.
const MAX_PEEK: usize = 96;

/// The first words of published messages.
const PUBLISHED: &[&[u8]] = &[b"message", b"pmessage", b"smessage"];

/// What the next byte is part of.
#[derive(Debug)]
enum State {
    Between,
    /// The reply to the command whose turn it is.
    Reply(Scanner),
    /// What nobody asked for.
    Push(Scanner),
    /// Anything: messages are looked for where segments start.
    Lost,
}

/// What a message turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Reply,
    Push,
    /// Replication begins with it.
    Replication,
}

/// The server's direction.
#[derive(Debug)]
pub(super) struct Server {
    state: State,
    /// Everything below is accounted for; `peeked` starts here.
    pub consumed: u64,
    /// The begin of a message, too short to tell what it is.
    peeked: Option<Piece>,
    /// Channels and patterns subscribed to in RESP2; None when that is unknown.
    subscribed: Option<u64>,
    is_monitoring: bool,
}

impl Server {
    pub fn new(consumed: u64, is_lost: bool) -> Server {
        Server {
            state: match is_lost {
                true => State::Lost,
                false => State::Between,
            },
            consumed,
            peeked: None,
            subscribed: (!is_lost && consumed == 0).then_some(0),
            is_monitoring: false,
        }
    }

    pub fn held_bytes(&self) -> u64 {
        self.peeked
            .as_ref()
            .map_or(0, |piece| piece.bytes.len() as u64)
    }
}

impl Redis {
    pub(super) fn server_piece(&mut self, mut piece: Piece, sink: &mut Sink<'_>) {
        self.server.consumed = match &self.server.peeked {
            Some(peeked) => peeked.offset,
            None => self.server.consumed.max(piece.offset),
        };
        if let State::Lost = self.server.state
            && resp::is_plausible(&piece.bytes, Scanner::reply)
        {
            self.server.state = State::Between;
        }
        while let Some(peeked) = self.server.peeked.take() {
            let more = piece.bytes.split_to(piece.bytes.len().min(MAX_PEEK));
            piece.offset += more.len() as u64;
            let joined = Piece {
                offset: peeked.offset,
                bytes: Bytes::from([&peeked.bytes[..], &more[..]].concat()),
                time: piece.time,
                after: piece.after,
            };
            self.server_bytes(joined, sink);
            if piece.bytes.is_empty() {
                return;
            }
        }
        self.server_bytes(piece, sink);
    }

    fn server_bytes(&mut self, mut piece: Piece, sink: &mut Sink<'_>) {
        while !piece.bytes.is_empty() {
            if self.is_opaque {
                return self.pass_opaque(Direction::Server, piece, sink);
            }
            let taken = match &mut self.server.state {
                State::Lost => {
                    sink.discard("resync", piece.bytes.len());
                    piece.bytes.len()
                }
                State::Between => match self.sort(&piece.bytes) {
                    None => {
                        // It is short, and must not pin the buffer it came in.
                        piece.bytes = Bytes::copy_from_slice(&piece.bytes);
                        self.server.consumed = piece.offset;
                        self.server.peeked = Some(piece);
                        return;
                    }
                    Some(sort) => self.begin_reply(sort, &piece, sink),
                },
                State::Reply(scanner) | State::Push(scanner) => {
                    let (taken, step) = scanner.feed(&piece.bytes);
                    let chunk = piece.bytes.slice(..taken);
                    if let Some(open) = self.replying() {
                        Redis::data(open, Direction::Server, chunk, piece.time, sink);
                    }
                    match step {
                        Ok(false) => {}
                        Ok(true) => self.end_reply(sink),
                        Err(fault) => self.break_reply(fault, piece.offset, sink),
                    }
                    taken
                }
            };
            let _ = piece.bytes.split_to(taken);
            piece.offset += taken as u64;
            self.server.consumed = piece.offset;
        }
    }

    /// The exchange whose reply is being received.
    fn replying(&mut self) -> Option<&mut Open> {
        if self.push.is_some() {
            return self.push.as_mut();
        }
        let index = self.queue.answering()?;
        self.queue.open.get_mut(index)
    }

    fn role_in_turn(&self) -> Option<Role> {
        let index = self.queue.answering()?;
        self.queue.open.get(index).map(|open| open.role)
    }

    /// What a message that begins so is; None when more bytes are needed.
    fn sort(&mut self, bytes: &[u8]) -> Option<Sort> {
        let role = self.role_in_turn();
        match bytes.first() {
            Some(b'\n') if matches!(role, Some(Role::Sync | Role::Psync)) => {
                Some(Sort::Replication)
            }
            Some(b'$') if role == Some(Role::Sync) => Some(Sort::Replication),
            Some(b'+') if self.server.is_monitoring => {
                let second = bytes.get(1)?;
                Some(match second.is_ascii_digit() {
                    true => Sort::Push,
                    false => Sort::Reply,
                })
            }
            Some(b'>') => match (first_word(bytes), role) {
                (Err(()), _) => None,
                (Ok(Some(word)), Some(Role::Subscription { name, .. }))
                    if word == name.as_bytes() =>
                {
                    Some(Sort::Reply)
                }
                _ => Some(Sort::Push),
            },
            Some(b'*') if self.may_be_published(role) => match (first_word(bytes), role) {
                (Err(()), _) => None,
                (Ok(Some(word)), _) if PUBLISHED.contains(&word) => Some(Sort::Push),
                (Ok(Some(word)), None) if word.ends_with(b"subscribe") => Some(Sort::Push),
                _ => Some(Sort::Reply),
            },
            _ => Some(Sort::Reply),
        }
    }

    /// In RESP2 a client that subscribed may send nothing but these commands, so that an array
    /// is published, or answers one of them.
    fn may_be_published(&self, role: Option<Role>) -> bool {
        if let Some(Role::Subscription { .. }) = role {
            return true;
        }
        let is_subscribed = self.server.subscribed.is_none_or(|count| count > 0);
        let is_allowed = matches!(role, None | Some(Role::Ping | Role::Reset));
        is_subscribed && is_allowed
    }

    /// A message begins at the piece's first byte. Counts bytes that are taken at once.
    fn begin_reply(&mut self, sort: Sort, piece: &Piece, sink: &mut Sink<'_>) -> usize {
        let (offset, time) = (piece.offset, piece.time);
        match sort {
            Sort::Replication if piece.bytes.starts_with(b"\n") => {
                // The server shows that it lives.
                sink.framing(1);
                return 1;
            }
            Sort::Replication => {
                if let Some(open) = self.replying() {
                    open.answered.flags.set("replication");
                }
                self.become_opaque(sink);
            }
            Sort::Push => {
                let id = sink.exchange_id(offset, true);
                let mut open = Open::without_request(id);
                open.begin(Direction::Server, offset, time);
                self.push = Some(open);
                self.server.state = State::Push(Scanner::reply());
            }
            Sort::Reply => {
                self.end_subscription(&piece.bytes, sink);
                let is_begun = self
                    .replying()
                    .is_some_and(|open| open.response_start.is_some());
                let index = match is_begun {
                    // One more confirmation.
                    true => self.queue.answering(),
                    false => self.queue.answered_at(offset),
                };
                let index = index.unwrap_or_else(|| {
                    let id = sink.exchange_id(offset, true);
                    self.queue.insert_unpaired(Open::without_request(id))
                });
                if let Some(open) = self.queue.open.get_mut(index) {
                    open.begin(Direction::Server, offset, time);
                }
                self.server.state = State::Reply(Scanner::reply());
            }
        }
        0
    }

    /// A command that ends all subscriptions is answered once for each, which may be any number:
    /// what is no confirmation of it is the next reply.
    fn end_subscription(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        if let Some(Role::Subscription { name, .. }) = self.role_in_turn()
            && first_word(bytes) != Ok(Some(name.as_bytes()))
            && let Some(open) = self.replying()
            && open.response_start.is_some()
        {
            open.answered.is_damaged |= open.lacks_confirmations();
            open.finish(Direction::Server);
            self.queue.emit(sink);
        }
    }

    /// A message is whole.
    fn end_reply(&mut self, sink: &mut Sink<'_>) {
        match std::mem::replace(&mut self.server.state, State::Between) {
            State::Push(scanner) => {
                if let Some(mut open) = self.push.take() {
                    let head = head_of(&scanner.seen);
                    open.response.head = Some(ReplyHead {
                        kind: ReplyKind::Push,
                        text: match &scanner.seen.words[..] {
                            [word, ..] => Bytes::from(word.clone()),
                            [] => head.text,
                        },
                        ..head
                    });
                    open.finish(Direction::Server);
                    self.queue.emit_one(open, sink);
                }
            }
            State::Reply(scanner) => self.end_answer(scanner.seen, sink),
            State::Between | State::Lost => {}
        }
    }

    fn end_answer(&mut self, seen: Seen, sink: &mut Sink<'_>) {
        let mut head = head_of(&seen);
        let index = self.queue.answering();
        let Some((index, open)) = index.and_then(|index| {
            let open = self.queue.open.get_mut(index)?;
            Some((index, open))
        }) else {
            return;
        };
        if seen.text_is_cut {
            open.answered.flags.set("text_cut");
        }
        let role = open.role;
        if let Role::Subscription { name, left } = role
            && head.kind != ReplyKind::Error
            && seen
                .words
                .first()
                .is_some_and(|word| word == name.as_bytes())
        {
            let count = seen.words.get(2).and_then(|word| parse(word));
            let before = open.response.head.as_ref().map_or(0, |head| head.rows);
            head = ReplyHead {
                kind: ReplyKind::Done,
                text: Bytes::from_static(name.as_bytes()),
                rows: before + 1,
                ..ReplyHead::default()
            };
            let is_over = match left {
                Some(left) => left <= 1,
                None => count == Some(0) || seen.words.get(1).is_some_and(Vec::is_empty),
            };
            open.role = Role::Subscription {
                name,
                left: left.map(|left| left.saturating_sub(1)),
            };
            open.response.head = Some(head);
            if is_over {
                open.finish(Direction::Server);
            }
            if seen.kind == b'*' {
                self.server.subscribed = count;
            }
            return self.queue.emit_replied(index, sink);
        }
        let has_failed = head.kind == ReplyKind::Error;
        let is_queued = &head.text[..] == b"QUEUED" && head.kind == ReplyKind::Done;
        let step = open
            .request
            .head
            .as_mut()
            .and_then(|head| head.transaction.as_mut());
        if role == Role::Exec
            && (seen.is_null || has_failed)
            && let Some(transaction) = step
        {
            transaction.step = TransactionStep::Rollback;
        }
        if role == Role::Exec
            && let Some(error) = &seen.inner_error
        {
            head.code = Some(first_of(error));
            head.text = Bytes::from(error.clone());
        }
        let starts_replication = role == Role::Psync
            && (head.text.starts_with(b"FULLRESYNC") || head.text.starts_with(b"CONTINUE"));
        open.response.head = Some(head);
        open.finish(Direction::Server);
        match role {
            Role::Multi if has_failed => self.forget_transaction(index),
            Role::Reset if !has_failed => {
                self.server.subscribed = Some(0);
                self.server.is_monitoring = false;
            }
            Role::Monitor if !has_failed => self.server.is_monitoring = true,
            // RESP3 has a type of its own for what is published.
            Role::Hello if seen.kind == b'%' => self.server.subscribed = Some(0),
            _ if is_queued => self.adopt_transaction(index),
            _ => {}
        }
        self.queue.emit_replied(index, sink);
        if starts_replication {
            self.become_opaque(sink);
        }
    }

    /// What came is no RESP: nobody knows where the next message starts.
    fn break_reply(&mut self, fault: Fault, offset: u64, sink: &mut Sink<'_>) {
        if let Some(open) = self.replying() {
            open.answered.flags.set(fault.flag());
        }
        self.lose_server(offset.saturating_add(1), sink);
    }

    /// The message that is being received is over, and where the next one starts is unknown.
    fn lose_server(&mut self, until: u64, sink: &mut Sink<'_>) {
        self.stop_server("gap", sink);
        self.server.state = State::Lost;
        self.server.subscribed = None;
        self.queue.doubt(Doubt {
            until,
            from_request: 0,
            knows_all: true,
        });
    }

    pub(super) fn server_gap(&mut self, end: u64, bytes: u64, sink: &mut Sink<'_>) {
        if let State::Reply(scanner) | State::Push(scanner) = &mut self.server.state
            && scanner.skip(bytes)
        {
            if let Some(open) = self.replying() {
                open.answered.is_damaged = true;
            }
            return;
        }
        self.lose_server(end, sink);
    }

    /// No more bytes of the message that is being received come.
    pub(super) fn stop_server(&mut self, cause: &'static str, sink: &mut Sink<'_>) {
        if let Some(peeked) = self.server.peeked.take() {
            self.server.consumed = peeked.end();
            sink.discard(cause, peeked.bytes.len());
        }
        if let Some(mut open) = self.push.take() {
            open.answered.is_damaged = true;
            open.finish(Direction::Server);
            self.queue.emit_one(open, sink);
        } else if let Some(index) = self.queue.answering()
            && let Some(open) = self.queue.open.get_mut(index)
            && open.response_start.is_some()
        {
            let is_within = matches!(self.server.state, State::Reply(_));
            open.answered.is_damaged |= is_within || open.lacks_confirmations();
            open.finish(Direction::Server);
            self.queue.emit_replied(index, sink);
        }
        if !matches!(self.server.state, State::Lost) {
            self.server.state = State::Between;
        }
    }
}

/// What a reply says.
fn head_of(seen: &Seen) -> ReplyHead {
    let kind = match seen.kind {
        b'+' => ReplyKind::Done,
        b'-' | b'!' => ReplyKind::Error,
        b'*' | b'%' | b'~' | b'>' if !seen.is_null => ReplyKind::Rows,
        _ => ReplyKind::Value,
    };
    ReplyHead {
        kind,
        code: (kind == ReplyKind::Error).then(|| first_of(&seen.text)),
        text: Bytes::from(seen.text.clone()),
        rows: seen.elements,
        ..ReplyHead::default()
    }
}

fn first_of(text: &[u8]) -> String {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    String::from_utf8_lossy(&text[..end]).into_owned()
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The first element of an aggregate, when it is a string. `Err` when more bytes are needed.
fn first_word(bytes: &[u8]) -> Result<Option<&[u8]>, ()> {
    let bytes = &bytes[..bytes.len().min(MAX_PEEK)];
    let missing = match bytes.len() < MAX_PEEK {
        true => Err(()),
        false => Ok(None),
    };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').skip(1);
    let Some(head) = lines.next().and_then(|line| line.strip_suffix(b"\r\n")) else {
        return missing;
    };
    match head {
        [b'+', word @ ..] => Ok(Some(word)),
        [b'$', ..] => match lines.next().and_then(|line| line.strip_suffix(b"\r\n")) {
            Some(word) => Ok(Some(word)),
            None => missing,
        },
        _ => Ok(None),
    }
}
