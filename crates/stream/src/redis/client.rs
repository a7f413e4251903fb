//! The client's direction: commands.

use super::open::{Open, Role};
use super::queue::Doubt;
use super::resp::{self, Fault, Scanner, Seen};
use super::{Redis, inline};
use crate::command::{Argument, CommandHead, ReplyHead, ReplyKind, Transaction, TransactionStep};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::tcp::Piece;
use bytes::Bytes;

/// A command typed by hand is no longer, with its line end.
const MAX_INLINE: usize = 64 << 10;

/// What the next byte is part of.
#[derive(Debug)]
enum State {
    Between,
    /// An array of bulk strings.
    Array(Scanner),
    /// A line.
    Inline(Vec<u8>),
    /// Anything: messages are looked for where segments start.
    Lost,
}

/// Which commands are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replies {
    On,
    Off,
    SkipNext,
}

/// The client's direction.
#[derive(Debug)]
pub(super) struct Client {
    state: State,
    /// Everything below is accounted for.
    pub consumed: u64,
    replies: Replies,
    /// The transaction that is open.
    pub transaction: Option<u32>,
    pub next_transaction: u32,
}

impl Client {
    pub fn new(consumed: u64, is_lost: bool) -> Client {
        Client {
            state: match is_lost {
                true => State::Lost,
                false => State::Between,
            },
            consumed,
            replies: Replies::On,
            transaction: None,
            next_transaction: 0,
        }
    }

    /// Bytes of memory that what is kept of an unfinished command takes.
    pub fn state_bytes(&self) -> u64 {
        match &self.state {
            State::Array(scanner) => scanner.kept_bytes(),
            State::Inline(line) => line.len() as u64,
            State::Between | State::Lost => 0,
        }
    }

    /// RESET was sent.
    pub fn reset(&mut self) {
        self.transaction = None;
    }
}

impl Redis {
    pub(super) fn client_piece(&mut self, mut piece: Piece, sink: &mut Sink<'_>) {
        self.client.consumed = self.client.consumed.max(piece.offset);
        if let State::Lost = self.client.state
            && piece.bytes.starts_with(b"*")
            && resp::is_plausible(&piece.bytes, || Scanner::command(0))
        {
            self.client.state = State::Between;
        }
        while !piece.bytes.is_empty() {
            let taken = match &mut self.client.state {
                State::Lost => {
                    sink.discard("resync", piece.bytes.len());
                    piece.bytes.len()
                }
                State::Between => self.begin_command(&piece, sink),
                State::Array(scanner) => {
                    let (taken, step) = scanner.feed(&piece.bytes);
                    self.command_data(&piece, taken, sink);
                    match step {
                        Ok(false) => {}
                        Ok(true) => self.end_array(sink),
                        Err(fault) => self.break_command(fault),
                    }
                    taken
                }
                State::Inline(line) => {
                    let newline = memchr::memchr(b'\n', &piece.bytes);
                    let taken = newline.map_or(piece.bytes.len(), |newline| newline + 1);
                    let room = MAX_INLINE.saturating_sub(line.len());
                    line.extend_from_slice(&piece.bytes[..taken.min(room)]);
                    let is_long = taken > room;
                    self.command_data(&piece, taken, sink);
                    match (is_long, newline) {
                        (true, _) => self.break_command(Fault::Malformed),
                        (false, Some(_)) => self.end_inline(sink),
                        (false, None) => {}
                    }
                    taken
                }
            };
            let _ = piece.bytes.split_to(taken);
            piece.offset += taken as u64;
            self.client.consumed = piece.offset;
        }
    }

    /// A command begins at the piece's first byte, unless that is an empty line.
    fn begin_command(&mut self, piece: &Piece, sink: &mut Sink<'_>) -> usize {
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let blank = piece.bytes.iter().take_while(is_line_end).count();
        if blank > 0 {
            sink.framing(blank);
            return blank;
        }
        let mut open = Open::new(sink.exchange_id(piece.offset, false));
        open.begin(Direction::Client, piece.offset, piece.time);
        self.queue.push(open, piece.after, self.server.consumed);
        self.client.state = match piece.bytes.first() {
            Some(b'*') => State::Array(Scanner::command(sink.limits.max_head_bytes as usize)),
            _ => State::Inline(Vec::new()),
        };
        0
    }

