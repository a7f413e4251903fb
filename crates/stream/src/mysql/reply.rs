//! Replies: a state for each packet that may come next.

use bytes::Bytes;

use super::Mysql;
use super::cursor::Cursor;
use super::done::{Done, column_name, eof_status, status};
use super::exchange::Open;
use super::login::Greeting;
use super::packets::MAX_PAYLOAD;
use super::statements::Prepared;
use crate::command::ReplyKind;
use crate::sink::Sink;

/// Errors by which the server has undone the whole transaction: a deadlock.
const UNDOING: u16 = 1213;

/// MariaDB's progress reports look like errors with this code.
const PROGRESS: u16 = 0xffff;

/// What is gathered of a column's definition.
const COLUMN_HEAD: usize = 16 << 10;

/// The most columns that a result may announce.
const MAX_COLUMNS: u64 = 65_535;

/// How the reply to a command is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The greeting and what follows until the server lets the client in or not; the same after
    /// `COM_CHANGE_USER`.
    Login,
    /// `OK`, an error, or results.
    Results,
    /// A statement's number, its parameters and columns.
    Prepare,
    /// Column definitions.
    Fields,
    /// Rows of an open cursor.
    Rows,
    /// One packet of text.
    Text,
    /// One packet.
    Single,
    /// A stream of its own without end.
    Stream,
    /// The command was not seen.
    Unknown,
}

/// Which packet of a reply comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first one, or the first of a further result.
    #[default]
    First,
    /// So many column definitions.
    Columns(u64),
    /// `EOF`, unless clients go without it.
    AfterColumns,
    Rows,
    /// So many definitions of parameters, then so many of columns.
    Parameters(u16, u16),
    AfterParameters(u16),
    PreparedColumns(u16),
    /// An `EOF` that only comes where it is known or found that clients want it.
    LastEof,
}

/// What a message leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// More of it comes.
    Goes,
    /// The message of the exchange is over.
    Over,
    /// It can't be understood.
    Broken,
    /// It is over, and what follows is another protocol.
    Opaque,
}

impl Mysql {
    /// How much of the current message of the server is wanted, where `next` is the next byte.
    pub(super) fn reply_wanted(&self, next: Option<u8>, limit: usize) -> usize {
        let first = self.server.packets.first_byte().or(next);
        match self.stage {
            Stage::Rows | Stage::AfterColumns => match first {
                Some(0xfe) if self.server.packets.first_length < MAX_PAYLOAD => limit,
                Some(0xff) => limit,
                _ => 1,
            },
            Stage::First | Stage::LastEof => limit,
            _ => COLUMN_HEAD.min(limit),
        }
    }

    /// A message of the server is whole.
    pub(super) fn reply_message(&mut self, head: &[u8], sink: &Sink<'_>) -> After {
        let has_hole = self.server.packets.has_hole;
        let (stage, shape) = match self.queue.answered() {
            Some(open) => {
                if has_hole {
                    open.response_progress.damaged = true;
                    open.response_progress.flags.set("gap_in_message");
                }
                (self.stage, open.shape)
            }
            None => return After::Broken,
        };
        if head.is_empty() {
            return After::Broken;
        }
        match (stage, shape) {
            (Stage::First, Shape::Login) => self.login_message(head),
            (Stage::First, _) => self.first_packet(head, shape, sink),
            (Stage::Rows, _) => self.row(head),
            (Stage::AfterColumns, _) => self.after_columns(head),
            (Stage::Columns(_), _) if head.first() == Some(&0xff) => self.error(head),
            (Stage::Columns(left), _) => {
                self.column(head, sink);
                self.stage = match left {
                    0 | 1 => Stage::AfterColumns,
                    left => Stage::Columns(left - 1),
                };
                After::Goes
            }
            (Stage::Parameters(left, columns), _) => match left {
                0 | 1 => self.after_parameters(columns),
                left => {
                    self.stage = Stage::Parameters(left - 1, columns);
                    After::Goes
                }
            },
            (Stage::AfterParameters(columns), _) => match self.is_eof(head) {
                true => {
                    self.learn_eof(false);
                    self.prepared_columns(columns)
                }
                false => {
                    self.learn_eof(true);
                    self.stage = Stage::PreparedColumns(columns);
                    self.prepared_column(columns, head, sink)
                }
            },
            (Stage::PreparedColumns(left), _) => self.prepared_column(left, head, sink),
            (Stage::LastEof, _) => {
                self.learn_eof(false);
                self.end_of_rows(head);
                After::Over
            }
        }
    }

