//! What carries packets inside an IP packet.

use etherparse::IpNumber;

use super::link::{byte, find_ip, number};
use super::{Layer, Rest, Skip, ip};

/// UDP's ports of tunnels.
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
/// Linux's default before a number was assigned.
const VXLAN_OLD: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const L2TP: u16 = 1701;
const MPLS: u16 = 6635;

/// What a link layer calls them.
const ETHER_MPLS: u16 = 0x8847;
const ETHER_BRIDGED: u16 = 0x6558;

/// Opens what an IP packet carries: leaves the inner packet in `rest` and says what it starts
/// with.
pub(super) fn open(protocol: IpNumber, rest: &mut Rest) -> Result<Layer, Skip> {
    match protocol.0 {
        // IPv4 and IPv6 (RFC 2003, RFC 2473, RFC 4213).
        4 | 41 => Ok(Layer::Ip),
        17 => udp(rest),
        47 => gre(rest),
        50 => Err(Skip::Encrypted),
        // EtherIP (RFC 3378).
        97 => {
            rest.skip(2)?;
            Ok(Layer::Ethernet)
        }
        132 => Err(Skip::Sctp),
        137 => Ok(Layer::EtherType(ETHER_MPLS)),
        _ => Err(Skip::NotTcp),
    }
}

/// Generic Routing Encapsulation (RFC 2784, RFC 2890); version 1 is PPTP's (RFC 2637).
fn gre(rest: &mut Rest) -> Result<Layer, Skip> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGEMENT: u16 = 0x0080;
    let (flags, kind) = (number(&rest.bytes, 0)?, number(&rest.bytes, 2)?);
    let version = flags & 0x0007;
    let words = |mask: u16| u32::from(flags & mask != 0) as usize;
    if flags & ROUTING != 0 {
        // Routes to walk were taken out of the protocol: nobody sends them.
        return Err(Skip::NotTcp);
    }
    match version {
        0 => rest.skip(4 + 4 * (words(CHECKSUM) + words(KEY) + words(SEQUENCE)))?,
        1 => rest.skip(8 + 4 * (words(SEQUENCE) + words(ACKNOWLEDGEMENT)))?,
        _ => return Err(Skip::NotTcp),
    }
    match kind {
        0x880b => Ok(Layer::Ppp),
        ETHER_BRIDGED => Ok(Layer::Ethernet),
        // ERSPAN: type I has no header of its own and no sequence number, type II has 8 bytes.
        0x88be => {
            rest.skip(8 * words(SEQUENCE))?;
            Ok(Layer::Ethernet)
        }
        0x22eb => erspan_3(rest),
        // WCCP may have a header of 4 bytes before IPv4.
        0x883e => {
            if byte(&rest.bytes, 0)? >> 4 != 4 {
                rest.skip(4)?;
            }
            Ok(Layer::Ip)
        }
        kind => Ok(Layer::EtherType(kind)),
    }
}

/// ERSPAN type III: 12 bytes, and 8 more where its last bit says so.
fn erspan_3(rest: &mut Rest) -> Result<Layer, Skip> {
    let flags = number(&rest.bytes, 10)?;
    rest.skip(12 + 8 * usize::from(flags & 1))?;
    match flags >> 10 & 0x1f {
        2 => Ok(Layer::Ip),
        _ => Ok(Layer::Ethernet),
    }
}

/// Tunnels over UDP. Anybody may use the ports, so only a sound packet is taken for one.
fn udp(rest: &mut Rest) -> Result<Layer, Skip> {
    let ports = [number(&rest.bytes, 0)?, number(&rest.bytes, 2)?];
    let length = usize::from(number(&rest.bytes, 4)?);
    rest.skip(8).map_err(|_| Skip::NotTcp)?;
    if length >= 8 && length - 8 < rest.on_wire {
        rest.limit(length - 8);
    }
    let is = |port| ports.contains(&port);
    // VXLAN's shape is told from others by its many zeros: it is tried on all ports.
    let tries: [(bool, Open); 7] = [
        (is(GENEVE), geneve),
        (is(GTP_U), gtp),
        (is(TEREDO), teredo),
        (is(L2TP), l2tp),
        (is(VXLAN_GPE), vxlan_gpe),
        (is(MPLS), |_| Ok(Layer::EtherType(ETHER_MPLS))),
        (true, vxlan),
    ];
    let has_vxlan_port = is(VXLAN) || is(VXLAN_OLD);
    for (_, open) in tries.into_iter().filter(|(fits, _)| *fits) {
        let mut inner = rest.clone();
        if let Ok(layer) = open(&mut inner)
            && is_sound(layer, &inner)
        {
            *rest = inner;
            return Ok(layer);
        }
    }
    match has_vxlan_port && rest.bytes.len() < rest.on_wire && rest.bytes.len() < 50 {
        true => Err(Skip::Cut),
        false => Err(Skip::NotTcp),
    }
}

