//! What becomes of each value of a request: which response it is bound to, or why
//! it is sent as it was recorded.
//!
//! Rules of a bindings file go before everything; without one, `correlate` finds
//! the producer. A value that stands inside of a bound one is not bound beside it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use twintap_scrub::split_path;

use crate::capture::{Capture, Made, Value};
use crate::collect::{Offer, Use};
use crate::correlate::{Found, Producer, Producers};
use crate::created::Creations;
use crate::model::{BindReason, Binding, Created, Kept, KeptReason};
use crate::options::{PlanOptions, UnboundRule};
use crate::rules::{BindingRule, RuleAction};

/// Binds the requests of a capture, which is gone through in time.
pub(crate) struct Binder<'a> {
    capture: &'a Capture,
    /// For each value, whether it is an identity's that several clients have.
    shared: &'a [bool],
    options: &'a PlanOptions,
    producers: Producers,
    offers: Offers,
    creations: Creations,
}

/// What became of a request's values.
#[derive(Default)]
pub(crate) struct Bound {
    /// With each binding its producer and the tag of what that produces.
    pub bindings: Vec<(Binding, (Producer, u64))>,
    /// The first leaf that must be bound and can't.
    pub missing: Option<String>,
    /// The others, where reasons are asked for.
    pub kept: Vec<Kept>,
}

/// Where a leaf takes its value from, or why from nowhere.
enum Decision {
    From(Producer, u64, BindReason),
    Kept(KeptReason),
}

