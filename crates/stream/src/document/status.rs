//! Whose fault an error is, in the words of HTTP.

use crate::command::{ReplyHead, ReplyKind};
use crate::message::Protocol;

/// First words of errors of Redis that are the server's.
const REDIS_SERVER: &[&str] = &[
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "UNBLOCKED",
];

/// Classes of SQLSTATE that are the server's (PostgreSQL's documentation, appendix A): connection
/// exceptions, rolled back transactions, insufficient resources, an object not in the state that
/// is needed, operator intervention, system and internal errors.
const SQL_SERVER: &[&str] = &["08", "40", "53", "55", "57", "58", "XX"];

/// MySQL's errors that are the server's and have an SQLSTATE that does not say so: disk full, out
/// of memory, shutting down, lock waits and full lock tables, read-only, an interrupted or
/// timed-out statement, a full table.
const MYSQL_SERVER: &[u16] = &[
    1021, 1037, 1038, 1041, 1053, 1079, 1114, 1203, 1205, 1206, 1226, 1290, 1317, 1836, 3024, 3572,
];

/// The status of a reply: 200 for an answer, 204 where none is sent, 400 for an error that is the
/// command's fault, 500 for one that is the server's.
pub fn status(protocol: Protocol, reply: &ReplyHead) -> u16 {
    if reply.kind == ReplyKind::None {
        return 204;
    }
    if reply.kind != ReplyKind::Error {
        return 200;
    }
    let code = reply.code.as_deref().unwrap_or_default();
    let is_class = |state: &[u8]| {
        let mut classes = SQL_SERVER.iter();
        classes.any(|class| state.starts_with(class.as_bytes()))
    };
    let is_server = match protocol {
        Protocol::Redis => REDIS_SERVER.contains(&code),
        Protocol::Mysql => {
            let (state, _) = crate::mysql::state_and_message(&reply.text);
            let number = code.parse().unwrap_or(0);
            MYSQL_SERVER.contains(&number) || state.is_some_and(is_class)
        }
        _ => is_class(code.as_bytes()),
    };
    match is_server {
        true => 500,
        false => 400,
    }
}
