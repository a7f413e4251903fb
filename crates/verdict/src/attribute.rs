//! What follows from what: within a session, and where one session depends on another.

use std::collections::{BTreeMap, HashMap};

use crate::lead::Lead;
use crate::tally::{Session, Signal};

/// Something that later differences may follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// A lead, by index.
    Lead(usize),
    /// Something that the run did to one twin alone, by index.
    Event(usize),
}

/// Why a session shows a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// Where it begins: a lead that comes first somewhere, or an event.
    pub(crate) root: Source,
    /// Position in the plan of what it follows from directly.
    pub(crate) position: u32,
}

/// What each lead is: something of its own, or only ever a consequence.
pub(crate) struct Attribution {
    /// By lead, whether some session shows it before anything that explains it.
    pub(crate) is_first: Vec<bool>,
    /// By lead, the sessions in which it comes after something that explains it.
    pub(crate) explained_by: Vec<BTreeMap<Session, Explanation>>,
}

/// A lead is one of its own when some session shows it before anything that could
/// explain it: an earlier difference of the session, of whatever is known, after which the
/// twins' states may differ, or one of another session in the very exchange that the
/// request depends on (it uses a value of it, or touches what that one touched).
///
/// Elsewhere it follows from the first of these before it that names the same member,
/// or else from the first cause, and with that from whatever that one follows from.
/// `imports` has by session and position what a request depends on.
pub(crate) fn attribute(
    leads: &[Lead],
    events: &[&Signal],
    imports: &HashMap<(Session, u32), Vec<u32>>,
) -> Attribution {
    let causes = Causes::of(leads, events, imports);
    let is_first: Vec<bool> = leads
        .iter()
        .enumerate()
        .map(|(index, lead)| {
            let mut hits = lead.signal.hits.iter();
            hits.any(|(session, hit)| causes.of_lead(index, *session, hit.first).is_empty())
        })
        .collect();
    // By lead and session the direct cause; what is explained by position is explained
    // by something earlier, so that following it ends.
    let direct = |index: usize, session: Session, first: u32| -> Option<Cause> {
        let found = causes.of_lead(index, session, first);
        let is_kin = |cause: &&Cause| match cause.source {
            Source::Lead(other) => {
                is_first[other] && member(&leads[other]) == member(&leads[index])
            }
            Source::Event(_) => false,
        };
        found.iter().find(is_kin).or_else(|| found.first()).copied()
    };
    let root = |mut cause: Cause| loop {
        let Source::Lead(index) = cause.source else {
            return cause.source;
        };
        if is_first[index] {
            return cause.source;
        }
        let first = leads[index]
            .signal
            .hits
            .get(&cause.session)
            .map(|hit| hit.first);
        match first.and_then(|first| direct(index, cause.session, first)) {
            Some(earlier) => cause = earlier,
            None => return cause.source,
        }
    };
    let explained_by = leads.iter().enumerate().map(|(index, lead)| {
        let explained = lead.signal.hits.iter().filter_map(|(session, hit)| {
            let cause = direct(index, *session, hit.first)?;
            let explanation = Explanation {
                root: root(cause),
                position: cause.position,
            };
            Some((*session, explanation))
        });
        explained.collect()
    });
    Attribution {
        explained_by: explained_by.collect(),
        is_first,
    }
}

/// One difference that others may follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cause {
    position: u32,
    source: Source,
    /// The session that shows it.
    session: Session,
}

/// All causes, in order.
struct Causes<'a> {
    by_session: HashMap<Session, Vec<Cause>>,
    /// Those that later requests depend on.
    by_position: HashMap<u32, Vec<Cause>>,
    imports: &'a HashMap<(Session, u32), Vec<u32>>,
}

impl<'a> Causes<'a> {
    fn of(
        leads: &[Lead],
        events: &[&Signal],
        imports: &'a HashMap<(Session, u32), Vec<u32>>,
    ) -> Causes<'a> {
        let mut causes = Causes {
            by_session: HashMap::new(),
            by_position: HashMap::new(),
            imports,
        };
        for (index, lead) in leads.iter().enumerate() {
            causes.add(Source::Lead(index), &lead.signal);
        }
        for (index, signal) in events.iter().enumerate() {
            causes.add(Source::Event(index), signal);
        }
        let lists = causes
            .by_session
            .values_mut()
            .chain(causes.by_position.values_mut());
        lists.for_each(|list| list.sort_unstable());
        causes
    }

    fn add(&mut self, source: Source, signal: &Signal) {
        for (session, hit) in &signal.hits {
            if let Some(position) = hit.cause {
                self.by_session.entry(*session).or_default().push(Cause {
                    position,
                    source,
                    session: *session,
                });
            }
        }
        for (position, session) in &signal.awaited {
            self.by_position.entry(*position).or_default().push(Cause {
                position: *position,
                source,
                session: *session,
            });
        }
    }

    /// What may explain that a session shows a lead first at a position: what came
    /// before in the session, then what the request there depends on.
    fn of_lead(&self, index: usize, session: Session, first: u32) -> Vec<Cause> {
        let own = self.by_session.get(&session).map_or(&[][..], Vec::as_slice);
        let earlier = own.partition_point(|cause| cause.position < first);
        let imported = self.imports.get(&(session, first)).into_iter().flatten();
        let imported = imported
            .filter_map(|position| self.by_position.get(position))
            .flatten();
        own[..earlier]
            .iter()
            .chain(imported)
            .filter(|cause| cause.source != Source::Lead(index) || cause.session != session)
            .copied()
            .collect()
    }
}

/// The last name of a place.
fn member(lead: &Lead) -> &str {
    lead.place.rsplit('/').next().unwrap_or_default()
}
