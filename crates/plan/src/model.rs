//! The plan of a run.
//!
//! Paths of leaves are shared: a plan of millions of requests has few of them.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use twintap_scrub::{Encoding, LinkTag, Part};
use twintap_stream::message::Protocol;
use twintap_stream::{ExchangeId, FlowId, Timestamp};

/// The schedule of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The instant that due times count from: the first request of the capture.
    pub capture_start: Timestamp,
    /// How many times faster than recorded due times follow each other.
    #[serde(default = "as_recorded")]
    pub speed: f64,
    /// In the order of due times; a request refers to others by position.
    pub requests: Vec<PlannedRequest>,
    /// A request refers to its session by position.
    pub sessions: Vec<SessionInfo>,
    /// Values that clients made and the service takes once only: a copy of their
    /// session needs others in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub created: Vec<Created>,
}

/// A value that a session's client makes and the service takes once only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Position in [`Plan::sessions`] of the session that creates it.
    pub session: u32,
    /// What it is.
    pub kind: CreatedKind,
    /// The recorded link tag.
    pub tag: LinkTag,
    /// Where it stands, in the order of the plan: in requests of that session and of
    /// others that use it later. A span is the container's where the path says that
    /// the leaf is inside of another.
    pub places: Vec<CreatedPlace>,
}

/// What is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreatedKind {
    /// An address of mail, a user's name, a phone number: of somebody who signs up.
    Identity,
    /// A key by which the service knows a request that is sent again.
    IdempotencyKey,
}

/// Where a created value stands in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedPlace {
    /// Position in [`Plan::requests`].
    pub request: u32,
    /// The part of the request.
    pub part: Part,
    /// The leaf's path.
    pub path: String,
    /// First byte of the span in the scrubbed part.
    pub start: u32,
    /// Bytes of the span in the scrubbed part.
    pub len: u32,
    /// How the value is written there.
    pub encoding: Encoding,
}

fn as_recorded() -> f64 {
    1.0
}

/// One request that a run will fire, or will skip for a stated reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedRequest {
    /// The recorded exchange.
    pub exchange: ExchangeId,
    /// Position in [`Plan::sessions`].
    pub session: u32,
    /// The protocol that it was recorded with.
    #[serde(default = "http1")]
    pub protocol: Protocol,
    /// The recorded flow: requests of one flow go over one connection, in order where
    /// that is HTTP/1. It is unique with the node and boot of `exchange` only.
    pub flow: FlowId,
    /// Which copy of its session it belongs to, where a load has several; each has
    /// flows of its own.
    #[serde(default, skip_serializing_if = "is_first")]
    pub copy: u32,
    /// The number of the service of a twin that it goes to; 0 is the default one. What
    /// goes to several services goes over a connection to each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub service: u16,
    /// The number of the route that took it, from 1; 0 where none did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub route: u16,
    /// Nanoseconds from T0 at which the recorded client sent it.
    pub due_ns: u64,
    /// Nanoseconds from its first to its last byte, as recorded.
    pub send_ns: u64,
    /// Nanoseconds from its first byte to its response's last, as recorded.
    #[serde(default)]
    pub took_ns: u64,
    /// In a closed loop: after which answer it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think: Option<Think>,
    /// Earlier requests whose outcome it waits for.
    pub waits: Vec<Wait>,
    /// Earlier writes of what it touches that no later write came after, whether it
    /// waits for them itself or through others: what it shows may be their doing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub follows: Vec<u32>,
    /// Requests against which the recording leaves its order open, though it could
    /// see what they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub races: Vec<Race>,
    /// Values that the twin's own answers replace.
    pub bindings: Vec<Binding>,
    /// Of a WebSocket: values of its own answer that later messages of its client use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Within>,
    /// Response leaves of this exchange (by path) that later requests use.
    pub produces: Vec<Produced>,
    /// Set when the run must not fire it.
    pub skip: Option<SkipReason>,
    /// The request leaf that nothing could bind, where it is skipped as unbound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// True when its flow is internal: between captured workloads.
    #[serde(default)]
    pub internal: bool,
    /// The values that are sent as recorded, with the reasons, where
    /// [`PlanOptions::explain`](crate::PlanOptions::explain) asked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

fn is_first(copy: &u32) -> bool {
    *copy == 0
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// The time that a user took to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Think {
    /// Position in [`Plan::requests`] of the request whose outcome it counts from; it
    /// is among the waits.
    pub after: u32,
    /// How long, in nanoseconds.
    pub ns: u64,
}

/// All that plans had before they told.
fn http1() -> Protocol {
    Protocol::Http1
}

/// A response leaf that some later request uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// The leaf's path in the recorded response.
    pub path: Arc<str>,
    /// The leaf's recorded link tag.
    pub tag: LinkTag,
}

/// An earlier request whose outcome must be there first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Position in [`Plan::requests`], always smaller than the waiter's.
    pub request: u32,
    /// Why.
    pub reason: WaitReason,
}

/// A request that writes what another one touches, at the same time: which of them
/// the service took first is not known, and need not be the same at a twin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Race {
    /// Position in [`Plan::requests`] of the one that writes: one that overlapped the
    /// racing request, or one of several before it that overlapped each other.
    pub request: u32,
    /// What both touch, for people: `order/*`, `/orders`; `*` where all of the recorded
    /// order is kept and both may change something.
    pub resource: String,
}

