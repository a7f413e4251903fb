//! What servers answer.

use bytes::Bytes;

use super::exchange::Open;
use super::queue::{Wait, Waiting};
use super::read::{self, Fields};
use super::side::{Input, Inside, Target};
use super::statement::Description;
use super::{Place, Postgres};
use crate::command::ReplyKind;
use crate::segment::Direction;
use crate::sink::Sink;

/// True for messages whose content is read.
pub(super) fn is_read(tag: u8) -> bool {
    matches!(tag, b'A' | b'C' | b'E' | b'N' | b'S' | b'T' | b'Z' | b't')
}

impl Postgres {
    /// A message begins: the exchange that it belongs to.
    pub(super) fn answer(&mut self, tag: u8, place: &Place, sink: &Sink<'_>) -> Target {
        self.at_server_start = false;
        self.idle_from = None;
        let target = self.answered_exchange(tag, place, sink);
        if let Some(open) = self.open(target) {
            open.begin(Direction::Server, place);
        }
        target
    }

    fn answered_exchange(&mut self, tag: u8, place: &Place, sink: &Sink<'_>) -> Target {
        if tag != b'A' {
            if let Some(position) = self.pair(place) {
                return Target::Queued(position);
            }
            let is_unasked = matches!(tag, b'N' | b'S' | b'E');
            if !is_unasked || self.orphan.is_some() || !self.queue.waits.is_empty() {
                self.orphan
                    .get_or_insert_with(|| Open::unasked(place, sink));
                return Target::Orphan;
            }
        }
        self.push = Some(Open::unasked(place, sink));
        Target::Push
    }

    /// A message is over.
    pub(super) fn answered(
        &mut self,
        inside: &Inside,
        content: Option<&[u8]>,
        sink: &mut Sink<'_>,
    ) {
        let target = inside.target;
        match inside.tag {
            b'Z' => return self.ready(target, content),
            b'E' => self.error(target, content, sink),
            b'T' | b't' => self.description(target, inside.tag, content, sink),
            b'C' => self.command_complete(target, content),
            b'G' | b'W' => self.copy_begins(target),
            _ => {}
        }
        let Some(open) = self.open(target) else {
            return;
        };
        match inside.tag {
            b'D' | b'd' => open.see_rows(1),
            b'H' => open.copy_out(),
            b'V' => open.reply().kind = ReplyKind::Value,
            b's' => open.answer_flag("portal_suspended"),
            b'v' => open.answer_flag("version_negotiated"),
            b'A' => notification(open, content),
            b'N' | b'S' if target == Target::Push => notice(open, inside.tag, content),
            b'E' | b'T' | b't' | b'C' | b'G' | b'W' | b'1' | b'2' | b'3' | b'n' | b'I' | b'c'
            | b'R' | b'K' | b'N' | b'S' => {}
            _ => open.answer_flag("unknown_message"),
        }
        if target == Target::Push {
            open.finish_answer();
        }
        if let Target::Queued(position) = target {
            self.count_off(position, inside.tag);
        }
    }

    /// Takes what a message answers off the queue.
    fn count_off(&mut self, position: u64, tag: u8) {
        let Some(Waiting { of, wait }) = self.queue.waits.front() else {
            return;
        };
        if *of != position {
            return;
        }
        let is_outcome = matches!(tag, b'C' | b's' | b'I');
        let fits = match (wait, tag) {
            (Wait::Parse { .. }, b'1')
            | (Wait::Bind, b'2')
            | (Wait::Close, b'3')
            | (Wait::Describe { .. }, b'T' | b'n') => true,
            (Wait::Execute | Wait::Outcome, _) if is_outcome => true,
            // These leave what is owed as it is.
            (_, b'E' | b'N' | b'S' | b'K' | b'R' | b'v')
            | (Wait::Describe { .. }, b't')
            | (Wait::Execute, b'D' | b'd' | b'c' | b'G' | b'H' | b'W')
            | (Wait::Outcome | Wait::Ready | Wait::Startup, _) => return,
            _ => false,
        };
        if fits {
            self.queue.pop_wait();
        } else if let Some(open) = self.queue.get(position) {
            open.answer_flag("unexpected_message");
            // It may be another one's answer, and then so may be what follows.
            open.answer_flag("pairing_uncertain");
            self.in_doubt = true;
        }
    }

    fn description(
        &mut self,
        target: Target,
        tag: u8,
        content: Option<&[u8]>,
        sink: &mut Sink<'_>,
    ) {
        let limit = sink.limits.max_head_bytes;
        let statement = match self.queue.waits.front() {
            Some(Waiting {
                of,
                wait: Wait::Describe { statement },
            }) if target == Target::Queued(*of) => statement.clone(),
            _ => None,
        };
        if tag == b't' {
            let types = content.and_then(read::parameter_types);
            if let (Some(statement), Some(types)) = (statement, types) {
                self.prepared
                    .describe(&statement, Description::Types(types), limit);
            }
            return;
        }
        let columns = content.and_then(read::columns).unwrap_or_default();
        if let Some(statement) = statement {
            let columns = Description::Columns(columns.clone());
            self.prepared.describe(&statement, columns, limit);
        }
        if let Some(open) = self.open(target) {
            open.see_rows(0);
            open.reply().columns = read::names(&columns);
            if content.is_none() {
                open.answer_flag("columns_cut");
            }
        }
    }

