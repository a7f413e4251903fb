//! Records on their way into one frame.

use std::{collections::HashMap, net::Ipv6Addr};

use bytes::Bytes;
use twintap_abi::{CloseRecord, Direction, RecordHeader, Role};
use twintap_proto::v1;

use crate::rings::Captured;

/// What a record takes in an encoded batch beside its payload, at most.
const RECORD_OVERHEAD_BYTES: usize = 64;
/// What a flow takes in an encoded batch, at most.
const FLOW_OVERHEAD_BYTES: usize = 96;
/// What a record takes in memory beside its payload.
pub const RECORD_MEMORY_BYTES: usize = 192;

/// A batch that is full, or old enough.
#[derive(Debug, Default)]
pub struct RawBatch {
    /// Flows and records.
    pub batch: v1::Batch,
    /// TCP payload in it.
    pub payload_bytes: u64,
    /// What it holds in memory.
    pub memory_bytes: usize,
}

/// Collects records until a batch is full or old: `push`, and `take` when [`Self::is_due`].
#[derive(Debug)]
pub struct Batcher {
    limit_bytes: usize,
    max_age_ns: u64,
    open: RawBatch,
    encoded_bytes: usize,
    flows: HashMap<u64, u32>,
    opened_ns: Option<u64>,
}

impl Batcher {
    /// Batches of at most `limit_bytes` when encoded (one record of more than that goes alone), that
    /// wait no longer than `max_age_ns`.
    pub fn new(limit_bytes: usize, max_age_ns: u64) -> Self {
        Self {
            limit_bytes,
            max_age_ns,
            open: RawBatch::default(),
            encoded_bytes: 0,
            flows: HashMap::new(),
            opened_ns: None,
        }
    }

    /// Changes the largest size of a batch.
    pub fn set_limit(&mut self, limit_bytes: usize) {
        self.limit_bytes = limit_bytes;
    }

    /// Whether `payload_bytes` more would make the batch too large.
    pub fn is_full_for(&self, payload_bytes: usize) -> bool {
        let more = payload_bytes + RECORD_OVERHEAD_BYTES + FLOW_OVERHEAD_BYTES;
        !self.open.batch.records.is_empty() && self.encoded_bytes + more > self.limit_bytes
    }

    /// Whether the batch has waited long enough.
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.opened_ns
            .is_some_and(|opened| now_ns.saturating_sub(opened) >= self.max_age_ns)
    }

    /// Adds a record. `agent_dropped_bytes` is what the agent itself dropped of a flow that closes.
    pub fn push(&mut self, now_ns: u64, captured: Captured, agent_dropped_bytes: u64) {
        self.opened_ns.get_or_insert(now_ns);
        let flow = self.flow(captured.header());
        let (record, payload_bytes) = match captured {
            Captured::Segment(header, payload) => {
                let bytes = payload.len();
                (segment(flow, &header, payload), bytes)
            }
            Captured::Close(close) => (closed(flow, &close, agent_dropped_bytes), 0),
        };
        self.open.batch.records.push(record);
        self.open.payload_bytes += payload_bytes as u64;
        self.open.memory_bytes += payload_bytes + RECORD_MEMORY_BYTES;
        self.encoded_bytes += payload_bytes + RECORD_OVERHEAD_BYTES;
    }

    /// Takes the batch, if there is anything in it.
    pub fn take(&mut self) -> Option<RawBatch> {
        if self.open.batch.records.is_empty() {
            return None;
        }
        self.flows.clear();
        self.encoded_bytes = 0;
        self.opened_ns = None;
        Some(std::mem::take(&mut self.open))
    }

    fn flow(&mut self, header: &RecordHeader) -> u32 {
        let flows = &mut self.open.batch.flows;
        let encoded_bytes = &mut self.encoded_bytes;
        *self.flows.entry(header.flow).or_insert_with(|| {
            *encoded_bytes += FLOW_OVERHEAD_BYTES;
            flows.push(describe(header));
            // A frame of the largest size has far fewer flows than that.
            (flows.len() - 1) as u32
        })
    }
}

fn describe(header: &RecordHeader) -> v1::Flow {
    let local = (short(header.local_address), header.local_port);
    let remote = (short(header.remote_address), header.remote_port);
    let is_client = header.role == Role::Client as u8;
    let (client, server) = if is_client {
        (local, remote)
    } else {
        (remote, local)
    };
    let role = if is_client {
        v1::Role::Client
    } else {
        v1::Role::Server
    };
    v1::Flow {
        id: header.flow,
        role: role.into(),
        client_address: client.0,
        client_port: client.1.into(),
        server_address: server.0,
        server_port: server.1.into(),
        netns_cookie: header.netns_cookie,
        cgroup_id: header.cgroup_id,
    }
}

/// An address in 4 bytes where it is IPv4, else in 16.
fn short(address: [u8; 16]) -> Bytes {
    match Ipv6Addr::from(address).to_ipv4_mapped() {
        Some(address) => Bytes::copy_from_slice(&address.octets()),
        None => Bytes::copy_from_slice(&address),
    }
}

