//! The `#[repr(C)]` records that the kernel programs and the agent share.
//!
//! Both sides are built from this file, so a record never crosses from one version of the layout to
//! another. Every type has fixed-width fields and no padding: padding would be uninitialised memory,
//! which the verifier refuses to hand to user space. Fields are in the machine's byte order;
//! addresses are in network order, as 16 bytes, IPv4 as IPv4-mapped IPv6 (RFC 4291, 2.5.5.2).
#![no_std]

mod config;
mod flow;
mod ledger;
mod record;
#[cfg(feature = "user")]
mod user;

pub use config::{
    ALL_SHARES, Config, Endpoint, FILTER_CGROUPS, FILTER_PORTS, FILTER_PREFIXES, Order, Roles,
    client_share,
};
pub use flow::{Direction, FlowKey, FlowState, MID_STREAM_OFFSET, Role, StreamState};
pub use ledger::{Cause, Count, Ledger};
pub use record::{CloseRecord, RecordHeader, RecordKind};

/// The most ring buffers that the kernel programs know; how many are used is in [`Config`].
pub const MAX_RINGS: usize = 8;

/// The most payload bytes of one record; longer segments are split over several records.
pub const MAX_RECORD_PAYLOAD: usize = 65_536;

/// TCP flag bits (RFC 9293, 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement field is significant.
    pub const ACK: u8 = 0x10;
}
