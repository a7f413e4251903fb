//! Planning without end: one window of exchanges after the other.
//!
//! Each window is planned, as [`Planner`](crate::Planner) does it, together with what is
//! kept of earlier ones, so that sessions go on and a token that was made long ago still
//! binds. What is kept was collected when it was new (`digest`): its leaves are read
//! once. It has a bound: the exchanges that nothing used for longest go first, and count
//! as forgotten.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use twintap_scrub::ExchangeRecord;
use twintap_stream::message::Protocol;
use twintap_stream::{ExchangeId, Timestamp};

use crate::digest::{Digest, Digester};
use crate::model::{Plan, PlannedRequest, SessionInfo, SkipReason, Wait};
use crate::options::{PlanOptions, UnboundRule};
use crate::planner::plan_of;

/// Plans exchanges window by window, each exchange once.
///
/// Positions go on from window to window, and begin again at 0 after 2^32
/// requests: of two positions that occur together the later one is ahead by less
/// than 2^31.
#[derive(Debug)]
pub struct Follower {
    options: PlanOptions,
    origin: Timestamp,
    max_kept_bytes: usize,
    digester: Digester,
    kept: HashMap<ExchangeId, Kept>,
    kept_bytes: usize,
    /// By the stamp of their last use.
    by_use: BTreeMap<u64, ExchangeId>,
    last_stamp: u64,
    next: u32,
    last_due_ns: u64,
    forgotten: u64,
}

/// The requests of one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The position of the first request.
    pub first: u32,
    /// In the order of due times. They refer to each other, and to requests of
    /// earlier windows, by position, and to sessions by their index in `sessions`.
    pub requests: Vec<PlannedRequest>,
    /// Names of sessions, the same for a session in all windows.
    pub sessions: Vec<Arc<str>>,
    /// Values of earlier windows' answers that these requests use.
    pub carried: Vec<Carried>,
    /// The exchanges of earlier windows, by position, that these requests race with. (Those
    /// were planned before it was known.)
    pub raced: Vec<(u32, ExchangeId)>,
    /// Requests that were stored only after what was sent after them was planned:
    /// they are due with the first of this window.
    pub tardy: u64,
}

/// A value that an answer to a request of an earlier window has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Carried {
    /// The request's position.
    pub producer: u32,
    /// The leaf's path in its answer.
    pub path: String,
}

/// What is kept of an exchange that was planned.
#[derive(Debug)]
struct Kept {
    digest: Digest,
    position: u32,
    is_fired: bool,
    session: Arc<str>,
    /// Whose values its request uses: they are of use as long as it is.
    producers: Vec<ExchangeId>,
    stamp: u64,
    bytes: usize,
}

/// An exchange of the window that is planned.
#[derive(Debug)]
struct Fresh {
    digest: Digest,
    bytes: usize,
}

/// Positions further apart than this are not compared.
const FARTHEST: u32 = 1 << 30;

impl Follower {
    /// Due times count from `origin`. About `max_kept_bytes` of earlier windows are
    /// kept.
    pub fn new(options: PlanOptions, origin: Timestamp, max_kept_bytes: usize) -> Follower {
        Follower {
            options,
            origin,
            max_kept_bytes,
            digester: Digester::default(),
            kept: HashMap::new(),
            kept_bytes: 0,
            by_use: BTreeMap::new(),
            last_stamp: 0,
            next: 0,
            last_due_ns: 0,
            forgotten: 0,
        }
    }

    /// What due times count from.
    pub fn origin(&self) -> Timestamp {
        self.origin
    }

