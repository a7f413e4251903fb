//! Which values tell clients apart.
//!
//! A request shows identities in its cookies, in Authorization and in API key
//! headers. A value there identifies a client when it was *made for one client*,
//! which is told from the capture alone:
//!
//! 1. Cookies that are plain words or shorter than eight characters (`theme=dark`)
//!    identify nobody.
//! 2. A value that responses gave to more than one client that did not have it is
//!    a constant, and identifies nobody. Giving a value to the same predecessor
//!    twice (a token that two requests at once refreshed), to one flow twice, or
//!    at both legs of a proxy, is giving it once.
//! 3. A value that responses gave out exactly once, before any request showed it,
//!    and that looks like a token, identifies for sure. Such values that stand in
//!    one request belong to one lineage, and so does what a request's response
//!    gives out in their place.
//! 4. Any other value counts unless there is evidence against it. A cookie that no
//!    response gave out must look like a token. A value that no response gave out
//!    is refused when clients of more than three networks show it. Every value is
//!    refused when it stands beside two lineages that are sure, or beside two
//!    values of another cookie in turn (A, B, A, B): then several clients have it,
//!    and the other values tell them apart.
//! 5. An API key often names an application. It never joins lineages, and counts
//!    only where a request shows nothing better.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::capture::{Capture, Value};
use crate::names::IdentityKind;
use crate::options::network_of;
use crate::union::DisjointSets;

/// Fewest characters of a cookie that may identify.
const LEAST_COOKIE_CHARS: u32 = 8;
/// Networks that one client is at home in.
const MOST_NETWORKS: usize = 3;
/// Identity leaves that one request is taken to show; the rest is ignored.
const MOST_SHOWN: usize = 8;
/// Returns to an earlier value of another cookie that show two clients.
const RIVAL_RETURNS: u8 = 2;

/// The values that may identify, and which of them belong together.
#[derive(Debug)]
pub(crate) struct Identities {
    pub nodes: Vec<Node>,
    sets: DisjointSets,
    /// For each item the identity leaves that its request shows.
    shown: Vec<Vec<Shown>>,
    /// For each item the identities that its response gave out.
    issued: Vec<Vec<Issue>>,
}

/// A value that requests show as an identity.
#[derive(Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub kind: IdentityKind,
    pub first_shown_ns: u64,
    first_network: IpAddr,
    networks: Vec<IpAddr>,
    set_cookie: Origin,
    elsewhere: Origin,
    standing: Standing,
}

#[derive(Clone, Copy, Debug)]
struct Shown {
    node: u32,
    path: u32,
}

#[derive(Clone, Copy, Debug)]
struct Issue {
    node: u32,
    set_cookie: bool,
}

/// From where responses gave a value to clients that did not have it.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Unseen,
    One {
        receiver: Receiver,
        server: u32,
        start_ns: u64,
        end_ns: u64,
    },
    Many,
}

/// Who was given a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiver {
    /// Whoever showed this value, which the new one replaces.
    Holder(Value),
    /// Whoever is on this flow.
    Flow(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Given out once, by rule 3.
    Sure,
    /// To be judged by rule 4.
    Likely,
    /// No identity.
    Refused,
}

impl Node {
    /// True when a response gave it out before any request showed it.
    pub fn origin_seen(&self) -> bool {
        matches!(self.origin(), Origin::One { end_ns, .. } if end_ns < self.first_shown_ns)
    }

    fn origin(&self) -> Origin {
        match self.set_cookie {
            Origin::Unseen => self.elsewhere,
            seen => seen,
        }
    }
}

impl Origin {
    fn add(&mut self, receiver: Receiver, server: u32, start_ns: u64, end_ns: u64) {
        let new = Origin::One {
            receiver,
            server,
            start_ns,
            end_ns,
        };
        match *self {
            Origin::Unseen => *self = new,
            Origin::One {
                receiver: first_receiver,
                server: first_server,
                start_ns: first_start_ns,
                end_ns: first_end_ns,
            } => {
                let both_legs =
                    first_server != server && start_ns <= first_end_ns && first_start_ns <= end_ns;
                if receiver != first_receiver && !both_legs {
                    *self = Origin::Many;
                }
            }
            Origin::Many => {}
        }
    }
}

impl Identities {
    /// Finds the identities of a capture.
    pub fn of(capture: &Capture) -> Identities {
        let (nodes, shown) = show(capture);
        let mut identities = Identities {
            sets: DisjointSets::new(nodes.len()),
            nodes,
            shown,
            issued: Vec::new(),
        };
        identities.find_origins(capture);
        identities.stand(capture);
        identities.join(capture, |standing| standing == Standing::Sure);
        identities.refuse_shared(capture, |kind| kind != IdentityKind::Key);
        identities.join(capture, |standing| standing != Standing::Refused);
        identities.refuse_shared(capture, |kind| kind == IdentityKind::Key);
        identities
    }

