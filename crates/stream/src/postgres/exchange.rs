//! Exchanges that are not over yet, in the order of their requests, and what they wait for.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Place;
use super::statement::{Portal, Statement};
use crate::command::{CommandExchange, CommandHead, ReplyHead, ReplyKind, Transaction};
use crate::event::{EventKind, Watermark};
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::{Framing, Message, MessageState, Protocol};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// What is known of one message apart from the message.
#[derive(Debug, Default)]
struct Progress {
    flags: Flags,
    /// Some of it was seen.
    begun: bool,
    /// Something of it is missing.
    damaged: bool,
    done: bool,
}

/// How far a group of messages of the extended protocol has come; later ones start another group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// No such group.
    #[default]
    None,
    Parse,
    Describe,
    Bind,
    Last,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub id: ExchangeId,
    request: Message<CommandHead>,
    response: Message<ReplyHead>,
    asked: Progress,
    answered: Progress,
    /// Up to where the client had acknowledged the server's direction when it began the request.
    pub request_after: Option<u64>,
    pub stage: Stage,
    /// How telling the message is that the exchange is named after.
    rank: u8,
    /// Entries of the queue's waits that are its own.
    pub waits: u32,
    pub statement: Option<Arc<Statement>>,
    pub portal: Option<Portal>,
    /// What its head costs, as counted in the queue.
    head_bytes: u64,
    /// The client may send copy data.
    pub is_copying: bool,
    /// Nothing answers it, but for ReadyForQuery perhaps.
    is_unanswered: bool,
    /// It sent all copy data that it wanted to.
    pub has_copied: bool,
    /// The server described rows, or sent some.
    has_rows: bool,
    /// It did so for the command that is not done yet.
    in_rows: bool,
    /// Rows before those that are being copied out.
    rows_before_copy: Option<u64>,
}

impl Open {
    pub fn new(id: ExchangeId) -> Open {
        Open {
            id,
            request: Message::default(),
            response: Message::default(),
            asked: Progress::default(),
            answered: Progress::default(),
            request_after: None,
            stage: Stage::None,
            rank: 0,
            waits: 0,
            statement: None,
            portal: None,
            head_bytes: 0,
            is_copying: false,
            is_unanswered: false,
            has_copied: false,
            has_rows: false,
            in_rows: false,
            rows_before_copy: None,
        }
    }

    /// An exchange whose request was not seen, or that has none.
    pub fn unasked(place: &Place, sink: &Sink<'_>) -> Open {
        let mut open = Open::new(sink.exchange_id(place.offset, true));
        open.asked.done = true;
        open
    }

    pub fn request_offset(&self) -> u64 {
        self.request.offset
    }

    pub fn has_answer(&self) -> bool {
        self.answered.begun
    }

    pub fn is_asked(&self) -> bool {
        self.asked.done
    }

    pub fn is_answered(&self) -> bool {
        self.answered.done
    }

    /// Offset of the reply's first byte.
    pub fn answer_offset(&self) -> u64 {
        self.response.offset
    }

    pub fn is_over(&self) -> bool {
        self.asked.done && self.answered.done
    }

    /// A message of it begins.
    pub fn begin(&mut self, direction: Direction, place: &Place) {
        match direction {
            Direction::Client if !self.asked.begun => {
                self.asked.begun = true;
                self.request.begin(place.offset, place.time);
                self.request_after = place.after;
            }
            Direction::Server if !self.answered.begun => {
                self.answered.begun = true;
                self.response.begin(place.offset, place.time);
            }
            _ => {}
        }
    }

    /// Bytes of it were seen.
    pub fn add(&mut self, direction: Direction, bytes: usize, time: Timestamp) {
        match direction {
            Direction::Client => self.request.add(bytes, time),
            Direction::Server => self.response.add(bytes, time),
        }
    }

    /// Names the exchange after its most telling message.
    pub fn name(&mut self, name: &str, rank: u8) {
        let head = self.head();
        if head.name.is_empty() || rank > self.rank {
            self.head().name = name.to_owned();
            self.rank = rank;
        }
    }

    pub fn head(&mut self) -> &mut CommandHead {
        self.request.head.get_or_insert_default()
    }

    pub fn reply(&mut self) -> &mut ReplyHead {
        self.response.head.get_or_insert_default()
    }

    pub fn statement_text(&self) -> &[u8] {
        let own = self
            .request
            .head
            .as_ref()
            .and_then(|head| head.statement.as_ref());
        let prepared = || self.statement.as_ref()?.text.as_ref();
        own.or_else(prepared).map_or(&[], |text| text)
    }

