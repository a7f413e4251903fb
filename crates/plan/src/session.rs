//! Which exchanges are one session.
//!
//! An exchange belongs to the lineage of identities that it shows, else to the one
//! that its response gives out (a login). One that does neither belongs to what
//! its flow carries: the one lineage there, so that what a client did before it
//! logged in is part of its session; a session of the flow where it carries none;
//! and where it carries several (a pooled upstream, or two users in turn) the
//! exchange is a session of its own, since nothing says whose it is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::capture::Capture;
use crate::collect::Item;
use crate::identity::Identities;
use crate::model::{Identity, SessionInfo};
use crate::names::IdentityKind;

/// The sessions of a capture, in the order of their first requests.
#[derive(Debug)]
pub(crate) struct Sessions {
    pub infos: Vec<SessionInfo>,
    /// For each item its session.
    pub of: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Lineage(u32),
    Flow(u32),
    Exchange(usize),
}

/// The lineages that a flow carries.
#[derive(Clone, Copy, Debug)]
enum Carried {
    None,
    One(u32),
    Several,
}

impl Sessions {
    /// Tells the sessions of `capture` apart by `identities`.
    pub fn of(capture: &Capture, identities: &mut Identities) -> Sessions {
        let lineages = describe(capture, identities);
        let owners: Vec<Option<u32>> = (0..capture.items.len())
            .map(|position| identities.owner(position))
            .collect();
        let mut carried = vec![Carried::None; capture.flows];
        for (item, owner) in capture.items.iter().zip(&owners) {
            let Some(owner) = *owner else { continue };
            let carried = &mut carried[item.flow as usize];
            *carried = match *carried {
                Carried::None => Carried::One(owner),
                Carried::One(other) if other == owner => Carried::One(owner),
                _ => Carried::Several,
            };
        }
        let mut sessions = Sessions {
            infos: Vec::new(),
            of: Vec::with_capacity(capture.items.len()),
        };
        let mut indexes: HashMap<Key, u32> = HashMap::new();
        let mut names: HashMap<String, u32> = HashMap::new();
        for (position, item) in capture.items.iter().enumerate() {
            let key = match (owners[position], carried[item.flow as usize]) {
                (Some(lineage), _) | (None, Carried::One(lineage)) => Key::Lineage(lineage),
                (None, Carried::None) => Key::Flow(item.flow),
                (None, Carried::Several) => Key::Exchange(position),
            };
            let next = sessions.infos.len() as u32;
            let session = *indexes.entry(key).or_insert(next);
            if session == next {
                let (name, identity) = match key {
                    Key::Lineage(lineage) => lineages[&lineage].named(),
                    Key::Flow(_) => (flow_name(item), Identity::Flow),
                    Key::Exchange(_) => (hashed(&item.id.to_string()), Identity::Exchange),
                };
                sessions.infos.push(SessionInfo {
                    id: unique(name, &mut names),
                    identity,
                    requests: Vec::new(),
                    began_before_capture: item.flow_began_before_capture
                        || identities.shows_unseen_origin(capture, position),
                    client: item.client,
                });
            }
            sessions.infos[session as usize]
                .requests
                .push(position as u32);
            sessions.of.push(session);
        }
        sessions
    }
}

/// What a lineage is called after.
struct Lineage {
    first_shown_ns: u64,
    tag: u64,
    kind: IdentityKind,
}

impl Lineage {
    fn named(&self) -> (String, Identity) {
        let identity = match self.kind {
            IdentityKind::Cookie => Identity::Cookie,
            IdentityKind::Authorization | IdentityKind::Key => Identity::Authorization,
        };
        (format!("s-{:012x}", self.tag >> 16), identity)
    }
}

fn describe(capture: &Capture, identities: &mut Identities) -> HashMap<u32, Lineage> {
    let mut lineages = HashMap::new();
    for index in 0..identities.nodes.len() as u32 {
        if !identities.stands(index) {
            continue;
        }
        let root = identities.lineage(index);
        let node = &identities.nodes[index as usize];
        let new = Lineage {
            first_shown_ns: node.first_shown_ns,
            tag: capture.tags[node.value as usize],
            kind: node.kind,
        };
        match lineages.entry(root) {
            Entry::Vacant(entry) => {
                entry.insert(new);
            }
            Entry::Occupied(mut entry) => {
                let known: &mut Lineage = entry.get_mut();
                let kind = known.kind.min(new.kind);
                if (new.first_shown_ns, new.tag) < (known.first_shown_ns, known.tag) {
                    *known = new;
                }
                known.kind = kind;
            }
        }
    }
    lineages
}

fn flow_name(item: &Item) -> String {
    hashed(&format!(
        "{}/{:016x}/{}",
        item.id.node, item.id.boot, item.id.flow
    ))
}

fn hashed(text: &str) -> String {
    let hex = blake3::hash(text.as_bytes()).to_hex();
    format!("s-{}", &hex[..12])
}

/// The name, with a number where another session has the same.
fn unique(name: String, names: &mut HashMap<String, u32>) -> String {
    let count = names.entry(name.clone()).or_insert(0);
    *count += 1;
    match *count {
        1 => name,
        again => format!("{name}-{again}"),
    }
}
