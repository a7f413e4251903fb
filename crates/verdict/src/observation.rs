//! What a run saw: one planned request, production's answer, and what each twin did.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twintap_scrub::{Leaf, LinkTag, Scrubbed};
use twintap_stream::content::Codings;
use twintap_stream::{ExchangeId, RequestHead, ResponseHead, Timestamp};

/// One of the twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Twin {
    /// The release under test.
    Candidate,
    /// The release in production today.
    Baseline,
    /// The same once more, where a run has it: what differs between the two is noise.
    SecondBaseline,
}

impl Twin {
    /// The name used in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Twin::Candidate => "candidate",
            Twin::Baseline => "baseline",
            Twin::SecondBaseline => "second_baseline",
        }
    }
}

/// One planned request with its witnesses. Everything in it is scrubbed
/// under one policy and one key, so that equal values have equal spellings.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The recorded exchange.
    pub exchange: ExchangeId,
    /// The session's name.
    pub session: String,
    /// Position in the plan, which is the order of due times.
    pub position: u32,
    /// When production saw the request.
    pub recorded: Timestamp,
    /// The recorded request's head.
    pub request: Scrubbed<RequestHead>,
    /// The recorded request's body, for evidence.
    pub request_body: Body,
    /// Nanoseconds production took from the request's last byte to the
    /// response's first.
    pub production_latency_ns: Option<u64>,
    /// What production answered; absent when it was not seen whole.
    pub production: Option<Answer>,
    /// The status code that production answered, also where nothing was fired.
    pub production_status: Option<u16>,
    /// Which copy of the recorded sessions it belongs to.
    pub copy: u32,
    /// True in a run's warm-up: it counts in the ledgers, and is not judged.
    pub is_warm_up: bool,
    /// Values of the request that were sent as pseudonyms: the tag of what was sent, and that
    /// of the recorded value, whose role it plays wherever a twin gives it back.
    pub sent: Vec<(LinkTag, LinkTag)>,
    /// Response leaves (path, recorded tag) that later requests of the plan use:
    /// each twin's own value at that path plays the same role.
    pub produced: Vec<(String, LinkTag)>,
    /// Positions of earlier requests that may be why its answer differs, whatever
    /// their session: it uses their values, or they wrote what it touches.
    pub depends_on: Vec<u32>,
    /// True when a later request depends on it.
    pub is_awaited: bool,
    /// Writes that it raced with in the recording.
    pub races: Vec<Raced>,
    /// What the baseline did.
    pub baseline: Outcome,
    /// What the candidate did.
    pub candidate: Outcome,
    /// What the second baseline did, where the run has one.
    pub second_baseline: Option<Outcome>,
}

impl Observation {
    /// Whether the request changes state (is not safe, RFC 9110, section 9.2.1).
    pub(crate) fn is_unsafe(&self) -> bool {
        let method: &[u8] = &self.request.method;
        !matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
    }
}

/// A write whose order against the request the recording leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raced {
    /// The exchange that wrote.
    pub exchange: ExchangeId,
    /// What both touched, for people.
    pub resource: String,
}

/// What a twin did with one planned request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It answered.
    Answered {
        /// The answer.
        answer: Answer,
        /// When.
        timing: Timing,
    },
    /// It did not: the word says how (`connect_refused`, `reset`, `timeout`,
    /// `closed_early`, `garbage`), the text what was seen.
    Errored {
        /// A word.
        kind: String,
        /// For people.
        detail: String,
        /// When; `first_byte_ns` and `last_byte_ns` are when it failed.
        timing: Option<Timing>,
    },
    /// A limit of the run refused to fire it; the word says which.
    Refused(String),
    /// It was not fired: the plan's reason (`unbound`, `incomplete`, `filtered`, ...), or what
    /// the run was told meanwhile, such as `seeked` or `twin_down`.
    Skipped(String),
}

impl Outcome {
    /// Why the run itself did not let the twin have it, or not to the end: a limit, a seek,
    /// a twin that was down, the end of the run. What a twin lacks is its own doing.
    pub(crate) fn kept_back(&self) -> Option<&str> {
        match self {
            Outcome::Refused(limit) => Some(limit),
            Outcome::Skipped(cause) if cause != "unbound" => Some(cause),
            Outcome::Errored { kind, .. } if kind == "stopped" => Some(kind),
            _ => None,
        }
    }

    /// Whether it was never to be fired, at whatever twin.
    pub(crate) fn is_never_fired(&self) -> bool {
        const CAUSES: [&str; 6] = [
            "filtered",
            "incomplete",
            "protocol",
            "login",
            "stream",
            "administration",
        ];
        matches!(self, Outcome::Skipped(cause) if CAUSES.contains(&cause.as_str()))
    }

    /// Whether it went out without the twin's own values.
    pub(crate) fn is_unbound(&self) -> bool {
        self.timing().is_some_and(|timing| timing.unbound)
    }

    /// When it was fired and what came of it, as far as that is known.
    pub(crate) fn timing(&self) -> Option<&Timing> {
        match self {
            Outcome::Answered { timing, .. } => Some(timing),
            Outcome::Errored { timing, .. } => timing.as_ref(),
            Outcome::Refused(_) | Outcome::Skipped(_) => None,
        }
    }

    /// Whether it was answered, and went out before what it waited for was there.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self, Outcome::Answered { timing, .. } if timing.wait_expired)
    }
}

/// An answer, scrubbed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The head, and after its own fields the trailers.
    pub head: Scrubbed<ResponseHead>,
    /// How many of the last fields are trailers.
    pub trailers: usize,
    /// The body.
    pub body: Body,
    /// The content codings that the body came with, where it is here without them and that
    /// is known; the head does not name them then.
    pub undone: Option<Codings>,
    /// The leaves of head and body.
    pub leaves: Vec<Leaf>,
}

/// A body as far as comparison can see it.
#[derive(Clone, Debug)]
pub enum Body {
    /// All of it.
    Whole(Scrubbed<Bytes>),
    /// Too large to hold, or dropped by the policy: its length and the keyed
    /// digest of its raw bytes.
    Digest {
        /// Bytes after transfer decoding.
        bytes: u64,
        /// Keyed digest; absent where only the length is known.
        tag: Option<LinkTag>,
    },
}

/// When things happened, in nanoseconds from T0 of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// When the recorded offset says.
    pub due_ns: u64,
    /// The later of due and the moment its dependencies were met.
    pub ready_ns: u64,
    /// When its first byte was written.
    pub released_ns: u64,
    /// When the answer's first byte was read.
    pub first_byte_ns: u64,
    /// When the answer's last byte was read.
    pub last_byte_ns: u64,
    /// True when the bounded wait for a dependency ran out.
    pub wait_expired: bool,
    /// True when it went out with a recorded value because the twin gave none of its
    /// own, or uses an answer to such a request.
    #[serde(default)]
    pub unbound: bool,
}