    pub fn transaction(&self) -> Option<Transaction> {
        self.request.head.as_ref()?.transaction
    }

    pub fn set_transaction(&mut self, transaction: Transaction) {
        if let Some(head) = &mut self.request.head {
            head.transaction = Some(transaction);
        }
    }

    /// The server described rows, or sends some.
    pub fn see_rows(&mut self, rows: u64) {
        self.has_rows = true;
        self.in_rows = true;
        self.reply().rows += rows;
    }

    /// The server sends copy data, in messages that need not be rows.
    pub fn copy_out(&mut self) {
        self.see_rows(0);
        self.rows_before_copy = Some(self.reply().rows);
    }

    /// A command is done; true when it had rows. After a copy its tag tells how many.
    pub fn end_of_rows(&mut self, word: &[u8], rows: Option<u64>) -> bool {
        let before = self.rows_before_copy.take();
        if let (Some(before), b"COPY", Some(rows)) = (before, word, rows) {
            self.reply().rows = before.saturating_add(rows);
        }
        std::mem::take(&mut self.in_rows)
    }

    pub fn ask_flag(&mut self, flag: &'static str) {
        self.asked.flags.set(flag);
    }

    pub fn answer_flag(&mut self, flag: &'static str) {
        self.answered.flags.set(flag);
    }

    /// Something of the message is missing.
    pub fn damage(&mut self, direction: Direction) {
        match direction {
            Direction::Client => self.asked.damaged = true,
            Direction::Server => self.answered.damaged = true,
        }
    }

    pub fn finish_request(&mut self) {
        self.asked.done = true;
        self.is_copying = false;
    }

    /// The client goes on with it after all.
    pub fn reopen_request(&mut self) {
        self.asked.done = false;
    }

    pub fn finish_answer(&mut self) {
        self.answered.done = true;
    }

    pub fn reopen_answer(&mut self) {
        self.answered.done = false;
    }

    /// No reply is sent to it.
    pub fn finish_unanswered(&mut self) {
        self.reply().kind = ReplyKind::None;
        self.is_unanswered = true;
        self.answered.done |= self.waits == 0;
    }

    fn into_exchange(mut self, index_in_flow: u32, sink: &Sink<'_>) -> CommandExchange {
        self.fill_request();
        self.fill_response();
        sink.exchange(
            Protocol::Postgres,
            self.id,
            index_in_flow,
            self.request,
            self.response,
        )
    }

    fn fill_request(&mut self) {
        self.request.state = state(&self.asked);
        self.request.flags = self.asked.flags.names();
        if self.asked.begun {
            self.request.framing = Framing::Length;
        }
        let portal = self.portal.take();
        let of_portal = portal.as_ref().and_then(|portal| portal.statement.as_ref());
        let statement = of_portal.or(self.statement.as_ref()).cloned();
        let Some(head) = &mut self.request.head else {
            return;
        };
        if let Some(statement) = &statement {
            head.statement = head.statement.take().or_else(|| statement.text.clone());
            if !statement.name.is_empty() {
                head.prepared = Some(statement.name.clone());
            }
        }
        if let Some(portal) = portal {
            head.arguments = portal.arguments();
            if portal.is_cut {
                self.request.flags.push("arguments_cut".to_owned());
            }
        }
        self.statement = statement;
    }

    fn fill_response(&mut self) {
        self.response.state = state(&self.answered);
        self.response.flags = self.answered.flags.names();
        if !self.answered.begun {
            if self.is_unanswered {
                self.response.state = MessageState::Complete;
            }
            return;
        }
        self.response.framing = Framing::Length;
        let reply = self.response.head.get_or_insert_default();
        if self.has_rows {
            let statement = self.statement.as_ref();
            let columns = statement.and_then(|statement| statement.columns.get());
            if reply.columns.is_empty()
                && let Some(columns) = columns
            {
                reply.columns.clone_from(columns);
            }
            if reply.kind == ReplyKind::Done {
                reply.kind = ReplyKind::Rows;
            }
        }
    }
}

fn state(progress: &Progress) -> MessageState {
    match (progress.begun, progress.damaged || !progress.done) {
        (false, _) => MessageState::Absent,
        (true, true) => MessageState::Incomplete,
        (true, false) => MessageState::Complete,
    }
}

