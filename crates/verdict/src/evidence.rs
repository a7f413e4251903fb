//! Examples of a difference, side by side.

use jiff::Timestamp as Instant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use twintap_stream::{Field, Timestamp};

use crate::compare::{BODY, Difference, Parsed, STATUS, Side};
use crate::history::Step;
use crate::kind::Kind;
use crate::observation::{Answer, Body, Observation, Outcome, Timing};

/// One exchange that shows a difference; all of it scrubbed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The recorded exchange.
    pub exchange: String,
    /// Its session.
    pub session: String,
    /// Its position in the plan.
    pub position: u32,
    /// When production saw it, as RFC 3339.
    pub recorded: String,
    /// The very place, as the location of a finding leaves out what varies.
    pub at: String,
    /// What changed into what, in a few words.
    pub change: String,
    /// The request's start line.
    pub request: String,
    /// The request's header fields.
    pub request_head: String,
    /// The head of the request's body; empty when there was none.
    pub request_body: String,
    /// What production answered.
    pub production: Excerpt,
    /// What the baseline answered.
    pub baseline: Excerpt,
    /// What the candidate answered.
    pub candidate: Excerpt,
    /// What it raced with in the recording.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub races: Vec<RacedWith>,
    /// What its session did before, the latest last, as far as it is remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Step>,
    /// How to see it again, where the run says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduce: Option<Reproduce>,
}

/// Commands that fire one exchange again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reproduce {
    /// Fires it with everything that it depends on at freshly reset twins, and compares.
    pub replay: String,
    /// Sends the request alone, as it was recorded and scrubbed, to the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curl: Option<String>,
    /// Values of the request in whose place a run sends the twin's own, and where it takes
    /// them from; `curl` sends the recorded ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<String>,
    /// What `curl` leaves out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// A write that an example raced with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RacedWith {
    /// The exchange that wrote.
    pub exchange: String,
    /// What both touched.
    pub resource: String,
}

/// The part of an answer that matters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Excerpt {
    /// The status code; none where there was no answer.
    pub status: Option<u16>,
    /// Milliseconds from ready to the last byte (production: from the request's
    /// last byte to the answer's first).
    pub latency_ms: Option<f64>,
    /// The lines around the place.
    pub text: String,
}

/// The longest excerpt, in characters.
const MOST_CHARS: usize = 900;
/// The longest part of an exchange that is looked at on its own, in characters.
const MOST_WATCHED: usize = 64 << 10;

/// The example that an observation makes for a difference.
pub(crate) fn of_difference(
    observation: &Observation,
    difference: &Difference,
    production: Option<&Side<'_>>,
    baseline: &Side<'_>,
    candidate: &Side<'_>,
) -> Evidence {
    let is_added = matches!(difference.kind, Kind::BodyAdded | Kind::HeaderAdded);
    let at = if is_added {
        &difference.at_right
    } else {
        &difference.at_left
    };
    let mut evidence = bare(observation, at, &difference.note, MOST_CHARS);
    if let Some(side) = production {
        evidence.production = excerpt(side, difference, &difference.at_left);
    }
    evidence.production.latency_ms = observation.production_latency_ns.map(|ns| ns as f64 / 1e6);
    evidence.baseline = excerpt(baseline, difference, &difference.at_left);
    evidence.baseline.latency_ms = latency_ms(&observation.baseline);
    evidence.candidate = excerpt(candidate, difference, &difference.at_right);
    evidence.candidate.latency_ms = latency_ms(&observation.candidate);
    evidence
}

/// The example that an observation makes as a whole.
pub(crate) fn of_outcomes(observation: &Observation, at: &str, change: &str) -> Evidence {
    whole(observation, at, change, MOST_CHARS)
}

/// An observation in full.
pub(crate) fn in_full(observation: &Observation, at: &str, change: &str) -> Evidence {
    whole(observation, at, change, MOST_WATCHED)
}

