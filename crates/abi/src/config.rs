//! What user space tells the kernel programs.

use crate::Role;

/// [`Config::filters`]: only the server ports in the map `PORTS`.
pub const FILTER_PORTS: u32 = 1;
/// [`Config::filters`]: only the cgroup ids in the map `CGROUPS`.
pub const FILTER_CGROUPS: u32 = 2;
/// [`Config::filters`]: only peers within the prefixes in the map `PREFIXES`.
pub const FILTER_PREFIXES: u32 = 4;

/// A set of [`Role`]s, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(pub u32);

impl Roles {
    /// Whether the set holds `role`.
    #[inline(always)]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (role as u32) != 0
    }
}

/// What the kernel programs read before each packet. While it is zero nothing is captured.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Changes with each change of a filter, so that flows are decided anew; never 0 in use.
    pub generation: u32,
    /// [`Roles`] that are captured.
    pub roles: u32,
    /// Which filters narrow the capture: `FILTER_*` bits.
    pub filters: u32,
    /// How many flows have an order in the map `STOPPED`; the map is not asked while 0.
    pub stopped_flows: u32,
    /// The reader of a ring is woken when so many bytes wait in it.
    pub wake_bytes: u32,
    /// How many rings are in use, minus one; a power of two minus one.
    pub ring_mask: u32,
    /// A cgroup that is never captured; 0 for none.
    pub excluded_cgroup: u64,
}

/// An address and port that are never captured, on whichever side they stand.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The address; all zero stands for every local address.
    pub address: [u8; 16],
    /// The port.
    pub port: u16,
    /// Always zero.
    pub reserved: u16,
}
