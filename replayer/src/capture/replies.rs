//! Replies of databases while they come: a document is made of each when it is over.

use std::collections::HashMap;

use bytes::Bytes;
use twintap_stream::document::{DocumentLimits, Made, ReplyBytes, make};
use twintap_stream::{CommandExchange, ExchangeId};

/// Bytes that all of them may take; what comes beyond is left out of its reply, which says so.
const MOST_BYTES: usize = 64 << 20;

/// The replies that are under way.
#[derive(Default)]
pub(super) struct Replies {
    begun: HashMap<ExchangeId, ReplyBytes>,
    bytes: usize,
    limits: DocumentLimits,
}

impl Replies {
    /// Takes bytes of the reply of an exchange.
    pub fn data(&mut self, exchange: ExchangeId, chunk: &Bytes) {
        let reply = self.begun.entry(exchange).or_default();
        let before = reply.len();
        let left = MOST_BYTES.saturating_sub(self.bytes);
        reply.push(chunk, self.limits.bytes.min(before + left));
        self.bytes += reply.len() - before;
    }

    /// The exchange is over: it as any other, with its documents.
    pub fn end(&mut self, command: CommandExchange) -> Made {
        let reply = self.begun.remove(&command.id).unwrap_or_default();
        self.bytes -= reply.len();
        make(command, &reply, self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twintap_stream::FlowId;

    #[test]
    fn what_all_replies_take_is_bounded() {
        let mut replies = Replies::default();
        let chunk = Bytes::from(vec![b'a'; 1 << 20]);
        for flow in 0..100 {
            let id = ExchangeId {
                node: "node".into(),
                boot: 1,
                flow: FlowId(flow),
                offset: 0,
                from_response: false,
            };
            replies.data(id.clone(), &chunk);
            replies.data(id, &chunk);
        }
        assert_eq!(replies.bytes, MOST_BYTES);
    }
}
