//! What is kept of each exchange until the plan is made: never a head, never a body.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;

use twintap_scrub::{BodyFate, Encoding, ExchangeRecord, Leaf, Part};
use twintap_stream::message::{Field, MessageState, Protocol, field_values};
use twintap_stream::{ExchangeId, FlowId, RequestHead, ResponseHead};

use crate::arrival::Arrivals;
use crate::commands::{self, Spoken, service_for};
use crate::conversation;
use crate::created::signs_up;
use crate::model::{KeptReason, SkipReason, Within};
use crate::names::{NameFacts, facts_of, says_signature};
use crate::options::PlanOptions;
use crate::resource::Derivation;
use crate::routes::{RouteTo, route_of};
use crate::rules::BindingRule;
use crate::shape::{LEAST_CHARS, Shape};
use crate::small;

/// Most characters of a response's value that a request may use: longer ones are
/// texts. A cookie has 4,096 bytes at most (RFC 6265, section 6.1).
const MOST_CHARS: u32 = 8192;

/// Everything that was collected.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub items: Vec<Item>,
    /// Request leaves of all items; an item has a range of them.
    pub uses: Vec<Use>,
    /// Response leaves of all items; an item has a range of them.
    pub products: Vec<Product>,
    /// When each response leaf of a conversation came; an item that is one has a range of
    /// them.
    pub arrivals: Vec<u64>,
    /// Response leaves that a rule names as producers; an item has a range of them.
    pub offers: Vec<Offer>,
    /// Where reasons are asked for: request leaves that are never looked at; an
    /// item has a range of them.
    pub passed_over: Vec<(u32, KeptReason)>,
    pub names: Names,
    pub flows: Interner<(Arc<str>, u64, FlowId)>,
    /// Flows with the service of a request, where there are routes.
    pub connections: Interner<(u32, u16)>,
    pub servers: Interner<SocketAddr>,
    /// The resources that items touch; an item has a range of them.
    pub resources: Derivation,
    /// For the tag of a small id that of its value: see `small`.
    pub small: HashMap<u64, u64>,
    /// The values that requests use, where they were noted beforehand.
    noted: Option<HashSet<u64>>,
}

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub id: ExchangeId,
    pub client: SocketAddr,
    /// Index in [`Collected::servers`].
    pub server: u32,
    /// Index in [`Collected::flows`].
    pub flow: u32,
    /// The connection that its request goes over: the flow's, or where there are routes
    /// that of the flow to its service.
    pub connection: u32,
    /// As [`PlannedRequest::service`](crate::PlannedRequest::service).
    pub service: u16,
    /// As [`PlannedRequest::route`](crate::PlannedRequest::route).
    pub route: u16,
    pub index_in_flow: u32,
    /// First byte of the request (of the response, where no request was seen).
    pub start_ns: u64,
    /// From the request's first byte to its last.
    pub send_ns: u64,
    /// Last byte of the response that was seen; `start_ns` without one.
    pub end_ns: u64,
    pub round_trip_ns: Option<u64>,
    pub uses: Span,
    /// Values that stay within it.
    pub within: Vec<Within>,
    pub products: Span,
    /// Of a conversation, when each of its products came; else empty.
    pub arrivals: Span,
    pub offers: Span,
    pub passed_over: Span,
    pub touches: Span,
    pub response: MessageState,
    pub protocol: Protocol,
    /// The request can be sent again as it was.
    pub fireable: bool,
    /// Why it is not fired, whatever becomes of others; of the filter what can be said before
    /// sessions are known.
    pub skip: Option<SkipReason>,
    pub flow_began_before_capture: bool,
    /// Values that the response had may be missing from its leaves.
    pub lossy: bool,
    /// The request signs somebody up, and was not refused.
    pub signs_up: bool,
    /// The method is one that makes nothing new (RFC 9110, section 9.2.1).
    pub safe: bool,
}

/// A range of leaves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: usize,
    len: u32,
}