/// What a server owes.
#[derive(Debug)]
pub(super) enum Wait {
    /// One byte, to SSLRequest or GSSENCRequest.
    Negotiation,
    /// Authentication, up to ReadyForQuery.
    Startup,
    /// Everything up to ReadyForQuery: to Query, FunctionCall, and what is unknown.
    Ready,
    /// The outcome of an extended group whose messages can't be told apart any more.
    Outcome,
    Parse {
        made: Arc<Statement>,
        before: Option<Arc<Statement>>,
    },
    Bind,
    Describe {
        statement: Option<Arc<Statement>>,
    },
    Execute,
    Close,
    Sync,
    /// Replies to requests that were not seen, how many is unknown.
    Lost,
}

/// An entry of the queue: whose wait it is, by its position among all exchanges of the flow.
#[derive(Debug)]
pub(super) struct Waiting {
    pub of: u64,
    pub wait: Wait,
}

/// All exchanges of a flow that are not over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    open: VecDeque<Open>,
    /// Position of the first of them.
    first: u64,
    pub waits: VecDeque<Waiting>,
    head_bytes: u64,
    pub next_index: u32,
}

impl Queue {
    pub fn push(&mut self, open: Open) -> u64 {
        self.open.push_back(open);
        self.first + self.open.len() as u64 - 1
    }

    pub fn get(&mut self, position: u64) -> Option<&mut Open> {
        let index = position.checked_sub(self.first)?;
        self.open.get_mut(usize::try_from(index).ok()?)
    }

    pub fn last(&self) -> Option<u64> {
        (!self.open.is_empty()).then(|| self.first + self.open.len() as u64 - 1)
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of memory that they take.
    pub fn cost(&self) -> u64 {
        let open = self.open.len() * size_of::<Open>();
        let waits = self.waits.len() * size_of::<Waiting>();
        self.head_bytes + (open + waits) as u64
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.iter_mut()
    }

    /// True when there is room for so much more in heads; it is counted then.
    pub fn make_room(&mut self, position: u64, bytes: u64, limit: u64) -> bool {
        let has_room = self.head_bytes + bytes <= limit;
        if has_room && let Some(open) = self.get(position) {
            open.head_bytes += bytes;
            self.head_bytes += bytes;
        }
        has_room
    }

    pub fn wait(&mut self, of: u64, wait: Wait) {
        if let Some(open) = self.get(of) {
            open.waits += 1;
            open.reopen_answer();
            self.waits.push_back(Waiting { of, wait });
        }
    }

    /// Requests may have been missed here.
    pub fn lose_requests(&mut self) {
        if !matches!(
            self.waits.back(),
            Some(Waiting {
                wait: Wait::Lost,
                ..
            })
        ) {
            let wait = Wait::Lost;
            self.waits.push_back(Waiting { of: u64::MAX, wait });
        }
    }

    /// What is owed before everything else.
    pub fn wait_first(&mut self, of: u64, wait: Wait) {
        if let Some(open) = self.get(of) {
            open.waits += 1;
            open.reopen_answer();
            self.waits.push_front(Waiting { of, wait });
        }
    }

    /// What is owed first is done.
    pub fn pop_wait(&mut self) -> Option<Waiting> {
        let waiting = self.waits.pop_front()?;
        if let Some(open) = self.get(waiting.of) {
            open.waits = open.waits.saturating_sub(1);
            if open.waits == 0 {
                open.finish_answer();
            }
        }
        Some(waiting)
    }

    /// Where it would resume: nothing of what is not emitted may lie before.
    pub fn watermark(&self, mut mark: Watermark) -> Watermark {
        if let Some(first) = self.open.front() {
            mark.client = mark.client.min(first.request.offset);
        }
        // Replies come in order: none lies before that of the first which is not answered.
        for open in &self.open {
            if open.response.body_bytes > 0 {
                mark.server = mark.server.min(open.response.offset);
            }
            if !open.answered.done || open.response.body_bytes > 0 {
                break;
            }
        }
        mark
    }

    /// Emits the exchanges at the front that are over.
    pub fn emit(&mut self, sink: &mut Sink<'_>) {
        while self.open.front().is_some_and(Open::is_over)
            && let Some(open) = self.open.pop_front()
        {
            self.first += 1;
            self.head_bytes -= open.head_bytes;
            self.emit_one(open, sink);
        }
    }

    pub fn emit_one(&mut self, open: Open, sink: &mut Sink<'_>) {
        let exchange = open.into_exchange(self.next_index, sink);
        self.next_index = self.next_index.saturating_add(1);
        sink.event(EventKind::Command(Box::new(exchange)));
    }
}
