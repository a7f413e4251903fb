//! Observations for tests: built one by one, or acted by three shops.

pub mod shop;

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::de::value::BytesDeserializer;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use twintap_scrub::{Action, Encoding, Leaf, LinkTag, Part, Scrubbed};
use twintap_stream::content::Codings;
use twintap_stream::{ExchangeId, Field, FlowId, RequestHead, ResponseHead, Timestamp};
use twintap_verdict::{
    Answer, Body, Judge, Observation, Options, Outcome, Raced, Report, Rules, RunFacts, Timing,
};

/// What scrubbing would have vouched for; reading back is its other way in.
pub fn scrubbed<T: Serialize + DeserializeOwned>(value: &T) -> Scrubbed<T> {
    let json = serde_json::to_value(value).expect("a head is plain data");
    serde_json::from_value(json).expect("what was written can be read")
}

pub fn scrubbed_bytes(bytes: &[u8]) -> Scrubbed<Bytes> {
    let bytes = BytesDeserializer::<serde::de::value::Error>::new(bytes);
    Scrubbed::deserialize(bytes).expect("bytes are read as they are")
}

pub fn tag(text: &str) -> LinkTag {
    let mut hasher = DefaultHasher::new();
    ("tag", text).hash(&mut hasher);
    LinkTag(hasher.finish())
}

