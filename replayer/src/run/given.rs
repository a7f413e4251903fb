//! Values that twins' answers give.

use std::sync::Arc;

use bytes::Bytes;
use twintap_scrub::{Scrubber, Timeline, split_messages};
use twintap_stream::ResponseHead;

use crate::fire::websocket::Extract;

/// The values at these leaves' paths in an answer; `said` is the timeline of a WebSocket, whose
/// messages the body is.
pub fn values_at<'a>(
    scrubber: &Scrubber,
    head: &ResponseHead,
    body: &Bytes,
    said: Option<&Timeline>,
    paths: impl Iterator<Item = &'a str>,
) -> Vec<Option<Bytes>> {
    let messages = said.map(|timeline| split_messages(body, timeline));
    let value = |path: &str| {
        let messages = messages.as_deref();
        messages
            .and_then(|messages| scrubber.extract_from_messages(messages, path))
            .or_else(|| scrubber.extract(head, body, path))
    };
    paths.map(|path| value(path).map(Bytes::from)).collect()
}

/// Finds values in what twins say over WebSockets, as [`values_at`] does in answers.
pub fn extract(scrubber: &Scrubber) -> Extract {
    let scrubber = scrubber.clone();
    Arc::new(move |message, path| scrubber.extract_from_message(message, path))
}
