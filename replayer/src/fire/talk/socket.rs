//! An HTTP/1 connection that became a WebSocket.

use std::sync::Arc;

use twintap_stream::message::Framing;

use super::super::response::RawAnswer;
use super::super::websocket::{Conversation, Script, Setting};
use super::{InFlight, Settled, Settlement};

/// A WebSocket, with the request that opened it and the head of the answer.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) request: InFlight,
    answer: Box<RawAnswer>,
    pub(crate) conversation: Conversation,
}

impl Socket {
    /// What follows an answer that opened one.
    pub(crate) fn begin(
        setting: Setting,
        request: InFlight,
        answer: Box<RawAnswer>,
        script: Arc<Script>,
    ) -> Socket {
        let (sent_ns, answered_ns) = (request.released_plan_ns, request.first_byte_ns);
        let fields = &answer.head.fields;
        let wanted = request.wanted.as_deref().unwrap_or_default();
        let conversation = Conversation::new(setting, script, fields, sent_ns, answered_ns);
        Socket {
            conversation: conversation.listening(&answer.head, wanted),
            request,
            answer,
        }
    }

    /// The whole of it as the answer: the head, and all that the twin said.
    pub(crate) fn settled(self: Box<Self>) -> Settled {
        let Socket {
            mut request,
            mut answer,
            conversation,
        } = *self;
        let ended = conversation.finish();
        request.lacks_values = ended.unbound > 0;
        request.lines_expired = ended.wait_expired;
        request.messages_not_kept = ended.not_kept;
        answer.body = ended.body;
        answer.held = ended.held;
        answer.timeline = ended.timeline;
        answer.framing = Framing::Socket;
        (request, Settlement::Answered(answer))
    }
}
