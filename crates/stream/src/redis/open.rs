//! Exchanges that are not over yet.

use crate::command::{CommandExchange, CommandHead, ReplyHead};
use crate::flags::Flags;
use crate::id::ExchangeId;
use crate::message::{Message, MessageState, Protocol};
use crate::segment::Direction;
use crate::sink::Sink;
use crate::time::Timestamp;

/// What a command means for what follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Normal,
    /// It is answered by so many confirmations of that name; None where that is unknown.
    Subscription {
        name: &'static str,
        left: Option<u64>,
    },
    Hello,
    Reset,
    /// Allowed while messages are subscribed to in RESP2.
    Ping,
    Monitor,
    Sync,
    Psync,
    Multi,
    Exec,
}

/// What is known of one message apart from the message.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub flags: Flags,
    /// Something of it is missing.
    pub is_damaged: bool,
    pub done: bool,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Open {
    pub id: ExchangeId,
    pub role: Role,
    pub request: Message<CommandHead>,
    pub asked: Progress,
    /// Up to where the client had received the server's direction when it began the command.
    pub after: u64,
    pub response: Message<ReplyHead>,
    pub answered: Progress,
    pub response_start: Option<u64>,
    /// Bytes of memory that it takes.
    pub cost: u64,
}

impl Open {
    pub fn new(id: ExchangeId) -> Open {
        Open {
            id,
            role: Role::Normal,
            request: Message::default(),
            asked: Progress::default(),
            after: 0,
            response: Message::default(),
            answered: Progress::default(),
            response_start: None,
            cost: size_of::<Open>() as u64,
        }
    }

    /// One that the client did not ask for, or whose command is unknown.
    pub fn without_request(id: ExchangeId) -> Open {
        let mut open = Open::new(id);
        open.asked.done = true;
        open
    }

    /// A byte of a message is at `offset`.
    pub fn begin(&mut self, direction: Direction, offset: u64, time: Timestamp) {
        let (place, state, first) = match direction {
            Direction::Client => {
                let request = &mut self.request;
                (
                    &mut request.offset,
                    &mut request.state,
                    &mut request.first_byte,
                )
            }
            Direction::Server => {
                if self.response_start.is_some() {
                    return;
                }
                self.response_start = Some(offset);
                let response = &mut self.response;
                (
                    &mut response.offset,
                    &mut response.state,
                    &mut response.first_byte,
                )
            }
        };
        *place = offset;
        *state = MessageState::Incomplete;
        *first = time;
    }

    /// Counts bytes seen at `time`.
    pub fn add(&mut self, direction: Direction, bytes: usize, time: Timestamp) {
        match direction {
            Direction::Client => self.request.add(bytes, time),
            Direction::Server => self.response.add(bytes, time),
        }
    }

    /// True while a known number of confirmations is to come.
    pub fn lacks_confirmations(&self) -> bool {
        matches!(
            self.role,
            Role::Subscription {
                left: Some(1..),
                ..
            }
        )
    }

    /// The message in `direction` is over; absent when nothing of it was seen.
    pub fn finish(&mut self, direction: Direction) {
        let (progress, state) = match direction {
            Direction::Client => (&mut self.asked, &mut self.request.state),
            Direction::Server => (&mut self.answered, &mut self.response.state),
        };
        if !progress.done && *state == MessageState::Incomplete && !progress.is_damaged {
            *state = MessageState::Complete;
        }
        progress.done = true;
    }

    pub fn into_exchange(self, index_in_flow: u32, sink: &Sink<'_>) -> CommandExchange {
        let mut exchange = sink.exchange(
            Protocol::Redis,
            self.id,
            index_in_flow,
            self.request,
            self.response,
        );
        exchange.request.flags = self.asked.flags.names();
        exchange.response.flags = self.answered.flags.names();
        exchange
    }
}