impl Span {
    pub fn between(start: usize, end: usize) -> Span {
        Span {
            start,
            // A message of four thousand million leaves would not fit into memory.
            len: u32::try_from(end - start).unwrap_or(u32::MAX),
        }
    }

    pub fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start..self.start + self.len as usize]
    }
}

/// A leaf of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub tag: u64,
    pub part: Part,
    /// Index in [`Collected::names`].
    pub path: u32,
    pub start: u32,
    pub len: u32,
    pub shape: Shape,
    pub encoding: Encoding,
    /// The first rule about it, from 1; 0 without one.
    pub rule: u8,
}

/// A leaf of a response that a rule names as producer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// The rule, from 1.
    pub rule: u8,
    pub tag: u64,
    /// Index in [`Collected::names`].
    pub path: u32,
    /// When it came, in a conversation; else with the response's end.
    pub arrival: Option<u64>,
}

/// A leaf of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub tag: u64,
    /// Index in [`Collected::names`].
    pub path: u32,
    pub shape: Shape,
}

impl Collected {
    /// Keeps what the plan needs of `record`.
    pub fn add(&mut self, record: &ExchangeRecord, body_replayable: bool, options: &PlanOptions) {
        let exchange = &record.exchange;
        let (request, response) = (&exchange.request, &exchange.response);
        let seen_request = request.state != MessageState::Absent && !exchange.id.from_response;
        let start = if seen_request {
            request.first_byte
        } else {
            response.first_byte
        };
        let end_ns = match response.state {
            MessageState::Absent => start.0,
            _ => response.last_byte.0.max(start.0),
        };
        let head = request.head.as_ref();
        let filtered = !options.filter.takes_protocol(exchange)
            || match head {
                Some(head) => !options.filter.takes(&head.method, &head.target, start),
                None => !options.filter.takes_headless(start),
            };
        // What is not asked for takes no route.
        let routed = match filtered {
            true => None,
            false => route_of(&options.routes, exchange),
        };
        let leads_nowhere = routed.is_some_and(|(_, to)| to == RouteTo::Nowhere);
        let named = match routed {
            Some((_, RouteTo::Service(service))) => Some(service),
            Some((_, RouteTo::Nowhere)) | None => None,
        };
        let service = service_for(&options.spoken, Spoken::of(exchange.protocol), named);
        let skip = if filtered || leads_nowhere {
            Some(SkipReason::Filtered)
        } else if service.is_none() {
            Some(SkipReason::Protocol)
        } else {
            commands::skip_of(exchange)
        };
        let status = response.head.as_ref().map(|head| head.status);
        let fireable = seen_request
            && request.state == MessageState::Complete
            && body_replayable
            && !commands::lacks_statement(exchange)
            && head.is_some_and(|head| exchange.is_conversation() || !leaves_http(head, status));
        let within = conversation::within(record);
        let passed_over = self.passed_over.len();
        let uses = self.keep_uses(&record.request.leaves, head, &within, options);
        let passed_over = Span::between(passed_over, self.passed_over.len());
        let arrivals = self.arrivals.len();
        let products = self.keep_products(record, response.head.as_ref(), head);
        let arrivals = Span::between(arrivals, self.arrivals.len());
        let mut item = Item {
            id: exchange.id.clone(),
            client: exchange.endpoints.client,
            server: 0,
            flow: 0,
            connection: 0,
            service: service.unwrap_or(0),
            route: routed.map_or(0, |(number, _)| number),
            index_in_flow: exchange.index_in_flow,
            start_ns: start.0,
            send_ns: if seen_request {
                request.last_byte.since_ns(request.first_byte)
            } else {
                0
            },
            end_ns,
            round_trip_ns: exchange.round_trip_ns,
            uses,
            within,
            passed_over,
            offers: self.keep_offers(record, head, options),
            touches: self.resources.add(record),
            products,
            arrivals,
            response: response.state,
            protocol: exchange.protocol,
            fireable,
            skip,
            flow_began_before_capture: exchange.flow_began_before_capture,
            lossy: response.state != MessageState::Complete || lost_leaves(&record.response.body),
            signs_up: head.is_some_and(|head| signs_up(head, status)),
            safe: head.is_some_and(|head| {
                matches!(&head.method[..], b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
            }),
        };
        self.place(&mut item, exchange.endpoints.server, options);
        self.items.push(item);
    }

    /// Says which server, flow and connection the item is of.
    pub fn place(&mut self, item: &mut Item, server: SocketAddr, options: &PlanOptions) {
        item.server = self.servers.intern(server);
        let id = &item.id;
        item.flow = self.flows.intern((id.node.clone(), id.boot, id.flow));
        item.connection = match options.routes.is_empty() {
            true => item.flow,
            false => self.connections.intern((item.flow, item.service)),
        };
    }

    /// Forgets which servers, flows and connections there were.
    pub fn forget_places(&mut self) {
        self.servers = Interner::default();
        self.flows = Interner::default();
        self.connections = Interner::default();
    }

    /// Notes the values that the request of `record` uses.
    pub fn note_request(&mut self, record: &ExchangeRecord) {
        let noted = self.noted.get_or_insert_default();
        let head = record.exchange.request.head.as_ref();
        let is_signed = is_signed(&record.request.leaves);
        for leaf in &record.request.leaves {
            let path = self.names.intern(&leaf.path);
            match self.names.keeps_use(path, leaf, head, is_signed) {
                Keeps::Not => (),
                Keeps::AsItIs => drop(noted.insert(leaf.tag.0)),
                Keeps::Small(tag) => drop(noted.insert(tag)),
            }
        }
    }

    fn keep_uses(
        &mut self,
        leaves: &[Leaf],
        head: Option<&RequestHead>,
        within: &[Within],
        options: &PlanOptions,
    ) -> Span {
        let start = self.uses.len();
        let within: HashSet<(u32, u32)> = within
            .iter()
            .map(|value| (value.start, value.len))
            .collect();
        let is_signed = is_signed(leaves);
        let rules = rules_where(options, |rule| rule.consumer.is_of(head));
        for leaf in leaves {
            if leaf.part == Part::Body && within.contains(&(leaf.start, leaf.len)) {
                continue;
            }
            let path = self.names.intern(&leaf.path);
            let is_about =
                |&&(_, rule): &&(u8, &BindingRule)| rule.consumer.leaf.matches(&leaf.path);
            let rule = rules.iter().find(is_about).map_or(0, |(number, _)| *number);
            let keeps = self.names.keeps_use(path, leaf, head, is_signed);
            if rule == 0 && keeps == Keeps::Not {
                if options.explain {
                    let reason = match self.names.facts(path).uses {
                        true => KeptReason::Short,
                        false => KeptReason::Protocol,
                    };
                    self.passed_over.push((path, reason));
                }
                continue;
            }
            let text = small::text_of(head, leaf.part).and_then(|text| spelling(text, leaf));
            let shape = Shape::of(leaf, text);
            let (tag, shape) = match keeps {
                Keeps::Small(tag) if rule == 0 => {
                    self.small.insert(tag, leaf.tag.0);
                    (tag, shape.small())
                }
                _ => (leaf.tag.0, shape),
            };
            self.uses.push(Use {
                tag,
                part: leaf.part,
                path,
                start: leaf.start,
                len: leaf.len,
                shape,
                encoding: leaf.encoding,
                rule,
            });
        }
        Span::between(start, self.uses.len())
    }

    fn keep_offers(
        &mut self,
        record: &ExchangeRecord,
        request: Option<&RequestHead>,
        options: &PlanOptions,
    ) -> Span {
        let start = self.offers.len();
        let leaves = &record.response.leaves;
        let arrivals = Arrivals::of(record);
        let names_producer = |rule: &BindingRule| {
            let producer = rule.producer.as_ref();
            producer.is_some_and(|place| place.is_of(request))
        };
        for (rule, place) in rules_where(options, names_producer)
            .into_iter()
            .filter_map(|(number, rule)| Some((number, rule.producer.as_ref()?)))
        {
            for leaf in leaves.iter().filter(|leaf| place.leaf.matches(&leaf.path)) {
                let path = self.names.intern(&leaf.path);
                self.offers.push(Offer {
                    rule,
                    tag: leaf.tag.0,
                    path,
                    arrival: arrivals.as_ref().map(|all| all.of_leaf(leaf).0),
                });
            }
        }
        Span::between(start, self.offers.len())
    }

    fn keep_products(
        &mut self,
        record: &ExchangeRecord,
        head: Option<&ResponseHead>,
        request: Option<&RequestHead>,
    ) -> Span {
        let start = self.products.len();
        let leaves = &record.response.leaves;
        let arrivals = Arrivals::of(record);
        let is_signed = is_signed(leaves);
        for leaf in leaves {
            let field = head.and_then(|head| match leaf.part {
                Part::Field(field) => head.fields.get(field as usize),
                _ => None,
            });
            let is_beside = is_signed && is_parameter(&leaf.path);
            let is_short = leaf.raw_chars < LEAST_CHARS && !is_beside;
            if leaf.raw_chars > MOST_CHARS || leaf.raw_chars == 0 {
                continue;
            }
            let thing = is_short
                .then(|| small::thing_of(leaf, field.map(|field| &field.value[..]), request))
                .flatten();
            if is_short && thing.is_none() {
                continue;
            }
            let path = self.names.intern(&leaf.path);
            if !self.names.facts(path).produces {
                continue;
            }
            if let Some(name) = leaf.path.strip_prefix("set-cookie.") {
                if field.is_some_and(deletes_cookie) {
                    continue;
                }
                let cookie = self.names.intern(&format!("cookie.{name}"));
                self.names.note_set_cookie(path, cookie);
            }
            let text = field.and_then(|field| spelling(&field.value, leaf));
            let shape = Shape::of(leaf, text);
            let (tag, shape) = match &thing {
                Some(thing) => (small::tag(leaf, thing), shape.small()),
                None => (leaf.tag.0, shape),
            };
            let unused = |noted: &HashSet<u64>| !noted.contains(&tag);
            if self.noted.as_ref().is_some_and(unused) {
                continue;
            }
            self.products.push(Product { tag, path, shape });
            if let Some(arrivals) = &arrivals {
                self.arrivals.push(arrivals.of_leaf(leaf).0);
            }
        }
        Span::between(start, self.products.len())
    }
}

/// True when one of the leaves signs the URL that it is in.
fn is_signed(leaves: &[Leaf]) -> bool {
    leaves.iter().any(|leaf| says_signature(&leaf.path))
}

/// True for a parameter of a URL.
fn is_parameter(path: &str) -> bool {
    path.starts_with("query.") || path.contains(".query.")
}

/// The rules that hold somewhere, with their numbers from 1.
fn rules_where(
    options: &PlanOptions,
    holds: impl Fn(&BindingRule) -> bool,
) -> Vec<(u8, &BindingRule)> {
    (1..=u8::MAX)
        .zip(&options.bindings)
        .filter(|(_, rule)| holds(rule))
        .collect()
}

fn spelling<'a>(text: &'a [u8], leaf: &Leaf) -> Option<&'a [u8]> {
    let start = leaf.start as usize;
    text.get(start..start.checked_add(leaf.len as usize)?)
}