fn whole(observation: &Observation, at: &str, change: &str, most: usize) -> Evidence {
    let mut evidence = bare(observation, at, change, most);
    if let Some(answer) = &observation.production {
        evidence.production = of_answer(answer, most);
    }
    evidence.production.latency_ms = observation.production_latency_ns.map(|ns| ns as f64 / 1e6);
    evidence.baseline = of_outcome(&observation.baseline, most);
    evidence.candidate = of_outcome(&observation.candidate, most);
    evidence
}

/// An observation without answers, each part of at most so many characters.
fn bare(observation: &Observation, at: &str, change: &str, most: usize) -> Evidence {
    let head = &observation.request;
    let request = [&head.method, &head.target, &head.version]
        .map(|part| String::from_utf8_lossy(part))
        .join(" ");
    Evidence {
        exchange: observation.exchange.to_string(),
        session: observation.session.clone(),
        position: observation.position,
        recorded: rfc_3339(observation.recorded),
        at: if at.is_empty() { BODY } else { at }.to_owned(),
        change: change.to_owned(),
        request: cut(request.trim_end(), most),
        request_head: cut(&fields_as_text(&head.fields), most),
        request_body: match &observation.request_body {
            Body::Whole(bytes) => cut(&readable(bytes), most),
            Body::Digest { bytes, .. } => format!("({bytes} bytes, not kept)"),
        },
        production: Excerpt::default(),
        baseline: Excerpt::default(),
        candidate: Excerpt::default(),
        races: observation
            .races
            .iter()
            .map(|raced| RacedWith {
                exchange: raced.exchange.to_string(),
                resource: raced.resource.clone(),
            })
            .collect(),
        before: Vec::new(),
        reproduce: None,
    }
}

fn of_outcome(outcome: &Outcome, most: usize) -> Excerpt {
    let mut excerpt = match outcome {
        Outcome::Answered { answer, .. } => of_answer(answer, most),
        Outcome::Errored { kind, detail, .. } => Excerpt {
            text: cut(&format!("no answer: {kind}\n{detail}"), most),
            ..Excerpt::default()
        },
        Outcome::Refused(limit) => Excerpt {
            text: format!("not fired: {limit}"),
            ..Excerpt::default()
        },
        Outcome::Skipped(cause) => Excerpt {
            text: format!("not fired: {cause}"),
            ..Excerpt::default()
        },
    };
    excerpt.latency_ms = latency_ms(outcome);
    excerpt
}

fn of_answer(answer: &Answer, most: usize) -> Excerpt {
    let body = match &answer.body {
        Body::Whole(bytes) => readable(bytes),
        Body::Digest { bytes, .. } => format!("({bytes} bytes, not kept)"),
    };
    let head = fields_as_text(&answer.head.fields);
    Excerpt {
        status: Some(answer.head.status),
        latency_ms: None,
        text: cut(&format!("{}\n{head}\n{body}", status_line(answer)), most),
    }
}

fn excerpt(side: &Side<'_>, difference: &Difference, at: &str) -> Excerpt {
    let answer = side.answer;
    let place = difference.place.as_str();
    let text = if place == STATUS {
        of_answer(answer, MOST_CHARS).text
    } else if let Some(name) = place
        .strip_prefix("header.")
        .or_else(|| place.strip_prefix("trailer."))
    {
        head_around(answer, name)
    } else if place.starts_with("set-cookie.") {
        head_around(answer, "set-cookie")
    } else {
        match &side.body {
            Parsed::Json(document) => json_around(document, at),
            Parsed::Markup(document) => document.around(at),
            Parsed::Text(text) => text_around(text, at),
            Parsed::Binary(bytes) => readable(bytes),
            Parsed::Digest { bytes, .. } => format!("({bytes} bytes, not kept)"),
            Parsed::Empty => "(no body)".to_owned(),
        }
    };
    Excerpt {
        status: Some(answer.head.status),
        latency_ms: None,
        text: cut(&text, MOST_CHARS),
    }
}