type Open = fn(&mut Rest) -> Result<Layer, Skip>;

fn is_sound(layer: Layer, rest: &Rest) -> bool {
    let mut inner = rest.clone();
    find_ip(layer, &rest.bytes)
        .and_then(|at| inner.skip(at))
        .is_ok_and(|()| ip::is_sound(&inner))
}

/// VXLAN (RFC 7348): the I flag, perhaps that of a group policy, and a network's number.
fn vxlan(rest: &mut Rest) -> Result<Layer, Skip> {
    let flags = byte(&rest.bytes, 0)?;
    let group = byte(&rest.bytes, 1)? | byte(&rest.bytes, 2)? | byte(&rest.bytes, 3)?;
    let is_plain = flags == 0x08 && group == 0;
    let has_group = flags == 0x88;
    if !(is_plain || has_group) || byte(&rest.bytes, 7)? != 0 {
        return Err(Skip::NotTcp);
    }
    rest.skip(8)?;
    Ok(Layer::Ethernet)
}

/// VXLAN with a protocol's number (draft-ietf-nvo3-vxlan-gpe).
fn vxlan_gpe(rest: &mut Rest) -> Result<Layer, Skip> {
    const HAS_PROTOCOL: u8 = 0x04;
    let has_protocol = byte(&rest.bytes, 0)? & HAS_PROTOCOL != 0;
    let protocol = byte(&rest.bytes, 3)?;
    rest.skip(8)?;
    match (has_protocol, protocol) {
        (false, _) | (true, 3) => Ok(Layer::Ethernet),
        (true, 1 | 2) => Ok(Layer::Ip),
        (true, 5) => Ok(Layer::EtherType(ETHER_MPLS)),
        _ => Err(Skip::NotTcp),
    }
}

/// GENEVE (RFC 8926).
fn geneve(rest: &mut Rest) -> Result<Layer, Skip> {
    let first = byte(&rest.bytes, 0)?;
    let kind = number(&rest.bytes, 2)?;
    if first >> 6 != 0 {
        return Err(Skip::NotTcp);
    }
    rest.skip(8 + 4 * usize::from(first & 0x3f))?;
    match kind {
        ETHER_BRIDGED => Ok(Layer::Ethernet),
        kind => Ok(Layer::EtherType(kind)),
    }
}

/// User data of GTP version 1 (3GPP TS 29.281, section 5.1).
fn gtp(rest: &mut Rest) -> Result<Layer, Skip> {
    const VERSION_1: u8 = 0x30;
    const USER_DATA: u8 = 255;
    const OPTIONAL_FIELDS: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    let flags = byte(&rest.bytes, 0)?;
    if flags & 0xf0 != VERSION_1 || byte(&rest.bytes, 1)? != USER_DATA {
        return Err(Skip::NotTcp);
    }
    rest.skip(8)?;
    if flags & OPTIONAL_FIELDS == 0 {
        return Ok(Layer::Ip);
    }
    let mut next = byte(&rest.bytes, 3)?;
    rest.skip(4)?;
    if flags & EXTENSION == 0 {
        next = 0;
    }
    while next != 0 {
        let length = 4 * usize::from(byte(&rest.bytes, 0)?);
        next = match length {
            0 => return Err(Skip::Malformed),
            length => byte(&rest.bytes, length - 1)?,
        };
        rest.skip(length)?;
    }
    Ok(Layer::Ip)
}

/// IPv6 behind network address translation (RFC 4380, section 5.1.1).
fn teredo(rest: &mut Rest) -> Result<Layer, Skip> {
    const AUTHENTICATION: u16 = 1;
    const ORIGIN: u16 = 0;
    if number(&rest.bytes, 0)? == AUTHENTICATION {
        let lengths = usize::from(byte(&rest.bytes, 2)?) + usize::from(byte(&rest.bytes, 3)?);
        rest.skip(13 + lengths)?;
    }
    if number(&rest.bytes, 0)? == ORIGIN {
        rest.skip(8)?;
    }
    match byte(&rest.bytes, 0)? >> 4 {
        6 => Ok(Layer::Ip),
        _ => Err(Skip::NotTcp),
    }
}

/// Data of L2TP version 2, which is PPP (RFC 2661, section 3.1).
fn l2tp(rest: &mut Rest) -> Result<Layer, Skip> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = number(&rest.bytes, 0)?;
    if flags & CONTROL != 0 || flags & 0x000f != 2 {
        return Err(Skip::NotTcp);
    }
    let words = |mask: u16| usize::from(flags & mask != 0);
    rest.skip(6 + 2 * words(LENGTH) + 4 * words(SEQUENCE))?;
    if flags & OFFSET != 0 {
        let padding = usize::from(number(&rest.bytes, 0)?);
        rest.skip(2 + padding)?;
    }
    Ok(Layer::Ppp)
}
