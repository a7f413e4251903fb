//! What the arguments of each command are.

use super::Argument;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Value,
    /// The name of a field of a hash or stream.
    Field,
    /// An option, a number or an id of the server's own.
    Kept,
}

/// A command that is known.
#[derive(Clone, Copy)]
pub(super) struct Command {
    /// The arguments in their order: `k` a key, `v` a value, `f` a field, `n` a number,
    /// `i` an id of a stream, `?` options before the others, `o` options that end the
    /// command, with numbers of theirs. What stands after `*` comes again and again.
    form: &'static str,
}

/// The commands that a snapshot is made of. Others are refused: what scripts, dumped
/// values (RESTORE) and passwords (AUTH, ACL) hold can't be told.
const COMMANDS: &[(&str, &str)] = &[
    ("APPEND", "kv"),
    ("DEL", "*k"),
    ("EXEC", ""),
    ("EXPIRE", "kno"),
    ("EXPIREAT", "kno"),
    ("FLUSHALL", "o"),
    ("FLUSHDB", "o"),
    ("GEOADD", "k?*vvv"),
    ("GETSET", "kv"),
    ("HINCRBY", "kfv"),
    ("HMSET", "k*fv"),
    ("HSET", "k*fv"),
    ("HSETNX", "kfv"),
    ("INCRBY", "kv"),
    ("LPUSH", "k*v"),
    ("LPUSHX", "k*v"),
    ("MSET", "*kv"),
    ("MSETNX", "*kv"),
    ("MULTI", ""),
    ("PERSIST", "k"),
    ("PEXPIRE", "kno"),
    ("PEXPIREAT", "kno"),
    ("PFADD", "k*v"),
    ("PING", ""),
    ("PSETEX", "knv"),
    ("RENAME", "kk"),
    ("RPUSH", "k*v"),
    ("RPUSHX", "k*v"),
    ("SADD", "k*v"),
    ("SELECT", "n"),
    ("SET", "kvo"),
    ("SETEX", "knv"),
    ("SETNX", "kv"),
    ("UNLINK", "*k"),
    ("XADD", "ki*fv"),
    ("ZADD", "k?*vv"),
];

/// Commands of the traffic that a snapshot has not.
const READS: &[(&str, &str)] = &[
    ("BLPOP", "*k"),
    ("BRPOP", "*k"),
    ("DECR", "k"),
    ("DECRBY", "kv"),
    ("DUMP", "k"),
    ("EXISTS", "*k"),
    ("EXPIRETIME", "k"),
    ("GET", "k"),
    ("GETDEL", "k"),
    ("GETEX", "ko"),
    ("GETRANGE", "knn"),
    ("HDEL", "k*f"),
    ("HEXISTS", "kf"),
    ("HGET", "kf"),
    ("HGETALL", "k"),
    ("HKEYS", "k"),
    ("HLEN", "k"),
    ("HMGET", "k*f"),
    ("HSTRLEN", "kf"),
    ("HVALS", "k"),
    ("INCR", "k"),
    ("INCRBYFLOAT", "kv"),
    ("KEYS", "k"),
    ("LINDEX", "kn"),
    ("LLEN", "k"),
    ("LPOP", "k"),
    ("LRANGE", "knn"),
    ("LREM", "knv"),
    ("LSET", "knv"),
    ("LTRIM", "knn"),
    ("MGET", "*k"),
    ("PFCOUNT", "*k"),
    ("PTTL", "k"),
    ("PUBLISH", "kv"),
    ("RPOP", "k"),
    ("RPOPLPUSH", "kk"),
    ("SCARD", "k"),
    ("SDIFF", "*k"),
    ("SINTER", "*k"),
    ("SISMEMBER", "kv"),
    ("SMEMBERS", "k"),
    ("SMISMEMBER", "k*v"),
    ("SMOVE", "kkv"),
    ("SRANDMEMBER", "k"),
    ("SREM", "k*v"),
    ("STRLEN", "k"),
    ("SUBSCRIBE", "*k"),
    ("SUNION", "*k"),
    ("TOUCH", "*k"),
    ("TTL", "k"),
    ("TYPE", "k"),
    ("UNSUBSCRIBE", "*k"),
    ("WATCH", "*k"),
    ("ZCARD", "k"),
    ("ZCOUNT", "kvv"),
    ("ZINCRBY", "kvv"),
    ("ZRANGE", "kvv"),
    ("ZRANGEBYSCORE", "kvv"),
    ("ZRANK", "kv"),
    ("ZREM", "k*v"),
    ("ZREVRANGE", "knn"),
    ("ZREVRANK", "kv"),
    ("ZSCORE", "kv"),
];