/// True when the connection speaks HTTP/1 no longer after this exchange: a tunnel
/// (RFC 9110, section 9.3.6) or an upgrade (section 7.8). An upgrade that the
/// server declined is an exchange like any other, but for WebSocket's, whose
/// request means nothing else.
fn leaves_http(head: &RequestHead, status: Option<u16>) -> bool {
    let websocket = || {
        field_values(&head.fields, "upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket"))
    };
    head.method[..] == *b"CONNECT" || status == Some(101) || websocket()
}

/// True when a body had values that are no leaves now. A body of a type that the
/// policy does not know (an image) is not taken to have any.
fn lost_leaves(body: &BodyFate) -> bool {
    matches!(body, BodyFate::Dropped(reason) if reason != "unknown_type")
}

/// True when a Set-Cookie field removes its cookie: Max-Age of zero or less, else
/// a date long past (RFC 6265, section 5.2).
pub(crate) fn deletes_cookie(field: &Field) -> bool {
    let value = String::from_utf8_lossy(&field.value);
    let attribute = |name: &str| {
        value.split(';').skip(1).find_map(|attribute| {
            let (key, value) = attribute.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    if let Some(age) = attribute("max-age") {
        return age.parse::<i64>().is_ok_and(|age| age <= 0);
    }
    // Whatever its format, such a date is at the beginning of Unix time.
    attribute("expires").is_some_and(|date| {
        date.split(|c: char| !c.is_ascii_digit())
            .any(|number| number == "1970")
    })
}

/// Values with small indexes, in the order of their first appearance.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    indexes: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner {
            indexes: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl Interner<Arc<str>> {
    pub fn intern_str(&mut self, text: &str) -> u32 {
        match self.indexes.get(text) {
            Some(known) => *known,
            None => self.intern(Arc::from(text)),
        }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    pub fn intern(&mut self, value: T) -> u32 {
        let next = self.values.len() as u32;
        *self.indexes.entry(value.clone()).or_insert_with(|| {
            self.values.push(value);
            next
        })
    }

    pub fn get(&self, index: u32) -> &T {
        &self.values[index as usize]
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }
}

/// What is kept of a request's leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    Not,
    AsItIs,
    /// As a small id with this tag.
    Small(u64),
}

/// The paths of leaves, with what they say.
#[derive(Debug, Default)]
pub(crate) struct Names {
    paths: Interner<Arc<str>>,
    facts: Vec<NameFacts>,
    /// For `set-cookie.NAME` the index of `cookie.NAME`.
    cookies: HashMap<u32, u32>,
}

impl Names {
    pub fn intern(&mut self, path: &str) -> u32 {
        if let Some(known) = self.paths.indexes.get(path) {
            return *known;
        }
        let index = self.paths.intern(Arc::from(path));
        self.facts.push(facts_of(path));
        index
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Which cookies responses set; forgets that they did.
    pub fn take_cookies(&mut self) -> Box<[(u32, u32)]> {
        let cookies: Box<[(u32, u32)]> = self.cookies.drain().collect();
        for (_, cookie) in &cookies {
            self.facts[*cookie as usize] = facts_of(self.paths.get(*cookie));
        }
        cookies
    }

    pub fn note_set_cookie(&mut self, set: u32, cookie: u32) {
        self.cookies.insert(set, cookie);
        // A cookie that a response sets is the server's, whatever its name.
        self.facts[cookie as usize].token = true;
        self.facts[cookie as usize].script = false;
    }

    /// Whether a request's leaf may identify its client or be bound. Of a signed URL
    /// each parameter may.
    fn keeps_use(
        &self,
        path: u32,
        leaf: &Leaf,
        head: Option<&RequestHead>,
        is_signed: bool,
    ) -> Keeps {
        let facts = self.facts(path);
        let identifies = facts.identity.is_some() && leaf.raw_chars > 0;
        let is_long = leaf.raw_chars >= LEAST_CHARS || is_signed && is_parameter(&leaf.path);
        let creates = facts.creates.is_some() && leaf.raw_chars > 0;
        if identifies || creates || facts.uses && is_long {
            return Keeps::AsItIs;
        }
        let thing = facts
            .uses
            .then(|| small::thing_of(leaf, small::text_of(head, leaf.part), head))
            .flatten();
        thing.map_or(Keeps::Not, |thing| Keeps::Small(small::tag(leaf, &thing)))
    }

    pub fn facts(&self, path: u32) -> NameFacts {
        self.facts[path as usize]
    }

    pub fn text(&self, path: u32) -> &str {
        self.paths.get(path)
    }

    pub fn shared(&self, path: u32) -> Arc<str> {
        Arc::clone(self.paths.get(path))
    }

    /// The request's leaf that a `set-cookie.NAME` leaf makes.
    pub fn cookie_of(&self, set: u32) -> Option<u32> {
        self.cookies.get(&set).copied()
    }
}
