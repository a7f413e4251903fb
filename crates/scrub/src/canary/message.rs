//! The messages that carry canaries.

use std::fmt;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use twintap_stream::{Direction, Exchange, Field, Message, RequestHead, ResponseHead};

use crate::encoding::encode;
use crate::leaf::Encoding;
use crate::policy::On;
use crate::scrubber::Scrubber;

/// What canaries are called where no rule says more.
const NAME: &str = "value";

/// Method and path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    method: String,
    path: String,
}

impl Default for Route {
    fn default() -> Route {
        Route {
            method: "POST".to_owned(),
            path: "/canary".to_owned(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Route {
    /// A route for each path that the condition names.
    pub(super) fn of(on: Option<&On>) -> Vec<Route> {
        let usual = Route::default();
        let Some(on) = on else { return vec![usual] };
        let method = on.methods.first().unwrap_or(&usual.method);
        let paths = on.paths.iter().map(|glob| filled(glob.as_str()));
        let paths: Vec<String> = match on.paths.is_empty() {
            true => vec![usual.path.clone()],
            false => paths.collect(),
        };
        let route = |path| Route {
            method: method.clone(),
            path,
        };
        paths.into_iter().map(route).collect()
    }
}

/// Where a canary is put.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A string at a JSON Pointer, in request and response.
    Json(String),
    /// A number there, where the value is one.
    JsonNumber(String),
    Query(String),
    Header(String),
    Cookie(String),
    /// A field of a form.
    Form(String),
    /// A whole body.
    Text,
}

impl Place {
    /// Places that every service has.
    pub(super) fn usual() -> impl Iterator<Item = Place> {
        let name = || NAME.to_owned();
        [
            Place::Json(format!("/{NAME}")),
            Place::JsonNumber("/amount".to_owned()),
            Place::Query(name()),
            Place::Header(format!("x-{NAME}")),
            Place::Cookie(name()),
            Place::Form(name()),
            Place::Text,
        ]
        .into_iter()
    }

    /// A place that a rule's pattern is about. Headers are left out: what they tell of
    /// programs and hosts looks like addresses.
    pub(super) fn matching(pattern: &str) -> Option<Place> {
        let path = filled(pattern);
        if path == "text" {
            return Some(Place::Text);
        }
        let (kind, name) = path.split_once('.')?;
        let name = match name.is_empty() {
            true => NAME.to_owned(),
            false => name.to_owned(),
        };
        match kind {
            "json" if name.starts_with('/') => Some(Place::Json(name)),
            "json" => Some(Place::Json(format!("/{name}"))),
            "query" => Some(Place::Query(name)),
            "cookie" => Some(Place::Cookie(name)),
            "form" => Some(Place::Form(name)),
            _ => None,
        }
    }

    /// The leaf's path.
    pub(super) fn path(&self) -> String {
        match self {
            Place::Json(pointer) | Place::JsonNumber(pointer) => format!("json.{pointer}"),
            Place::Query(name) => format!("query.{name}"),
            Place::Header(name) => format!("header.{name}"),
            Place::Cookie(name) => format!("cookie.{name}"),
            Place::Form(name) => format!("form.{name}"),
            Place::Text => "text".to_owned(),
        }
    }
}

/// A pattern with a word in each of its gaps.
fn filled(pattern: &str) -> String {
    pattern
        .replace("**", NAME)
        .replace('*', NAME)
        .replace('?', "v")
}

/// What would be stored of messages with a canary in them.
pub(super) struct Stored {
    pub(super) hits: usize,
    parts: Vec<Bytes>,
}

impl Stored {
    /// Whether the value stands there as it was.
    pub(super) fn shows(&self, value: &str) -> bool {
        let spellings = [Encoding::Plain, Encoding::Form, Encoding::Percent];
        let mut spellings = spellings.map(|encoding| encode(value.as_bytes(), encoding));
        spellings.iter_mut().any(|spelling| {
            let finder = memchr::memmem::Finder::new(spelling);
            self.parts.iter().any(|part| finder.find(part).is_some())
        })
    }
}

/// Scrubs an exchange with the value at these places. The three kinds of bodies each need an
/// exchange of their own.
pub(super) fn scrub(scrubber: &Scrubber, route: &Route, places: &[Place], value: &str) -> Stored {
    let mut stored = Stored {
        hits: 0,
        parts: Vec::new(),
    };
    let bodies = [
        ("application/json", json_body(places, value)),
        (
            "application/x-www-form-urlencoded",
            form_body(places, value),
        ),
        ("text/plain", text_body(places, value)),
    ];
    let head = request(route, places, value);
    let is_in_head = places.iter().any(Place::is_in_head);
    let mut is_head_tried = !is_in_head;
    for (media_type, body) in bodies {
        if body.is_none() && is_head_tried {
            continue;
        }
        is_head_tried = true;
        scrub_one(
            scrubber,
            &head,
            media_type,
            body.unwrap_or_default(),
            &mut stored,
        );
    }
    stored
}

impl Place {
    fn is_in_head(&self) -> bool {
        matches!(self, Place::Query(_) | Place::Header(_) | Place::Cookie(_))
    }
}

fn request(route: &Route, places: &[Place], value: &str) -> RequestHead {
    let mut target = route.path.clone();
    let mut fields = vec![Field::new("host", "canary.example")];
    for place in places {
        match place {
            Place::Query(name) => {
                target.push(if target.contains('?') { '&' } else { '?' });
                let written = encode(value.as_bytes(), Encoding::Form);
                target += &format!("{name}={}", String::from_utf8_lossy(&written));
            }
            Place::Header(name) => fields.push(Field::new(name.clone(), value.to_owned())),
            Place::Cookie(name) => fields.push(Field::new("cookie", format!("{name}={value}"))),
            _ => (),
        }
    }
    RequestHead {
        method: route.method.clone().into(),
        target: target.into(),
        version: Bytes::from_static(b"HTTP/1.1"),
        fields,
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    }
}

fn json_body(places: &[Place], value: &str) -> Option<String> {
    let mut body = Value::Object(Map::new());
    for place in places {
        let (pointer, value) = match place {
            Place::Json(pointer) => (pointer, Some(json!(value))),
            Place::JsonNumber(pointer) => (pointer, value.parse().ok().map(Value::Number)),
            _ => continue,
        };
        if let Some(value) = value {
            put(&mut body, pointer, value);
        }
    }
    let is_empty = body.as_object().is_none_or(Map::is_empty);
    (!is_empty).then(|| body.to_string())
}

/// Puts a value at a pointer, with objects on the way to it.
fn put(body: &mut Value, pointer: &str, value: Value) {
    let mut at = body;
    for name in pointer.split('/').skip(1) {
        let Value::Object(members) = at else { return };
        at = members
            .entry(name)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    *at = value;
}

fn form_body(places: &[Place], value: &str) -> Option<String> {
    let written = encode(value.as_bytes(), Encoding::Form);
    let written = String::from_utf8_lossy(&written);
    let fields = places.iter().filter_map(|place| match place {
        Place::Form(name) => Some(format!("{name}={written}")),
        _ => None,
    });
    let body = fields.collect::<Vec<_>>().join("&");
    (!body.is_empty()).then_some(body)
}

fn text_body(places: &[Place], value: &str) -> Option<String> {
    places.contains(&Place::Text).then(|| value.to_owned())
}

fn scrub_one(
    scrubber: &Scrubber,
    head: &RequestHead,
    media_type: &'static str,
    body: String,
    stored: &mut Stored,
) {
    let mut request = head.clone();
    request.fields.push(Field::new("content-type", media_type));
    let response = ResponseHead {
        version: Bytes::from_static(b"HTTP/1.1"),
        status: 200,
        reason: Bytes::from_static(b"OK"),
        fields: vec![Field::new("content-type", media_type)],
        line_spelling: None,
        end: Bytes::from_static(b"\r\n"),
    };
    let mut scrubbing = scrubber.exchange();
    scrubbing.request_head(&request);
    scrubbing.response_head(&response);
    let body = Bytes::from(body);
    for direction in [Direction::Client, Direction::Server] {
        let passed = scrubbing.body(direction, body.clone());
        stored.parts.extend(passed.map(crate::Scrubbed::into_inner));
    }
    let finished = scrubbing.finish(exchange(request, response));
    let rests = [finished.request_rest, finished.response_rest];
    let rests = rests.into_iter().flatten();
    stored.parts.extend(rests.map(crate::Scrubbed::into_inner));
    let record = finished.record.into_inner();
    stored.hits += record.request.hits.len() + record.response.hits.len();
    let (request, response) = (record.exchange.request.head, record.exchange.response.head);
    let fields = |fields: Vec<Field>| fields.into_iter().map(|field| field.value);
    if let Some(head) = request {
        stored.parts.push(head.target);
        stored.parts.extend(fields(head.fields));
    }
    stored
        .parts
        .extend(response.into_iter().flat_map(|head| fields(head.fields)));
}

fn exchange(request: RequestHead, response: ResponseHead) -> Exchange {
    Exchange::of_no_flow(Message::whole(request), Message::whole(response))
}