    /// Whether the packet whose header was just read can't belong to the reply in progress.
    pub(super) fn is_next_reply(&self) -> bool {
        let packets = &self.server.packets;
        let follows = self.session.is_framed || self.server.expected == Some(packets.sequence);
        self.stage == Stage::LastEof && !(follows && matches!(packets.first_length, 1 | 5))
    }

    fn first_packet(&mut self, head: &[u8], shape: Shape, sink: &Sink<'_>) -> After {
        let first = head.first().copied().unwrap_or_default();
        match (shape, first) {
            (Shape::Text, kind) if kind != 0xff => self.text(head, sink),
            (Shape::Login, _) | (_, 0xff) => self.error(head),
            (Shape::Stream, _) => self.stream(),
            (Shape::Prepare, 0) => self.prepared(head, sink),
            (Shape::Rows, _) => {
                self.with_reply(|open| open.reply().kind = ReplyKind::Rows);
                self.row(head)
            }
            (Shape::Fields, 0xfe) => self.end_of_rows(head),
            (Shape::Fields, _) => self.field(head, sink),
            (Shape::Unknown, 3) if head.starts_with(b"\x03def") => {
                self.with_reply(|open| open.shape = Shape::Fields);
                self.field(head, sink)
            }
            (_, 0) => self.ok(head),
            (Shape::Single, 0xfe) => self.end_of_rows(head),
            (Shape::Results, 0xfb) => self.local_infile(),
            (Shape::Results | Shape::Unknown, _) => self.column_count(head),
            _ => After::Broken,
        }
    }

    /// Greeting, `OK`, an error, or a word of the authentication.
    fn login_message(&mut self, head: &[u8]) -> After {
        match head.first() {
            Some(0) => {
                let after = self.ok(head);
                self.begin_compression();
                after
            }
            Some(0xff) => self.error(head),
            Some(10) if self.session.greeting.is_none() => {
                self.session.greeting = Greeting::read(head);
                if self.session.greeting.is_none() {
                    self.with_reply(|open| open.response_progress.flags.set("malformed_greeting"));
                }
                After::Goes
            }
            // Another method, more of this one, the next factor
            Some(1 | 2 | 0xfe) => After::Goes,
            _ => {
                self.with_reply(|open| open.response_progress.flags.set("unknown_login_message"));
                After::Goes
            }
        }
    }

    fn ok(&mut self, head: &[u8]) -> After {
        let Some(done) = Done::read(head, self.session.capabilities) else {
            return After::Broken;
        };
        self.with_reply(|open| {
            let reply = open.reply();
            reply.affected = Some(done.affected);
            reply.text = done.text;
        });
        self.result_is_over(done.status)
    }

    fn error(&mut self, head: &[u8]) -> After {
        let mut cursor = Cursor(head.get(1..).unwrap_or_default());
        let Some(code) = cursor.short() else {
            return After::Broken;
        };
        if code == PROGRESS {
            return After::Goes;
        }
        let text = Bytes::copy_from_slice(cursor.rest());
        self.with_reply(|open| {
            open.undone = code == UNDOING;
            let reply = open.reply();
            reply.kind = ReplyKind::Error;
            reply.code = Some(code.to_string());
            reply.text = text;
        });
        After::Over
    }