    /// The lineage (its representative) that an exchange belongs to: that of its
    /// request's cookies or authorization, else of the one identity that its
    /// response gave out, else of its API key.
    pub fn owner(&mut self, position: usize) -> Option<u32> {
        let lineage = self.shown_nodes(position, |kind| kind != IdentityKind::Key);
        if let Some(node) = lineage {
            return Some(self.sets.find(node));
        }
        let mut owner = None;
        for index in 0..self.issued[position].len() {
            let node = self.issued[position][index].node;
            if !self.stands(node) || self.nodes[node as usize].kind == IdentityKind::Key {
                continue;
            }
            let root = self.sets.find(node);
            match owner {
                None => owner = Some(root),
                Some(other) if other != root => {
                    owner = None;
                    break;
                }
                Some(_) => {}
            }
        }
        owner.or_else(|| self.shown_nodes(position, |kind| kind == IdentityKind::Key))
    }

    /// The lineage that a node is in.
    pub fn lineage(&mut self, node: u32) -> u32 {
        self.sets.find(node)
    }

    /// True when the node identifies.
    pub fn stands(&self, node: u32) -> bool {
        self.nodes[node as usize].standing != Standing::Refused
    }

    /// For each value, true when it stands as an identity and several clients have it.
    pub fn shared(&self, capture: &Capture) -> Vec<bool> {
        let mut shared = vec![false; capture.tags.len()];
        for node in &self.nodes {
            shared[node.value as usize] = node.standing == Standing::Refused;
        }
        shared
    }

    /// True when the request shows a server's token that the capture did not see given out.
    pub fn shows_unseen_origin(&self, capture: &Capture, position: usize) -> bool {
        self.shown[position].iter().any(|shown| {
            self.stands(shown.node)
                && capture.names.facts(shown.path).token
                && !self.nodes[shown.node as usize].origin_seen()
        })
    }

    fn shown_nodes(&self, position: usize, kinds: impl Fn(IdentityKind) -> bool) -> Option<u32> {
        self.shown[position]
            .iter()
            .map(|shown| shown.node)
            .find(|node| self.stands(*node) && kinds(self.nodes[*node as usize].kind))
    }

    fn find_origins(&mut self, capture: &Capture) {
        let mut node_of = vec![u32::MAX; capture.tags.len()];
        for (node, index) in self.nodes.iter().zip(0..) {
            node_of[node.value as usize] = index;
        }
        self.issued = vec![Vec::new(); capture.items.len()];
        for (position, item) in capture.items.iter().enumerate() {
            if capture.internal[position] {
                continue;
            }
            for made in capture.made(position) {
                let node = node_of[made.value as usize];
                if node == u32::MAX || capture.uses(position).any(|(_, v)| v == made.value) {
                    continue;
                }
                let cookie = capture.names.cookie_of(made.path);
                let replaced = match cookie {
                    Some(cookie) => capture
                        .uses(position)
                        .find(|(used, _)| used.path == cookie)
                        .map(|(_, value)| value),
                    None => self.shown[position]
                        .first()
                        .map(|shown| self.nodes[shown.node as usize].value),
                };
                let receiver = replaced.map_or(Receiver::Flow(item.flow), Receiver::Holder);
                let known = &mut self.nodes[node as usize];
                let origin = match cookie {
                    Some(_) => &mut known.set_cookie,
                    None => &mut known.elsewhere,
                };
                origin.add(receiver, item.server, item.start_ns, item.end_ns);
                self.issued[position].push(Issue {
                    node,
                    set_cookie: cookie.is_some(),
                });
            }
        }
    }

    fn stand(&mut self, capture: &Capture) {
        for node in &mut self.nodes {
            let shape = capture.shapes[node.value as usize];
            let at_home = node.networks.len() <= MOST_NETWORKS;
            let cookie = node.kind == IdentityKind::Cookie;
            node.standing = match node.origin() {
                Origin::Many => Standing::Refused,
                _ if cookie && (shape.words() || shape.chars() < LEAST_COOKIE_CHARS) => {
                    Standing::Refused
                }
                Origin::Unseen if !at_home || cookie && !shape.token() => Standing::Refused,
                Origin::One { .. }
                    if shape.token() && node.origin_seen() && node.kind != IdentityKind::Key =>
                {
                    Standing::Sure
                }
                _ => Standing::Likely,
            };
        }
    }

    /// Joins what stands in one request, and what a response gives out in place of
    /// what its request showed, among the nodes that `takes` takes.
    fn join(&mut self, capture: &Capture, takes: impl Fn(Standing) -> bool) {
        for position in 0..capture.items.len() {
            // Workloads add identities of their own to what they pass on.
            if capture.internal[position] {
                continue;
            }
            let mut first = None;
            for index in 0..self.shown[position].len() {
                let node = self.shown[position][index].node;
                let Node { standing, kind, .. } = self.nodes[node as usize];
                if !takes(standing) || kind == IdentityKind::Key {
                    continue;
                }
                match first {
                    None => first = Some(node),
                    Some(first) => self.sets.union(first, node),
                }
            }
            let Some(holder) = first else { continue };
            for index in 0..self.issued[position].len() {
                let Issue { node, set_cookie } = self.issued[position][index];
                let known = &self.nodes[node as usize];
                // A token in a body may be made for somebody else.
                let same_client = set_cookie
                    || known.first_network == network_of(capture.items[position].client.ip());
                if takes(known.standing) && known.kind != IdentityKind::Key && same_client {
                    self.sets.union(holder, node);
                }
            }
        }
    }

