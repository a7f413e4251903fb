//! A plan that grows while it is fired.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use twintap_plan::Window;

use super::control::RunControl;
use super::timetable::Timetable;

/// Appends to the plan of a run that is fired; when it is dropped, the plan has its
/// end, and the run ends once all of it is settled.
#[derive(Debug)]
pub struct PlanFeed {
    firing: [Sender<Fed>; 2],
    loading: Sender<Arc<Window>>,
    control: RunControl,
}

/// Where the run takes from what a [`PlanFeed`] appends.
#[derive(Debug)]
pub struct Fodder {
    /// One for each firing thread there can be.
    pub(crate) firing: [Receiver<Fed>; 2],
    pub(crate) loading: Receiver<Arc<Window>>,
}

/// What comes at once.
#[derive(Clone, Debug)]
pub(crate) struct Fed {
    pub(crate) window: Arc<Window>,
    /// Of the window; none where it is empty.
    pub(crate) table: Option<Arc<Timetable>>,
    pub(crate) horizon_ns: u64,
}

impl PlanFeed {
    /// A feed for the run that `control` steers.
    pub fn new(control: &RunControl) -> (PlanFeed, Fodder) {
        let (one, of_one) = channel();
        let (other, of_other) = channel();
        let (loading, to_load) = channel();
        let feed = PlanFeed {
            firing: [one, other],
            loading,
            control: control.clone(),
        };
        let fodder = Fodder {
            firing: [of_one, of_other],
            loading: to_load,
        };
        (feed, fodder)
    }

    /// Appends a window, which may be empty; says whether the run still takes it. All
    /// that is due before `horizon_ns` of the plan's time is in this window or in
    /// earlier ones: the run goes no further until the next.
    pub fn append(&self, window: &Arc<Window>, horizon_ns: u64) -> bool {
        if !window.requests.is_empty() {
            // It ends before the firing side, and only with it.
            let _ = self.loading.send(Arc::clone(window));
        }
        let table = (!window.requests.is_empty())
            .then(|| Arc::new(Timetable::new(window.first, &window.requests)));
        let fed = Fed {
            window: Arc::clone(window),
            table,
            horizon_ns,
        };
        let mut is_taken = false;
        for thread in &self.firing {
            // There may be one firing thread alone.
            is_taken |= thread.send(fed.clone()).is_ok();
        }
        self.control.wake();
        is_taken
    }
}
