//! The sessions of an archive, as a plan of all of it tells them.

use std::collections::HashMap;

use anyhow::Result;
use twintap_archive::Reader;
use twintap_plan::{Plan, PlanOptions, Planner};
use twintap_stream::ExchangeId;

/// A plan over every exchange of the archive.
pub fn plan_of(reader: &Reader) -> Result<Plan> {
    let mut planner = Planner::new(PlanOptions::default());
    for stored in reader.exchanges() {
        planner.add(&stored?.record, true);
    }
    Ok(planner.finish())
}

/// The session's name of each exchange.
pub fn session_names(reader: &Reader) -> Result<HashMap<ExchangeId, String>> {
    let plan = plan_of(reader)?;
    let mut names = HashMap::with_capacity(plan.requests.len());
    for request in plan.requests {
        let session = &plan.sessions[request.session as usize];
        names.insert(request.exchange, session.id.clone());
    }
    Ok(names)
}
