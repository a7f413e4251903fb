//! Where in a frame the IP packet starts.

use super::{Layer, LinkType, Skip, wireless};

/// Tags and labels that one frame may have.
const MAX_TAGS: u32 = 16;

/// Finds the IP packet in what starts with `layer`.
pub(super) fn find_ip(layer: Layer, frame: &[u8]) -> Result<usize, Skip> {
    match layer {
        Layer::Link(link) => of_link(link, frame),
        Layer::Ethernet => ethernet(frame, 0),
        Layer::EtherType(kind) => ether_type(frame, 0, kind),
        Layer::Ppp => ppp(frame, 0),
        Layer::Ip => ip_at(frame, 0),
    }
}

fn of_link(link: LinkType, frame: &[u8]) -> Result<usize, Skip> {
    match link.0 {
        // NULL and LOOP: an address family in some byte order. The IP version says the same.
        0 | 108 => ip_at(frame, 4),
        1 => ethernet(frame, 0),
        9 | 50 => ppp(frame, 0),
        // RAW has many numbers.
        12 | 14 | 101 | 228 | 229 => ip_at(frame, 0),
        51 => pppoe(frame, 0),
        // C_HDLC: an address, a control byte, an EtherType; or PPP.
        104 => match frame.first() {
            Some(0xff) => ppp(frame, 0),
            _ => ether_type(frame, 4, number(frame, 2)?),
        },
        105 | 119 | 127 | 163 | 192 => snap(frame, wireless::payload(link, frame)?),
        // LINUX_SLL and LINUX_SLL2.
        113 => ether_type(frame, 16, number(frame, 14)?),
        276 => ether_type(frame, 20, number(frame, 0)?),
        // PPP_WITH_DIR.
        204 => ppp(frame, 1),
        239 => nflog(frame),
        _ => Err(Skip::UnknownLink),
    }
}

pub(super) fn number(frame: &[u8], at: usize) -> Result<u16, Skip> {
    match frame.get(at..at + 2) {
        Some(bytes) => Ok(u16::from_be_bytes([bytes[0], bytes[1]])),
        None => Err(Skip::Cut),
    }
}

pub(super) fn byte(frame: &[u8], at: usize) -> Result<u8, Skip> {
    frame.get(at).copied().ok_or(Skip::Cut)
}

fn ip_at(frame: &[u8], at: usize) -> Result<usize, Skip> {
    match byte(frame, at)? >> 4 {
        4 | 6 => Ok(at),
        _ => Err(Skip::NotIp),
    }
}

fn ethernet(frame: &[u8], at: usize) -> Result<usize, Skip> {
    ether_type(frame, at + 14, number(frame, at + 12)?)
}

/// What follows at `at`, where the protocol before it said `kind`.
fn ether_type(frame: &[u8], mut at: usize, mut kind: u16) -> Result<usize, Skip> {
    // IEEE 802.1Q and 802.1ad, and the older numbers of stacked tags.
    let mut tags = 0;
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100 | 0x9200) {
        kind = number(frame, at + 2)?;
        at += 4;
        one_more(&mut tags)?;
    }
    match kind {
        0x0800 | 0x86dd => ip_at(frame, at),
        0x8847 | 0x8848 => mpls(frame, at),
        0x8864 => pppoe(frame, at),
        // A length: IEEE 802.3 with LLC.
        0..0x0600 => snap(frame, at),
        _ => Err(Skip::NotIp),
    }
}

/// LLC with SNAP (RFC 1042).
fn snap(frame: &[u8], at: usize) -> Result<usize, Skip> {
    match frame.get(at..at + 6) {
        None => Err(Skip::Cut),
        Some([0xaa, 0xaa, 0x03, 0, 0, 0]) => {
            let kind = number(frame, at + 6)?;
            match kind {
                0..0x0600 => Err(Skip::NotIp),
                _ => ether_type(frame, at + 8, kind),
            }
        }
        Some(_) => Err(Skip::NotIp),
    }
}

/// A stack of labels (RFC 3032). What follows is guessed, as everybody does.
fn mpls(frame: &[u8], mut at: usize) -> Result<usize, Skip> {
    let mut labels = 0;
    while byte(frame, at + 2)? & 1 == 0 {
        at += 4;
        one_more(&mut labels)?;
    }
    at += 4;
    match byte(frame, at)? >> 4 {
        4 | 6 => Ok(at),
        // A pseudowire's control word, then Ethernet (RFC 4448).
        0 => ethernet(frame, at + 4),
        _ => Err(Skip::NotIp),
    }
}

fn one_more(count: &mut u32) -> Result<(), Skip> {
    *count += 1;
    match *count > MAX_TAGS {
        true => Err(Skip::TooDeep),
        false => Ok(()),
    }
}

/// A PPPoE session header (RFC 2516).
fn pppoe(frame: &[u8], at: usize) -> Result<usize, Skip> {
    match byte(frame, at + 1)? {
        0 => ppp(frame, at + 6),
        _ => Err(Skip::NotIp),
    }
}

/// PPP, with or without address and control, protocol compressed or not (RFC 1661, RFC 1662).
fn ppp(frame: &[u8], mut at: usize) -> Result<usize, Skip> {
    if frame.get(at..at + 2) == Some(&[0xff, 0x03]) {
        at += 2;
    }
    match byte(frame, at)? {
        0x21 | 0x57 => return ip_at(frame, at + 1),
        _ => at += 2,
    }
    match number(frame, at - 2)? {
        0x0021 | 0x0057 => ip_at(frame, at),
        0x0281 | 0x0283 => mpls(frame, at),
        _ => Err(Skip::NotIp),
    }
}

/// Attributes in the byte order of the capturing machine: little-endian, nearly always.
fn nflog(frame: &[u8]) -> Result<usize, Skip> {
    nflog_payload(frame, u16::swap_bytes).or_else(|_| nflog_payload(frame, |number| number))
}

fn nflog_payload(frame: &[u8], order: fn(u16) -> u16) -> Result<usize, Skip> {
    const PAYLOAD: u16 = 9;
    let mut at = 4;
    loop {
        let length = usize::from(order(number(frame, at)?));
        if order(number(frame, at + 2)?) == PAYLOAD {
            return ip_at(frame, at + 4);
        }
        if length < 4 {
            return Err(Skip::NotIp);
        }
        at += length.next_multiple_of(4);
    }
}