    /// The first bytes of the piece belong to the last command.
    fn command_data(&mut self, piece: &Piece, taken: usize, sink: &mut Sink<'_>) {
        let chunk = piece.bytes.slice(..taken);
        if let Some(open) = self.queue.open.back_mut().filter(|open| !open.asked.done) {
            Redis::data(open, Direction::Client, chunk, piece.time, sink);
        } else if let Some(open) = self.asking() {
            Redis::data(open, Direction::Client, chunk, piece.time, sink);
        }
    }

    /// The command that is being received: what came after it are replies without a command.
    fn asking(&mut self) -> Option<&mut Open> {
        self.queue
            .open
            .iter_mut()
            .rev()
            .find(|open| !open.asked.done)
    }

    fn end_array(&mut self, sink: &mut Sink<'_>) {
        let state = std::mem::replace(&mut self.client.state, State::Between);
        let State::Array(scanner) = state else {
            return;
        };
        let Seen {
            words,
            words_are_cut,
            elements,
            ..
        } = scanner.seen;
        self.end_command(words, words_are_cut, elements, sink);
    }

    fn end_inline(&mut self, sink: &mut Sink<'_>) {
        let state = std::mem::replace(&mut self.client.state, State::Between);
        let State::Inline(line) = state else {
            return;
        };
        let words = inline::words(&line);
        if words.is_none()
            && let Some(open) = self.asking()
        {
            open.asked.flags.set("unbalanced_quotes");
        }
        let mut words = words.unwrap_or_else(|| vec![line.trim_ascii().to_vec()]);
        let mut budget = sink.limits.max_head_bytes as usize;
        let kept = words.iter().take_while(|word| {
            let fits = word.len() <= budget;
            budget = budget.saturating_sub(word.len());
            fits
        });
        let (kept, count) = (kept.count(), words.len() as u64);
        words.truncate(kept);
        self.end_command(words, (kept as u64) < count, count, sink);
    }

    /// A command is whole; `count` is how many words it has.
    fn end_command(&mut self, words: Vec<Vec<u8>>, is_cut: bool, count: u64, sink: &mut Sink<'_>) {
        let mut words = words.into_iter();
        let name = words.next().unwrap_or_default();
        let mut name = String::from_utf8_lossy(&name).into_owned();
        name.make_ascii_uppercase();
        let arguments: Vec<_> = words.map(Bytes::from).collect();
        let transaction = self.step(&name);
        let role = self.role(&name, count);
        let is_answered = count > 0 && self.is_answered(&name, &arguments);
        let is_reset = role == Role::Reset;
        let Some(open) = self.asking() else { return };
        if is_cut {
            open.asked.flags.set("arguments_cut");
        }
        if count == 0 {
            open.asked.flags.set("empty_command");
        }
        let kept: usize = arguments.iter().map(|word| word.len() + 48).sum();
        open.cost += kept as u64;
        open.role = role;
        open.request.head = Some(CommandHead {
            name,
            arguments: arguments.into_iter().map(Argument::Text).collect(),
            transaction,
            ..CommandHead::default()
        });
        open.finish(Direction::Client);
        if !is_answered && open.response_start.is_none() {
            open.response.head = Some(ReplyHead {
                kind: ReplyKind::None,
                ..ReplyHead::default()
            });
            open.finish(Direction::Server);
        }
        self.queue.cost += kept as u64;
        if is_reset {
            self.client.replies = Replies::On;
            self.client.reset();
        }
        self.queue.emit(sink);
    }

