//! Flows that an agent need not copy any longer: those that ask for a protected
//! endpoint, and those that nobody can read.

use std::collections::{HashMap, HashSet};

use twintap_proto::v1::flow_order::Order;
use twintap_stream::message::RequestHead;
use twintap_stream::{ExchangeId, FlowId};
use twintap_verdict::EndpointPattern;

/// Which flows get an order by themselves.
#[derive(Clone, Debug, Default)]
pub struct OrderRules {
    /// Whose exchanges are not stored. A flow that asks for one of them is from there on
    /// captured without payload, since nobody can tell any more what it asks for next.
    pub protected: Vec<EndpointPattern>,
    /// The order for flows that look like TLS, or whose bytes no parser claims.
    pub unclaimed: Option<Order>,
}

/// The orders that came of the rules, for the flows of one boot.
#[derive(Debug, Default)]
pub(super) struct Orders {
    rules: OrderRules,
    given: HashMap<FlowId, Order>,
    new: Vec<(FlowId, Order)>,
    protected: HashSet<ExchangeId>,
}

impl Orders {
    pub fn new(rules: OrderRules) -> Orders {
        Orders {
            rules,
            ..Orders::default()
        }
    }

    /// Looks at the head of a request, before anything of the exchange is kept.
    pub fn request(&mut self, exchange: &ExchangeId, head: &RequestHead) {
        if self.rules.protected.is_empty() {
            return;
        }
        let method = String::from_utf8_lossy(&head.method);
        let target = String::from_utf8_lossy(&head.target);
        let mut protected = self.rules.protected.iter();
        if protected.any(|pattern| pattern.matches(&method, &target)) {
            self.protected.insert(exchange.clone());
            self.give(exchange.flow, Order::HeadersOnly);
        }
    }

    /// Takes that nobody claims the bytes of a flow.
    pub fn unclaimed(&mut self, flow: FlowId) {
        if let Some(order) = self.rules.unclaimed {
            self.give(flow, order);
        }
    }

    /// Whether the exchange is of a protected endpoint.
    pub fn is_protected(&self, exchange: &ExchangeId) -> bool {
        self.protected.contains(exchange)
    }

    /// The exchange is over: whether it is of a protected endpoint.
    pub fn end_protected(&mut self, exchange: &ExchangeId) -> bool {
        self.protected.remove(exchange)
    }

    pub fn close(&mut self, flow: FlowId) {
        self.given.remove(&flow);
    }

    /// The orders since the last call.
    pub fn take(&mut self) -> Vec<(FlowId, Order)> {
        std::mem::take(&mut self.new)
    }

    fn give(&mut self, flow: FlowId, order: Order) {
        if self.given.insert(flow, order) != Some(order) {
            self.new.push((flow, order));
        }
    }
}
