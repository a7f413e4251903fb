//! What is kept of an exchange from window to window: what was collected of it, so that
//! later windows don't read its leaves again.

use std::net::SocketAddr;

use twintap_scrub::ExchangeRecord;

use crate::collect::{Collected, Item, Names, Offer, Product, Span, Use};
use crate::model::KeptReason;
use crate::options::PlanOptions;
use crate::resource::{Touch, TouchNames};

/// Names that nothing refers to are let go when there are as many more of them.
const MOST_UNUSED: usize = 4096;

/// What was collected of one exchange. Paths and names count in the [`Digester`]'s.
#[derive(Debug)]
pub(crate) struct Digest {
    /// Its places in what is collected together are not set.
    item: Item,
    server: SocketAddr,
    uses: Box<[Use]>,
    products: Box<[Product]>,
    arrivals: Box<[u64]>,
    offers: Box<[Offer]>,
    passed_over: Box<[(u32, KeptReason)]>,
    touches: Box<[Touch]>,
    small: Box<[(u64, u64)]>,
    /// `set-cookie.NAME` with `cookie.NAME`.
    cookies: Box<[(u32, u32)]>,
}

/// Makes digests, and collects from them what a plan is made of.
#[derive(Debug, Default)]
pub(crate) struct Digester {
    /// Holds one exchange at a time, and the names of all.
    scratch: Collected,
    /// How many names there were when all were in use.
    in_use: usize,
}

impl Digest {
    /// When its request was sent; its response, where no request was seen.
    pub fn start_ns(&self) -> u64 {
        self.item.start_ns
    }
}

impl Digester {
    /// Takes an exchange up, as [`Planner::add`](crate::Planner::add) does.
    pub fn digest(
        &mut self,
        record: &ExchangeRecord,
        body_replayable: bool,
        options: &PlanOptions,
    ) -> Option<Digest> {
        let scratch = &mut self.scratch;
        scratch.add(record, body_replayable, options);
        scratch.forget_places();
        let item = scratch.items.pop()?;
        Some(Digest {
            item,
            server: record.exchange.endpoints.server,
            uses: scratch.uses.drain(..).collect(),
            products: scratch.products.drain(..).collect(),
            arrivals: scratch.arrivals.drain(..).collect(),
            offers: scratch.offers.drain(..).collect(),
            passed_over: scratch.passed_over.drain(..).collect(),
            touches: scratch.resources.touches.drain(..).collect(),
            small: scratch.small.drain().collect(),
            cookies: scratch.names.take_cookies(),
        })
    }

    /// All of these together. The names go with them, until they are
    /// [given back](Self::give_back).
    pub fn collect<'a>(
        &mut self,
        digests: impl Iterator<Item = &'a Digest>,
        options: &PlanOptions,
    ) -> Collected {
        let mut all = std::mem::take(&mut self.scratch);
        for digest in digests {
            let mut item = digest.item.clone();
            all.place(&mut item, digest.server, options);
            item.uses = append(&mut all.uses, &digest.uses);
            item.products = append(&mut all.products, &digest.products);
            item.arrivals = append(&mut all.arrivals, &digest.arrivals);
            item.offers = append(&mut all.offers, &digest.offers);
            item.passed_over = append(&mut all.passed_over, &digest.passed_over);
            item.touches = append(&mut all.resources.touches, &digest.touches);
            all.small.extend(digest.small.iter().copied());
            for (set, cookie) in &digest.cookies {
                all.names.note_set_cookie(*set, *cookie);
            }
            all.items.push(item);
        }
        all
    }

    /// Takes the names back once the plan is made.
    pub fn give_back(&mut self, names: Names, touch_names: TouchNames) {
        self.scratch.names = names;
        self.scratch.names.take_cookies();
        self.scratch.resources.names = touch_names;
    }

    /// Lets names go that none of these has, where there are many: traffic without end has
    /// names without end.
    pub fn forget_unused<'a>(&mut self, digests: impl Iterator<Item = &'a mut Digest>) {
        if self.names() < 2 * self.in_use + MOST_UNUSED {
            return;
        }
        let names = std::mem::take(&mut self.scratch.names);
        let touch_names = std::mem::take(&mut self.scratch.resources.names);
        let (kept, kept_touch_names) = (&mut self.scratch.names, &mut self.scratch.resources.names);
        for digest in digests {
            let mut renew = |path: &mut u32| *path = kept.intern(names.text(*path));
            digest
                .uses
                .iter_mut()
                .for_each(|used| renew(&mut used.path));
            digest
                .products
                .iter_mut()
                .for_each(|made| renew(&mut made.path));
            digest
                .offers
                .iter_mut()
                .for_each(|offer| renew(&mut offer.path));
            digest
                .passed_over
                .iter_mut()
                .for_each(|(path, _)| renew(path));
            for (set, cookie) in &mut digest.cookies {
                renew(set);
                renew(cookie);
            }
            for touch in &mut digest.touches {
                touch.name = kept_touch_names.intern_str(touch_names.get(touch.name));
            }
        }
        self.in_use = self.names();
    }

    /// How many names there are.
    pub fn names(&self) -> usize {
        self.scratch.names.len() + self.scratch.resources.names.len()
    }
}

fn append<T: Copy>(all: &mut Vec<T>, own: &[T]) -> Span {
    let start = all.len();
    all.extend_from_slice(own);
    Span::between(start, all.len())
}