    /// What the command does to a transaction.
    fn step(&mut self, name: &str) -> Option<Transaction> {
        let step = match (name, self.client.transaction) {
            ("MULTI", None) => {
                self.client.transaction = Some(self.client.next_transaction);
                self.client.next_transaction = self.client.next_transaction.saturating_add(1);
                TransactionStep::Begin
            }
            (_, None) => return None,
            ("EXEC", _) => TransactionStep::Commit,
            ("DISCARD" | "RESET" | "QUIT", _) => TransactionStep::Rollback,
            _ => TransactionStep::Inside,
        };
        let index = self.client.transaction?;
        if matches!(step, TransactionStep::Commit | TransactionStep::Rollback) {
            self.client.transaction = None;
        }
        Some(Transaction { index, step })
    }

    fn role(&self, name: &str, count: u64) -> Role {
        let subscription = |name| Role::Subscription {
            name,
            left: Some(count.saturating_sub(1)).filter(|left| *left > 0),
        };
        match name {
            "SUBSCRIBE" => subscription("subscribe"),
            "PSUBSCRIBE" => subscription("psubscribe"),
            "SSUBSCRIBE" => subscription("ssubscribe"),
            "UNSUBSCRIBE" => subscription("unsubscribe"),
            "PUNSUBSCRIBE" => subscription("punsubscribe"),
            "SUNSUBSCRIBE" => subscription("sunsubscribe"),
            "HELLO" => Role::Hello,
            "RESET" => Role::Reset,
            "PING" | "QUIT" => Role::Ping,
            "MONITOR" => Role::Monitor,
            "SYNC" => Role::Sync,
            "PSYNC" => Role::Psync,
            "MULTI" => Role::Multi,
            "EXEC" => Role::Exec,
            _ => Role::Normal,
        }
    }

    /// Whether the server answers the command, as the client's own wish goes.
    fn is_answered(&mut self, name: &str, arguments: &[Bytes]) -> bool {
        let word = |index: usize, wanted: &str| {
            let argument = arguments.get(index);
            argument.is_some_and(|argument| argument.eq_ignore_ascii_case(wanted.as_bytes()))
        };
        let replies = &mut self.client.replies;
        if name == "CLIENT" && word(0, "REPLY") && self.client.transaction.is_none() {
            if word(1, "ON") {
                *replies = Replies::On;
                return true;
            } else if word(1, "OFF") {
                *replies = Replies::Off;
                return false;
            } else if word(1, "SKIP") && *replies != Replies::Off {
                *replies = Replies::SkipNext;
                return false;
            }
        }
        match *replies {
            Replies::On => true,
            Replies::Off => name == "RESET",
            Replies::SkipNext => {
                *replies = Replies::On;
                false
            }
        }
    }

    /// What came is no command: nobody knows where the next one starts.
    fn break_command(&mut self, fault: Fault) {
        self.client.state = State::Lost;
        if let Some(open) = self.asking() {
            open.asked.flags.set(fault.flag());
            open.asked.is_damaged = true;
            open.finish(Direction::Client);
        }
    }

    pub(super) fn client_gap(&mut self, offset: u64, bytes: u64) {
        if let State::Array(scanner) = &mut self.client.state
            && scanner.skip(bytes)
        {
            if let Some(open) = self.asking() {
                open.asked.is_damaged = true;
            }
            return;
        }
        self.stop_client();
        self.client.state = State::Lost;
        // It may have ended a transaction, or turned replies on.
        self.client.transaction = None;
        self.client.replies = Replies::On;
        self.queue.doubt(Doubt {
            until: self.server.consumed.saturating_add(1),
            from_request: offset,
            knows_all: false,
        });
    }

    /// No more bytes of the command that is being received come.
    pub(super) fn stop_client(&mut self) {
        self.client.state = match std::mem::replace(&mut self.client.state, State::Between) {
            State::Lost => State::Lost,
            _ => State::Between,
        };
        if let Some(open) = self.asking() {
            open.asked.is_damaged = true;
            open.finish(Direction::Client);
        }
    }
}
