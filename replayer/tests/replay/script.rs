//! Plans made by hand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use twintap_plan::model::{Identity, Produced, SessionInfo, Wait, WaitReason};
use twintap_plan::{Binding, Load, Plan, PlannedRequest};
use twintap_replayer::fire::capture::RawBody;
use twintap_replayer::fire::response::RawAnswer;
use twintap_replayer::fire::{
    FireError, FireSummary, Options, RawOutcome, RawResult, Recorded, RequestSource, RunControl,
    Target, TwinSummary, Witness, fire,
};
use twintap_scrub::{Encoding, LinkTag, Part};
use twintap_stream::message::{Framing, Protocol};
use twintap_stream::{ExchangeId, Field, FlowId, RequestHead, Timestamp};
use twintap_verdict::observation::{Timing, Twin};

use crate::twins::TwinServer;

/// A plan in the making.
#[derive(Default)]
pub struct Script {
    requests: Vec<PlannedRequest>,
    recorded: Vec<Recorded>,
}

/// What a run came to.
pub struct Run {
    pub summary: FireSummary,
    outcomes: HashMap<(u32, Twin), String>,
    timings: HashMap<(u32, Twin), Timing>,
    details: HashMap<(u32, Twin), String>,
}

impl Run {
    /// When a request went out.
    pub fn timing(&self, position: u32, twin: Twin) -> Timing {
        self.timings[&(position, twin)]
    }

    pub fn summaries(&self) -> [&TwinSummary; 2] {
        [&self.summary.candidate, &self.summary.baseline]
    }

    /// The candidate's outcomes in the plan's order, each in a word.
    pub fn candidate(&self) -> Vec<&str> {
        self.outcomes_of(Twin::Candidate)
    }

    /// The baseline's.
    pub fn baseline(&self) -> Vec<&str> {
        self.outcomes_of(Twin::Baseline)
    }

    /// What was seen of a request that the candidate did not answer; of one that it
    /// did, the body.
    pub fn detail(&self, position: u32) -> &str {
        &self.details[&(position, Twin::Candidate)]
    }

    fn outcomes_of(&self, twin: Twin) -> Vec<&str> {
        let count = self.summary.candidate.ledger.planned as u32;
        let word = |position| self.outcomes[&(position, twin)].as_str();
        (0..count).map(word).collect()
    }
}

impl Script {
    /// Adds a request and gives its position.
    pub fn add(&mut self, request: PlannedRequest, recorded: Recorded) -> u32 {
        self.requests.push(request);
        self.recorded.push(recorded);
        self.requests.len() as u32 - 1
    }

    /// Adds `GET path` on a flow, after earlier requests of that flow.
    pub fn get(&mut self, due_ms: u64, flow: u64, path: &str) -> u32 {
        let mut planned = request(due_ms, flow);
        let position = self.requests.len();
        let before = self
            .requests
            .iter()
            .rposition(|earlier| earlier.flow == planned.flow);
        planned.waits.extend(before.map(|before| Wait {
            request: before as u32,
            reason: WaitReason::Connection,
        }));
        assert!(before.is_none_or(|before| before < position));
        self.add(planned, recorded("GET", path, &[], ""))
    }

    pub fn last(&mut self) -> &mut PlannedRequest {
        self.requests.last_mut().expect("a request was added")
    }

    /// Makes another load of it; what is sent stays.
    pub fn shape(&mut self, load: &Load) {
        let plan = self.plan().with_load(load).expect("few requests");
        self.requests = plan.requests;
    }

    pub fn fire(&self, twins: &[TwinServer; 2]) -> Run {
        self.fire_with(twins, &RunControl::new().expect("an eventfd"), |_| {})
    }

    /// Fires with other options than the usual ones, and holds the ledgers to
    /// their law.
    pub fn fire_with(
        &self,
        twins: &[TwinServer; 2],
        control: &RunControl,
        change: impl FnOnce(&mut Options),
    ) -> Run {
        self.fire_at(twins.each_ref().map(|twin| twin.address), control, change)
    }

    /// Fires at twins of any kind.
    pub fn fire_at(
        &self,
        twins: [SocketAddr; 2],
        control: &RunControl,
        change: impl FnOnce(&mut Options),
    ) -> Run {
        let (summary, collector) = self.try_fire_at(twins, control, change);
        let summary = summary.expect("a machine with sockets");
        for twin in [&summary.candidate, &summary.baseline] {
            assert!(twin.ledger.closes(), "{:?}", twin.ledger);
            assert_eq!(twin.ledger.planned, self.requests.len() as u64);
        }
        assert_eq!(collector.outcomes.len(), 2 * self.requests.len());
        for twin in [Twin::Candidate, Twin::Baseline] {
            assert_eq!(control.progress(twin).in_flight, 0);
        }
        Run {
            summary,
            outcomes: collector.outcomes,
            timings: collector.timings,
            details: collector.details,
        }
    }

    /// Fires, or says why it can't go on.
    pub fn try_fire_at(
        &self,
        twins: [SocketAddr; 2],
        control: &RunControl,
        change: impl FnOnce(&mut Options),
    ) -> (Result<FireSummary, FireError>, Collector) {
        let plan = self.plan();
        let [candidate, baseline] = twins.map(target);
        let mut options = Options::new(candidate, baseline);
        options.connect_ahead = Duration::from_millis(10);
        change(&mut options);
        let mut collector = Collector {
            outcomes: HashMap::new(),
            timings: HashMap::new(),
            details: HashMap::new(),
            produces: plan
                .requests
                .iter()
                .map(|request| request.produces.len())
                .collect(),
        };
        let mut source = Prepared(self.recorded.clone());
        let summary = fire(&plan, &mut source, &mut collector, &options, control);
        (summary, collector)
    }