    fn command_complete(&mut self, target: Target, content: Option<&[u8]>) {
        let tag = content.and_then(|content| Fields(content).text());
        let tag = tag.unwrap_or_default();
        // Not `open`: the transaction is another part of the flow.
        let open = match target {
            Target::Queued(position) => self.queue.get(position),
            Target::Orphan => self.orphan.as_mut(),
            Target::Push => None,
        };
        if let Some(open) = open {
            open.command_complete(tag);
            self.transactions.tag(tag, open);
        }
        if matches!(tag, b"DISCARD ALL" | b"DEALLOCATE ALL") {
            self.prepared.close_all();
        }
    }

    /// The server takes copy data from now on.
    fn copy_begins(&mut self, target: Target) {
        let Target::Queued(position) = target else {
            return;
        };
        // A Sync that was sent before the copy is passed over; another one follows the copy.
        let is_last = self.queue.last() == Some(position);
        if is_last
            && let Some(open) = self.queue.get(position)
            && !open.has_copied
        {
            open.reopen_request();
            open.is_copying = true;
            self.copying = Some(position);
        }
    }

    fn error(&mut self, target: Target, content: Option<&[u8]>, sink: &mut Sink<'_>) {
        let report = content.and_then(read::report).unwrap_or_default();
        let is_fatal = matches!(report.severity, b"FATAL" | b"PANIC");
        let open = match target {
            Target::Queued(position) => self.queue.get(position),
            Target::Orphan => self.orphan.as_mut(),
            Target::Push => self.push.as_mut(),
        };
        if let Some(open) = open {
            self.transactions.tag(b"", open);
            let reply = open.reply();
            // The first error is the cause of those after it.
            if reply.kind != ReplyKind::Error {
                reply.kind = ReplyKind::Error;
                reply.code = (!report.code.is_empty()).then(|| read::name(report.code));
                reply.text = Bytes::copy_from_slice(report.message);
            }
        }
        let Target::Queued(position) = target else {
            if is_fatal && let Some(orphan) = &mut self.orphan {
                orphan.finish_answer();
            }
            return;
        };
        let front = self.queue.waits.front().map(|waiting| &waiting.wait);
        match front {
            // Nothing follows a fatal error.
            _ if is_fatal => self.drop_waits_of(position),
            Some(Wait::Negotiation | Wait::Startup) => drop(self.queue.pop_wait()),
            Some(Wait::Ready | Wait::Sync | Wait::Lost) | None => {}
            Some(_) => self.skip_to_sync(position, sink),
        }
    }

    fn drop_waits_of(&mut self, position: u64) {
        while self
            .queue
            .waits
            .front()
            .is_some_and(|waiting| waiting.of == position)
        {
            self.queue.pop_wait();
        }
    }

    /// After an error the server passes over everything up to the next Sync.
    fn skip_to_sync(&mut self, position: u64, sink: &mut Sink<'_>) {
        while let Some(waiting) = self.queue.waits.front() {
            // In doubt it is unknown what comes before the next Sync.
            let is_unknown = self.in_doubt && waiting.of != position;
            if is_unknown || matches!(waiting.wait, Wait::Sync | Wait::Lost) {
                return;
            }
            let Some(Waiting { of, wait }) = self.queue.pop_wait() else {
                break;
            };
            if let Wait::Parse { made, before } = wait {
                self.prepared
                    .restore(&made, before, sink.limits.max_head_bytes);
            }
            if of != position
                && let Some(open) = self.queue.get(of)
            {
                open.ask_flag("skipped_after_error");
                open.finish_unanswered();
            }
        }
        self.is_skipping = true;
    }

    /// The server is ready for the next query.
    fn ready(&mut self, target: Target, content: Option<&[u8]>) {
        let end = self.server.consumed;
        self.idle_from = Some(end);
        let is_orphan = matches!(target, Target::Orphan);
        self.settled_at = (self.in_doubt || is_orphan).then_some(end);
        self.in_doubt |= is_orphan && !self.queue.waits.is_empty();
        self.is_skipping = false;
        let status = content.and_then(|content| content.first()).copied();
        let open = match target {
            Target::Queued(position) => self.queue.get(position),
            _ => self.orphan.as_mut(),
        };
        match (open, status) {
            (Some(open), Some(status)) => self.transactions.status(status, open),
            _ => self.transactions.lose(),
        }
        match target {
            Target::Queued(_) => self.count_off_ready(),
            _ => {
                if let Some(orphan) = &mut self.orphan {
                    orphan.finish_answer();
                }
            }
        }
        if status == Some(b'I') && self.queue.waits.is_empty() && self.group.is_none() {
            self.prepared.close_portals();
        }
    }

