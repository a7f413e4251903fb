//! Commands: what the client sends.

use bytes::Bytes;

use super::Mysql;
use super::cursor::Cursor;
use super::login::{self, Capabilities, Login};
use super::reply::{After, Shape};
use super::transaction::Intent;
use super::values::{Layout, Parameters};
use crate::command::{Argument, CommandHead};
use crate::sink::Sink;

/// The numbers of the commands that are read further than their first byte.
mod code {
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const CREATE_DB: u8 = 0x05;
    pub const DROP_DB: u8 = 0x06;
    pub const STATISTICS: u8 = 0x09;
    pub const PROCESS_INFO: u8 = 0x0a;
    pub const PROCESS_KILL: u8 = 0x0c;
    pub const CHANGE_USER: u8 = 0x11;
    pub const BINLOG_DUMP: u8 = 0x12;
    pub const TABLE_DUMP: u8 = 0x13;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
    pub const SET_OPTION: u8 = 0x1b;
    pub const STMT_FETCH: u8 = 0x1c;
    pub const BINLOG_DUMP_GTID: u8 = 0x1e;
    pub const RESET_CONNECTION: u8 = 0x1f;
    pub const CLONE: u8 = 0x20;
    pub const GROUP_REPLICATION_STREAM: u8 = 0x21;
    /// MariaDB's.
    pub const STMT_BULK_EXECUTE: u8 = 0xfa;
}

/// The names that the documentation gives, by number.
const NAMES: [&str; 0x22] = [
    "COM_SLEEP",
    "COM_QUIT",
    "COM_INIT_DB",
    "COM_QUERY",
    "COM_FIELD_LIST",
    "COM_CREATE_DB",
    "COM_DROP_DB",
    "COM_REFRESH",
    "COM_SHUTDOWN",
    "COM_STATISTICS",
    "COM_PROCESS_INFO",
    "COM_CONNECT",
    "COM_PROCESS_KILL",
    "COM_DEBUG",
    "COM_PING",
    "COM_TIME",
    "COM_DELAYED_INSERT",
    "COM_CHANGE_USER",
    "COM_BINLOG_DUMP",
    "COM_TABLE_DUMP",
    "COM_CONNECT_OUT",
    "COM_REGISTER_SLAVE",
    "COM_STMT_PREPARE",
    "COM_STMT_EXECUTE",
    "COM_STMT_SEND_LONG_DATA",
    "COM_STMT_CLOSE",
    "COM_STMT_RESET",
    "COM_SET_OPTION",
    "COM_STMT_FETCH",
    "COM_DAEMON",
    "COM_BINLOG_DUMP_GTID",
    "COM_RESET_CONNECTION",
    "COM_CLONE",
    "COM_SUBSCRIBE_GROUP_REPLICATION_STREAM",
];

/// MariaDB's name for the statement that was prepared last.
const LAST_STATEMENT: u32 = u32::MAX;

/// The flag of an execution whose number of parameters is sent along.
const PARAMETER_COUNT_AVAILABLE: u8 = 8;

/// What is read of one command.
#[derive(Debug, Default)]
struct Command {
    head: CommandHead,
    statement_id: Option<u32>,
    flags: Vec<&'static str>,
}

impl Mysql {
    /// A message of the client is whole.
    pub(super) fn client_message(&mut self, head: &[u8], sink: &Sink<'_>) -> After {
        let length = self.client.packets.length;
        let has_hole = self.client.packets.has_hole;
        let is_out_of_sequence = self.client.packets.is_out_of_sequence;
        let next = self.client.packets.sequence.wrapping_add(1);
        let is_login = self.client.is_login;
        let Some(open) = self.queue.receiving() else {
            return After::Broken;
        };
        open.expected = Some(next);
        if has_hole {
            open.request_progress.damaged = true;
            open.request_progress.flags.set("gap_in_message");
        }
        if is_out_of_sequence {
            open.request_progress.flags.set("unexpected_sequence");
        }
        if open.sends_file {
            // An empty packet ends the file.
            open.request_progress.done = length == 0;
            open.sends_file = length != 0;
            return After::Over;
        }
        open.request_progress.done = true;
        if open.request.head.is_some() {
            // It goes on with what the server asked for to let it in.
            return After::Over;
        }
        if is_login {
            return self.login(head);
        }
        self.command(head, length, sink)
    }

