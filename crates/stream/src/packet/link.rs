//! Where in a frame the IP packet starts.

use super::LinkType;

/// Why there is no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoIp {
    UnknownLink,
    OtherProtocol,
    Cut,
}

/// Finds the IP packet in a frame.
pub(super) fn find_ip(link: LinkType, frame: &[u8]) -> Result<usize, NoIp> {
    match link.0 {
        // NULL and LOOP: an address family in some byte order. The IP version says the same.
        0 | 108 => ip_at(frame, 4),
        1 => ethernet(frame, 0),
        9 | 50 => ppp(frame, 0),
        // RAW has many numbers.
        12 | 14 | 101 | 228 | 229 => ip_at(frame, 0),
        51 => pppoe(frame, 0),
        105 => wireless(frame, 0),
        // LINUX_SLL and LINUX_SLL2.
        113 => ether_type(frame, 16, number(frame, 14)?),
        276 => ether_type(frame, 20, number(frame, 0)?),
        // A radiotap header, its length in little-endian.
        127 => wireless(frame, usize::from(number(frame, 2)?.swap_bytes())),
        239 => nflog(frame),
        _ => Err(NoIp::UnknownLink),
    }
}

fn number(frame: &[u8], at: usize) -> Result<u16, NoIp> {
    match frame.get(at..at + 2) {
        Some(bytes) => Ok(u16::from_be_bytes([bytes[0], bytes[1]])),
        None => Err(NoIp::Cut),
    }
}

fn byte(frame: &[u8], at: usize) -> Result<u8, NoIp> {
    frame.get(at).copied().ok_or(NoIp::Cut)
}

fn ip_at(frame: &[u8], at: usize) -> Result<usize, NoIp> {
    match byte(frame, at)? >> 4 {
        4 | 6 => Ok(at),
        _ => Err(NoIp::OtherProtocol),
    }
}

fn ethernet(frame: &[u8], at: usize) -> Result<usize, NoIp> {
    ether_type(frame, at + 14, number(frame, at + 12)?)
}

/// What follows at `at`, where the protocol before it said `kind`.
fn ether_type(frame: &[u8], mut at: usize, mut kind: u16) -> Result<usize, NoIp> {
    // IEEE 802.1Q and 802.1ad, and the older number of stacked tags.
    while matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
        kind = number(frame, at + 2)?;
        at += 4;
    }
    match kind {
        0x0800 | 0x86dd => ip_at(frame, at),
        0x8847 | 0x8848 => mpls(frame, at),
        0x8864 => pppoe(frame, at),
        // A length: IEEE 802.3 with LLC.
        0..0x0600 => snap(frame, at),
        _ => Err(NoIp::OtherProtocol),
    }
}

/// LLC with SNAP (RFC 1042).
fn snap(frame: &[u8], at: usize) -> Result<usize, NoIp> {
    match frame.get(at..at + 6) {
        None => Err(NoIp::Cut),
        Some([0xaa, 0xaa, 0x03, 0, 0, 0]) => {
            let kind = number(frame, at + 6)?;
            match kind {
                0..0x0600 => Err(NoIp::OtherProtocol),
                _ => ether_type(frame, at + 8, kind),
            }
        }
        Some(_) => Err(NoIp::OtherProtocol),
    }
}

/// A stack of labels (RFC 3032). What follows is guessed, as everybody does.
fn mpls(frame: &[u8], mut at: usize) -> Result<usize, NoIp> {
    while byte(frame, at + 2)? & 1 == 0 {
        at += 4;
    }
    at += 4;
    match byte(frame, at)? >> 4 {
        4 | 6 => Ok(at),
        // A pseudowire's control word, then Ethernet (RFC 4448).
        0 => ethernet(frame, at + 4),
        _ => Err(NoIp::OtherProtocol),
    }
}

/// A PPPoE session header (RFC 2516).
fn pppoe(frame: &[u8], at: usize) -> Result<usize, NoIp> {
    match byte(frame, at + 1)? {
        0 => ppp(frame, at + 6),
        _ => Err(NoIp::OtherProtocol),
    }
}

/// PPP, with or without address and control, protocol compressed or not (RFC 1661, RFC 1662).
fn ppp(frame: &[u8], mut at: usize) -> Result<usize, NoIp> {
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
        _ => Err(NoIp::OtherProtocol),
    }
}

/// A data frame of IEEE 802.11.
fn wireless(frame: &[u8], at: usize) -> Result<usize, NoIp> {
    let (control, flags) = (byte(frame, at)?, byte(frame, at + 1)?);
    let is_data = control & 0x0c == 0x08;
    let carries_nothing = control & 0x40 != 0;
    let is_protected = flags & 0x40 != 0;
    if !is_data || carries_nothing || is_protected {
        return Err(NoIp::OtherProtocol);
    }
    let mut header = 24;
    if flags & 0x03 == 0x03 {
        header += 6;
    }
    if control & 0x80 != 0 {
        // Quality of service, and with the order flag the HT control field.
        header += 2;
        if flags & 0x80 != 0 {
            header += 4;
        }
    }
    snap(frame, at + header)
}

/// Attributes in the byte order of the capturing machine: little-endian, nearly always.
fn nflog(frame: &[u8]) -> Result<usize, NoIp> {
    nflog_payload(frame, u16::swap_bytes).or_else(|_| nflog_payload(frame, |number| number))
}

fn nflog_payload(frame: &[u8], order: fn(u16) -> u16) -> Result<usize, NoIp> {
    const PAYLOAD: u16 = 9;
    let mut at = 4;
    loop {
        let length = usize::from(order(number(frame, at)?));
        if order(number(frame, at + 2)?) == PAYLOAD {
            return ip_at(frame, at + 4);
        }
        if length < 4 {
            return Err(NoIp::OtherProtocol);
        }
        at += length.next_multiple_of(4);
    }
}
