//! One exchange that is not over yet.

use std::sync::Arc;

use super::statement::{Portal, Statement};
use super::{Place, read};
use crate::command::{ColumnForm, CommandExchange, CommandHead, ReplyHead, ReplyKind, Transaction};
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
    pub head_bytes: u64,
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
    /// How its rows are written, where it was bound.
    forms: Vec<ColumnForm>,
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
            forms: Vec::new(),
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

    pub fn into_exchange(mut self, index_in_flow: u32, sink: &Sink<'_>) -> CommandExchange {
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
            let columns = statement
                .as_ref()
                .and_then(|statement| statement.columns.get());
            self.forms = portal.forms(columns.map_or(&[], |columns| columns));
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
                reply.columns = read::names(columns);
            }
            reply.forms = std::mem::take(&mut self.forms);
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
