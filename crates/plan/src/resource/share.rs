//! Which resources several sessions share.
//!
//! A resource orders what several sessions do when at least two of them touched it
//! and one wrote. That a *path* is the same proves little: `POST /orders` and
//! `GET /orders` are every customer's own. A collection counts as shared when a member
//! of it is: when one session made, changed or removed what another touched. What
//! each session has its own of (`/cart`) is told apart by session.

use std::collections::{HashMap, HashSet};

use super::{Kind, Mode, Touch};
use crate::capture::Capture;
use crate::session::Sessions;

/// A touch of a resource that matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// The resource, by a small number.
    pub resource: u32,
    pub mode: Mode,
    /// Index of its name.
    pub name: u32,
}

/// What matters of all touches.
pub(super) struct Shares {
    /// For each item where its touches are in `placed`.
    starts: Vec<usize>,
    placed: Vec<Placed>,
    /// For each resource, true when it orders requests: it is shared, or a cookie. What
    /// else is not shared can have races alone.
    pub orders: Vec<bool>,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug)]
struct Known {
    first_session: u32,
    several: bool,
    touches: u32,
    writes: bool,
    kind: Kind,
    own: bool,
    parent: Option<u64>,
}

impl Shares {
    pub fn of(capture: &Capture, sessions: &Sessions) -> Shares {
        let mut known: HashMap<(u64, u32), Known> = HashMap::new();
        let mut modes: Vec<Mode> = Vec::new();
        for (position, &session) in sessions.of.iter().enumerate() {
            if capture.internal[position] {
                continue;
            }
            for touch in capture.touches(position) {
                let mode = note(&mut known, touch, session);
                modes.push(mode);
            }
        }
        let shared: HashSet<u64> = known
            .values()
            .filter(|known| known.several && known.writes)
            .filter_map(|known| known.parent)
            .collect();
        let matters = |key: u64, known: &Known| {
            let is_resource = match known.kind {
                Kind::Member | Kind::Named | Kind::Cookie => true,
                Kind::Collection => shared.contains(&key),
            };
            is_resource && known.writes && known.touches > 1
        };
        let mut modes = modes.into_iter();
        let mut numbers: HashMap<(u64, u32), u32> = HashMap::new();
        let mut shares = Shares {
            starts: vec![0],
            placed: Vec::new(),
            orders: Vec::new(),
        };
        for (position, &session) in sessions.of.iter().enumerate() {
            let touches = match capture.internal[position] {
                true => &[][..],
                false => capture.touches(position),
            };
            for (touch, mode) in touches.iter().zip(modes.by_ref()) {
                let key = place(touch, session);
                let known = &known[&key];
                if !matters(touch.key, known) {
                    continue;
                }
                let next = shares.orders.len() as u32;
                let resource = *numbers.entry(key).or_insert(next);
                if resource == next {
                    let is_shared = known.several && !known.own;
                    shares.orders.push(is_shared || known.kind == Kind::Cookie);
                }
                shares.placed.push(Placed {
                    resource,
                    mode,
                    name: touch.name,
                });
            }
            shares.starts.push(shares.placed.len());
        }
        shares
    }

    /// What the item at `position` touches.
    pub fn touches(&self, position: u32) -> &[Placed] {
        let position = position as usize;
        &self.placed[self.starts[position]..self.starts[position + 1]]
    }
}

/// What tells a resource apart: that of a session by the session, too.
fn place(touch: &Touch, session: u32) -> (u64, u32) {
    (touch.key, if touch.own { session } else { u32::MAX })
}

/// Notes a touch, and gives what it is.
fn note(known: &mut HashMap<(u64, u32), Known>, touch: &Touch, session: u32) -> Mode {
    let is_first = !known.contains_key(&place(touch, session));
    let mode = match touch.mode {
        Mode::Birth if is_first => Mode::Write,
        Mode::Birth => Mode::Read,
        mode => mode,
    };
    let known = known.entry(place(touch, session)).or_insert(Known {
        first_session: session,
        several: false,
        touches: 0,
        writes: false,
        kind: touch.kind,
        own: touch.own,
        parent: touch.parent,
    });
    known.several |= known.first_session != session;
    known.touches = known.touches.saturating_add(1);
    known.writes |= mode.writes();
    known.parent = known.parent.or(touch.parent);
    if touch.kind == Kind::Named {
        known.kind = Kind::Named;
    }
    mode
}