    fn login(&mut self, head: &[u8]) -> After {
        self.client.is_login = false;
        let login = Login::read(head);
        let Some(open) = self.queue.open.back_mut() else {
            return After::Broken;
        };
        let Some(login) = login else {
            open.request_progress.flags.set("malformed_login");
            open.request.head = Some(CommandHead {
                name: "Handshake".to_owned(),
                ..CommandHead::default()
            });
            return After::Over;
        };
        let of_server = self.session.greeting.map(|greeting| greeting.capabilities);
        let common = Capabilities(login.capabilities.0 & of_server.map_or(u32::MAX, |all| all.0));
        let asks_for_tls = login.asks_for_tls;
        open.request.head = Some(login.into_head());
        if asks_for_tls {
            open.finish_without_reply();
            return After::Opaque;
        }
        self.session.capabilities = Some(common);
        self.session.deprecates_eof = Some(common.has(Capabilities::DEPRECATE_EOF));
        After::Over
    }

    fn command(&mut self, payload: &[u8], length: u64, sink: &Sink<'_>) -> After {
        let Some((number, rest)) = payload.split_first() else {
            if let Some(open) = self.queue.open.back_mut() {
                open.request_progress.flags.set("empty_command");
            }
            return After::Over;
        };
        let is_cut = length > payload.len() as u64;
        let mut command = self.read(*number, rest, is_cut, sink);
        let is_known = name(*number).is_some();
        command.head.name =
            name(*number).map_or_else(|| format!("COM_{number:#04x}"), str::to_owned);
        let intent = match *number {
            code::QUIT | code::CHANGE_USER | code::RESET_CONNECTION => Intent::Leave,
            code::QUERY | code::STMT_EXECUTE | code::STMT_BULK_EXECUTE => {
                let statement = command.head.statement.as_deref().unwrap_or_default();
                Intent::of(statement)
            }
            _ => Intent::Other,
        };
        let Some(open) = self.queue.open.back_mut() else {
            return After::Broken;
        };
        for flag in command.flags {
            open.request_progress.flags.set(flag);
        }
        if !is_known {
            open.request_progress.flags.set("unknown_command");
        }
        open.statement_id = command.statement_id;
        open.intent = intent;
        open.shape = shape(*number);
        open.request.head = Some(command.head);
        self.queue.count_command();
        if matches!(
            *number,
            code::QUIT | code::STMT_CLOSE | code::STMT_SEND_LONG_DATA
        ) {
            self.finish_silent(*number);
        }
        if matches!(*number, code::CHANGE_USER | code::RESET_CONNECTION) {
            self.session.statements.clear();
        }
        After::Over
    }

    /// A command without a reply is over with itself.
    fn finish_silent(&mut self, number: u8) {
        let transaction = match number {
            code::QUIT => self.session.transactions.follow(Intent::Leave, None, false),
            _ => self.session.transactions.inside(),
        };
        if let Some(open) = self.queue.open.back_mut() {
            // The server may have begun to answer before the command was whole.
            if !open.response_progress.begun {
                open.finish_without_reply();
            }
            if let Some(head) = &mut open.request.head {
                head.transaction = transaction;
            }
        }
    }

