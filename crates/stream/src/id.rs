//! What identifies a flow and an exchange.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One flow: unique within the boot that saw it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One exchange: (node, boot, flow, offset of its request in the client's stream).
///
/// Written as `node/boot/flow/offset`, boot and flow as 16 hex digits. When no
/// byte of the request was seen, or the server spoke first, `offset` is that of
/// the response in the server's stream and `from_response` is set (written with
/// a leading `r`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId {
    /// The node's name; for an imported file `pcap`.
    pub node: Arc<str>,
    /// One life of the agent; for an imported file the head of its SHA-256-like digest.
    pub boot: u64,
    /// The flow.
    pub flow: FlowId,
    /// Stream offset of the first byte of the message that names the exchange.
    pub offset: u64,
    /// True when the response names the exchange, and `offset` counts in the server's stream.
    pub from_response: bool,
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.from_response { "r" } else { "" };
        write!(
            f,
            "{}/{:016x}/{}/{mark}{}",
            self.node, self.boot, self.flow, self.offset
        )
    }
}

/// A text that is no exchange id.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not an exchange id: {0:?} (expected node/boot/flow/offset)")]
pub struct ParseExchangeIdError(pub String);

impl FromStr for ExchangeId {
    type Err = ParseExchangeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.rsplitn(4, '/');
            let offset = parts.next()?;
            let flow = u64::from_str_radix(parts.next()?, 16).ok()?;
            let boot = u64::from_str_radix(parts.next()?, 16).ok()?;
            let node = parts.next()?;
            let from_response = offset.starts_with('r');
            let offset = offset.strip_prefix('r').unwrap_or(offset).parse().ok()?;
            Some(ExchangeId {
                node: Arc::from(node),
                boot,
                flow: FlowId(flow),
                offset,
                from_response,
            })
        };
        parse().ok_or_else(|| ParseExchangeIdError(text.to_owned()))
    }
}

impl Serialize for ExchangeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ExchangeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