    fn text(&mut self, head: &[u8], sink: &Sink<'_>) -> After {
        let limit = sink.limits.max_head_bytes;
        let is_cut = self.server.packets.length > limit;
        self.with_reply(|open| {
            if is_cut {
                open.response_progress.flags.set("text_cut");
            }
            let reply = open.reply();
            reply.kind = ReplyKind::Value;
            reply.text = Bytes::copy_from_slice(head);
        });
        After::Over
    }

    fn stream(&mut self) -> After {
        self.with_reply(|open| {
            open.reply();
            open.response_progress.flags.set("stream_follows");
        });
        After::Opaque
    }

    /// The server asks for a file of the client's.
    fn local_infile(&mut self) -> After {
        let is_last = self.queue.answering().map(|index| index + 1) == Some(self.queue.open.len());
        self.with_reply(|open| {
            open.reply();
            open.response_progress.flags.set("local_infile");
            if is_last {
                open.sends_file = true;
                open.request_progress.done = false;
            }
        });
        After::Goes
    }

    fn column_count(&mut self, head: &[u8]) -> After {
        let mut cursor = Cursor(head);
        let count = cursor.length();
        let metadata = cursor.byte();
        let Some(count) = count.filter(|count| *count <= MAX_COLUMNS && cursor.is_empty()) else {
            return After::Broken;
        };
        self.with_reply(|open| {
            open.column_bytes = 0;
            let reply = open.reply();
            reply.kind = ReplyKind::Rows;
            reply.columns.clear();
        });
        self.queue.count_columns(0);
        // Where metadata is optional, a byte says whether it follows.
        self.stage = match metadata {
            Some(0) => Stage::AfterColumns,
            _ => Stage::Columns(count),
        };
        After::Goes
    }

    fn column(&mut self, head: &[u8], sink: &Sink<'_>) {
        let name = column_name(head);
        let limit = sink.limits.max_head_bytes as usize;
        let mut kept_bytes = None;
        self.with_reply(|open| match name {
            None => open.response_progress.flags.set("malformed_column"),
            Some(name) => {
                open.column_bytes += name.len() + size_of::<String>();
                match open.column_bytes > limit {
                    true => open.response_progress.flags.set("columns_cut"),
                    false => {
                        open.reply().columns.push(name);
                        kept_bytes = Some(open.column_bytes);
                    }
                }
            }
        });
        if let Some(bytes) = kept_bytes {
            self.queue.count_columns(bytes);
        }
    }

    fn field(&mut self, head: &[u8], sink: &Sink<'_>) -> After {
        self.with_reply(|open| open.reply().kind = ReplyKind::Rows);
        self.column(head, sink);
        After::Goes
    }

    fn after_columns(&mut self, head: &[u8]) -> After {
        self.stage = Stage::Rows;
        if !self.is_eof(head) {
            self.learn_eof(true);
            return self.row(head);
        }
        let status = eof_status(head);
        if status.is_some_and(|status| status & status::CURSOR_EXISTS != 0) {
            // The rows wait in a cursor.
            return self.result_is_over(status);
        }
        self.learn_eof(false);
        After::Goes
    }

    fn row(&mut self, head: &[u8]) -> After {
        self.stage = Stage::Rows;
        match head.first() {
            Some(0xff) => self.error(head),
            // A field whose length takes 8 bytes does not fit in less.
            Some(0xfe) if self.server.packets.first_length < MAX_PAYLOAD => self.end_of_rows(head),
            _ => {
                self.with_reply(|open| open.reply().rows += 1);
                After::Goes
            }
        }
    }

    /// `EOF`, or the `OK` that stands for it.
    fn end_of_rows(&mut self, head: &[u8]) -> After {
        if self.is_eof(head) {
            return self.result_is_over(eof_status(head));
        }
        match Done::read(head, self.session.capabilities) {
            Some(done) => {
                self.with_reply(|open| open.reply().text = done.text);
                self.result_is_over(done.status)
            }
            None => After::Broken,
        }
    }

