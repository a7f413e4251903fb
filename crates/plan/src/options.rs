//! What the caller of the planner chooses.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use twintap_stream::message::{Protocol, field_values};
use twintap_stream::{Exchange, Timestamp};

use crate::commands::Spoken;
use crate::routes::Route;
use crate::rules::BindingRule;

/// What a plan is made with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanOptions {
    /// Which exchanges are internal.
    pub entry: EntryRule,
    /// Which exchanges to fire.
    pub filter: Filter,
    /// Which service of a twin requests go to; the first that takes one decides, and what
    /// none takes goes to the default one.
    pub routes: Vec<Route>,
    /// What the services of a twin speak, by their numbers; the others speak HTTP.
    pub spoken: Vec<Spoken>,
    /// How far two clocks of the capture may be apart, in nanoseconds.
    pub clock_uncertainty_ns: u64,
    /// The round trip of a client of which no handshake was seen, in nanoseconds.
    pub assumed_round_trip_ns: u64,
    /// What becomes of a request that uses a value which no response of the
    /// capture produced.
    pub unbound: UnboundRule,
    /// How many [`ClientHad`](crate::WaitReason::ClientHad) waits one request
    /// has at most; the answers that came last are kept.
    pub max_client_had: usize,
    /// False sends every value as it was recorded.
    pub correlate: bool,
    /// What a bindings file says; the first rule about a leaf decides.
    pub bindings: Vec<BindingRule>,
    /// Header fields, in small letters, whose tokens the run signs anew: they may be
    /// from before the capture.
    pub signed: Vec<String>,
    /// Says of every value that is not bound why, in
    /// [`PlannedRequest::kept`](crate::PlannedRequest::kept).
    pub explain: bool,
    /// Which recorded order a run keeps, beyond that of values and connections.
    pub order: OrderRule,
    /// How many [`Resource`](crate::WaitReason::Resource) waits one request has at
    /// most; those that ended last are kept.
    pub max_resource: usize,
    /// How many [`Recorded`](crate::WaitReason::Recorded) waits one request has at most;
    /// those that ended last are kept.
    pub max_recorded: usize,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            entry: EntryRule::default(),
            filter: Filter::default(),
            routes: Vec::new(),
            spoken: Vec::new(),
            clock_uncertainty_ns: 1_000_000,
            assumed_round_trip_ns: 200_000_000,
            unbound: UnboundRule::default(),
            max_client_had: 8,
            correlate: true,
            bindings: Vec::new(),
            signed: Vec::new(),
            explain: false,
            order: OrderRule::default(),
            max_resource: 8,
            max_recorded: 64,
        }
    }
}

/// Which exchanges are internal, and thus filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryRule {
    /// None: every flow is an entry.
    All,
    /// Those whose client is in one of these networks.
    ExcludeClients(Vec<IpNet>),
    /// Those that a captured workload evidently made while it answered another
    /// request: the client's address is no loopback address and not the
    /// server's own, it is the server address of another captured endpoint, and
    /// the exchange lies within the time of an exchange which that endpoint
    /// served (to the clocks' uncertainty).
    ///
    /// The rule is conservative. What a workload does on its own account (a
    /// timer, work after its answer) counts as entry, and so does everything on
    /// one host, where addresses tell nothing: there, name the clients.
    #[default]
    Auto,
}

/// Which exchanges to fire. What is empty or absent excludes nothing; the rest
/// are planned as filtered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Methods, case-sensitive as they are in HTTP.
    pub methods: Vec<String>,
    /// What the target's path begins with, in its scrubbed spelling.
    pub path_prefixes: Vec<String>,
    /// Names of sessions, as in [`SessionInfo::id`](crate::SessionInfo::id).
    pub sessions: Vec<String>,
    /// What they speak; one that an exchange is of is enough.
    pub protocols: Vec<FilterProtocol>,
    /// The first instant that a request's first byte may have.
    pub from: Option<Timestamp>,
    /// The first instant that it may no longer have.
    pub to: Option<Timestamp>,
}