    fn plan(&self) -> Plan {
        Plan {
            capture_start: Timestamp(0),
            speed: 1.0,
            requests: self.requests.clone(),
            sessions: vec![SessionInfo {
                id: "s-test".to_owned(),
                identity: Identity::Flow,
                requests: (0..self.requests.len() as u32).collect(),
                began_before_capture: false,
                client: ([127, 0, 0, 1], 1).into(),
            }],
            created: Vec::new(),
        }
    }
}

pub fn target(address: SocketAddr) -> Target {
    Target::plain(address, address.to_string())
}

struct Prepared(Vec<Recorded>);

impl RequestSource for Prepared {
    fn load(&mut self, position: u32) -> Result<Recorded, String> {
        Ok(self.0[position as usize].clone())
    }
}

/// Notes outcomes, and takes values from the field `X-Values`.
pub struct Collector {
    outcomes: HashMap<(u32, Twin), String>,
    timings: HashMap<(u32, Twin), Timing>,
    details: HashMap<(u32, Twin), String>,
    produces: Vec<usize>,
}

impl Witness for Collector {
    fn values(&mut self, position: u32, answer: &RawAnswer) -> Vec<Option<Bytes>> {
        let field = answer.head.fields.iter().find(|field| field.is("x-values"));
        let mut values = field.map(|field| {
            let values = field.value.split(|&byte| byte == b',');
            values
                .map(Bytes::copy_from_slice)
                .collect::<Vec<_>>()
                .into_iter()
        });
        (0..self.produces[position as usize])
            .map(|_| values.as_mut()?.next())
            .collect()
    }

    fn observe(&mut self, outcome: RawOutcome) {
        let word = match &outcome.result {
            RawResult::Answered(answer) => answer.head.status.to_string(),
            RawResult::Errored { kind, .. } => (*kind).to_owned(),
            RawResult::Refused(limit) => format!("refused {limit}"),
            RawResult::Skipped(reason) => format!("skipped {reason}"),
        };
        let detail = match &outcome.result {
            RawResult::Answered(answer) => match &answer.body {
                RawBody::Whole(body) => String::from_utf8_lossy(body).into_owned(),
                RawBody::Digest { bytes, .. } => format!("{bytes} bytes"),
            },
            RawResult::Errored { detail, .. } => detail.clone(),
            _ => String::new(),
        };
        self.details
            .insert((outcome.position, outcome.twin), detail);
        if let Some(timing) = outcome.timing {
            assert!(timing.due_ns <= timing.ready_ns);
            assert!(timing.ready_ns <= timing.released_ns);
            assert!(timing.released_ns <= timing.last_byte_ns);
            let place = (outcome.position, outcome.twin);
            self.timings.insert(place, timing);
        }
        let before = self.outcomes.insert((outcome.position, outcome.twin), word);
        assert_eq!(before, None, "a second outcome of {}", outcome.position);
    }
}

/// A request due at this time on this flow.
pub fn request(due_ms: u64, flow: u64) -> PlannedRequest {
    PlannedRequest {
        exchange: ExchangeId {
            node: Arc::from("test"),
            boot: 1,
            flow: FlowId(flow),
            offset: due_ms,
            from_response: false,
        },
        session: 0,
        protocol: Protocol::Http1,
        flow: FlowId(flow),
        copy: 0,
        service: 0,
        route: 0,
        due_ns: due_ms * 1_000_000,
        send_ns: 0,
        took_ns: 0,
        think: None,
        waits: Vec::new(),
        follows: Vec::new(),
        races: Vec::new(),
        bindings: Vec::new(),
        within: Vec::new(),
        produces: Vec::new(),
        skip: None,
        missing: None,
        internal: false,
        kept: Vec::new(),
    }
}

pub fn recorded(method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Recorded {
    Recorded {
        head: RequestHead {
            method: Bytes::copy_from_slice(method.as_bytes()),
            target: Bytes::copy_from_slice(target.as_bytes()),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields: fields
                .iter()
                .map(|(name, value)| Field::new(name.to_string(), value.to_string()))
                .collect(),
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        },
        framing: if body.is_empty() {
            Framing::None
        } else {
            Framing::Length
        },
        body: Bytes::copy_from_slice(body.as_bytes()),
        chunks: Vec::new(),
        timeline: Default::default(),
        script: None,
        trailers: Vec::new(),
        omitted: Vec::new(),
        edits: Vec::new(),
    }
}

/// A request due at this time on this flow of HTTP/2.
pub fn stream(due_ms: u64, flow: u64) -> PlannedRequest {
    PlannedRequest {
        protocol: Protocol::Http2,
        ..request(due_ms, flow)
    }
}

/// A request of HTTP/2.
pub fn recorded_stream(method: &str, target: &str, body: &str) -> Recorded {
    let fields = [(":scheme", "http"), (":authority", "shop"), ("x-a", "1")];
    let mut request = recorded(method, target, &fields, body);
    request.head.version = Bytes::from_static(b"HTTP/2");
    request.head.end = Bytes::new();
    if !body.is_empty() {
        request.framing = Framing::Frames;
    }
    request
}

pub fn produces(paths: &[&str]) -> Vec<Produced> {
    let produced = |path: &&str| Produced {
        path: (*path).into(),
        tag: LinkTag(0),
    };
    paths.iter().map(produced).collect()
}

/// The span of `part` that begins at `start` takes the producer's value.
pub fn binding(
    producer: u32,
    producer_path: &str,
    part: Part,
    span: std::ops::Range<u32>,
    encoding: Encoding,
) -> Binding {
    Binding {
        producer,
        producer_path: producer_path.into(),
        part,
        path: "".into(),
        start: span.start,
        len: span.end - span.start,
        encoding,
        reason: Default::default(),
    }
}
