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
    /// 1 when flows may have an order in the map `ORDERS`; the map is not asked while 0.
    pub ordered_flows: u32,
    /// The reader of a ring is woken when so many bytes wait in it.
    pub wake_bytes: u32,
    /// How many rings are in use, minus one; a power of two minus one.
    pub ring_mask: u32,
    /// A cgroup that is never captured; 0 for none.
    pub excluded_cgroup: u64,
    /// Not 0: nothing is captured, and only ends of flows that were are told.
    pub paused: u32,
    /// Clients whose [`client_share`] is below it are shed; 0 for none, [`ALL_SHARES`] for all.
    pub shed_shares: u32,
    /// Nothing is captured when user space has not said for so long that it is there, nanoseconds.
    pub heartbeat_limit_ns: u64,
}

/// How many shares of the clients there are.
pub const ALL_SHARES: u32 = 256;

/// Which share of the clients an address belongs to: evenly spread, the same in each life.
#[inline(always)]
pub const fn client_share(address: &[u8; 16]) -> u32 {
    // The 64-bit golden ratio, as in Fibonacci hashing: every bit of the address reaches the top.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *address;
    let upper = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
    let lower = u64::from_ne_bytes([i, j, k, l, m, n, o, p]);
    let mixed = upper.wrapping_mul(SPREAD) ^ lower;
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(SPREAD);
    (mixed >> 56) as u32
}

/// What the daemon ordered for one flow.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing of it is recorded but its end.
    Stop = 1,
    /// Its segments are recorded without their payload.
    HeadersOnly = 2,
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

#[cfg(test)]
mod tests {
    use super::{ALL_SHARES, client_share};

    #[test]
    fn neighbouring_addresses_spread_evenly() {
        let mut counts = [0_u32; 4];
        for last in 0..=255 {
            for third in 0..16 {
                let address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 1, third, last];
                let share = client_share(&address);
                assert!(share < ALL_SHARES);
                counts[share as usize / 64] += 1;
            }
        }
        assert!(
            counts.iter().all(|count| (900..1150).contains(count)),
            "{counts:?}"
        );
    }
}
