//! Where drafts of periods wait until their findings were fired again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twintap_verdict::{Draft, Recollection, Report};

use super::{IS_OFF, STOPPED};
use crate::run::file::{Confirm, RunFile};

/// The most drafts that wait: who can't keep up fires the findings of some periods alone.
const MOST_WAITING: usize = 4;

/// Drafts of periods that wait, and what was learned of those before. Clones share them.
#[derive(Clone, Debug)]
pub struct Desk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Why none is taken any more.
    closed: Option<String>,
    recollection: Recollection,
}

/// A draft that waits.
#[derive(Debug)]
pub struct Waiting {
    /// The number of its period, from 1.
    pub period: u64,
    /// The draft.
    pub draft: Draft,
}

impl Desk {
    /// One that takes drafts where the run file has twins for confirmation.
    pub fn new(file: &RunFile) -> Desk {
        let closed = match &file.settings.confirm {
            Confirm::Off => Some(IS_OFF.to_owned()),
            Confirm::On(settings) if settings.targets.is_none() => Some(
                "the twins of a run that goes on can't be reset, and `confirm.targets` names no \
                 others"
                    .to_owned(),
            ),
            Confirm::On(_) => None,
        };
        Desk(Arc::new(Mutex::new(State {
            waiting: VecDeque::new(),
            closed,
            recollection: Recollection::default(),
        })))
    }

    /// Takes a period's draft, and has its report written: as it is until its findings were
    /// fired again; where they are not, as it stays.
    pub fn hand_in<T>(&self, period: u64, draft: Draft, write: impl FnOnce(&Report) -> T) -> T {
        let mut state = self.lock();
        let report = match state.why_not() {
            None if draft.is_confirmable() => {
                let mut first = draft.clone();
                first.recall(&state.recollection);
                state.waiting.push_back(Waiting { period, draft });
                first.until_confirmed()
            }
            why_not => state.settle(period, draft, &why_not.unwrap_or_default()),
        };
        // Nobody takes the draft, to write its report anew, before this is written.
        write(&report)
    }

    /// The report of the period in which the run ended.
    pub fn last_report(&self, period: u64, draft: Draft) -> Report {
        let mut state = self.lock();
        let why = state.closed.clone();
        state.settle(period, draft, why.as_deref().unwrap_or(STOPPED))
    }

    /// The draft that waits longest, with what is known of its findings.
    pub(super) fn next(&self) -> Option<Waiting> {
        let mut state = self.lock();
        let mut waiting = state.waiting.pop_front()?;
        waiting.draft.recall(&state.recollection);
        Some(waiting)
    }

    /// Remembers what came of a draft's findings.
    pub(super) fn learn(&self, period: u64, draft: &Draft) {
        self.lock().recollection.learn(period, draft);
    }

    /// Takes no more drafts, since the run was stopped: the reports of those that wait.
    pub(super) fn close(&self) -> Vec<(u64, Report)> {
        let mut state = self.lock();
        state.closed = Some(STOPPED.to_owned());
        let waiting = std::mem::take(&mut state.waiting);
        let settled = waiting
            .into_iter()
            .map(|one| (one.period, state.settle(one.period, one.draft, STOPPED)));
        settled.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is guarded is whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why no draft is taken now.
    fn why_not(&self) -> Option<String> {
        let is_full = self.waiting.len() >= MOST_WAITING;
        let full = is_full.then(|| {
            format!("findings of {MOST_WAITING} earlier periods were still to be fired again")
        });
        self.closed.clone().or(full)
    }

    /// The report without more being fired, and why that is not.
    fn settle(&mut self, period: u64, mut draft: Draft, why: &str) -> Report {
        if draft.is_confirmable() {
            draft.recall(&self.recollection);
            draft.confirm(&[], Some(why));
            self.recollection.learn(period, &draft);
        }
        draft.finish()
    }
}