    fn read(&mut self, number: u8, rest: &[u8], is_cut: bool, sink: &Sink<'_>) -> Command {
        let mut command = Command::default();
        let text = |bytes: &[u8]| vec![Argument::Text(Bytes::copy_from_slice(bytes))];
        match number {
            code::QUERY => self.query(rest, &mut command),
            code::STMT_PREPARE => command.head.statement = Some(Bytes::copy_from_slice(rest)),
            code::INIT_DB | code::CREATE_DB | code::DROP_DB => command.head.arguments = text(rest),
            code::FIELD_LIST => {
                let mut cursor = Cursor(rest);
                let table = cursor.until_nul().unwrap_or_default();
                command.head.arguments = text(table);
                command.head.arguments.extend(text(cursor.rest()));
            }
            code::PROCESS_KILL => match Cursor(rest).long() {
                Some(id) => command.head.arguments = vec![Argument::Number(id.to_string())],
                None => command.flags.push("malformed_command"),
            },
            code::SET_OPTION => match Cursor(rest).short() {
                Some(option) => {
                    command.head.arguments = vec![Argument::Number(option.to_string())];
                }
                None => command.flags.push("malformed_command"),
            },
            code::CHANGE_USER => match login::read_change_user(rest, self.session.capabilities) {
                Some(arguments) => command.head.arguments = arguments,
                None => command.flags.push("malformed_command"),
            },
            code::STMT_EXECUTE
            | code::STMT_BULK_EXECUTE
            | code::STMT_SEND_LONG_DATA
            | code::STMT_CLOSE
            | code::STMT_RESET
            | code::STMT_FETCH => self.prepared_command(number, rest, is_cut, &mut command, sink),
            _ => {}
        }
        if is_cut {
            command.flags.push(match command.head.statement.is_some() {
                true if matches!(number, code::QUERY | code::STMT_PREPARE) => "statement_cut",
                _ => "arguments_cut",
            });
        }
        command
    }

    /// The attributes of a query stand before its text, where both sides know them. A text never
    /// begins as they do.
    fn query(&self, rest: &[u8], command: &mut Command) {
        let may_have = self
            .session
            .capabilities
            .is_none_or(|known| known.has(Capabilities::QUERY_ATTRIBUTES));
        let mut cursor = Cursor(rest);
        let counts = cursor.length().zip(cursor.length());
        let statement = match counts {
            Some((count, 1)) if may_have => {
                let layout = Layout {
                    count,
                    has_names: true,
                    known: None,
                    sent_ahead: &[],
                };
                match Parameters::read(&mut cursor, layout) {
                    Some(attributes) => {
                        command.head.arguments = attributes.values;
                        cursor.rest()
                    }
                    None => {
                        command.flags.push("parameters_unreadable");
                        &[]
                    }
                }
            }
            _ => rest,
        };
        command.head.statement = Some(Bytes::copy_from_slice(statement));
    }

    /// A command about a prepared statement.
    fn prepared_command(
        &mut self,
        number: u8,
        rest: &[u8],
        is_cut: bool,
        command: &mut Command,
        sink: &Sink<'_>,
    ) {
        let limit = sink.limits.max_head_bytes as usize;
        let mut cursor = Cursor(rest);
        let Some(named) = cursor.long() else {
            return command.flags.push("malformed_command");
        };
        let id = match (named, self.session.statements.last) {
            (LAST_STATEMENT, Some(last)) => last,
            _ => named,
        };
        command.statement_id = Some(id);
        command.head.prepared = Some(id.to_string());
        let known = self.session.statements.get(id);
        command.head.statement = known.and_then(|prepared| prepared.text.clone());
        if id == LAST_STATEMENT {
            command.head.statement = self.statement_being_prepared();
        }
        if command.head.statement.is_none() {
            command.flags.push("statement_unknown");
        }
        match number {
            code::STMT_EXECUTE => self.execution(id, cursor, is_cut, command, limit),
            code::STMT_BULK_EXECUTE => command.flags.push("parameters_not_parsed"),
            code::STMT_SEND_LONG_DATA => match cursor.short() {
                None => command.flags.push("malformed_command"),
                Some(parameter) => {
                    let data = cursor.rest();
                    command.head.arguments = vec![
                        Argument::Number(parameter.to_string()),
                        Argument::Binary(Bytes::copy_from_slice(data)),
                    ];
                    self.send_ahead(id, parameter, data, is_cut, limit);
                }
            },
            code::STMT_CLOSE => self.session.statements.remove(id),
            code::STMT_RESET if self.session.statements.get(id).is_some() => {
                self.session.statements.change(id, limit, |prepared| {
                    prepared.sent_ahead.clear();
                    prepared.is_cut = false;
                });
            }
            code::STMT_FETCH => match cursor.long() {
                Some(rows) => command.head.arguments = vec![Argument::Number(rows.to_string())],
                None => command.flags.push("malformed_command"),
            },
            _ => {}
        }
    }

