//! What clients ask.

use std::sync::Arc;

use bytes::Bytes;

use super::exchange::{Open, Stage};
use super::queue::Wait;
use super::read::{self, Fields};
use super::side::{Inside, Target};
use super::statement::{Portal, Statement};
use super::{Place, Postgres, probe};
use crate::command::Argument;
use crate::segment::Direction;
use crate::sink::Sink;

/// True for messages whose content is read.
pub(super) fn is_read(tag: u8) -> bool {
    matches!(tag, 0 | b'Q' | b'P' | b'B' | b'D' | b'E' | b'C' | b'F')
}

/// The name of a message, and how telling it is among those of its exchange.
fn name_of(tag: u8) -> (&'static str, u8) {
    match tag {
        b'E' => ("Execute", 6),
        b'B' => ("Bind", 5),
        b'P' => ("Parse", 4),
        b'D' => ("Describe", 3),
        b'C' => ("Close", 2),
        b'S' => ("Sync", 1),
        b'H' => ("Flush", 0),
        b'Q' => ("Query", 0),
        b'F' => ("FunctionCall", 0),
        b'X' => ("Terminate", 0),
        b'd' | b'c' | b'f' => ("CopyData", 0),
        b'p' => ("PasswordMessage", 0),
        _ => ("", 0),
    }
}

impl Postgres {
    /// A packet without type begins: the exchange that it is.
    pub(super) fn ask_untagged(&mut self, code: u32, place: &Place, sink: &mut Sink<'_>) -> Target {
        let name = match code {
            probe::SSL => "SSLRequest",
            probe::GSS => "GSSENCRequest",
            probe::CANCEL => "CancelRequest",
            _ => "Startup",
        };
        self.may_encrypt = false;
        Target::Queued(self.begin(name, 0, place, sink))
    }

    /// A message begins: the exchange that it belongs to.
    pub(super) fn ask(&mut self, tag: u8, place: &Place, sink: &mut Sink<'_>) -> Target {
        let (name, rank) = name_of(tag);
        let position = match tag {
            b'P' | b'B' | b'D' | b'E' | b'C' | b'S' | b'H' => self.join(tag, place, sink),
            b'd' | b'c' | b'f' => self.copy(place, sink),
            b'p' if self.is_starting() => self.starting.unwrap_or_default(),
            _ => self.begin(name, rank, place, sink),
        };
        if let Some(open) = self.queue.get(position) {
            open.begin(Direction::Client, place);
            if name.is_empty() {
                open.name(&char::from(tag).to_string(), 0);
                open.ask_flag("unknown_message");
            } else {
                open.name(name, rank);
            }
        }
        Target::Queued(position)
    }

    /// A message is over.
    pub(super) fn asked(&mut self, inside: &Inside, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let Target::Queued(position) = inside.target else {
            return;
        };
        if self.is_skipping && !matches!(inside.tag, 0 | b'S' | b'X' | b'd' | b'c' | b'f' | b'p') {
            self.asked_in_vain(position, inside.tag);
            return;
        }
        match inside.tag {
            0 => self.untagged(position, inside.code, content, sink),
            b'Q' => {
                let text = content.and_then(|content| content.split_last());
                self.set_statement(position, text.map(|(_, text)| text), sink);
                self.request(position, Wait::Ready, sink);
            }
            b'F' => {
                let function = content.and_then(|content| Fields(content).int32());
                if let (Some(open), Some(function)) = (self.queue.get(position), function) {
                    let number = Argument::Number((function as u32).to_string());
                    open.head().arguments.push(number);
                }
                self.request(position, Wait::Ready, sink);
            }
            b'P' => self.parse(position, content, sink),
            b'B' => self.bind(position, content, sink),
            b'D' => self.describe(position, content, sink),
            b'E' => self.execute(position, content, sink),
            b'C' => self.close_named(position, content, sink),
            b'S' => {
                self.is_skipping = false;
                self.wait(position, Wait::Sync, sink);
                self.end_group();
            }
            b'H' => {
                self.end_group();
                self.finish_if_unawaited(position);
            }
            b'c' | b'f' => self.end_of_copy(position),
            b'd' | b'p' => {}
            b'X' => {
                if let Some(open) = self.queue.get(position) {
                    open.finish_request();
                    open.finish_unanswered();
                }
            }
            _ => self.request(position, Wait::Ready, sink),
        }
    }

    /// True while a start-up is not answered.
    fn is_starting(&mut self) -> bool {
        let starting = self.starting;
        starting.is_some_and(|position| self.queue.get(position).is_some_and(|open| open.waits > 0))
    }

    /// Begins an exchange.
    pub(super) fn begin(
        &mut self,
        name: &str,
        rank: u8,
        place: &Place,
        sink: &mut Sink<'_>,
    ) -> u64 {
        self.end_group();
        self.end_copy();
        self.keep_limits(sink);
        let mut open = Open::new(sink.exchange_id(place.offset, false));
        open.begin(Direction::Client, place);
        open.name(name, rank);
        let position = self.queue.push(open);
        self.settle_lost_replies();
        position
    }

