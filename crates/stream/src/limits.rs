//! How much the crate may hold, and how long it waits.

/// The limits of a [`Streams`](crate::Streams).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes that one flow may hold; past it a hole is given up as a gap, then the flow is evicted.
    pub flow_buffer_bytes: u64,
    /// Bytes that all flows may hold; past it the least recently active flow is evicted.
    pub total_buffer_bytes: u64,
    /// How many flows may be live; past it the least recently active one is evicted.
    pub max_flows: usize,
    /// The largest head of a message, the largest chunk-size line, the largest trailer section.
    pub max_head_bytes: u64,
    /// A flow without a segment for this long is over.
    pub idle_ns: u64,
    /// How long a flow that was reset or closed waits for segments that are under way, and how
    /// long a flow that is over still recognises its late duplicates.
    pub linger_ns: u64,
    /// A hole that the receiver acknowledged is a gap after this long, or after
    /// [`Limits::gap_segments`], whichever comes first.
    pub gap_ns: u64,
    /// A hole that the receiver acknowledged is a gap after this many more segments of its flow.
    pub gap_segments: u32,
    /// A hole that nobody acknowledged is a gap after this long.
    pub gap_unacknowledged_ns: u64,
    /// Whether bytes that nobody claims become [`EventKind::Opaque`](crate::EventKind::Opaque).
    pub emit_opaque: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            flow_buffer_bytes: 8 << 20,
            total_buffer_bytes: 256 << 20,
            max_flows: 65_536,
            max_head_bytes: 256 << 10,
            idle_ns: 600_000_000_000,
            linger_ns: 2_000_000_000,
            gap_ns: 500_000_000,
            gap_segments: 32,
            gap_unacknowledged_ns: 15_000_000_000,
            emit_opaque: false,
        }
    }
}