    fn result_is_over(&mut self, status: Option<u16>) -> After {
        self.stage = Stage::First;
        self.with_reply(|open| {
            open.reply();
            open.status = status.or(open.status);
        });
        match status.is_some_and(|status| status & status::MORE_RESULTS != 0) {
            true => After::Goes,
            false => After::Over,
        }
    }

    fn prepared(&mut self, head: &[u8], sink: &Sink<'_>) -> After {
        let mut cursor = Cursor(head);
        let numbers = (|| {
            cursor.byte()?;
            let numbers = (cursor.long()?, cursor.short()?, cursor.short()?);
            cursor.take(3)?;
            Some(numbers)
        })();
        let Some((id, columns, parameters)) = numbers else {
            return After::Broken;
        };
        let mut text = None;
        self.with_reply(|open| {
            open.reply();
            if let Some(head) = &mut open.request.head {
                head.prepared = Some(id.to_string());
                text = head.statement.clone();
            }
        });
        let prepared = Prepared {
            text,
            parameters: Some(parameters),
            ..Prepared::default()
        };
        let limit = sink.limits.max_head_bytes as usize;
        self.session.statements.insert(id, prepared, limit);
        self.session.statements.last = Some(id);
        if cursor.byte() == Some(0) {
            // The client asked to leave the metadata out.
            return After::Over;
        }
        match parameters {
            0 => self.prepared_columns(columns),
            _ => {
                self.stage = Stage::Parameters(parameters, columns);
                After::Goes
            }
        }
    }

    fn after_parameters(&mut self, columns: u16) -> After {
        if self.session.deprecates_eof == Some(true) {
            return self.prepared_columns(columns);
        }
        self.stage = match columns {
            0 => Stage::LastEof,
            _ => Stage::AfterParameters(columns),
        };
        After::Goes
    }

    fn prepared_columns(&mut self, columns: u16) -> After {
        if columns == 0 {
            return After::Over;
        }
        self.stage = Stage::PreparedColumns(columns);
        After::Goes
    }

    fn prepared_column(&mut self, left: u16, head: &[u8], sink: &Sink<'_>) -> After {
        self.column(head, sink);
        self.stage = match left {
            0 | 1 if self.session.deprecates_eof == Some(true) => return After::Over,
            0 | 1 => Stage::LastEof,
            left => Stage::PreparedColumns(left - 1),
        };
        After::Goes
    }

    /// True for the packet that ends rows where clients want it; `OK` in its place is longer.
    fn is_eof(&self, head: &[u8]) -> bool {
        head.first() == Some(&0xfe) && self.server.packets.length <= 5
    }

    /// Takes the word of the bytes for what the login did not tell.
    pub(super) fn learn_eof(&mut self, is_deprecated: bool) {
        self.session.deprecates_eof.get_or_insert(is_deprecated);
    }

    pub(super) fn with_reply(&mut self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.queue.answered() {
            change(open);
        }
    }

    /// The reply is over, whole or not.
    pub(super) fn finish_reply(&mut self) {
        self.stage = Stage::First;
        self.server.current = None;
        let capabilities = self.session.capabilities;
        let Some(open) = self.queue.answered() else {
            return;
        };
        open.response_progress.done = true;
        if capabilities.is_none() && open.shape != Shape::Login && open.response_progress.begun {
            open.response_progress.flags.set("capabilities_unknown");
        }
        let status = open.status.filter(|_| open.response_progress.begun);
        let transaction = self
            .session
            .transactions
            .follow(open.intent, status, open.undone);
        if let Some(head) = &mut open.request.head {
            head.transaction = transaction;
        }
    }

    /// From here on both directions are compressed, if both sides can.
    fn begin_compression(&mut self) {
        if self.awaits_compression() || self.session.is_framed {
            self.begin_frames();
            self.server.frames.get_or_insert_default();
        }
    }
}
