//! Commands of databases: which service takes them, and which are not fired.

use serde::{Deserialize, Serialize};
use twintap_stream::Exchange;
use twintap_stream::message::{MessageState, Protocol};

use crate::model::SkipReason;

/// What a service of the twins speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spoken {
    /// HTTP/1 and HTTP/2.
    #[default]
    Http,
    /// RESP2 and RESP3.
    Redis,
    /// PostgreSQL's frontend/backend protocol, version 3.
    Postgres,
}

impl Spoken {
    /// What an exchange was spoken in; none where nobody fires that.
    pub fn of(protocol: Protocol) -> Option<Spoken> {
        match protocol {
            Protocol::Http1 | Protocol::Http2 => Some(Spoken::Http),
            Protocol::Redis => Some(Spoken::Redis),
            Protocol::Postgres => Some(Spoken::Postgres),
            Protocol::Mysql | Protocol::Opaque => None,
        }
    }
}

/// The service that takes what is spoken so, `routed` if a route names one; none where that
/// one, or all, speak otherwise.
pub(crate) fn service_for(
    services: &[Spoken],
    spoken: Option<Spoken>,
    routed: Option<u16>,
) -> Option<u16> {
    let spoken = spoken?;
    let of = |service: u16| services.get(usize::from(service)).copied();
    match routed {
        Some(service) => (of(service).unwrap_or_default() == spoken).then_some(service),
        None if of(0).unwrap_or_default() == spoken => Some(0),
        // A request of HTTP goes nowhere else unasked.
        None if spoken == Spoken::Http => None,
        None => (1..=u16::MAX)
            .zip(services.iter().skip(1))
            .find(|(_, own)| **own == spoken)
            .map(|(service, _)| service),
    }
}

/// Why a command is not fired, if it is one that is not, whoever takes it.
pub(crate) fn skip_of(exchange: &Exchange) -> Option<SkipReason> {
    let kinds: &[(SkipReason, &[&str])] = match exchange.protocol {
        Protocol::Redis => &REDIS,
        Protocol::Postgres => &POSTGRES,
        _ => return None,
    };
    if exchange.request.state == MessageState::Absent || exchange.id.from_response {
        // What a server sends unasked comes whole; an answer whose command was lost says so.
        let lost = ["unpaired", "reply_unknown", "pairing_uncertain"];
        let mut flags = exchange.response.flags.iter();
        let is_lost = flags.any(|flag| lost.contains(&flag.as_str()));
        let is_whole = exchange.response.state == MessageState::Complete;
        return (is_whole && !is_lost).then_some(SkipReason::Stream);
    }
    // Production's server passed over it: what it would do belongs to nobody's state.
    if has_flag(exchange, "skipped_after_error") {
        return Some(SkipReason::Stream);
    }
    let name = &exchange.request.head.as_ref()?.method;
    let mut kinds = kinds.iter();
    let is_it = |names: &[&str]| names.iter().any(|known| known.as_bytes() == &name[..]);
    kinds.find_map(|(reason, names)| is_it(names).then_some(*reason))
}

/// Whether a command uses a statement that nobody saw being made.
pub(crate) fn lacks_statement(exchange: &Exchange) -> bool {
    exchange.protocol != Protocol::Http1 && has_flag(exchange, "statement_unknown")
}

fn has_flag(exchange: &Exchange, name: &str) -> bool {
    exchange.request.flags.iter().any(|flag| flag == name)
}

/// Commands by why they are not fired.
type Kinds = [(SkipReason, &'static [&'static str]); 3];

const REDIS: Kinds = [
    (SkipReason::Login, &["AUTH", "RESET"]),
    (
        SkipReason::Stream,
        &[
            "SUBSCRIBE",
            "PSUBSCRIBE",
            "SSUBSCRIBE",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "SUNSUBSCRIBE",
            "MONITOR",
            "SYNC",
            "PSYNC",
            "REPLCONF",
        ],
    ),
    (
        SkipReason::Administration,
        &[
            "ACL",
            "CLUSTER",
            "CONFIG",
            "DEBUG",
            "FAILOVER",
            "MIGRATE",
            "MODULE",
            "REPLICAOF",
            "SENTINEL",
            "SHUTDOWN",
            "SLAVEOF",
        ],
    ),
];

const POSTGRES: Kinds = [
    (
        SkipReason::Login,
        &[
            "Startup",
            "SSLRequest",
            "GSSENCRequest",
            "PasswordMessage",
            "Terminate",
        ],
    ),
    (SkipReason::Stream, &["CopyData", "FunctionCall"]),
    (SkipReason::Administration, &["CancelRequest"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_takes_what_it_speaks() {
        let one = [Spoken::Redis];
        let both = [Spoken::Http, Spoken::Postgres, Spoken::Redis];
        for (services, spoken, routed, expected) in [
            (&[][..], Spoken::Http, None, Some(0)),
            (&[], Spoken::Http, Some(3), Some(3)),
            (&[], Spoken::Redis, None, None),
            (&one, Spoken::Redis, None, Some(0)),
            (&one, Spoken::Http, None, None),
            (&both, Spoken::Http, None, Some(0)),
            (&both, Spoken::Redis, None, Some(2)),
            (&both, Spoken::Redis, Some(1), None),
            (&one, Spoken::Postgres, None, None),
        ] {
            let found = service_for(services, Some(spoken), routed);
            assert_eq!(found, expected, "{services:?} {spoken:?} {routed:?}");
        }
        assert_eq!(service_for(&both, None, None), None);
    }
}