    /// Everything up to the first message that ReadyForQuery answers is done.
    fn count_off_ready(&mut self) {
        while let Some(waiting) = self.queue.waits.front() {
            if matches!(waiting.wait, Wait::Lost) {
                return;
            }
            let Some(Waiting { of, wait }) = self.queue.pop_wait() else {
                return;
            };
            let is_ready = matches!(
                wait,
                Wait::Ready | Wait::Startup | Wait::Sync | Wait::Outcome
            );
            if !is_ready {
                if let Some(open) = self.queue.get(of) {
                    open.answer_flag("reply_missing");
                    open.damage(Direction::Server);
                }
                continue;
            }
            // Of the two Syncs around a copy one is answered.
            while let Some(next) = self.queue.waits.front()
                && next.of == of
                && matches!(next.wait, Wait::Sync)
            {
                self.queue.pop_wait();
            }
            return;
        }
    }

    /// True when the server's next byte answers a request for encryption.
    pub(super) fn is_negotiating(&self, input: &Input) -> bool {
        if !self.server.partial.is_empty() {
            return false;
        }
        let first = input.rest().first();
        match self.queue.waits.front() {
            // A server that knows nothing of encryption answers with an error.
            Some(Waiting {
                wait: Wait::Negotiation,
                ..
            }) => first != Some(&b'E'),
            Some(_) => false,
            // The request was not seen; no other message of these types comes first.
            None => self.at_server_start && matches!(first, Some(b'S' | b'N' | b'G')),
        }
    }

    /// Takes the byte that answers a request for encryption.
    pub(super) fn negotiate(&mut self, input: &mut Input, sink: &mut Sink<'_>) {
        let place = input.place();
        let Some(byte) = input.rest().first().copied() else {
            return;
        };
        let target = self.answer(0, &place, sink);
        if input.target != Some(target) {
            self.flush(Direction::Server, input, sink);
            input.target = Some(target);
        }
        input.at += 1;
        self.server.consumed = input.offset();
        self.add(Direction::Server, target, 1, input, sink);
        if let Some(open) = self.open(target) {
            open.reply().text = Bytes::copy_from_slice(&[byte]);
            open.finish_answer();
            if !matches!(byte, b'S' | b'N' | b'G') {
                open.answer_flag("unexpected_message");
            }
        }
        if let Target::Queued(_) = target {
            self.queue.pop_wait();
        }
        self.settle_asides(Direction::Server, input, sink);
        match byte {
            b'N' => self.may_encrypt = false,
            _ => {
                self.flush(Direction::Server, input, sink);
                self.make_opaque(sink);
            }
        }
    }
}

impl Open {
    /// A command is done, says its tag. Of several commands the last one's tag stays, and the
    /// rows that they changed are summed up.
    fn command_complete(&mut self, tag: &[u8]) {
        let (word, rows) = read::tag_rows(tag);
        let had_rows = self.end_of_rows(word, rows);
        let reply = self.reply();
        if reply.kind != ReplyKind::Error {
            reply.text = Bytes::copy_from_slice(tag);
        }
        let changes = match word {
            b"INSERT" | b"UPDATE" | b"DELETE" | b"MERGE" => true,
            // CREATE TABLE AS says SELECT; COPY from the client has no rows in its answer.
            b"SELECT" => !had_rows && rows != Some(0),
            b"COPY" => !had_rows,
            _ => false,
        };
        if changes && let Some(rows) = rows {
            reply.affected = Some(reply.affected.unwrap_or(0).saturating_add(rows));
        }
    }
}

fn notification(open: &mut Open, content: Option<&[u8]>) {
    let mut fields = Fields(content.unwrap_or_default());
    let text = fields
        .int32()
        .and_then(|_| Some([fields.text()?, fields.text()?].join(&b' ')));
    let reply = open.reply();
    reply.kind = ReplyKind::Push;
    reply.text = text.unwrap_or_default().into();
}

fn notice(open: &mut Open, tag: u8, content: Option<&[u8]>) {
    let content = content.unwrap_or_default();
    let reply = open.reply();
    reply.kind = ReplyKind::Push;
    if tag == b'N' {
        let report = read::report(content).unwrap_or_default();
        reply.code = (!report.code.is_empty()).then(|| read::name(report.code));
        reply.text = Bytes::copy_from_slice(report.message);
    } else {
        let mut fields = Fields(content);
        let (name, value) = (fields.text(), fields.text());
        let text = [name.unwrap_or_default(), value.unwrap_or_default()].join(&b'=');
        reply.text = text.into();
    }
}
