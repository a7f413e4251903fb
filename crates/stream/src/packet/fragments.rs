//! IP datagrams that came in fragments.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use etherparse::defrag::IpDefragBuf;

use super::ip::{IpHeader, Place};
use crate::time::Timestamp;

/// How many datagrams are waited for. One has at most 64 KiB.
const MAX_DATAGRAMS: usize = 256;
/// How long a datagram is waited for (RFC 8200, section 4.5).
const MAX_AGE_NS: u64 = 60_000_000_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: u8,
}

#[derive(Debug)]
struct Datagram {
    buffer: IpDefragBuf,
    fragments: u64,
    since: Timestamp,
}

/// Datagrams of which some fragments were seen.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
    /// Their keys, oldest first; a key may stay here after its datagram is gone.
    order: VecDeque<Key>,
    lost: u64,
}

impl Fragments {
    /// Takes a fragment in; gives the datagram's payload when it is the last one missing.
    pub fn add(
        &mut self,
        ip: &IpHeader,
        place: Place,
        payload: &[u8],
        time: Timestamp,
    ) -> Option<Vec<u8>> {
        let key = Key {
            source: ip.addresses.0,
            destination: ip.addresses.1,
            identification: place.identification,
            protocol: ip.protocol.0,
        };
        self.make_room(time);
        let datagram = self.datagrams.entry(key.clone()).or_insert_with(|| {
            self.order.push_back(key.clone());
            Datagram {
                buffer: IpDefragBuf::new(ip.protocol, Vec::new(), Vec::new()),
                fragments: 0,
                since: time,
            }
        });
        datagram.fragments += 1;
        if datagram
            .buffer
            .add(place.offset, place.more_follow, payload)
            .is_err()
        {
            self.lost += datagram.fragments;
            self.datagrams.remove(&key);
            return None;
        }
        if !datagram.buffer.is_complete() {
            return None;
        }
        let (payload, _) = self.datagrams.remove(&key)?.buffer.take_bufs();
        Some(payload)
    }

    /// Fragments given up since the last call.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn make_room(&mut self, now: Timestamp) {
        while let Some(oldest) = self.order.front() {
            let is_due = match self.datagrams.get(oldest) {
                None => true,
                Some(datagram) => {
                    now.since_ns(datagram.since) > MAX_AGE_NS || self.order.len() >= MAX_DATAGRAMS
                }
            };
            if !is_due {
                break;
            }
            if let Some(datagram) = self
                .order
                .pop_front()
                .and_then(|key| self.datagrams.remove(&key))
            {
                self.lost += datagram.fragments;
            }
        }
    }
}
