//! Where requests of a run that follows are found again, to be fired alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use anyhow::{Result, ensure};
use twintap_plan::Planner;
use twintap_scrub::BodyFate;
use twintap_stream::{ExchangeId, FlowId};
use twintap_verdict::Draft;

use crate::fire::{RunControl, Steering};
use crate::run::confirm::{Found, Recording, STOPPED};
use crate::run::file::RunFile;
use crate::run::prepare::{Checks, Opened, Prepared, plan_options};
use crate::run::targets::Captured;

/// The most exchanges that are planned again: the latest of the run. Memory goes with them.
const MOST_PLANNED: u64 = 100_000;

/// What was stored since the run began, planned once more as a whole.
pub struct FollowedRecording<'a> {
    file: &'a RunFile,
    control: &'a RunControl,
    /// Exchanges since the archive was made that are not of the run.
    before: u64,
    latest: Option<Latest>,
}

/// The plan of what was stored last.
struct Latest {
    prepared: Prepared,
    /// By exchange, its position in the plan.
    positions: HashMap<ExchangeId, u32>,
    /// Flows of which something came before what is planned.
    cut: HashSet<Flow>,
}

/// A recorded flow: the node, the boot, and its number there.
type Flow = (Arc<str>, u64, FlowId);

impl<'a> FollowedRecording<'a> {
    /// That of a run which began when `before` exchanges had been stored.
    pub fn new(file: &'a RunFile, control: &'a RunControl, before: u64) -> FollowedRecording<'a> {
        FollowedRecording {
            file,
            control,
            before,
            latest: None,
        }
    }
}

impl Recording for FollowedRecording<'_> {
    fn find(&mut self, draft: &Draft, wanted: &[u32]) -> std::result::Result<Found<'_>, String> {
        let latest = Latest::new(self.file, self.control, self.before);
        let latest = latest.map_err(|error| format!("{error:#}"))?;
        let latest = self.latest.insert(latest);
        let mut examples = Vec::new();
        let mut doubts = Vec::new();
        for own in wanted {
            let id = draft
                .example(*own)
                .and_then(|example| example.exchange.parse().ok());
            let planned = id.and_then(|id: ExchangeId| latest.positions.get(&id).copied());
            examples.extend(planned.map(|planned| (*own, planned)));
            if planned.is_none_or(|planned| latest.is_cut(planned)) {
                doubts.push((
                    *own,
                    format!(
                        "its session began before the run, or before the latest {MOST_PLANNED} \
                         exchanges of it, so that it can't be fired again whole"
                    ),
                ));
            }
        }
        Ok(Found {
            prepared: &latest.prepared,
            examples,
            doubts,
        })
    }

    fn let_go(&mut self) {
        self.latest = None;
    }
}

impl Latest {
    fn new(file: &RunFile, control: &RunControl, before: u64) -> Result<Latest> {
        let Opened {
            reader,
            checkpoint,
            scrubber,
        } = Opened::new(file)?;
        let removed = reader.removed().exchanges;
        let first = before.max((removed + reader.len()).saturating_sub(MOST_PLANNED));
        let exchanges = || {
            reader
                .exchanges_from(first.saturating_sub(removed))
                .flatten()
        };
        let mut checks = Checks::new(file, &scrubber, Captured::new(checkpoint.as_ref()));
        let mut planner = Planner::new(plan_options(file)?);
        let mut begun: HashMap<Flow, u32> = HashMap::new();
        let goes_on = || {
            ensure!(control.steering() != Steering::Stop, STOPPED);
            Ok(())
        };
        for stored in exchanges() {
            goes_on()?;
            checks.check(&stored)?;
            planner.note_request(&stored.record);
            let index = stored.exchange().index_in_flow;
            let least = begun.entry(flow(stored.id())).or_insert(index);
            *least = index.min(*least);
        }
        for stored in exchanges() {
            goes_on()?;
            let dropped = matches!(stored.record.request.body, BodyFate::Dropped(_));
            planner.add(&stored.record, !dropped);
        }
        let plan = planner.finish();
        let captured = checks.captured;
        let places = plan.requests.iter().zip(0..);
        Ok(Latest {
            positions: places
                .map(|(request, place)| (request.exchange.clone(), place))
                .collect(),
            cut: begun
                .into_iter()
                .filter_map(|(flow, least)| (least > 0).then_some(flow))
                .collect(),
            prepared: Prepared {
                reader,
                checkpoint,
                scrubber,
                plan,
                captured,
                loss: BTreeMap::new(),
            },
        })
    }

    /// Whether something of the request's session came before what is planned.
    fn is_cut(&self, position: u32) -> bool {
        let plan = &self.prepared.plan;
        let session = &plan.sessions[plan.requests[position as usize].session as usize];
        let mut own = session.requests.iter();
        session.began_before_capture
            || own.any(|at| {
                let id = &plan.requests[*at as usize].exchange;
                self.cut.contains(&flow(id))
            })
    }
}

fn flow(id: &ExchangeId) -> Flow {
    (Arc::clone(&id.node), id.boot, id.flow)
}
