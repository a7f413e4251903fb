//! The recorded flows of a plan, numbered: requests of one go over one connection.

use std::collections::HashMap;
use std::sync::Arc;

use twintap_plan::Plan;
use twintap_stream::FlowId;

/// The flows of one plan.
#[derive(Debug)]
pub(crate) struct Flows {
    of_request: Vec<u32>,
    /// Requests of each flow that are not skipped.
    requests: Vec<u32>,
    /// Each flow with the first request that is fired, in the order of these.
    openings: Vec<(u32, u32)>,
}

impl Flows {
    pub(crate) fn new(plan: &Plan) -> Flows {
        // A flow's id is unique within one boot of one node alone.
        let mut numbers: HashMap<(Arc<str>, u64, FlowId), u32> = HashMap::new();
        let mut flows = Flows {
            of_request: Vec::with_capacity(plan.requests.len()),
            requests: Vec::new(),
            openings: Vec::new(),
        };
        for (position, request) in (0u32..).zip(&plan.requests) {
            let id = &request.exchange;
            let next = flows.requests.len() as u32;
            let number = *numbers
                .entry((Arc::clone(&id.node), id.boot, request.flow))
                .or_insert(next);
            if number == next {
                flows.requests.push(0);
            }
            flows.of_request.push(number);
            if request.skip.is_none() {
                let requests = &mut flows.requests[number as usize];
                if *requests == 0 {
                    flows.openings.push((number, position));
                }
                *requests += 1;
            }
        }
        flows
    }

    /// The flow of a request.
    pub(crate) fn of(&self, position: u32) -> u32 {
        self.of_request[position as usize]
    }

    /// For each flow how many requests are to be fired.
    pub(crate) fn requests(&self) -> &[u32] {
        &self.requests
    }

    /// Flows and their first requests, in the order of these.
    pub(crate) fn openings(&self) -> &[(u32, u32)] {
        &self.openings
    }
}
