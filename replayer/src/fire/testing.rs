//! Plans made by hand.

use std::sync::Arc;

use twintap_plan::model::{Identity, SessionInfo};
use twintap_plan::{Binding, Plan, PlannedRequest};
use twintap_scrub::{Encoding, Part};
use twintap_stream::message::Protocol;
use twintap_stream::{ExchangeId, FlowId, Timestamp};

/// A plan of requests due at these times, each on a flow of its own.
pub(crate) fn plan(due_ns: &[u64]) -> Plan {
    let requests = (0u32..).zip(due_ns).map(|(position, &due_ns)| {
        let flow = FlowId(u64::from(position));
        PlannedRequest {
            exchange: ExchangeId {
                node: Arc::from("test"),
                boot: 1,
                flow,
                offset: 0,
                from_response: false,
            },
            session: 0,
            protocol: Protocol::Http1,
            flow,
            copy: 0,
            service: 0,
            route: 0,
            due_ns,
            send_ns: 0,
            took_ns: 0,
            think: None,
            waits: Vec::new(),
            follows: Vec::new(),
            races: Vec::new(),
            bindings: Vec::new(),
            within: Vec::new(),
            produces: Vec::new(),
            skip: None,
            missing: None,
            internal: false,
            kept: Vec::new(),
        }
    });
    let requests: Vec<PlannedRequest> = requests.collect();
    Plan {
        capture_start: Timestamp(0),
        speed: 1.0,
        sessions: vec![SessionInfo {
            id: "s-test".to_owned(),
            identity: Identity::Flow,
            requests: (0..requests.len() as u32).collect(),
            began_before_capture: false,
            client: ([127, 0, 0, 1], 1).into(),
        }],
        requests,
        created: Vec::new(),
    }
}

/// A binding of the target's first byte to a value of `producer`.
pub(crate) fn binding(producer: u32, path: &str) -> Binding {
    Binding {
        producer,
        producer_path: path.into(),
        part: Part::Target,
        path: "path.0".into(),
        start: 0,
        len: 1,
        encoding: Encoding::Plain,
        reason: Default::default(),
    }
}
