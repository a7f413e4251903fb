//! From exchanges to a plan.

use twintap_scrub::ExchangeRecord;
use twintap_stream::message::Protocol;

use crate::capture::Capture;
use crate::collect::Collected;
use crate::entry;
use crate::identity::Identities;
use crate::model::Plan;
use crate::options::PlanOptions;
use crate::schedule::schedule;
use crate::session::Sessions;

/// Makes a plan of recorded exchanges.
///
/// [`add`](Planner::add) each exchange once, in any order, then
/// [`finish`](Planner::finish). The plan depends on the set of exchanges alone.
/// A head or a body is never held: an exchange costs some 250 bytes, a leaf that
/// could be correlated 48 (request) or 16 (response). Most leaves are those of
/// responses, and few of them are ever used: a caller who can read the exchanges
/// twice calls [`note_request`](Planner::note_request) for each before the first
/// `add`, and only what some request uses is kept.
#[derive(Debug)]
pub struct Planner {
    options: PlanOptions,
    collected: Collected,
}

impl Planner {
    /// A planner without exchanges.
    pub fn new(options: PlanOptions) -> Planner {
        Planner {
            options,
            collected: Collected::default(),
        }
    }

    /// Notes which values the exchange's request uses, for
    /// [`add`](Planner::add) to keep no others. The plan is the same.
    pub fn note_request(&mut self, record: &ExchangeRecord) {
        self.collected.note_request(record);
    }

    /// Takes one exchange up; a flow that no parser claimed is none, and is passed
    /// over. `request_body_replayable` is false when the
    /// request had a body that can't be sent again (the policy dropped it).
    pub fn add(&mut self, record: &ExchangeRecord, request_body_replayable: bool) {
        if record.exchange.protocol == Protocol::Opaque {
            return;
        }
        self.collected
            .add(record, request_body_replayable, &self.options);
    }

    /// Makes the plan.
    pub fn finish(self) -> Plan {
        plan_of(self.collected, &self.options).0
    }
}

/// The plan of what was collected, and that in the order of the plan.
pub(crate) fn plan_of(collected: Collected, options: &PlanOptions) -> (Plan, Capture) {
    let internal = entry::internal(&collected, &options.entry, options.clock_uncertainty_ns);
    let capture = Capture::of(collected, &internal);
    let mut identities = Identities::of(&capture);
    let sessions = Sessions::of(&capture, &mut identities);
    let shared = identities.shared(&capture);
    drop(identities);
    let plan = schedule(&capture, sessions, &shared, options);
    (plan, capture)
}