fn segment(flow: u32, header: &RecordHeader, payload: Bytes) -> v1::Record {
    let is_egress = header.direction == Direction::Egress as u8;
    let is_server = header.role == Role::Server as u8;
    v1::Record {
        flow,
        boottime_ns: header.boottime_ns,
        from_server: is_egress == is_server,
        offset: header.offset,
        sequence_number: header.sequence_number,
        acknowledgement: header.acknowledgement,
        flags: header.tcp_flags.into(),
        payload,
        kind: v1::RecordKind::Segment.into(),
        end: None,
        withheld_bytes: header.withheld_bytes,
    }
}

fn closed(flow: u32, close: &CloseRecord, agent_dropped_bytes: u64) -> v1::Record {
    let (client, server) = if close.header.role == Role::Client as u8 {
        (close.egress_final_offset, close.ingress_final_offset)
    } else {
        (close.ingress_final_offset, close.egress_final_offset)
    };
    v1::Record {
        flow,
        boottime_ns: close.header.boottime_ns,
        kind: v1::RecordKind::Close.into(),
        end: Some(v1::FlowEnd {
            client_final_offset: client,
            server_final_offset: server,
            dropped_bytes: close.dropped_bytes + agent_dropped_bytes,
            final_offsets_known: close.final_offsets_known == 1,
        }),
        ..v1::Record::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use twintap_abi::{CloseRecord, Direction, RecordHeader, RecordKind, Role};

    use super::Batcher;
    use crate::rings::Captured;

    fn header(flow: u64, role: Role, direction: Direction) -> RecordHeader {
        let mut local_address = [0; 16];
        local_address[10..].copy_from_slice(&[0xFF, 0xFF, 10, 0, 0, 1]);
        RecordHeader {
            flow,
            local_address,
            local_port: 80,
            remote_address: [0xFD; 16],
            remote_port: 50_000,
            role: role as u8,
            direction: direction as u8,
            ..RecordHeader::default()
        }
    }

    fn captured(flow: u64, role: Role, direction: Direction, bytes: usize) -> Captured {
        Captured::Segment(header(flow, role, direction), Bytes::from(vec![7; bytes]))
    }

    #[test]
    fn directions_and_addresses_follow_the_role() {
        let mut batcher = Batcher::new(1 << 20, 1);
        batcher.push(0, captured(1, Role::Server, Direction::Egress, 1), 0);
        batcher.push(0, captured(2, Role::Client, Direction::Egress, 1), 0);
        let batch = batcher.take().expect("two records").batch;
        assert!(batch.records[0].from_server);
        assert!(!batch.records[1].from_server);
        assert_eq!(batch.flows[0].server_address, &[10, 0, 0, 1][..]);
        assert_eq!(
            (batch.flows[0].server_port, batch.flows[0].client_port),
            (80, 50_000)
        );
        assert_eq!(batch.flows[1].client_address, &[10, 0, 0, 1][..]);
        assert_eq!(batch.flows[1].server_address, &[0xFD; 16][..]);
    }

    #[test]
    fn a_batch_never_encodes_to_more_than_its_limit() {
        const LIMIT: usize = 64 * 1024;
        let mut batcher = Batcher::new(LIMIT, 1);
        let mut largest = 0;
        for step in 0..5_000_u64 {
            let bytes = (step as usize * 37) % 3_000;
            if batcher.is_full_for(bytes) {
                largest = largest.max(batcher.take().expect("full").batch.encoded_len());
            }
            let mut record = captured(step % 900, Role::Server, Direction::Ingress, bytes);
            if let Captured::Segment(header, _) = &mut record {
                header.offset = u64::MAX - step;
                header.flow = header.flow.wrapping_mul(u64::MAX / 1_000);
                header.boottime_ns = u64::MAX;
                header.acknowledgement = u32::MAX;
            }
            batcher.push(0, record, 0);
        }
        assert!((LIMIT / 2..=LIMIT).contains(&largest), "{largest}");
    }

    #[test]
    fn age_counts_from_the_first_record() {
        let mut batcher = Batcher::new(1 << 20, 50);
        assert!(!batcher.is_due(1_000));
        batcher.push(1_000, captured(1, Role::Server, Direction::Ingress, 1), 0);
        assert!(!batcher.is_due(1_049));
        assert!(batcher.is_due(1_050));
        let batch = batcher.take().expect("one record");
        assert_eq!(batch.payload_bytes, 1);
        assert!(batcher.take().is_none());
        assert!(!batcher.is_due(9_999));
    }

    #[test]
    fn a_close_carries_what_both_sides_dropped() {
        let mut batcher = Batcher::new(1 << 20, 50);
        let close = CloseRecord {
            header: RecordHeader {
                kind: RecordKind::Close as u8,
                ..header(1, Role::Client, Direction::Ingress)
            },
            ingress_final_offset: 70,
            egress_final_offset: 30,
            dropped_bytes: 5,
            final_offsets_known: 1,
            reserved: 0,
        };
        batcher.push(0, Captured::Close(close), 4);
        let batch = batcher.take().expect("a record").batch;
        let end = batch.records[0].end.expect("it is a close");
        assert_eq!((end.client_final_offset, end.server_final_offset), (30, 70));
        assert_eq!((end.dropped_bytes, end.final_offsets_known), (9, true));
    }
}
