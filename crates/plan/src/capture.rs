//! What was collected, in the order of requests and with small numbers for values.

use std::collections::HashMap;

use crate::collect::{Collected, Item, Names, Offer, Span, Use};
use crate::model::KeptReason;
use crate::resource::{Derivation, Touch, TouchNames};
use crate::shape::Shape;

/// The collected exchanges, in the order of their requests' first bytes.
#[derive(Debug)]
pub(crate) struct Capture {
    pub items: Vec<Item>,
    pub names: Names,
    pub flows: usize,
    /// How many connections requests go over.
    pub connections: usize,
    /// For each item, true when it is internal.
    pub internal: Vec<bool>,
    uses: Vec<Use>,
    /// For each of `uses` its value.
    use_values: Vec<Value>,
    made: Vec<Made>,
    /// When values of conversations came; such an item has a range as long as that of `made`.
    arrivals: Vec<u64>,
    offers: Vec<Offer>,
    passed_over: Vec<(u32, KeptReason)>,
    /// For each value its link tag.
    pub tags: Vec<u64>,
    /// For each value what kind it is.
    pub shapes: Vec<Shape>,
    resources: Derivation,
    /// For the tag of a small id that of its value.
    small: HashMap<u64, u64>,
}

/// A value that some request shows: an index that link tags are sorted by.
pub(crate) type Value = u32;

/// A response leaf whose value some request shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub value: Value,
    pub path: u32,
}

impl Capture {
    /// Orders what was collected; `internal` tells of each item whether it is.
    pub fn of(collected: Collected, internal: &[bool]) -> Capture {
        let Collected {
            items,
            uses,
            products,
            arrivals: came,
            offers,
            passed_over,
            names,
            flows,
            connections,
            resources,
            small,
            ..
        } = collected;
        let mut tags: Vec<u64> = uses.iter().map(|used| used.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        let values: HashMap<u64, Value> = tags.iter().copied().zip(0..).collect();
        let mut shapes = vec![Shape::default(); tags.len()];
        let use_values: Vec<Value> = uses.iter().map(|used| values[&used.tag]).collect();
        for (used, value) in uses.iter().zip(&use_values) {
            shapes[*value as usize].merge(used.shape);
        }
        let (mut items, internal) = in_order(items, internal);
        let mut made = Vec::new();
        let mut arrivals = Vec::new();
        for item in &mut items {
            let start = made.len();
            let first = arrivals.len();
            let came = item.arrivals.of(&came);
            for (place, product) in item.products.of(&products).iter().enumerate() {
                if let Some(value) = values.get(&product.tag) {
                    shapes[*value as usize].merge(product.shape);
                    made.push(Made {
                        value: *value,
                        path: product.path,
                    });
                    arrivals.extend(came.get(place));
                }
            }
            item.products = Span::between(start, made.len());
            item.arrivals = Span::between(first, arrivals.len());
        }
        Capture {
            items,
            names,
            flows: flows.len(),
            connections: connections.len().max(flows.len()),
            internal,
            uses,
            use_values,
            made,
            arrivals,
            offers,
            passed_over,
            tags,
            shapes,
            resources,
            small,
        }
    }

    /// The names of leaves and of resources.
    pub fn into_names(self) -> (Names, TouchNames) {
        (self.names, self.resources.names)
    }

    /// The resources that an item touches.
    pub fn touches(&self, position: usize) -> &[Touch] {
        self.items[position].touches.of(&self.resources.touches)
    }

    /// The name of a resource for people, by [`Touch::name`].
    pub fn resource_name(&self, name: u32) -> &str {
        self.resources.names.get(name)
    }

    /// The link tag of a value.
    pub fn link_tag(&self, value: Value) -> u64 {
        let tag = self.tags[value as usize];
        self.small.get(&tag).copied().unwrap_or(tag)
    }

    /// The request leaves of an item, with their values.
    pub fn uses(&self, position: usize) -> impl Iterator<Item = (&Use, Value)> {
        let span = self.items[position].uses;
        span.of(&self.uses)
            .iter()
            .zip(span.of(&self.use_values).iter().copied())
    }

    /// The response leaves of an item whose values requests show.
    pub fn made(&self, position: usize) -> &[Made] {
        self.items[position].products.of(&self.made)
    }

    /// When each of the leaves that [`made`](Capture::made) gives came, where the item is a
    /// conversation; else nothing.
    pub fn arrivals(&self, position: usize) -> &[u64] {
        self.items[position].arrivals.of(&self.arrivals)
    }

    /// The response leaves of an item that rules name as producers.
    pub fn offers(&self, position: usize) -> &[Offer] {
        self.items[position].offers.of(&self.offers)
    }

    /// The request leaves of an item that are never looked at, with the reasons.
    pub fn passed_over(&self, position: usize) -> &[(u32, KeptReason)] {
        self.items[position].passed_over.of(&self.passed_over)
    }
}

/// The items in the order of their requests, each exchange once. On one flow the
/// order of the stream holds, even where the stamps of a capture contradict it.
fn in_order(items: Vec<Item>, internal: &[bool]) -> (Vec<Item>, Vec<bool>) {
    let mut items: Vec<(Item, bool)> = items.into_iter().zip(internal.iter().copied()).collect();
    // A flow's number hangs on the order of adding, but what comes of these two does not.
    let place = |item: &Item| (item.flow, item.id.offset, item.id.from_response);
    items.sort_unstable_by(|(a, _), (b, _)| {
        place(a)
            .cmp(&place(b))
            .then(b.end_ns.cmp(&a.end_ns))
            .then(a.start_ns.cmp(&b.start_ns))
    });
    items.dedup_by(|(later, _), (kept, _)| place(later) == place(kept));
    items.sort_unstable_by_key(|(item, _)| {
        let (flow, offset, from_response) = place(item);
        (flow, item.index_in_flow, offset, from_response)
    });
    for index in 1..items.len() {
        let (before, after) = items.split_at_mut(index);
        let (previous, item) = (&before[index - 1].0, &mut after[0].0);
        if previous.flow == item.flow {
            item.start_ns = item.start_ns.max(previous.start_ns);
            item.end_ns = item.end_ns.max(item.start_ns);
        }
    }
    items.sort_unstable_by(|(a, _), (b, _)| {
        let by_stream = || {
            (&a.id.node, a.id.boot, a.id.flow)
                .cmp(&(&b.id.node, b.id.boot, b.id.flow))
                .then(a.index_in_flow.cmp(&b.index_in_flow))
                .then(a.id.cmp(&b.id))
        };
        a.start_ns.cmp(&b.start_ns).then_with(by_stream)
    });
    items.into_iter().unzip()
}
