//! What the firing threads have in common: how time runs, what is left out, and the end.
//!
//! One of them leads: it begins, pauses, seeks and changes the speed, and the others take
//! over how time runs from it, so that a moment of the plan is the same at both twins.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use twintap_verdict::observation::Twin;

use super::batches::ahead;
use super::control::{MOST_TWINS, index};
use super::tempo::Tempo;

/// Sessions that are remembered as not gone on with.
const MOST_SHED: usize = 100_000;

/// How time runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time {
    /// Clock time of T0.
    pub(crate) start_ns: u64,
    pub(crate) tempo: Tempo,
    pub(crate) paused_ns: u64,
    /// Clock time at which the pause began.
    pub(crate) pause: Option<u64>,
    /// The moment of the plan that was sought last: what is due before is passed over.
    pub(crate) sought_ns: u64,
}

/// What a stopped twin has not been sent.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// Requests that were due, and still waited.
    pub(crate) drained: HashSet<u32>,
    /// The first that was not due, and the one after the last of the plan.
    pub(crate) next: u32,
    pub(crate) end: u32,
}

impl Unsent {
    fn holds(&self, position: u32) -> bool {
        ahead(position, self.next).is_some() || self.drained.contains(&position)
    }
}

/// Shared by the firing threads.
#[derive(Debug)]
pub(crate) struct Course {
    time: Mutex<Begun>,
    begun: Condvar,
    /// Grows with every change of the time.
    version: AtomicU32,
    shed: Mutex<HashSet<Arc<str>>>,
    has_shed: AtomicBool,
    /// The twins that the run has.
    twins: Vec<Twin>,
    /// By twin, once it is stopped or done.
    unsent: Mutex<[Option<Unsent>; MOST_TWINS]>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Begun {
    #[default]
    Not,
    At(Time),
    Never,
}

impl Course {
    /// That of a run at these twins, which has not begun.
    pub(crate) fn new(twins: Vec<Twin>) -> Course {
        Course {
            time: Mutex::default(),
            begun: Condvar::new(),
            version: AtomicU32::new(0),
            shed: Mutex::default(),
            has_shed: AtomicBool::new(false),
            twins,
            unsent: Mutex::default(),
        }
    }

    /// From now on time runs so.
    pub(crate) fn set_time(&self, time: Time) {
        *lock(&self.time) = Begun::At(time);
        self.version.fetch_add(1, Ordering::Release);
        self.begun.notify_all();
    }

    /// How time runs, if it is not as in the `known` version, which becomes the present.
    pub(crate) fn time_since(&self, known: &mut u32) -> Option<Time> {
        let version = self.version.load(Ordering::Acquire);
        if version == *known {
            return None;
        }
        *known = version;
        match *lock(&self.time) {
            Begun::At(time) => Some(time),
            Begun::Not | Begun::Never => None,
        }
    }

