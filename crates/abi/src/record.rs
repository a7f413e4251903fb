//! Records as they lie in the rings.

/// What a record is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Payload follows the header, or the segment has SYN, FIN or RST.
    Segment = 0,
    /// The kernel closed the socket; the rest of a [`CloseRecord`] follows the header.
    Close = 1,
}

/// The head of each record. A ring's entry may be longer than header and payload: it has the size
/// of its class, and what follows the payload means nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Nanoseconds of the boot-time clock.
    pub boottime_ns: u64,
    /// [`crate::FlowState::id`].
    pub flow: u64,
    /// The stream offset of the first payload byte.
    pub offset: u64,
    /// The cookie of the socket's network namespace.
    pub netns_cookie: u64,
    /// The cgroup of the socket.
    pub cgroup_id: u64,
    /// The socket's own address.
    pub local_address: [u8; 16],
    /// The address of its peer.
    pub remote_address: [u8; 16],
    /// The socket's own port.
    pub local_port: u16,
    /// The port of its peer.
    pub remote_port: u16,
    /// The sequence number of the first payload byte.
    pub sequence_number: u32,
    /// The acknowledgement field.
    pub acknowledgement: u32,
    /// How many payload bytes follow.
    pub payload_bytes: u32,
    /// The TCP flags. When a segment was split, SYN stands in its first record and FIN and RST in
    /// its last.
    pub tcp_flags: u8,
    /// A [`RecordKind`].
    pub kind: u8,
    /// A [`crate::Role`].
    pub role: u8,
    /// A [`crate::Direction`].
    pub direction: u8,
    /// Payload bytes of the segment that an order kept back; then no payload follows.
    pub withheld_bytes: u32,
}

/// The record that closes a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloseRecord {
    /// Whose flow; offset, sequence number and payload are zero.
    pub header: RecordHeader,
    /// One past the last byte towards the socket.
    pub ingress_final_offset: u64,
    /// One past the last byte from the socket.
    pub egress_final_offset: u64,
    /// Payload bytes of this flow that were dropped in the kernel, any cause.
    pub dropped_bytes: u64,
    /// 1 when both final offsets are known.
    pub final_offsets_known: u32,
    /// Always zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<RecordHeader>() == 96);
const _: () = assert!(size_of::<CloseRecord>() == 128);
const _: () = assert!(size_of::<crate::FlowKey>() == 48);
const _: () = assert!(size_of::<crate::FlowState>() == 80);
const _: () = assert!(size_of::<crate::Config>() == 48);
const _: () = assert!(size_of::<crate::Endpoint>() == 20);
