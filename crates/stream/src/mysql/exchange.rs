//! Exchanges that are not over yet, in the order of their commands.

use std::collections::VecDeque;

use super::reply::Shape;
use super::transaction::Intent;
use crate::command::{CommandExchange, CommandHead, ReplyHead, ReplyKind};
use crate::event::EventKind;
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::{Message, MessageState, Protocol};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// Commands that may wait for their replies. The protocol has one at a time, and clients that
/// pipeline send a few.
const MAX_OPEN: usize = 1024;

/// What is known of one message apart from the message.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub flags: Flags,
    /// A byte of it was seen.
    pub begun: bool,
    /// Something of it is missing.
    pub damaged: bool,
    pub done: bool,
    /// There is nothing to be seen of it.
    pub is_nothing: bool,
}

impl Progress {
    fn state(&self) -> MessageState {
        match (self.damaged, self.begun) {
            (true, _) => MessageState::Incomplete,
            (false, true) => MessageState::Complete,
            (false, false) if self.is_nothing => MessageState::Complete,
            (false, false) => MessageState::Absent,
        }
    }
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub id: ExchangeId,
    pub request: Message<CommandHead>,
    pub request_progress: Progress,
    /// Up to where the client had acknowledged the server's direction when it began the command.
    pub request_after: Option<u64>,
    pub response: Message<ReplyHead>,
    pub response_progress: Progress,
    /// How its reply is laid out.
    pub shape: Shape,
    /// The sequence number of the next packet of either side.
    pub expected: Option<u8>,
    /// The client sends a file.
    pub sends_file: bool,
    /// The number of the prepared statement that the command uses.
    pub statement_id: Option<u32>,
    /// The last status that the server told.
    pub status: Option<u16>,
    /// Bytes of column names kept so far.
    pub column_bytes: usize,
    /// What the command does to a transaction.
    pub intent: Intent,
    /// The server has undone the transaction.
    pub undone: bool,
    /// Bytes of memory that its command and its columns take, as counted in the queue.
    command_cost: u64,
    column_cost: u64,
}

impl Open {
    pub fn new(id: ExchangeId, shape: Shape) -> Open {
        Open {
            id,
            request: Message::default(),
            request_progress: Progress::default(),
            request_after: None,
            response: Message::default(),
            response_progress: Progress::default(),
            shape,
            expected: None,
            sends_file: false,
            statement_id: None,
            status: None,
            column_bytes: 0,
            intent: Intent::Other,
            undone: false,
            command_cost: 0,
            column_cost: 0,
        }
    }

    pub fn progress(&mut self, direction: Direction) -> &mut Progress {
        match direction {
            Direction::Client => &mut self.request_progress,
            Direction::Server => &mut self.response_progress,
        }
    }

    /// Notes where and when a message begins.
    pub fn begin(&mut self, direction: Direction, offset: u64, time: Timestamp) {
        let progress = self.progress(direction);
        if progress.begun {
            return;
        }
        progress.begun = true;
        match direction {
            Direction::Client => self.request.begin(offset, time),
            Direction::Server => self.response.begin(offset, time),
        }
    }

    /// Counts bytes that were seen at `time`.
    pub fn add(&mut self, direction: Direction, bytes: usize, time: Timestamp) {
        match direction {
            Direction::Client => self.request.add(bytes, time),
            Direction::Server => self.response.add(bytes, time),
        }
    }

    /// The command has no reply.
    pub fn finish_without_reply(&mut self) {
        self.response.head = Some(ReplyHead {
            kind: ReplyKind::None,
            ..ReplyHead::default()
        });
        self.response_progress.done = true;
        self.response_progress.is_nothing = true;
    }

    /// The reply's head.
    pub fn reply(&mut self) -> &mut ReplyHead {
        self.response.head.get_or_insert_default()
    }

    fn into_exchange(mut self, index_in_flow: u32, sink: &Sink<'_>) -> CommandExchange {
        self.request.state = self.request_progress.state();
        self.request.flags = self.request_progress.flags.names();
        self.response.state = self.response_progress.state();
        self.response.flags = self.response_progress.flags.names();
        sink.exchange(
            Protocol::Mysql,
            self.id,
            index_in_flow,
            self.request,
            self.response,
        )
    }
}

/// All exchanges of a flow that are not over.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub open: VecDeque<Open>,
    pub next_index: u32,
    /// Bytes of memory that their heads take.
    cost: u64,
}

impl Queue {
    pub fn new(next_index: u32) -> Queue {
        Queue {
            next_index,
            ..Queue::default()
        }
    }

    /// The exchange whose reply comes next, or is coming.
    pub fn answering(&self) -> Option<usize> {
        self.open
            .iter()
            .position(|open| !open.response_progress.done)
    }

    pub fn answered(&mut self) -> Option<&mut Open> {
        self.open
            .iter_mut()
            .find(|open| !open.response_progress.done)
    }

    /// The exchange whose command is being received, or whose client has more to say.
    pub fn receiving(&mut self) -> Option<&mut Open> {
        self.open
            .back_mut()
            .filter(|open| !open.request_progress.done)
    }

    /// How many exchanges come before the one whose command is being received, which stays the
    /// last: all of them, where there is none.
    pub fn received(&mut self) -> usize {
        let is_receiving = self.receiving().is_some();
        self.open.len() - usize::from(is_receiving)
    }

    /// The exchange with this id, looked for from where `direction` works.
    pub fn find(&mut self, direction: Direction, id: &ExchangeId) -> Option<&mut Open> {
        match direction {
            Direction::Client => self.open.iter_mut().rev().find(|open| open.id == *id),
            Direction::Server => self.open.iter_mut().find(|open| open.id == *id),
        }
    }

    /// Bytes of memory that they take.
    pub fn cost(&self) -> u64 {
        self.cost + (self.open.len() * size_of::<Open>()) as u64
    }

    /// Counts the head that the last command was given.
    pub fn count_command(&mut self) {
        if let Some(open) = self.open.back_mut() {
            let cost = open.request.head.as_ref().map_or(0, CommandHead::cost);
            open.command_cost += cost;
            self.cost += cost;
        }
    }

    /// Counts what the columns of the reply in progress take.
    pub fn count_columns(&mut self, bytes: usize) {
        let mut open = self.open.iter_mut();
        if let Some(open) = open.find(|open| !open.response_progress.done) {
            let before = std::mem::replace(&mut open.column_cost, bytes as u64);
            self.cost = self.cost - before + bytes as u64;
        }
    }

    pub fn is_full(&self) -> bool {
        self.open.len() >= MAX_OPEN
    }

    /// Emits the exchanges at the front that are over.
    pub fn emit(&mut self, sink: &mut Sink<'_>) {
        while let Some(front) = self.open.front()
            && front.request_progress.done
            && front.response_progress.done
            && let Some(open) = self.open.pop_front()
        {
            self.cost -= open.command_cost + open.column_cost;
            let exchange = open.into_exchange(self.next_index, sink);
            self.next_index += 1;
            sink.event(EventKind::Command(Box::new(exchange)));
        }
    }
}