    /// Exchanges of earlier windows that are kept.
    pub fn kept(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Names of leaves and of resources that are known.
    pub fn names(&self) -> usize {
        self.digester.names()
    }

    /// Exchanges that were let go to keep within the bound: what their answers made
    /// binds no more.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Plans the next window: exchanges, each with whether its request's body can be
    /// sent again. Those that were planned before are passed over.
    pub fn plan<'r>(
        &mut self,
        window: impl IntoIterator<Item = (&'r ExchangeRecord, bool)>,
    ) -> Window {
        self.forget_far_ones();
        let mut new: HashMap<ExchangeId, Fresh> = HashMap::new();
        for (record, is_replayable) in window {
            let id = &record.exchange.id;
            let is_known = self.kept.contains_key(id) || new.contains_key(id);
            // A flow that no parser claimed is not fired.
            if is_known || record.exchange.protocol == Protocol::Opaque {
                continue;
            }
            let digest = self.digester.digest(record, is_replayable, &self.options);
            if let Some(digest) = digest {
                let bytes = size(record);
                new.insert(id.clone(), Fresh { digest, bytes });
            }
        }
        let plan = self.plan_with(&new);
        let window = self.take_new(plan, &mut new);
        self.make_room();
        let kept = self.kept.values_mut();
        self.digester
            .forget_unused(kept.map(|kept| &mut kept.digest));
        window
    }

    /// The plan of everything that is kept and what is new.
    fn plan_with(&mut self, new: &HashMap<ExchangeId, Fresh>) -> Plan {
        let kept = self.kept.values().map(|kept| &kept.digest);
        let all = kept.chain(new.values().map(|fresh| &fresh.digest));
        let collected = self.digester.collect(all, &self.options);
        let (plan, capture) = plan_of(collected, &self.options);
        let (names, touch_names) = capture.into_names();
        self.digester.give_back(names, touch_names);
        plan
    }

    /// Takes the new requests out of a plan, and keeps them for the next.
    fn take_new(&mut self, plan: Plan, new: &mut HashMap<ExchangeId, Fresh>) -> Window {
        let mut places = Vec::with_capacity(plan.requests.len());
        let first = self.next;
        for request in &plan.requests {
            places.push(match self.kept.get(&request.exchange) {
                Some(kept) => Place::Earlier(kept.position),
                None => {
                    let position = self.next;
                    self.next = self.next.wrapping_add(1);
                    Place::Here(position)
                }
            });
        }
        let names = self.session_names(&plan);
        let ids: Vec<ExchangeId> = plan
            .requests
            .iter()
            .map(|request| request.exchange.clone())
            .collect();
        let mut window = Window {
            first,
            ..Window::default()
        };
        let floor_ns = self.last_due_ns;
        let mut carried = HashSet::new();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for (request, place) in plan.requests.into_iter().zip(&places) {
            let Place::Here(position) = *place else {
                continue;
            };
            let Some(fresh) = new.remove(&request.exchange) else {
                continue;
            };
            let session = &names[request.session as usize];
            let mut request = request;
            let next = window.sessions.len() as u32;
            let number = *numbers.entry(request.session).or_insert(next);
            if number == next {
                window.sessions.push(Arc::clone(session));
            }
            request.session = number;
            let start_ns = Timestamp(fresh.digest.start_ns()).since_ns(self.origin);
            window.tardy += u64::from(start_ns < floor_ns);
            self.last_due_ns = self.last_due_ns.max(start_ns);
            request.due_ns = self.last_due_ns;

            let producers: Vec<ExchangeId> = request
                .bindings
                .iter()
                .map(|binding| ids[binding.producer as usize].clone())
                .collect();
            self.settle(&mut request, &producers);
            let producers = if request.skip.is_some() {
                Vec::new()
            } else {
                producers
            };
            let raced = request.races.iter().filter_map(|race| {
                let place = race.request as usize;
                let Place::Earlier(position) = places[place] else {
                    return None;
                };
                Some((position, ids[place].clone()))
            });
            window.raced.extend(raced);
            place_edges(&mut request, &places, &mut carried);
            self.keep(fresh, position, &request, session, producers);
            window.requests.push(request);
        }
        let mut all: Vec<Carried> = carried.into_iter().collect();
        all.sort_unstable();
        window.carried = all;
        window.raced.sort_unstable();
        window.raced.dedup();
        window
    }

    /// The name of each session of a plan: the one that it had before.
    fn session_names(&self, plan: &Plan) -> Vec<Arc<str>> {
        let name = |session: &SessionInfo| {
            let mut requests = session.requests.iter();
            let known = requests.find_map(|&position| {
                let id = &plan.requests[position as usize].exchange;
                self.kept.get(id)
            });
            known.map_or_else(
                || Arc::from(session.id.as_str()),
                |kept| Arc::clone(&kept.session),
            )
        };
        plan.sessions.iter().map(name).collect()
    }

    /// What a kept exchange was decided to be stays so, even where the plan of today
    /// would have it otherwise: values of what was not fired are nowhere.
    fn settle(&self, request: &mut PlannedRequest, producers: &[ExchangeId]) {
        let lacking = producers
            .iter()
            .position(|id| self.kept.get(id).is_some_and(|kept| !kept.is_fired));
        if let Some(lacking) = lacking
            && self.options.unbound == UnboundRule::Skip
        {
            request.missing = Some(request.bindings[lacking].path.to_string());
            request.skip = Some(SkipReason::Unbound);
            request.bindings.clear();
            request.waits.clear();
            request.produces.clear();
            request.follows.clear();
            request.races.clear();
        }
    }

    fn keep(
        &mut self,
        fresh: Fresh,
        position: u32,
        request: &PlannedRequest,
        session: &Arc<str>,
        producers: Vec<ExchangeId>,
    ) {
        let Fresh { digest, bytes } = fresh;
        self.last_stamp += 1;
        let stamp = self.last_stamp;
        let id = request.exchange.clone();
        self.by_use.insert(stamp, id.clone());
        self.kept_bytes += bytes;
        self.touch(&producers);
        self.kept.insert(
            id,
            Kept {
                digest,
                position,
                is_fired: request.skip.is_none(),
                session: Arc::clone(session),
                producers,
                stamp,
                bytes,
            },
        );
    }

    /// Marks these as used now, and whatever they used.
    fn touch(&mut self, ids: &[ExchangeId]) {
        let since = self.last_stamp;
        let mut open = ids.to_vec();
        while let Some(id) = open.pop() {
            let Some(kept) = self.kept.get_mut(&id) else {
                continue;
            };
            if kept.stamp > since {
                continue;
            }
            self.by_use.remove(&kept.stamp);
            self.last_stamp += 1;
            kept.stamp = self.last_stamp;
            self.by_use.insert(kept.stamp, id);
            open.extend_from_slice(&kept.producers);
        }
    }

    fn make_room(&mut self) {
        while self.kept_bytes > self.max_kept_bytes {
            let Some((_, id)) = self.by_use.pop_first() else {
                return;
            };
            self.forget(&id);
        }
    }

    /// Positions that could be taken for later ones soon go.
    fn forget_far_ones(&mut self) {
        let next = self.next;
        let far: Vec<ExchangeId> = self
            .kept
            .iter()
            .filter(|(_, kept)| next.wrapping_sub(kept.position) > FARTHEST)
            .map(|(id, _)| id.clone())
            .collect();
        for id in far {
            if let Some(kept) = self.kept.get(&id) {
                self.by_use.remove(&kept.stamp);
            }
            self.forget(&id);
        }
    }

    fn forget(&mut self, id: &ExchangeId) {
        if let Some(kept) = self.kept.remove(id) {
            self.kept_bytes = self.kept_bytes.saturating_sub(kept.bytes);
            self.forgotten += 1;
        }
    }
}

/// Where a request of a plan is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In an earlier window, at this position.
    Earlier(u32),
    /// In this one.
    Here(u32),
}

impl Place {
    fn position(self) -> u32 {
        match self {
            Place::Earlier(position) | Place::Here(position) => position,
        }
    }
}

/// Lets a request refer to others by their positions in all windows.
fn place_edges(request: &mut PlannedRequest, places: &[Place], carried: &mut HashSet<Carried>) {
    for Wait { request: other, .. } in &mut request.waits {
        *other = places[*other as usize].position();
    }
    for write in &mut request.follows {
        *write = places[*write as usize].position();
    }
    for race in &mut request.races {
        race.request = places[race.request as usize].position();
    }
    for binding in &mut request.bindings {
        let place = places[binding.producer as usize];
        binding.producer = place.position();
        if let Place::Earlier(producer) = place {
            carried.insert(Carried {
                producer,
                path: binding.producer_path.to_string(),
            });
        }
    }
}

/// Roughly the memory that it takes.
fn size(record: &ExchangeRecord) -> usize {
    let (request, response) = (&record.exchange.request, &record.exchange.response);
    let fields = request.head.as_ref().map_or(0, |head| head.fields.len())
        + response.head.as_ref().map_or(0, |head| head.fields.len());
    let leaves = record.request.leaves.len() + record.response.leaves.len();
    1024 + fields * 128 + leaves * 96
}