    /// The request is over, and owed a reply.
    fn request(&mut self, position: u64, wait: Wait, sink: &mut Sink<'_>) {
        if let Some(open) = self.queue.get(position) {
            open.finish_request();
        }
        self.wait(position, wait, sink);
    }

    fn wait(&mut self, position: u64, wait: Wait, sink: &mut Sink<'_>) {
        self.keep_limits(sink);
        self.queue.wait(position, wait);
    }

    fn finish_if_unawaited(&mut self, position: u64) {
        if let Some(open) = self.queue.get(position)
            && open.waits == 0
            && !open.has_answer()
        {
            open.finish_unanswered();
        }
    }

    /// The server passes over the message.
    fn asked_in_vain(&mut self, position: u64, tag: u8) {
        if !matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C') {
            self.end_group();
        }
        if let Some(open) = self.queue.get(position) {
            open.ask_flag("skipped_after_error");
            if !open.has_answer() {
                open.finish_unanswered();
            }
            if !matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C' | b'H') {
                open.finish_request();
            }
        }
    }

    fn untagged(&mut self, position: u64, code: u32, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        match code {
            probe::SSL | probe::GSS => {
                self.may_encrypt = true;
                self.request(position, Wait::Negotiation, sink);
            }
            probe::CANCEL => {
                let process = content.and_then(|content| Fields(content).int32());
                if let Some(open) = self.queue.get(position) {
                    if let Some(process) = process {
                        let number = Argument::Number((process as u32).to_string());
                        open.head().arguments.push(number);
                    }
                    open.finish_request();
                    open.finish_unanswered();
                }
            }
            _ => {
                let pairs = content.and_then(probe::parameters);
                let arguments = pairs.iter().flatten().flat_map(|(name, value)| {
                    [name, value].map(|text| Argument::Text(Bytes::copy_from_slice(text)))
                });
                if let Some(open) = self.queue.get(position) {
                    open.head().arguments = arguments.collect();
                    if pairs.is_none() {
                        open.ask_flag("malformed_message");
                    }
                }
                self.starting = Some(position);
                // What authenticates the client belongs to it too.
                self.request(position, Wait::Startup, sink);
            }
        }
    }

    /// The text of a statement, where there is room for it.
    fn set_statement(&mut self, position: u64, text: Option<&[u8]>, sink: &mut Sink<'_>) {
        let limit = sink.limits.flow_buffer_bytes / 2;
        let kept = text.filter(|text| self.queue.make_room(position, text.len() as u64, limit));
        if let Some(open) = self.queue.get(position) {
            match kept {
                Some(text) => open.head().statement = Some(Bytes::copy_from_slice(text)),
                None => open.ask_flag("statement_cut"),
            }
        }
    }

    /// The exchange that a message of the extended protocol belongs to.
    fn join(&mut self, tag: u8, place: &Place, sink: &mut Sink<'_>) -> u64 {
        let stage = match tag {
            b'P' => Stage::Parse,
            b'D' => Stage::Describe,
            b'B' => Stage::Bind,
            _ => Stage::Last,
        };
        let group = self.group;
        if let Some(position) = group
            && let Some(open) = self.queue.get(position)
        {
            let joins = match tag {
                b'S' | b'H' => true,
                b'C' => false,
                b'D' => open.stage < Stage::Last,
                _ => stage > open.stage,
            };
            if joins {
                open.stage = open.stage.max(stage);
                return position;
            }
        }
        let (name, rank) = name_of(tag);
        let position = self.begin(name, rank, place, sink);
        if let Some(open) = self.queue.get(position) {
            open.stage = stage;
        }
        self.group = Some(position);
        position
    }

    /// No more messages join the exchange.
    pub(super) fn end_group(&mut self) {
        if let Some(position) = self.group.take()
            && let Some(open) = self.queue.get(position)
        {
            open.finish_request();
        }
    }

    fn parse(&mut self, position: u64, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let parsed = content.and_then(read::parse);
        self.set_statement(position, parsed.as_ref().map(|parsed| parsed.text), sink);
        let Some(open) = self.queue.get(position) else {
            return;
        };
        let mut made = Statement::default();
        if let Some(parsed) = parsed {
            made.name = read::name(parsed.name);
            made.text = open.head().statement.clone();
            made.types = parsed.types;
        } else if content.is_some() {
            open.ask_flag("malformed_message");
        }
        let made = Arc::new(made);
        open.statement = Some(Arc::clone(&made));
        let before = self.prepared.put(&made, sink.limits.max_head_bytes);
        self.wait(position, Wait::Parse { made, before }, sink);
    }

    fn bind(&mut self, position: u64, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let bound = content.and_then(read::bind);
        let Some(open) = self.queue.get(position) else {
            return;
        };
        if bound.is_none() && content.is_some() {
            open.ask_flag("malformed_message");
        }
        let mut portal = Portal::default();
        let mut name = String::new();
        match bound {
            Some(bound) => {
                name = read::name(bound.portal);
                let statement = self.prepared.statement(&read::name(bound.statement));
                portal.statement = statement.cloned();
                portal.parameters = Arc::new(bound.parameters);
                portal.formats = bound.formats;
            }
            None => portal.is_cut = true,
        }
        let cost = portal.cost();
        let limit = sink.limits.flow_buffer_bytes / 2;
        if !self.queue.make_room(position, cost, limit) {
            portal.parameters = Arc::default();
            portal.is_cut = true;
        }
        self.prepared
            .open(name, portal.clone(), sink.limits.max_head_bytes);
        self.use_portal(position, Some(portal));
        self.wait(position, Wait::Bind, sink);
    }

    fn use_portal(&mut self, position: u64, portal: Option<Portal>) {
        let Some(open) = self.queue.get(position) else {
            return;
        };
        let is_known = portal
            .as_ref()
            .is_some_and(|portal| portal.statement.is_some());
        if !is_known {
            open.ask_flag("statement_unknown");
        }
        open.portal = portal.or(open.portal.take());
    }

    fn describe(&mut self, position: u64, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let (kind, name) = kind_and_name(content);
        let of_portal = kind == Some(b'P');
        let statement = match of_portal {
            true => self
                .prepared
                .portal(&name)
                .and_then(|portal| portal.statement.as_ref()),
            false => self.prepared.statement(&name),
        };
        let statement = statement.cloned();
        if let Some(open) = self.queue.get(position)
            && open.stage == Stage::Describe
        {
            // Nothing but Parse and Describe was sent: it is about this statement.
            if statement.is_none() {
                open.ask_flag("statement_unknown");
            }
            if !of_portal && !name.is_empty() {
                open.head().prepared = Some(name);
            }
            open.statement = statement.clone().or(open.statement.take());
        }
        self.wait(position, Wait::Describe { statement }, sink);
    }

    fn execute(&mut self, position: u64, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let name = content.and_then(|content| Fields(content).text());
        let name = name.map(read::name);
        let own = self
            .queue
            .get(position)
            .and_then(|open| open.portal.clone());
        // A portal that there was no room for is that of the Bind before.
        let portal = name
            .and_then(|name| self.prepared.portal(&name).cloned())
            .or(own);
        self.use_portal(position, portal);
        self.wait(position, Wait::Execute, sink);
    }

    fn close_named(&mut self, position: u64, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let (kind, name) = kind_and_name(content);
        match kind {
            Some(b'S') => {
                let statement = self.prepared.close_statement(&name);
                if let Some(open) = self.queue.get(position) {
                    open.statement = statement;
                    if !name.is_empty() {
                        open.head().prepared = Some(name);
                    }
                }
            }
            Some(b'P') => self.prepared.close_portal(&name),
            _ => {}
        }
        self.wait(position, Wait::Close, sink);
    }

    /// The exchange that copy data belongs to.
    fn copy(&mut self, place: &Place, sink: &mut Sink<'_>) -> u64 {
        if let Some(position) = self.copying
            && self.queue.get(position).is_some()
        {
            return position;
        }
        let last = self.queue.last();
        if let Some(position) = last
            && let Some(open) = self.queue.get(position)
            && open.waits > 0
        {
            // The server's leave was not seen yet, or the copy was refused already.
            open.reopen_request();
            open.is_copying = true;
            self.copying = last;
            return position;
        }
        // Servers pass over it outside a copy. After a loss the copy may have begun before.
        let is_after_loss = !self.queue.waits.is_empty();
        let position = self.begin("CopyData", 0, place, sink);
        self.copying = Some(position);
        match is_after_loss {
            true => self.wait(position, Wait::Ready, sink),
            false => {
                if let Some(open) = self.queue.get(position) {
                    open.ask_flag("unexpected_message");
                    open.finish_unanswered();
                }
            }
        }
        position
    }

    /// The client said all that it wanted to copy, or gave up.
    fn end_of_copy(&mut self, position: u64) {
        self.copying = None;
        if let Some(open) = self.queue.get(position) {
            open.finish_request();
            open.has_copied = true;
            if open.stage == Stage::Last {
                // A Sync follows, since one before the copy was passed over.
                open.reopen_request();
                self.group = Some(position);
            }
        }
    }

    /// The client goes on with something else.
    pub(super) fn end_copy(&mut self) {
        if let Some(position) = self.copying.take()
            && let Some(open) = self.queue.get(position)
        {
            open.finish_request();
        }
    }
}

/// What Describe and Close name.
fn kind_and_name(content: Option<&[u8]>) -> (Option<u8>, String) {
    let mut fields = Fields(content.unwrap_or_default());
    let kind = fields.byte();
    let name = fields.text().map(read::name);
    (kind, name.unwrap_or_default())
}
