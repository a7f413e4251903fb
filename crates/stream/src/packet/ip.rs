//! The headers of an IP packet.

use std::net::IpAddr;

use etherparse::{IpFragOffset, IpNumber, Ipv6ExtensionSlice, LaxIpSlice};

use super::{Rest, Skip};

/// What the headers say, IPv6's extension headers included.
#[derive(Debug)]
pub(super) struct IpHeader {
    /// Source and destination.
    pub addresses: (IpAddr, IpAddr),
    /// What the payload is.
    pub protocol: IpNumber,
    /// How long the headers are.
    pub length: usize,
    /// How long the payload was on the wire, without padding.
    pub payload_on_wire: usize,
    pub fragment: Option<Place>,
}

/// Where in its datagram a fragment lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub identification: u32,
    pub offset: IpFragOffset,
    pub more_follow: bool,
}

/// Reads the headers at the front.
pub(super) fn read(rest: &Rest) -> Result<IpHeader, Skip> {
    let Ok((ip, _)) = LaxIpSlice::from_slice(&rest.bytes) else {
        return Err(match rest.bytes.len() < rest.on_wire {
            true => Skip::Cut,
            false => Skip::Malformed,
        });
    };
    let payload = ip.payload();
    let length = payload.payload.as_ptr() as usize - rest.bytes.as_ptr() as usize;
    let place = match payload.fragmented {
        true => Some(place(&ip).ok_or(Skip::Malformed)?),
        false => None,
    };
    Ok(IpHeader {
        addresses: (ip.source_addr(), ip.destination_addr()),
        protocol: payload.ip_number,
        length,
        payload_on_wire: total_length(&ip, rest.on_wire).saturating_sub(length),
        fragment: place,
    })
}

/// Whether an IP packet begins here: what a tunnel over UDP, which anybody can pretend to be,
/// must hold. Its stated length may be less than `rest` by padding, never more.
pub(super) fn is_sound(rest: &Rest) -> bool {
    let bytes = &rest.bytes[..];
    let number = |at: usize| {
        bytes
            .get(at..at + 2)
            .map(|b| usize::from(b[0]) << 8 | usize::from(b[1]))
    };
    let stated = match bytes.first().map(|byte| (byte >> 4, byte & 0x0f)) {
        Some((4, words)) => {
            let header = usize::from(words) * 4;
            number(2).filter(|length| header >= 20 && (*length == 0 || *length >= header))
        }
        Some((6, _)) => number(4).map(|length| length + 40),
        _ => None,
    };
    stated.is_some_and(|length| length <= rest.on_wire)
}

/// The length of the IP packet with its header; what lies beyond it is padding, or a trailer.
///
/// It is all that there is where an offloading network card left the field empty, in jumbograms,
/// and where the packet is longer than 16 bits can say.
fn total_length(ip: &LaxIpSlice<'_>, on_wire: usize) -> usize {
    let stated = match ip {
        LaxIpSlice::Ipv4(ip) => {
            let length = usize::from(ip.header().total_len());
            (length >= ip.header().slice().len()).then_some(length)
        }
        LaxIpSlice::Ipv6(ip) => {
            let length = usize::from(ip.header().payload_length());
            (length > 0).then_some(length + ip.header().slice().len())
        }
    };
    match stated {
        Some(stated) if on_wire <= 0xffff + 40 => stated,
        _ => on_wire,
    }
}

fn place(ip: &LaxIpSlice<'_>) -> Option<Place> {
    match ip {
        LaxIpSlice::Ipv4(ip) => {
            let header = ip.header();
            Some(Place {
                identification: u32::from(header.identification()),
                offset: header.fragments_offset(),
                more_follow: header.more_fragments(),
            })
        }
        LaxIpSlice::Ipv6(ip) => {
            let mut extensions = ip.extensions().clone().into_iter();
            extensions.find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(fragment) => Some(Place {
                    identification: fragment.identification(),
                    offset: fragment.fragment_offset(),
                    more_follow: fragment.more_fragments(),
                }),
                _ => None,
            })
        }
    }
}
