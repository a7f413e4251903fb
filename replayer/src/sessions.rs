//! The sessions of an archive, as a plan of all of it tells them.

use std::collections::HashMap;

use tracing::warn;
use twintap_archive::Reader;
use twintap_plan::{Plan, PlanOptions, Planner};
use twintap_stream::ExchangeId;

/// A plan over every exchange of the archive that can be read; damage is logged.
pub fn plan_of(reader: &Reader) -> Plan {
    let mut planner = Planner::new(PlanOptions::default());
    for stored in reader.exchanges() {
        match stored {
            Ok(stored) => planner.add(&stored.record, true),
            Err(error) => warn!("passed over: {:#}", anyhow::Error::from(error)),
        }
    }
    planner.finish()
}

/// The session's name of each exchange.
pub fn session_names(reader: &Reader) -> HashMap<ExchangeId, String> {
    let plan = plan_of(reader);
    let mut names = HashMap::with_capacity(plan.requests.len());
    for request in plan.requests {
        let session = &plan.sessions[request.session as usize];
        names.insert(request.exchange, session.id.clone());
    }
    names
}
