//! Which response made the value that a request uses.
//!
//! The capture is gone through in time: a request looks for producers among the
//! responses that had ended before its first byte, of a conversation among the messages
//! that had come. Within its session it takes
//! the one whose path has the fewest array positions (a list's order is its own),
//! the newest of those; producers that will be fired go before those that won't.
//! Without one it looks in other sessions: where exactly one other session
//! produced the value it takes that, else the response that first had it if its
//! request could make it (POST and the like), else, for tokens alone, the newest.
//!
//! A value that a session's client sent before any response had it was made by the
//! client: its echo produces nothing in that session, and what others see of it
//! binds across no sessions (an e-mail address that somebody signed up with). Nor
//! does a value that another session merely read and that is not fired there: it
//! was there before.

use std::collections::HashMap;

use crate::capture::{Capture, Made, Value};
use crate::model::{BindReason, KeptReason};

/// Producers so far, by session and everywhere.
#[derive(Debug)]
pub(crate) struct Producers {
    in_session: HashMap<(u32, Value), InSession>,
    anywhere: Vec<Anywhere>,
}

/// A leaf of an earlier response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub position: u32,
    pub path: u32,
}

/// What became of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It takes the value from there.
    Producer(Producer, BindReason),
    /// Only requests that are not fired produced it.
    SkippedProducer,
    /// Nothing produced it that it could be bound to.
    Nothing(KeptReason),
}

#[derive(Clone, Copy, Debug, Default)]
struct InSession {
    made_by_client: bool,
    best: Best,
}

/// The best producer that is fired, and whether there is one that isn't.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    fired: Option<Producer>,
    skipped: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Anywhere {
    /// The first session that produced it.
    session: Option<u32>,
    /// Another session did, too.
    several: bool,
    /// A client sent it before any response had it.
    sent_first: bool,
    /// The first response that had it answered a request that could make it.
    born: Option<(Producer, bool)>,
    newest: Best,
}

impl Producers {
    /// None yet.
    pub fn new(capture: &Capture) -> Producers {
        Producers {
            in_session: HashMap::new(),
            anywhere: vec![Anywhere::default(); capture.tags.len()],
        }
    }

    /// Takes up these of what the response at `position` has.
    pub fn add(
        &mut self,
        capture: &Capture,
        position: u32,
        made: &[Made],
        session: u32,
        fired: bool,
    ) {
        let item = &capture.items[position as usize];
        for Made { value, path } in made.iter().copied() {
            let shape = capture.shapes[value as usize];
            // A small id in a list names another thing at another twin.
            let is_of_list = capture.names.facts(path).positions > 0;
            if !shape.bindable() || shape.is_small() && is_of_list {
                continue;
            }
            let here = self.in_session.entry((session, value)).or_default();
            if here.made_by_client {
                continue;
            }
            let producer = Producer { position, path };
            here.best.add(capture, producer, fired);
            let anywhere = &mut self.anywhere[value as usize];
            match anywhere.session {
                None => {
                    anywhere.session = Some(session);
                    if !item.safe {
                        anywhere.born = Some((producer, fired));
                    }
                }
                Some(first) => {
                    anywhere.several |= first != session;
                    // The same response may have it at a better path.
                    if let Some((born, _)) = &mut anywhere.born
                        && born.position == position
                        && better_path(capture, path, born.path)
                    {
                        *born = producer;
                    }
                }
            }
            anywhere.newest.add(capture, producer, fired);
        }
    }

    /// Looks for the producer of a value that a request of `session` uses; `token`
    /// when it stands where servers' tokens do.
    pub fn find(&mut self, capture: &Capture, value: Value, session: u32, token: bool) -> Found {
        let shape = capture.shapes[value as usize];
        if !shape.bindable() {
            let reason = if shape.words() {
                KeptReason::Words
            } else {
                KeptReason::Short
            };
            return Found::Nothing(reason);
        }
        let here = self.in_session.entry((session, value)).or_default();
        if here.made_by_client {
            return Found::Nothing(KeptReason::ClientMade);
        }
        let mut found = here.best.found(BindReason::SameSession);
        if !matches!(found, Found::Producer(..)) && !shape.is_small() {
            let elsewhere = self.anywhere[value as usize].found(session, token);
            let is_nothing = matches!(elsewhere, Found::Nothing(_));
            if !is_nothing || matches!(found, Found::Nothing(_)) {
                found = elsewhere;
            }
        }
        if matches!(found, Found::Nothing(_)) {
            here.made_by_client = true;
            let anywhere = &mut self.anywhere[value as usize];
            anywhere.sent_first |= anywhere.session.is_none();
        }
        found
    }
}

impl Best {
    fn add(&mut self, capture: &Capture, new: Producer, fired: bool) {
        if !fired {
            self.skipped = true;
            return;
        }
        let replaces = self.fired.is_none_or(|old| {
            if old.position == new.position {
                better_path(capture, new.path, old.path)
            } else {
                let positions = |producer: Producer| capture.names.facts(producer.path).positions;
                positions(new) <= positions(old)
            }
        });
        if replaces {
            self.fired = Some(new);
        }
    }

    fn found(&self, reason: BindReason) -> Found {
        match self.fired {
            Some(producer) => Found::Producer(producer, reason),
            None if self.skipped => Found::SkippedProducer,
            None => Found::Nothing(KeptReason::NoProducer),
        }
    }
}

impl Anywhere {
    fn found(&self, session: u32, token: bool) -> Found {
        if self.sent_first && !token {
            return Found::Nothing(KeptReason::ClientMade);
        }
        let one_other = !self.several && self.session.is_some_and(|only| only != session);
        match (self.newest.fired, self.born) {
            (Some(producer), _) if one_other => Found::Producer(producer, BindReason::OnlySession),
            (_, Some((producer, true))) => Found::Producer(producer, BindReason::MadeThere),
            (_, Some((_, false))) => Found::SkippedProducer,
            (_, None) if token => self.newest.found(BindReason::NewestToken),
            (_, None) if self.several => Found::Nothing(KeptReason::Ambiguous),
            (_, None) => Found::Nothing(KeptReason::NoProducer),
        }
    }
}

/// Of two leaves of one response with one value: the one with fewer array
/// positions, then the shorter path, then the first by its text.
fn better_path(capture: &Capture, new: u32, old: u32) -> bool {
    let rank = |path: u32| {
        let text = capture.names.text(path);
        (capture.names.facts(path).positions, text.len(), text)
    };
    rank(new) < rank(old)
}