fn head_around(answer: &Answer, name: &str) -> String {
    let (wanted, others): (Vec<&Field>, Vec<&Field>) =
        answer.head.fields.iter().partition(|field| field.is(name));
    let mut text = status_line(answer);
    for field in wanted {
        text.push('\n');
        text.push_str(&field_as_text(field));
    }
    for field in others.into_iter().take(8) {
        text.push('\n');
        text.push_str(&field_as_text(field));
    }
    text
}

/// The object that holds the value at a pointer, its large members folded.
fn json_around(document: &Value, pointer: &str) -> String {
    let (mut holder, last) = match pointer.rsplit_once('/') {
        None => (pointer, None),
        Some((parent, last)) => (parent, Some(last)),
    };
    let mut within = document.pointer(holder);
    while within.is_none() {
        holder = holder.rsplit_once('/').map_or("", |(parent, _)| parent);
        within = document.pointer(holder);
        if holder.is_empty() {
            break;
        }
    }
    let within = within.unwrap_or(document);
    let folded = match within {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| {
                    let is_wanted = last == Some(key.as_str());
                    (
                        key.clone(),
                        if is_wanted {
                            value.clone()
                        } else {
                            fold(value)
                        },
                    )
                })
                .collect(),
        ),
        Value::Array(elements) => {
            let wanted: usize = last.and_then(|last| last.parse().ok()).unwrap_or(0);
            let from = wanted.saturating_sub(1).min(elements.len());
            let to = (wanted + 2).min(elements.len());
            return format!(
                "{} elements; from {from}:\n{}",
                elements.len(),
                pretty(&Value::Array(elements[from..to].iter().map(fold).collect()))
            );
        }
        scalar => scalar.clone(),
    };
    if holder.is_empty() {
        pretty(&folded)
    } else {
        format!("{holder}:\n{}", pretty(&folded))
    }
}

fn fold(value: &Value) -> Value {
    match value {
        Value::Object(members) if members.len() > 6 => {
            Value::String(format!("(object of {})", members.len()))
        }
        Value::Array(elements) if elements.len() > 3 => {
            Value::String(format!("(array of {})", elements.len()))
        }
        Value::String(text) if text.chars().count() > 120 => {
            Value::String(text.chars().take(120).chain(['…']).collect())
        }
        other => other.clone(),
    }
}

fn pretty(value: &Value) -> String {
    // A value that was parsed can be written.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The lines around `byte N`.
fn text_around(text: &str, at: &str) -> String {
    let offset = at
        .strip_prefix("byte ")
        .and_then(|offset| offset.parse::<usize>().ok())
        .unwrap_or(0);
    let mut from = offset.saturating_sub(MOST_CHARS / 2).min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mark = if from > 0 { "…" } else { "" };
    format!("{mark}{}", &text[from..])
}

fn status_line(answer: &Answer) -> String {
    let reason = String::from_utf8_lossy(&answer.head.reason);
    format!("{} {reason}", answer.head.status)
        .trim_end()
        .to_owned()
}

fn fields_as_text(fields: &[Field]) -> String {
    fields
        .iter()
        .map(field_as_text)
        .collect::<Vec<_>>()
        .join("\n")
}

fn field_as_text(field: &Field) -> String {
    format!(
        "{}: {}",
        String::from_utf8_lossy(&field.name),
        String::from_utf8_lossy(&field.value)
    )
}

fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes, not text)", bytes.len()),
    }
}

fn cut(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn latency_ms(outcome: &Outcome) -> Option<f64> {
    let of_timing =
        |timing: &Timing| timing.last_byte_ns.saturating_sub(timing.ready_ns) as f64 / 1e6;
    outcome.timing().map(of_timing)
}

/// An instant as RFC 3339 in UTC; its nanoseconds where it lies beyond the year 9999.
pub(crate) fn rfc_3339(at: Timestamp) -> String {
    let instant = Instant::from_nanosecond(i128::from(at.0));
    instant.map_or_else(|_| at.0.to_string(), |instant| instant.to_string())
}