impl<'a> Binder<'a> {
    /// Nothing is passed yet.
    pub fn new(capture: &'a Capture, shared: &'a [bool], options: &'a PlanOptions) -> Binder<'a> {
        Binder {
            capture,
            shared,
            options,
            producers: Producers::new(capture),
            offers: Offers::default(),
            creations: Creations::default(),
        }
    }

    /// What clients created.
    pub fn created(self) -> Vec<Created> {
        self.creations.finish()
    }

    /// Takes up these of the values that the conversation at `position` has, which came
    /// before it ended.
    pub fn pass_some(&mut self, position: u32, some: Range<usize>, session: u32, fired: bool) {
        let made = &self.capture.made(position as usize)[some];
        self.producers
            .add(self.capture, position, made, session, fired);
    }

    /// Takes up what the response at `position` has, which has ended.
    pub fn pass(&mut self, position: u32, session: u32, fired: bool) {
        if self.capture.arrivals(position as usize).is_empty() {
            let made = self.capture.made(position as usize);
            self.producers
                .add(self.capture, position, made, session, fired);
        }
        if !fired {
            return;
        }
        let offers = self.capture.offers(position as usize).iter();
        for offer in offers.filter(|offer| offer.arrival.is_none()) {
            self.offers.add(offer, session, position);
        }
    }

    /// Takes up one of the values that a rule names of the conversation at `position`.
    pub fn pass_offer(&mut self, position: u32, index: usize, session: u32, fired: bool) {
        let offer = self.capture.offers(position as usize).get(index);
        if let Some(offer) = offer.filter(|_| fired) {
            self.offers.add(offer, session, position);
        }
    }

    /// Binds what can be bound; `lossy` says that a response of the session was
    /// lost, or came before the capture.
    pub fn bind(&mut self, position: u32, session: u32, lossy: bool) -> Bound {
        let mut bound = Bound::default();
        if !self.options.correlate {
            return bound;
        }
        let capture = self.capture;
        let signer = self.signer(position, session);
        for (used, value) in capture.uses(position as usize) {
            if let Some(producer) = signer.and_then(|signer| self.beside(signer, used, value)) {
                let binding = binding(capture, used, producer, BindReason::SignedUrl);
                let tag = capture.link_tag(value);
                bound.bindings.push((binding, (producer, tag)));
                continue;
            }
            match self.decide(used, value, session, lossy) {
                Decision::From(producer, tag, reason) => {
                    let binding = binding(capture, used, producer, reason);
                    bound.bindings.push((binding, (producer, tag)));
                }
                Decision::Kept(reason) => {
                    self.creations.add(capture, position, session, used, value);
                    let path = capture.names.text(used.path);
                    if self.is_lack(reason) && bound.missing.is_none() {
                        bound.missing = Some(path.to_owned());
                    }
                    self.keep(&mut bound, path, reason);
                }
            }
        }
        for within in leave_outermost(&mut bound.bindings) {
            self.keep(&mut bound, &within, KeptReason::WithinBound);
        }
        for (path, reason) in capture.passed_over(position as usize) {
            self.keep(&mut bound, capture.names.text(*path), *reason);
        }
        bound
    }

    /// The producer of the signature of the request's target, where it has one that
    /// an answer gave: all its parameters are bound together, or the signature would
    /// not hold.
    fn signer(&mut self, position: u32, session: u32) -> Option<Producer> {
        let capture = self.capture;
        let is_signature = |used: &Use| used.rule == 0 && capture.names.facts(used.path).signature;
        let (used, value) = capture
            .uses(position as usize)
            .find(|(used, _)| is_signature(used))?;
        match self.decide(used, value, session, false) {
            Decision::From(producer, ..) => Some(producer),
            Decision::Kept(_) => None,
        }
    }

    /// The leaf of the signer's URL that a parameter of the request is.
    fn beside(&self, signer: Producer, used: &Use, value: Value) -> Option<Producer> {
        let names = &self.capture.names;
        let parameter = names.text(used.path).strip_prefix("query.")?;
        let (url, _) = names.text(signer.path).rsplit_once("query.")?;
        let is_it = |made: &&Made| {
            made.value == value
                && names
                    .text(made.path)
                    .strip_prefix(url)
                    .and_then(|rest| rest.strip_prefix("query."))
                    == Some(parameter)
        };
        let made = self
            .capture
            .made(signer.position as usize)
            .iter()
            .find(is_it)?;
        (used.rule == 0).then_some(Producer {
            position: signer.position,
            path: made.path,
        })
    }

    fn decide(&mut self, used: &Use, value: Value, session: u32, lossy: bool) -> Decision {
        let capture = self.capture;
        let rule = usize::from(used.rule)
            .checked_sub(1)
            .and_then(|index| self.options.bindings.get(index));
        match rule {
            Some(rule) if rule.action != RuleAction::Forbid => {
                return self.by_rule(rule, used, session);
            }
            Some(BindingRule { producer: None, .. }) => {
                return Decision::Kept(KeptReason::Forbidden);
            }
            _ => (),
        }
        let facts = capture.names.facts(used.path);
        if !facts.uses {
            return Decision::Kept(KeptReason::Protocol);
        }
        let found = self.producers.find(capture, value, session, facts.token);
        match found {
            Found::Producer(producer, _) if self.is_forbidden(used, producer) => {
                Decision::Kept(KeptReason::Forbidden)
            }
            Found::Producer(producer, reason) => {
                let reason = match reason {
                    BindReason::SameSession if capture.shapes[value as usize].is_small() => {
                        BindReason::SmallId
                    }
                    reason => reason,
                };
                Decision::From(producer, capture.link_tag(value), reason)
            }
            _ if self.is_signed(used) => Decision::Kept(KeptReason::Signed),
            Found::SkippedProducer => Decision::Kept(KeptReason::ProducerNotFired),
            Found::Nothing(reason) => {
                let is_lost = facts.token
                    && capture.shapes[value as usize].token()
                    && !self.shared[value as usize]
                    && lossy;
                Decision::Kept(if is_lost {
                    KeptReason::BeforeCapture
                } else {
                    reason
                })
            }
        }
    }

    /// True for what stands in a field whose tokens are signed anew.
    fn is_signed(&self, used: &Use) -> bool {
        let path = self.capture.names.text(used.path);
        self.options.signed.iter().any(|field| {
            let rest = match field.as_str() {
                "cookie" => path.strip_prefix("cookie"),
                field => path
                    .strip_prefix("header.")
                    .and_then(|path| path.strip_prefix(field)),
            };
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '#']))
        })
    }

    fn by_rule(&self, rule: &BindingRule, used: &Use, session: u32) -> Decision {
        let (tag, reason, unmet) = match rule.action {
            RuleAction::Pin => (Some(used.tag), BindReason::Pinned, KeptReason::PinUnmet),
            _ => (None, BindReason::Added, KeptReason::AddUnmet),
        };
        match self.offers.find(used.rule, session, tag) {
            Some((producer, tag)) => Decision::From(producer, tag, reason),
            None => Decision::Kept(unmet),
        }
    }

    /// True when the rule about a leaf forbids this producer.
    fn is_forbidden(&self, used: &Use, producer: Producer) -> bool {
        let offers = self.capture.offers(producer.position as usize);
        let is_it = |rule: u8, path: u32| rule == used.rule && path == producer.path;
        offers.iter().any(|offer| is_it(offer.rule, offer.path))
    }

    /// True when a request that lacks a value for this reason is unbound.
    fn is_lack(&self, reason: KeptReason) -> bool {
        let must = matches!(
            reason,
            KeptReason::ProducerNotFired | KeptReason::BeforeCapture | KeptReason::PinUnmet
        );
        must && self.options.unbound == UnboundRule::Skip
    }

    fn keep(&self, bound: &mut Bound, path: &str, reason: KeptReason) {
        if self.options.explain {
            bound.kept.push(Kept {
                path: path.to_owned(),
                reason,
            });
        }
    }
}

