//! A plan that grows while it is fired.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use twintap_plan::Window;

use super::control::RunControl;

/// Appends to the plan of a run that is fired; when it is dropped, the plan has its
/// end, and the run ends once all of it is settled.
#[derive(Debug)]
pub struct PlanFeed {
    firing: Sender<Fed>,
    loading: Sender<Arc<Window>>,
    control: RunControl,
}

/// Where the run takes from what a [`PlanFeed`] appends.
#[derive(Debug)]
pub struct Fodder {
    pub(crate) firing: Receiver<Fed>,
    pub(crate) loading: Receiver<Arc<Window>>,
}

/// What comes at once.
#[derive(Debug)]
pub(crate) struct Fed {
    pub(crate) window: Arc<Window>,
    pub(crate) horizon_ns: u64,
}

impl PlanFeed {
    /// A feed for the run that `control` steers.
    pub fn new(control: &RunControl) -> (PlanFeed, Fodder) {
        let (firing, to_fire) = channel();
        let (loading, to_load) = channel();
        let feed = PlanFeed {
            firing,
            loading,
            control: control.clone(),
        };
        let fodder = Fodder {
            firing: to_fire,
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
        let fed = Fed {
            window: Arc::clone(window),
            horizon_ns,
        };
        let is_taken = self.firing.send(fed).is_ok();
        self.control.wake();
        is_taken
    }
}