    /// Waits until the run begins; false when it never does.
    pub(crate) fn wait_for_begin(&self) -> bool {
        let mut begun = lock(&self.time);
        loop {
            match *begun {
                Begun::At(_) => return true,
                Begun::Never => return false,
                Begun::Not => {
                    let waited = self.begun.wait(begun);
                    begun = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// The run never begins, if it has not.
    pub(crate) fn give_up(&self) {
        let mut begun = lock(&self.time);
        if matches!(*begun, Begun::Not) {
            *begun = Begun::Never;
        }
        self.begun.notify_all();
    }

    /// Whether a session is not gone on with.
    pub(crate) fn is_shed(&self, session: &Arc<str>) -> bool {
        self.has_shed() && lock(&self.shed).contains(session)
    }

    /// Whether some session is not gone on with.
    pub(crate) fn has_shed(&self) -> bool {
        self.has_shed.load(Ordering::Acquire)
    }

    /// A session is not gone on with, at any twin.
    pub(crate) fn shed(&self, session: &Arc<str>) {
        let mut shed = lock(&self.shed);
        // Bounded: whoever is forgotten is fired again, and fails visibly.
        if shed.len() >= MOST_SHED {
            shed.clear();
        }
        shed.insert(Arc::clone(session));
        self.has_shed.store(true, Ordering::Release);
    }

    /// A twin is stopped, or done. The first word counts.
    pub(crate) fn end(&self, twin: Twin, unsent: Unsent) {
        lock(&self.unsent)[index(twin)].get_or_insert(unsent);
    }

    /// Once all twins are stopped or done: where the plan ends for all, the latest of
    /// their ends.
    pub(crate) fn agreed_end(&self) -> Option<u32> {
        let unsent = lock(&self.unsent);
        let mut ends = self.twins.iter().map(|twin| {
            let of_twin = unsent[index(*twin)].as_ref()?;
            Some(of_twin.end)
        });
        let first = ends.next()??;
        ends.try_fold(first, |latest, end| {
            Some(match ahead(latest, end?) {
                Some(_) => latest,
                None => end?,
            })
        })
    }

    /// Whether no twin was sent the request.
    pub(crate) fn is_unsent(&self, position: u32) -> bool {
        let unsent = lock(&self.unsent);
        self.twins.iter().all(|twin| {
            let of_twin = &unsent[index(*twin)];
            of_twin
                .as_ref()
                .is_some_and(|of_twin| of_twin.holds(position))
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fire::control::TWINS;

    fn time(start_ns: u64) -> Time {
        Time {
            start_ns,
            tempo: Tempo::new(1.0, 0),
            paused_ns: 0,
            pause: None,
            sought_ns: 0,
        }
    }

    fn unsent(drained: &[u32], next: u32, end: u32) -> Unsent {
        Unsent {
            drained: drained.iter().copied().collect(),
            next,
            end,
        }
    }

    #[test]
    fn each_change_of_time_is_told_once() {
        let course = Course::new(TWINS.to_vec());
        let mut known = 0;
        assert_eq!(course.time_since(&mut known), None);
        course.set_time(time(1));
        course.set_time(time(2));
        assert!(course.wait_for_begin());
        assert_eq!(course.time_since(&mut known), Some(time(2)));
        assert_eq!(course.time_since(&mut known), None);
    }

    #[test]
    fn who_waits_learns_that_nothing_begins() {
        let course = Course::new(TWINS.to_vec());
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| course.wait_for_begin());
            course.give_up();
            assert!(!waits.join().expect("it does not panic"));
        });
    }

    #[test]
    fn unsent_is_what_neither_twin_was_sent() {
        let course = Course::new(TWINS.to_vec());
        course.end(Twin::Candidate, unsent(&[3, 4], 7, 20));
        assert_eq!(course.agreed_end(), None);
        assert!(!course.is_unsent(8));
        course.end(Twin::Baseline, unsent(&[4, 5], 9, 12));
        assert_eq!(course.agreed_end(), Some(20));
        let places: Vec<u32> = (0..12)
            .filter(|position| course.is_unsent(*position))
            .collect();
        assert_eq!(places, [4, 9, 10, 11]);
    }

    #[test]
    fn a_third_twin_is_waited_for_where_there_is_one() {
        let twins = [Twin::Candidate, Twin::Baseline, Twin::SecondBaseline];
        let course = Course::new(twins.to_vec());
        course.end(Twin::Candidate, unsent(&[], 7, 20));
        course.end(Twin::Baseline, unsent(&[], 7, 20));
        assert_eq!(course.agreed_end(), None);
        assert!(!course.is_unsent(8));
        course.end(Twin::SecondBaseline, unsent(&[], 8, 21));
        assert_eq!(course.agreed_end(), Some(21));
        assert!(course.is_unsent(8) && !course.is_unsent(7));
    }

    #[test]
    fn what_one_thread_sheds_no_other_goes_on_with() {
        let course = Course::new(TWINS.to_vec());
        let (one, other) = (Arc::from("s-1"), Arc::from("s-2"));
        assert!(!course.has_shed());
        course.shed(&one);
        assert!(course.is_shed(&one) && !course.is_shed(&other));
    }
}
