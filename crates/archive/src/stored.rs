//! Exchanges as they are read back.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twintap_scrub::{ExchangeRecord, Scrubbed, Timeline};
use twintap_stream::{Exchange, ExchangeId, Message, RequestHead};

use crate::error::DamageCause;
use crate::format::Cursor;

/// An exchange with its notes and its bodies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoredExchange {
    /// The exchange and what scrubbing noted.
    pub record: Scrubbed<ExchangeRecord>,
    /// The request's body.
    #[serde(rename = "request")]
    pub request_body: StoredBody,
    /// The response's body.
    #[serde(rename = "response")]
    pub response_body: StoredBody,
}

impl StoredExchange {
    /// The exchange.
    pub fn exchange(&self) -> &Exchange {
        &self.record.exchange
    }

    /// Its id.
    pub fn id(&self) -> &ExchangeId {
        &self.record.exchange.id
    }
}

/// The request of a stored exchange: all that a twin is sent, unless it is a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// The exchange's id.
    pub id: ExchangeId,
    /// The request.
    pub request: Message<RequestHead>,
    /// When the pieces of its body were sent.
    pub timeline: Timeline,
    /// Its body.
    pub body: StoredBody,
}

impl StoredRequest {
    /// Decodes it from the record of a [`StoredExchange`].
    pub(crate) fn decode(record: &[u8]) -> Result<StoredRequest, DamageCause> {
        let (mut id, mut request, mut body) = (None, None, None);
        let mut timeline = Timeline::default();
        let mut cursor = Cursor::new(record);
        cursor.map(|key, cursor| match key {
            b"record" => cursor.map(|key, cursor| match key {
                b"exchange" => cursor.map(|key, cursor| {
                    match key {
                        b"id" => id = Some(cursor.decode()?),
                        b"request" => request = Some(cursor.decode()?),
                        _ => cursor.skip()?,
                    }
                    Ok(())
                }),
                b"request" => cursor.map(|key, cursor| {
                    match key {
                        b"timeline" => timeline = cursor.decode()?,
                        _ => cursor.skip()?,
                    }
                    Ok(())
                }),
                _ => cursor.skip(),
            }),
            b"request" => {
                body = Some(cursor.decode()?);
                Ok(())
            }
            _ => cursor.skip(),
        })?;
        if !cursor.is_at_end() {
            return Err(DamageCause::Length);
        }
        let missing = || DamageCause::Content("a record without a request".to_owned());
        Ok(StoredRequest {
            id: id.ok_or_else(missing)?,
            request: request.ok_or_else(missing)?,
            timeline,
            body: body.ok_or_else(missing)?,
        })
    }
}

impl From<StoredExchange> for StoredRequest {
    fn from(stored: StoredExchange) -> StoredRequest {
        let record = stored.record.into_inner();
        StoredRequest {
            id: record.exchange.id,
            request: record.exchange.request,
            timeline: record.request.timeline,
            body: stored.request_body,
        }
    }
}

/// A body: within the record, or in blocks of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum StoredBody {
    /// There is none.
    #[default]
    Empty,
    /// All of it.
    Inline(Scrubbed<Bytes>),
    /// It lies in blocks, which [`Reader::body`](crate::Reader::body) reads.
    Blocks {
        /// Where, in the order of its bytes.
        refs: Vec<BlockRef>,
        /// How long it is.
        bytes: u64,
    },
}

impl StoredBody {
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            StoredBody::Empty => 0,
            StoredBody::Inline(bytes) => bytes.len() as u64,
            StoredBody::Blocks { bytes, .. } => *bytes,
        }
    }
}

/// Where a run of a body's bytes lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// The part.
    pub part: u64,
    /// The block's offset in it.
    pub offset: u64,
    /// 0 for a block of bytes; else a block of references, each one less deep.
    pub depth: u8,
    /// Bytes of the body below it.
    pub bytes: u64,
}

impl Serialize for BlockRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.part, self.offset, self.depth, self.bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BlockRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (part, offset, depth, bytes) = Deserialize::deserialize(deserializer)?;
        Ok(BlockRef {
            part,
            offset,
            depth,
            bytes,
        })
    }
}

/// [`StoredExchange`] as it is written.
#[derive(Debug, Serialize)]
pub(crate) struct RecordOut<'a> {
    pub record: &'a Scrubbed<ExchangeRecord>,
    pub request: BodyOut,
    pub response: BodyOut,
}

/// [`StoredBody`] as it is written: the bytes were handed over as scrubbed, in pieces.
#[derive(Debug, Serialize)]
#[serde(rename = "StoredBody")]
pub(crate) enum BodyOut {
    Empty,
    Inline(Bytes),
    Blocks { refs: Vec<BlockRef>, bytes: u64 },
}