/// What one of the three answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    trailers: usize,
    undone: Option<Codings>,
    pub leaves: Vec<Leaf>,
    pub latency_ms: f64,
    /// In place of an answer.
    pub error: Option<String>,
    pub is_late: bool,
    pub is_unbound: bool,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Reply {
        let mut text = String::new();
        let mut leaves = Vec::new();
        write_json(body, &mut String::new(), &mut text, &mut leaves);
        Reply {
            leaves,
            ..Reply::bytes(status, "application/json", text.into_bytes())
        }
    }

    pub fn text(status: u16, media_type: &str, body: &str) -> Reply {
        Reply::bytes(status, media_type, body.as_bytes().to_vec())
    }

    pub fn bytes(status: u16, media_type: &str, body: Vec<u8>) -> Reply {
        Reply {
            status,
            headers: vec![("Content-Type".to_owned(), media_type.to_owned())],
            body,
            trailers: 0,
            undone: None,
            leaves: Vec::new(),
            latency_ms: 5.0,
            error: None,
            is_late: false,
            is_unbound: false,
        }
    }

    pub fn error(kind: &str) -> Reply {
        Reply {
            error: Some(kind.to_owned()),
            ..Reply::text(0, "text/plain", "")
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a body that came in content codings, or in none, and is here without.
    pub fn coded(mut self, codings: &[&str]) -> Reply {
        let names = codings.iter().map(|name| name.as_bytes());
        self.undone = Some(Codings::named(names).expect("known codings"));
        self
    }

    /// A trailer, after all header fields.
    pub fn with_trailer(mut self, name: &str, value: &str) -> Reply {
        self.trailers += 1;
        self.with(name, value)
    }

    /// A header field whose value ends in a leaf.
    pub fn with_leaf(mut self, name: &str, before: &str, leaf: &str, path: &str) -> Reply {
        let index = self.headers.len() as u32;
        self.leaves.push(Leaf {
            part: Part::Field(index),
            path: path.to_owned(),
            start: before.len() as u32,
            len: leaf.len() as u32,
            tag: tag(leaf),
            encoding: Encoding::Plain,
            action: Action::Pseudonym,
            raw_chars: leaf.chars().count() as u32,
        });
        self.headers
            .push((name.to_owned(), format!("{before}{leaf}")));
        self
    }

    pub fn without(mut self, name: &str) -> Reply {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub fn after_ms(mut self, latency_ms: f64) -> Reply {
        self.latency_ms = latency_ms;
        self
    }

    pub fn late(mut self) -> Reply {
        self.is_late = true;
        self
    }

    /// Of a request that went out without the twin's own values.
    pub fn unbound(mut self) -> Self {
        self.is_unbound = true;
        self
    }

    fn answer(&self) -> Answer {
        let head = ResponseHead {
            version: Bytes::from_static(b"HTTP/1.1"),
            status: self.status,
            reason: Bytes::new(),
            fields: self
                .headers
                .iter()
                .map(|(name, value)| Field::new(name.clone(), value.clone()))
                .collect(),
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        };
        Answer {
            head: scrubbed(&head),
            trailers: self.trailers,
            body: Body::Whole(scrubbed_bytes(&self.body)),
            undone: self.undone.clone(),
            leaves: self.leaves.clone(),
        }
    }

    fn outcome(&self, due_ns: u64) -> Outcome {
        let done = due_ns + (self.latency_ms * 1e6) as u64;
        let timing = Timing {
            due_ns,
            ready_ns: due_ns,
            released_ns: due_ns + 20_000,
            first_byte_ns: done,
            last_byte_ns: done,
            wait_expired: self.is_late,
            unbound: self.is_unbound,
        };
        match &self.error {
            None => Outcome::Answered {
                answer: self.answer(),
                timing,
            },
            Some(kind) => Outcome::Errored {
                kind: kind.clone(),
                detail: format!("{kind} after 0 bytes"),
                timing: Some(timing),
            },
        }
    }
}

/// One planned request and the three replies to it.
#[derive(Clone, Debug)]
pub struct Call {
    pub session: String,
    pub method: String,
    pub target: String,
    pub production: Option<Reply>,
    pub baseline: Reply,
    pub candidate: Reply,
    /// That of a second baseline, where there is one.
    pub second: Option<Reply>,
    /// Paths of leaves that later requests use.
    pub produced: Vec<String>,
    /// Indexes of calls that it depends on.
    pub after: Vec<u32>,
    /// Indexes of calls that it raced with.
    pub races: Vec<u32>,
    /// Tags of what it sends, and of the recorded values.
    pub sent: Vec<(LinkTag, LinkTag)>,
    /// In place of the twins' replies.
    pub baseline_outcome: Option<Outcome>,
    pub candidate_outcome: Option<Outcome>,
    /// The request's body.
    pub body: String,
}

impl Call {
    /// A request that all three answer alike.
    pub fn new(session: &str, method: &str, target: &str, reply: Reply) -> Call {
        Call {
            session: session.to_owned(),
            method: method.to_owned(),
            target: target.to_owned(),
            production: Some(reply.clone()),
            baseline: reply.clone(),
            candidate: reply,
            second: None,
            produced: Vec::new(),
            after: Vec::new(),
            races: Vec::new(),
            sent: Vec::new(),
            baseline_outcome: None,
            candidate_outcome: None,
            body: String::new(),
        }
    }

    /// With a body in the request.
    pub fn asking(mut self, body: &Value) -> Call {
        self.body = body.to_string();
        self
    }

    pub fn production(mut self, reply: Reply) -> Call {
        self.production = Some(reply);
        self
    }

    pub fn unseen(mut self) -> Call {
        self.production = None;
        self
    }

    pub fn baseline(mut self, reply: Reply) -> Call {
        self.baseline = reply;
        self
    }

    pub fn candidate(mut self, reply: Reply) -> Call {
        self.candidate = reply;
        self
    }

    pub fn second(mut self, reply: Reply) -> Call {
        self.second = Some(reply);
        self
    }

    pub fn produces(mut self, path: &str) -> Call {
        self.produced.push(path.to_owned());
        self
    }

    /// Depends on the call at an index, of another session.
    pub fn after(mut self, index: u32) -> Call {
        self.after.push(index);
        self
    }

    /// Sends a value in place of the recorded one.
    pub fn sends(mut self, sent: &str, recorded: &str) -> Call {
        self.sent.push((tag(sent), tag(recorded)));
        self
    }

    /// Raced with the call at an index.
    pub fn races(mut self, index: u32) -> Call {
        self.races.push(index);
        self
    }

    pub fn outcomes(mut self, baseline: Outcome, candidate: Outcome) -> Call {
        self.baseline_outcome = Some(baseline);
        self.candidate_outcome = Some(candidate);
        self
    }

    pub fn observation(&self, position: u32) -> Observation {
        let head = RequestHead {
            method: Bytes::from(self.method.clone()),
            target: Bytes::from(self.target.clone()),
            version: Bytes::from_static(b"HTTP/1.1"),
            fields: vec![
                Field::new("Host", "shop.example"),
                Field::new("Accept", "application/json"),
            ],
            line_spelling: None,
            end: Bytes::from_static(b"\r\n"),
        };
        let due_ns = u64::from(position) * 1_000_000;
        let production = self.production.as_ref().map(Reply::answer);
        let produced = self.produced.iter().filter_map(|path| {
            let leaves = &production.as_ref()?.leaves;
            let leaf = leaves.iter().find(|leaf| leaf.path == *path)?;
            Some((path.clone(), leaf.tag))
        });
        Observation {
            exchange: exchange(position),
            depends_on: self.after.clone(),
            is_awaited: true,
            races: self
                .races
                .iter()
                .map(|index| Raced {
                    exchange: exchange(*index),
                    resource: "order/*".to_owned(),
                })
                .collect(),
            session: self.session.clone(),
            position,
            recorded: Timestamp(1_763_806_197_000_000_000 + due_ns),
            request: scrubbed(&head),
            request_body: Body::Whole(scrubbed_bytes(self.body.as_bytes())),
            production_latency_ns: self
                .production
                .as_ref()
                .map(|reply| (reply.latency_ms * 1e6) as u64),
            copy: 0,
            is_warm_up: false,
            sent: self.sent.clone(),
            produced: produced.collect(),
            production_status: self.production.as_ref().map(|reply| reply.status),
            production: production.clone(),
            baseline: self
                .baseline_outcome
                .clone()
                .unwrap_or_else(|| self.baseline.outcome(due_ns)),
            candidate: self
                .candidate_outcome
                .clone()
                .unwrap_or_else(|| self.candidate.outcome(due_ns)),
            second_baseline: self.second.as_ref().map(|reply| reply.outcome(due_ns)),
        }
    }
}

fn exchange(position: u32) -> ExchangeId {
    ExchangeId {
        node: "node-a".into(),
        boot: 7,
        flow: FlowId(u64::from(position) / 4),
        offset: u64::from(position) * 100,
        from_response: false,
    }
}

/// The same, ready so long after the start at both twins.
pub fn ready_at(mut observation: Observation, ready_ns: u64) -> Observation {
    for outcome in [&mut observation.baseline, &mut observation.candidate] {
        if let Outcome::Answered { timing, .. } = outcome {
            let took_ns = timing.last_byte_ns - timing.ready_ns;
            timing.ready_ns = ready_ns;
            timing.last_byte_ns = ready_ns + took_ns;
        }
    }
    observation
}

pub fn observations(calls: &[Call]) -> Vec<Observation> {
    (0..)
        .zip(calls)
        .map(|(position, call)| call.observation(position))
        .collect()
}

pub fn judge(calls: &[Call]) -> Report {
    judge_with(Options::default(), RunFacts::default(), observations(calls))
}

pub fn judge_with(
    rules: impl Into<Rules>,
    facts: RunFacts,
    observations: impl IntoIterator<Item = Observation>,
) -> Report {
    let mut judge = Judge::new(rules);
    for observation in observations {
        judge.observe(observation);
    }
    judge.conclude(facts)
}

/// Each finding in a line: endpoint, kind, location, count.
pub fn lines(report: &Report) -> Vec<String> {
    let findings = report.findings.iter();
    findings
        .map(|finding| {
            format!(
                "{} {} {} x{}",
                finding.endpoint, finding.kind, finding.location, finding.count
            )
        })
        .collect()
}

/// The same calls in many sessions, so that there is enough to judge by.
pub fn repeated(times: usize, make: impl Fn(usize, &str) -> Vec<Call>) -> Vec<Call> {
    (0..times)
        .flat_map(|index| make(index, &format!("s-{index:03}")))
        .collect()
}

/// JSON as scrubbing would find it: each scalar is a leaf.
fn write_json(value: &Value, pointer: &mut String, out: &mut String, leaves: &mut Vec<Leaf>) {
    let length = pointer.len();
    match value {
        Value::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                write_json(member, pointer, out, leaves);
                pointer.truncate(length);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                pointer.push_str(&format!("/{index}"));
                write_json(element, pointer, out, leaves);
                pointer.truncate(length);
            }
            out.push(']');
        }
        scalar => {
            let spelled = scalar.to_string();
            let quote = usize::from(scalar.is_string());
            let raw = scalar
                .as_str()
                .map_or_else(|| spelled.clone(), str::to_owned);
            leaves.push(Leaf {
                part: Part::Body,
                path: format!("json.{pointer}"),
                start: (out.len() + quote) as u32,
                len: (spelled.len() - 2 * quote) as u32,
                tag: tag(&raw),
                encoding: if quote == 1 {
                    Encoding::JsonString
                } else {
                    Encoding::JsonLiteral
                },
                action: Action::Allowed,
                raw_chars: raw.chars().count() as u32,
            });
            out.push_str(&spelled);
        }
    }
}