    /// The text of the last `COM_STMT_PREPARE`, while its reply is under way.
    fn statement_being_prepared(&self) -> Option<Bytes> {
        let mut open = self.queue.open.iter().rev();
        let prepare = open.find(|open| open.shape == Shape::Prepare)?;
        prepare.request.head.as_ref()?.statement.clone()
    }

    fn send_ahead(&mut self, id: u32, parameter: u16, data: &[u8], is_cut: bool, limit: usize) {
        self.session.statements.change(id, limit, |prepared| {
            prepared.is_cut |= is_cut;
            let held: usize = prepared
                .sent_ahead
                .iter()
                .map(|(_, held)| held.len() + 32)
                .sum();
            if held + data.len() > limit / 2 {
                prepared.is_cut = true;
                return;
            }
            let known = prepared
                .sent_ahead
                .iter_mut()
                .find(|(at, _)| *at == parameter);
            match known {
                Some((_, held)) => held.extend_from_slice(data),
                None => prepared.sent_ahead.push((parameter, data.to_vec())),
            }
        });
    }

    fn execution(
        &mut self,
        id: u32,
        mut cursor: Cursor<'_>,
        is_cut: bool,
        command: &mut Command,
        limit: usize,
    ) {
        let (Some(flags), Some(_iterations)) = (cursor.byte(), cursor.long()) else {
            return command.flags.push("malformed_command");
        };
        let prepared = self.session.statements.get(id);
        let read = |has_names: bool, has_count: bool| {
            let mut cursor = cursor;
            let count = match has_count {
                true => cursor.length()?,
                false => u64::from(prepared?.parameters?),
            };
            let layout = Layout {
                count,
                has_names,
                known: prepared.and_then(|prepared| prepared.types.as_deref()),
                sent_ahead: prepared.map_or(&[], |prepared| &prepared.sent_ahead),
            };
            let parameters = Parameters::read(&mut cursor, layout)?;
            cursor.is_empty().then_some(parameters)
        };
        let has_count = flags & PARAMETER_COUNT_AVAILABLE != 0;
        let has_names = match self.session.capabilities {
            Some(known) => known.has(Capabilities::QUERY_ATTRIBUTES),
            None => has_count,
        };
        let has_count = has_count && has_names;
        if prepared.is_some_and(|prepared| prepared.is_cut) || is_cut {
            command.flags.push("arguments_cut");
        }
        let Some(parameters) = read(has_names, has_count) else {
            if !is_cut {
                command.flags.push("parameters_unreadable");
            }
            return;
        };
        command.head.arguments = parameters.values;
        if prepared.is_some() {
            self.session.statements.change(id, limit, |prepared| {
                if parameters.types.is_some() {
                    prepared.types = parameters.types;
                }
                prepared.sent_ahead.clear();
                prepared.is_cut = false;
            });
        }
    }
}

fn name(number: u8) -> Option<&'static str> {
    match number {
        code::STMT_BULK_EXECUTE => Some("COM_STMT_BULK_EXECUTE"),
        _ => NAMES.get(usize::from(number)).copied(),
    }
}

/// How the reply to a command is laid out.
fn shape(number: u8) -> Shape {
    match number {
        code::QUERY | code::PROCESS_INFO | code::STMT_EXECUTE | code::STMT_BULK_EXECUTE => {
            Shape::Results
        }
        code::FIELD_LIST => Shape::Fields,
        code::STATISTICS => Shape::Text,
        code::STMT_PREPARE => Shape::Prepare,
        code::STMT_FETCH => Shape::Rows,
        code::CHANGE_USER => Shape::Login,
        code::BINLOG_DUMP
        | code::BINLOG_DUMP_GTID
        | code::TABLE_DUMP
        | code::CLONE
        | code::GROUP_REPLICATION_STREAM => Shape::Stream,
        _ if name(number).is_some() => Shape::Single,
        _ => Shape::Unknown,
    }
}