    /// Refuses the likely nodes, of the kinds that `kinds` takes, that several
    /// clients show: rule 4.
    fn refuse_shared(&mut self, capture: &Capture, kinds: impl Fn(IdentityKind) -> bool) {
        let mut beside: HashMap<u32, u32> = HashMap::new();
        let mut rivals: HashMap<(u32, u32), Rivals> = HashMap::new();
        let mut shared: HashSet<u32> = HashSet::new();
        for position in 0..capture.items.len() {
            if capture.internal[position] {
                continue;
            }
            for index in 0..self.shown[position].len() {
                let node = self.shown[position][index].node;
                let Node { standing, kind, .. } = self.nodes[node as usize];
                if standing != Standing::Likely || !kinds(kind) || shared.contains(&node) {
                    continue;
                }
                for other in 0..self.shown[position].len() {
                    let Shown { node: other, path } = self.shown[position][other];
                    let other_standing = self.nodes[other as usize].standing;
                    if other == node || other_standing == Standing::Refused {
                        continue;
                    }
                    let lineage = self.sets.find(other);
                    let is_shared = if other_standing == Standing::Sure {
                        *beside.entry(node).or_insert(lineage) != lineage
                    } else if capture.names.facts(path).script {
                        false
                    } else {
                        let rivals = rivals.entry((node, path)).or_default();
                        rivals.see(lineage);
                        rivals.returns >= RIVAL_RETURNS
                    };
                    if is_shared {
                        shared.insert(node);
                    }
                }
            }
        }
        for node in shared {
            self.nodes[node as usize].standing = Standing::Refused;
        }
    }
}

/// The lineages under one name that stood beside a value, in their order.
#[derive(Debug, Default)]
struct Rivals {
    seen: HashSet<u32>,
    last: Option<u32>,
    returns: u8,
}

impl Rivals {
    fn see(&mut self, lineage: u32) {
        if self.last != Some(lineage) {
            if !self.seen.insert(lineage) {
                self.returns = self.returns.saturating_add(1);
            }
            self.last = Some(lineage);
        }
    }
}

/// The nodes (in the order of their values) and which of them each request shows.
fn show(capture: &Capture) -> (Vec<Node>, Vec<Vec<Shown>>) {
    let mut shown_values: Vec<Vec<(Value, u32, IdentityKind)>> = Vec::new();
    for position in 0..capture.items.len() {
        shown_values.push(shown_in(capture, position));
    }
    let mut values: Vec<Value> = shown_values.iter().flatten().map(|shown| shown.0).collect();
    values.sort_unstable();
    values.dedup();
    let index_of: HashMap<Value, u32> = values.iter().copied().zip(0..).collect();
    let mut nodes: Vec<Option<Node>> = values.iter().map(|_| None).collect();
    let mut all_shown = Vec::with_capacity(capture.items.len());
    for (position, item) in capture.items.iter().enumerate() {
        let network = network_of(item.client.ip());
        let mut shown = Vec::with_capacity(shown_values[position].len());
        for (value, path, kind) in &shown_values[position] {
            let index = index_of[value];
            shown.push(Shown {
                node: index,
                path: *path,
            });
            let node = nodes[index as usize].get_or_insert_with(|| Node {
                value: *value,
                kind: *kind,
                first_shown_ns: item.start_ns,
                first_network: network,
                networks: Vec::new(),
                set_cookie: Origin::Unseen,
                elsewhere: Origin::Unseen,
                standing: Standing::Likely,
            });
            node.kind = node.kind.min(*kind);
            let known = node.networks.contains(&network) || node.networks.len() > MOST_NETWORKS;
            if !known && !capture.internal[position] {
                node.networks.push(network);
            }
        }
        all_shown.push(shown);
    }
    (nodes.into_iter().flatten().collect(), all_shown)
}

/// The identity leaves of a request, best kind first: all cookies and keys, and
/// the longest of the leaves that its Authorization was taken apart into.
fn shown_in(capture: &Capture, position: usize) -> Vec<(Value, u32, IdentityKind)> {
    let mut shown = Vec::new();
    let mut authorization: Option<(Value, u32, IdentityKind)> = None;
    for (used, value) in capture.uses(position) {
        let Some(kind) = capture.names.facts(used.path).identity else {
            continue;
        };
        let entry = (value, used.path, kind);
        if kind != IdentityKind::Authorization {
            shown.push(entry);
            continue;
        }
        let chars = |value: Value| capture.shapes[value as usize].chars();
        if authorization.is_none_or(|(best, ..)| chars(value) > chars(best)) {
            authorization = Some(entry);
        }
    }
    shown.extend(authorization);
    shown.sort_by_key(|(_, _, kind)| *kind);
    shown.truncate(MOST_SHOWN);
    shown
}