/// Words that are options of these commands; their numbers follow them.
const OPTIONS: &[&str] = &[
    "ASYNC", "CH", "EX", "EXAT", "GT", "KEEPTTL", "LT", "NX", "PX", "PXAT", "SYNC", "XX",
];

impl Command {
    pub(super) fn of(name: &[u8]) -> Option<Command> {
        let (_, form) = COMMANDS
            .iter()
            .find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(Command { form })
    }

    /// A command that may read too.
    pub(super) fn of_traffic(name: &str) -> Option<Command> {
        let mut reads = READS.iter();
        let read = reads.find(|(known, _)| *known == name);
        read.map(|(_, form)| Command { form })
            .or_else(|| Command::of(name.as_bytes()))
    }

    /// Goes through the roles of these arguments.
    pub(super) fn roles<'a>(&self, arguments: &'a [Argument<'a>]) -> Roles<'a> {
        let (first, again) = self.form.split_once('*').unwrap_or((self.form, ""));
        Roles {
            arguments,
            form: first.as_bytes(),
            again: again.as_bytes(),
            has_repeated: again.is_empty(),
            was_option: false,
        }
    }
}

/// The roles of a command's arguments, one after the other.
pub(super) struct Roles<'a> {
    arguments: &'a [Argument<'a>],
    form: &'static [u8],
    again: &'static [u8],
    /// What comes again came once.
    has_repeated: bool,
    /// The last argument was an option, which a number may follow.
    was_option: bool,
}

impl Roles<'_> {
    /// The role of the next argument; `None` where it has none.
    pub(super) fn next(&mut self) -> Option<Role> {
        let (argument, rest) = self.arguments.split_first()?;
        if self.form.is_empty() {
            self.form = self.again;
            self.has_repeated = true;
        }
        if self.form.first() == Some(&b'?') {
            if is_option(argument) {
                self.arguments = rest;
                return Some(Role::Kept);
            }
            self.form = match &self.form[1..] {
                [] => self.again,
                form => form,
            };
            self.has_repeated = true;
        }
        let (role, form) = self.form.split_first()?;
        self.arguments = rest;
        let role = match role {
            b'k' => Role::Key,
            b'v' => Role::Value,
            b'f' => Role::Field,
            b'n' if is_number(&argument.raw) => Role::Kept,
            b'i' if is_id(&argument.raw) => Role::Kept,
            b'o' if is_option(argument) => {
                self.was_option = true;
                return Some(Role::Kept);
            }
            b'o' if self.was_option && is_number(&argument.raw) => {
                self.was_option = false;
                return Some(Role::Kept);
            }
            _ => return None,
        };
        self.form = form;
        Some(role)
    }

    /// Whether the command may end here.
    pub(super) fn is_whole(&self) -> bool {
        self.has_repeated && matches!(self.form, [] | b"o")
    }
}

fn is_option(argument: &Argument<'_>) -> bool {
    OPTIONS
        .iter()
        .any(|option| option.as_bytes().eq_ignore_ascii_case(&argument.raw))
}

fn is_number(raw: &[u8]) -> bool {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    (1..=20).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// An id of a stream's entry: `*`, or milliseconds and a number.
fn is_id(raw: &[u8]) -> bool {
    let mut parts = raw.splitn(2, |byte| *byte == b'-');
    parts.all(|part| part == b"*" || is_number(part))
}