/// Why a request waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// It uses a value that the other's response produces.
    Binding,
    /// Both are on one connection, other than of HTTP/2, and were not pipelined; or the one
    /// before this one, which it was pipelined behind, waits for the other so.
    Connection,
    /// The client provably had the other's response.
    ClientHad,
    /// Both touch one resource, one of them writes, and the other had ended before
    /// this one began.
    Resource,
    /// In a closed loop its user goes on after the other's response.
    Think,
    /// All of the recorded order is kept, and the other had ended before this one began.
    Recorded,
}

/// One value of a request that an earlier response produced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Position in [`Plan::requests`] of the producer.
    pub producer: u32,
    /// The producing leaf's path in the producer's response.
    pub producer_path: Arc<str>,
    /// The part of the request that uses it.
    pub part: Part,
    /// The using leaf's path.
    pub path: Arc<str>,
    /// First byte of the span in the scrubbed part.
    pub start: u32,
    /// Bytes of the span in the scrubbed part.
    pub len: u32,
    /// How the value is written there.
    pub encoding: Encoding,
    /// Why it takes the value from there.
    #[serde(default)]
    pub reason: BindReason,
}

/// Why a value is bound to the response that it is bound to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum BindReason {
    /// A response of the same session had it.
    #[default]
    SameSession,
    /// Exactly one other session's responses had it.
    OnlySession,
    /// Several sessions had it; the first response that did answered a request that
    /// makes things.
    MadeThere,
    /// A token that several sessions had: the newest response that did.
    NewestToken,
    /// A number that names a thing, in a response of the same session by the same name.
    SmallId,
    /// It stood in the same URL as the signature, which holds for all of it.
    SignedUrl,
    /// The bindings file says so, of a value that the response had too.
    Pinned,
    /// The bindings file says so, whatever the recorded value was.
    Added,
}

impl BindReason {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            BindReason::SameSession => "same_session",
            BindReason::OnlySession => "only_session",
            BindReason::MadeThere => "made_there",
            BindReason::NewestToken => "newest_token",
            BindReason::SmallId => "small_id",
            BindReason::SignedUrl => "signed_url",
            BindReason::Pinned => "pinned",
            BindReason::Added => "added",
        }
    }
}

/// A value of a request that is sent as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The leaf's path.
    pub path: String,
    /// Why.
    pub reason: KeptReason,
}

/// Why a value of a request is sent as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptReason {
    /// Its name says that it is the protocol's business.
    Protocol,
    /// It is so short that it could be equal by chance.
    Short,
    /// It is words, which are equal by chance.
    Words,
    /// The client sent it before any response had it.
    ClientMade,
    /// No earlier response had it.
    NoProducer,
    /// Several other sessions' responses had it, and none is known to have made it.
    Ambiguous,
    /// Only requests that are not fired have it in their responses: the request is
    /// unbound.
    ProducerNotFired,
    /// A token that a response before the capture, or a lost one, must have had:
    /// the request is unbound.
    BeforeCapture,
    /// A token that the run signs anew.
    Signed,
    /// It lies inside of a value that is bound.
    WithinBound,
    /// The bindings file forbids it.
    Forbidden,
    /// The bindings file pins it to a response that there is not: the request is
    /// unbound.
    PinUnmet,
    /// The bindings file adds a binding to a response that there is not.
    AddUnmet,
}

impl KeptReason {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            KeptReason::Protocol => "protocol",
            KeptReason::Short => "short",
            KeptReason::Words => "words",
            KeptReason::ClientMade => "client_made",
            KeptReason::NoProducer => "no_producer",
            KeptReason::Ambiguous => "ambiguous",
            KeptReason::ProducerNotFired => "producer_not_fired",
            KeptReason::BeforeCapture => "before_capture",
            KeptReason::Signed => "signed",
            KeptReason::WithinBound => "within_bound",
            KeptReason::Forbidden => "forbidden",
            KeptReason::PinUnmet => "pin_unmet",
            KeptReason::AddUnmet => "add_unmet",
        }
    }
}

/// One value of a message of a WebSocket's client that a message of the server gave before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The producing leaf's path in what the server said.
    pub producer_path: String,
    /// The using leaf's path in what the client said.
    pub path: String,
    /// First byte of the span in all that the client said.
    pub start: u32,
    /// Bytes of the span.
    pub len: u32,
    /// How the value is written there.
    pub encoding: Encoding,
}

/// Why a planned request is not fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A value that a response before the capture, or a lost one, produced.
    Unbound,
    /// The request was not seen whole, or its body was dropped by the policy.
    Incomplete,
    /// An internal flow, outside what the run file asks for, or on a route that leads nowhere.
    Filtered,
    /// No service of the twins speaks its protocol, or its route leads to one that does not.
    Protocol,
    /// It opens or ends its connection, or logs in: a run's connections do so themselves.
    Login,
    /// No command with one reply: what a server sends unasked, subscriptions, replication,
    /// copies.
    Stream,
    /// It is about the server itself, or about others that it is to reach.
    Administration,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Stable name: `s-` and the head of the identity's link tag, or of the flow.
    pub id: String,
    /// What it was told apart by.
    pub identity: Identity,
    /// Positions in [`Plan::requests`], in order.
    pub requests: Vec<u32>,
    /// True when it began before the capture.
    pub began_before_capture: bool,
    /// The client's address of its first request.
    pub client: SocketAddr,
}

/// What a session was told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A lineage of cookies.
    Cookie,
    /// An Authorization value or an API key.
    Authorization,
    /// Nothing better: the flow.
    Flow,
    /// Nothing better, on a flow that carried several identities: the exchange.
    Exchange,
}
