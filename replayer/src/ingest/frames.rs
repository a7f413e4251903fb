//! Frames as the wire carries them to records and segments.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;
use twintap_proto::v1::{Batch, Codec, Flow, Frame, Record};
use twintap_stream::{Direction, Endpoints, FlowId, Segment, Source, TcpFlags, Timestamp};

/// Largest batch, in bytes after decompression, that the daemon takes.
pub const MAX_BATCH_BYTES: u32 = 16 * 1024 * 1024;

/// Why a frame can't be decoded. It is counted and marked durable, for sending
/// it again would not mend it.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The codec is none that this version knows.
    #[error("unknown codec {0}")]
    Codec(i32),
    /// The frame announces more than the limit.
    #[error("a batch of {0} bytes is over the limit of {MAX_BATCH_BYTES}")]
    TooLarge(u32),
    /// zstd refused it.
    #[error("decompression failed: {0}")]
    Decompress(#[from] std::io::Error),
    /// Not the announced size.
    #[error("the batch has {actual} bytes and not the announced {announced}")]
    Size {
        /// Bytes after decompression.
        actual: usize,
        /// What the frame said.
        announced: u32,
    },
    /// Not a Batch.
    #[error("not a batch: {0}")]
    Decode(#[from] prost::DecodeError),
}

/// The batch inside a frame; payloads share one buffer.
pub fn decode_batch(frame: &Frame) -> Result<Batch, FrameError> {
    if frame.batch_bytes > MAX_BATCH_BYTES {
        return Err(FrameError::TooLarge(frame.batch_bytes));
    }
    let plain = match Codec::try_from(frame.codec) {
        Ok(Codec::None) => frame.payload.clone(),
        Ok(Codec::Zstd) => Bytes::from(zstd::bulk::decompress(
            &frame.payload,
            frame.batch_bytes as usize,
        )?),
        Ok(Codec::Unspecified) | Err(_) => return Err(FrameError::Codec(frame.codec)),
    };
    if plain.len() != frame.batch_bytes as usize {
        return Err(FrameError::Size {
            actual: plain.len(),
            announced: frame.batch_bytes,
        });
    }
    Ok(Batch::decode(plain)?)
}

/// The ends of a flow; `None` when an address is neither 4 nor 16 bytes long.
pub fn endpoints(flow: &Flow) -> Option<Endpoints> {
    let client = address(&flow.client_address, flow.client_port)?;
    let server = address(&flow.server_address, flow.server_port)?;
    Some(Endpoints::normalised(client, server))
}

fn address(bytes: &[u8], port: u32) -> Option<SocketAddr> {
    let port = u16::try_from(port).ok()?;
    let ip = if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        IpAddr::V4(Ipv4Addr::from(octets))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
    };
    Some(SocketAddr::new(ip, port))
}

/// The segment that a record stands for.
pub fn segment(
    record: Record,
    flow: FlowId,
    endpoints: Endpoints,
    time: Timestamp,
    mark: u64,
) -> Segment {
    let (direction, endpoints) = if record.from_server {
        (Direction::Server, endpoints.swapped())
    } else {
        (Direction::Client, endpoints)
    };
    // What an order kept back is known to be missing, as what a capture file cuts off is.
    let wire_bytes = u32::try_from(record.payload.len())
        .unwrap_or(u32::MAX)
        .saturating_add(record.withheld_bytes);
    Segment {
        time,
        endpoints,
        source: Source::Kernel {
            flow,
            direction,
            offset: record.offset,
        },
        sequence_number: record.sequence_number,
        acknowledgement: record.acknowledgement,
        // The flags are one byte in the header.
        flags: TcpFlags((record.flags & 0xff) as u8),
        payload: record.payload,
        wire_bytes,
        mark,
    }
}