/// What a filter tells protocols apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterProtocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2, whatever is spoken over it.
    Http2,
    /// gRPC, by its content type.
    Grpc,
    /// The request that opens a WebSocket (RFC 6455 and RFC 8441).
    Websocket,
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
}

impl FilterProtocol {
    fn is_of(self, exchange: &Exchange) -> bool {
        let head = exchange.request.head.as_ref();
        let has = |name: &str, value: &[u8]| {
            head.is_some_and(|head| {
                field_values(&head.fields, name).any(|own| {
                    own.len() >= value.len() && own[..value.len()].eq_ignore_ascii_case(value)
                })
            })
        };
        match self {
            FilterProtocol::Http1 => exchange.protocol == Protocol::Http1,
            FilterProtocol::Http2 => exchange.protocol == Protocol::Http2,
            FilterProtocol::Redis => exchange.protocol == Protocol::Redis,
            FilterProtocol::Postgres => exchange.protocol == Protocol::Postgres,
            FilterProtocol::Mysql => exchange.protocol == Protocol::Mysql,
            FilterProtocol::Grpc => has("content-type", b"application/grpc"),
            FilterProtocol::Websocket => {
                has("upgrade", b"websocket") || has(":protocol", b"websocket")
            }
        }
    }
}

impl Filter {
    /// True when what the exchange speaks is asked for.
    pub(crate) fn takes_protocol(&self, exchange: &Exchange) -> bool {
        self.protocols.is_empty()
            || self
                .protocols
                .iter()
                .any(|protocol| protocol.is_of(exchange))
    }

    /// True when a request with this method, target and first byte is asked for.
    pub(crate) fn takes(&self, method: &[u8], target: &[u8], first_byte: Timestamp) -> bool {
        let path = path_of(target);
        self.takes_time(first_byte)
            && (self.methods.is_empty() || self.methods.iter().any(|m| m.as_bytes() == method))
            && (self.path_prefixes.is_empty()
                || self
                    .path_prefixes
                    .iter()
                    .any(|prefix| path.starts_with(prefix.as_bytes())))
    }

    /// True when an exchange without a request's head is asked for.
    pub(crate) fn takes_headless(&self, first_byte: Timestamp) -> bool {
        self.takes_time(first_byte) && self.methods.is_empty() && self.path_prefixes.is_empty()
    }

    /// True when a session of this name is asked for.
    pub(crate) fn takes_session(&self, id: &str) -> bool {
        self.sessions.is_empty() || self.sessions.iter().any(|wanted| wanted == id)
    }

    fn takes_time(&self, first_byte: Timestamp) -> bool {
        self.from.is_none_or(|from| first_byte >= from) && self.to.is_none_or(|to| first_byte < to)
    }
}

/// What becomes of a request that uses a value from before the capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnboundRule {
    /// It is not fired, and counts as unbound.
    #[default]
    Skip,
    /// It is fired as it was recorded: right where the twins' state holds the
    /// sessions that were open when the capture began.
    Fire,
}

/// Which recorded order a run keeps. Values are waited for, and requests of one
/// connection follow each other, in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderRule {
    /// Whatever was answered before another request was sent, in whatever session: a twin
    /// is asked nothing earlier than production was, and no two things at the same time
    /// that production was not.
    Recorded,
    /// What a session's client provably had, and across sessions what touches one
    /// resource of which one of the two writes.
    #[default]
    Resource,
    /// What a session's client provably had.
    Session,
    /// No other.
    None,
}

/// The path of a target in origin or absolute form (RFC 9112, section 3.2).
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let Some(scheme_end) = target.windows(3).position(|three| three == b"://") else {
        return target;
    };
    let rest = &target[scheme_end + 3..];
    match rest.iter().position(|byte| *byte == b'/') {
        Some(slash) => &rest[slash..],
        None => b"/",
    }
}

/// The network that an address stands for when clients are told apart: an IPv6
/// host changes its address within a /64 (RFC 8981).
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
        v4 => v4,
    }
}