/// The newest responses that rules name as producers, with the tags of what they
/// produce.
#[derive(Debug, Default)]
struct Offers(HashMap<Wanted, (Producer, u64)>);

/// A rule, a session (or any), and a value (or any).
type Wanted = (u8, Option<u32>, Option<u64>);

impl Offers {
    fn add(&mut self, offer: &Offer, session: u32, position: u32) {
        let Offer {
            rule, tag, path, ..
        } = *offer;
        let producer = Producer { position, path };
        for session in [Some(session), None] {
            for value in [Some(tag), None] {
                self.0.insert((rule, session, value), (producer, tag));
            }
        }
    }

    /// The newest of the session, else of any.
    fn find(&self, rule: u8, session: u32, tag: Option<u64>) -> Option<(Producer, u64)> {
        let here = self.0.get(&(rule, Some(session), tag));
        here.or_else(|| self.0.get(&(rule, None, tag))).copied()
    }
}

fn binding(capture: &Capture, used: &Use, producer: Producer, reason: BindReason) -> Binding {
    Binding {
        producer: producer.position,
        producer_path: capture.names.shared(producer.path),
        part: used.part,
        path: capture.names.shared(used.path),
        start: used.start,
        len: used.len,
        encoding: used.encoding,
        reason,
    }
}

/// Of spans that overlap (a token, and a claim inside it) leaves the longest, since
/// only one of them can be replaced; gives the paths of the others.
fn leave_outermost<T>(bound: &mut Vec<(Binding, T)>) -> Vec<Arc<str>> {
    let mut kept: Vec<(Binding, T)> = Vec::with_capacity(bound.len());
    let mut within = Vec::new();
    for (new, product) in bound.drain(..) {
        let overlaps = |old: &Binding| {
            old.part == new.part
                && old.start < new.start.saturating_add(new.len)
                && new.start < old.start.saturating_add(old.len)
                && !are_side_by_side(old, &new)
        };
        let covers = |old: &Binding| {
            old.len > new.len || old.len == new.len && old.path.len() <= new.path.len()
        };
        if kept.iter().any(|(old, _)| overlaps(old) && covers(old)) {
            within.push(new.path);
            continue;
        }
        let inner = kept.extract_if(.., |(old, _)| overlaps(old));
        within.extend(inner.map(|(old, _)| old.path));
        kept.push((new, product));
    }
    *bound = kept;
    within
}

/// True for two values inside of one container of which neither is inside of the other.
fn are_side_by_side(one: &Binding, other: &Binding) -> bool {
    let is_inside = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('>'))
    };
    let container =
        |binding: &Binding| split_path(&binding.path).map(|(container, _)| container.len());
    container(one).is_some()
        && container(one) == container(other)
        && (one.start, one.len) == (other.start, other.len)
        && !is_inside(&one.path, &other.path)
        && !is_inside(&other.path, &one.path)
}
