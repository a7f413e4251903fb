//! Frames of IEEE 802.11, with or without what a radio says of them.

use super::link::{byte, number};
use super::{LinkType, Skip};

/// Where the payload of a data frame starts: LLC, as a rule.
pub(super) fn payload(link: LinkType, frame: &[u8]) -> Result<usize, Skip> {
    let (at, is_padded) = match link.0 {
        // Prism, or AVS in its place; both say how long they are, Prism in the sender's order.
        119 | 163 => (prism_or_avs(frame)?, false),
        127 => radiotap(frame)?,
        // PPI: a version, flags, its length in little-endian, the link type of what follows.
        192 => (little(frame, 2)?, false),
        _ => (0, false),
    };
    let header = header_bytes(frame, at)?;
    Ok(at
        + match is_padded {
            true => header.next_multiple_of(4),
            false => header,
        })
}

/// The length of the header of a data frame with a payload in the clear.
fn header_bytes(frame: &[u8], at: usize) -> Result<usize, Skip> {
    let (control, flags) = (byte(frame, at)?, byte(frame, at + 1)?);
    let is_data = control & 0x0c == 0x08;
    let carries_nothing = control & 0x40 != 0;
    let is_protected = flags & 0x40 != 0;
    if !is_data || carries_nothing {
        return Err(Skip::NotIp);
    }
    if is_protected {
        return Err(Skip::Encrypted);
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
    Ok(header)
}

/// A radiotap header's length, and whether the frame's header is padded to four bytes.
fn radiotap(frame: &[u8]) -> Result<(usize, bool), Skip> {
    const TIME: u8 = 0x01;
    const FLAGS: u8 = 0x02;
    const PADDED: u8 = 0x20;
    let length = little(frame, 2)?;
    let present = byte(frame, 4)?;
    if present & FLAGS == 0 {
        return Ok((length, false));
    }
    // Words of presence bits follow each other as long as the highest bit is set.
    let mut at = 8;
    while byte(frame, at - 1)? & 0x80 != 0 {
        at += 4;
    }
    if present & TIME != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    Ok((length, byte(frame, at)? & PADDED != 0))
}

fn prism_or_avs(frame: &[u8]) -> Result<usize, Skip> {
    const AVS: [u8; 3] = [0x80, 0x21, 0x10];
    if frame.get(..3) == Some(&AVS) {
        return Ok(usize::from(number(frame, 6)?));
    }
    match little(frame, 4)? {
        0 => Ok(usize::from(number(frame, 6)?)),
        length => Ok(length),
    }
}

fn little(frame: &[u8], at: usize) -> Result<usize, Skip> {
    Ok(usize::from(number(frame, at)?.swap_bytes()))
}
