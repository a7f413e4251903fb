//! Flows as the kernel programs keep them.

/// Where offsets begin in a stream whose begin was not seen.
///
/// Far above any offset that counts from a SYN, and with zero in its low half, so that what lies
/// before the first segment seen (a retransmission) still has an offset.
pub const MID_STREAM_OFFSET: u64 = 1 << 40;

/// One TCP connection as one of its two sockets sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The cookie of the socket's network namespace.
    pub netns_cookie: u64,
    /// The socket's own address.
    pub local_address: [u8; 16],
    /// The address of its peer.
    pub remote_address: [u8; 16],
    /// The socket's own port.
    pub local_port: u16,
    /// The port of its peer.
    pub remote_port: u16,
    /// Always zero.
    pub reserved: u32,
}

/// The role of the captured socket.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It accepted the connection: ingress is the request.
    Server = 1,
    /// It opened the connection: egress is the request.
    Client = 2,
}

impl Role {
    /// The role that `value` stands for.
    #[inline(always)]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Server),
            2 => Some(Self::Client),
            _ => None,
        }
    }
}

/// Which way a segment went, seen from the captured socket.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the captured socket.
    Ingress = 0,
    /// From the captured socket.
    Egress = 1,
}

/// One direction of a flow: how its sequence numbers become offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// The highest offset seen so far, one past the last byte.
    pub high: u64,
    /// The offset at which the sender's FIN stands, plus one; 0 while no FIN was seen.
    pub fin_offset_plus_one: u64,
    /// The sequence number of the offset whose low 32 bits are zero.
    pub base_sequence: u32,
    /// 1 once `base_sequence` is set.
    pub known: u32,
}

impl StreamState {
    /// A direction whose first payload byte has the sequence number `first`: a SYN was seen.
    #[inline(always)]
    pub const fn from_begin(first: u32) -> Self {
        Self {
            high: 0,
            fin_offset_plus_one: 0,
            base_sequence: first,
            known: 1,
        }
    }

    /// A direction that was joined at the sequence number `first`.
    #[inline(always)]
    pub const fn from_middle(first: u32) -> Self {
        Self {
            high: MID_STREAM_OFFSET,
            fin_offset_plus_one: 0,
            base_sequence: first,
            known: 1,
        }
    }

    /// The 64-bit offset of a sequence number within 2 GiB of the highest that was seen.
    #[inline(always)]
    pub const fn offset(&self, sequence: u32) -> u64 {
        let expected = self.base_sequence.wrapping_add(self.high as u32);
        let ahead = sequence.wrapping_sub(expected) as i32;
        self.high.wrapping_add(ahead as i64 as u64)
    }
}

/// What the kernel programs know of a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    /// Unique for as long as the programs are loaded; never 0.
    pub id: u64,
    /// The cgroup of the socket; 0 while only `sock_ops` saw it.
    pub cgroup_id: u64,
    /// Payload bytes of this flow that were dropped, any cause.
    pub dropped_bytes: u64,
    /// Towards the captured socket.
    pub ingress: StreamState,
    /// From the captured socket.
    pub egress: StreamState,
    /// The generation of the filters that decided `captured`; 0 asks for a decision.
    pub generation: u32,
    /// A [`Role`], or 0.
    pub role: u8,
    /// 1 when the filters name this flow.
    pub captured: u8,
    /// Always zero.
    pub reserved: u16,
}

#[cfg(test)]
mod tests {
    use super::{MID_STREAM_OFFSET, StreamState};

    #[test]
    fn offsets_widen_over_the_wrap_of_sequence_numbers() {
        let mut stream = StreamState::from_begin(u32::MAX - 9);
        assert_eq!(stream.offset(u32::MAX - 9), 0);
        assert_eq!(stream.offset(0), 10);
        stream.high = 5 << 32;
        assert_eq!(stream.offset(0), (5 << 32) + 10);
        assert_eq!(stream.offset(u32::MAX - 10), (5 << 32) - 1);
    }

    #[test]
    fn what_lies_before_a_mid_stream_start_has_an_offset() {
        let stream = StreamState::from_middle(1000);
        assert_eq!(stream.offset(1000), MID_STREAM_OFFSET);
        assert_eq!(stream.offset(990), MID_STREAM_OFFSET - 10);
    }
}
