//! Whether bytes are frames.

use super::frame::{self, HEADER_BYTES, Header, PREFACE};
use super::head::{self, Kind};
use super::hpack::Decoder;
use crate::protocol::Claim;
use crate::segment::Direction;

/// So many frames are proof enough.
const ENOUGH: usize = 8;

/// Judges bytes of an unclaimed flow.
pub(super) fn probe(direction: Direction, bytes: &[u8], begins: bool) -> Claim {
    if direction == Direction::Client {
        if bytes.starts_with(PREFACE) {
            return Claim::Certain;
        }
        if !bytes.is_empty() && PREFACE.starts_with(bytes) {
            return Claim::Unsure;
        }
    }
    if begins && direction == Direction::Server {
        match announces_settings(bytes) {
            Claim::NotMine => {}
            claim => return claim,
        }
    }
    let chain = Chain::of(bytes);
    let is_of_direction = match chain.head {
        Some(Kind::Request) => direction == Direction::Client,
        Some(Kind::Response) => direction == Direction::Server,
        _ => true,
    };
    let has_head = matches!(chain.head, Some(Kind::Request | Kind::Response));
    match is_of_direction && chain.is_sound {
        true if has_head || chain.frames >= 2 => Claim::Certain,
        true if chain.frames == 1 && chain.is_exact => Claim::Unsure,
        // The begin of one frame, where one may begin.
        true if begins && may_begin(bytes) => Claim::Unsure,
        _ => Claim::NotMine,
    }
}

/// Whether frames go on with these bytes, in a connection that has them for certain; `is_open`
/// tells which streams are.
pub(super) fn resumes(bytes: &[u8], is_open: impl FnOnce(u32) -> bool) -> bool {
    let chain = Chain::of(bytes);
    if !chain.is_sound || chain.frames == 0 {
        return false;
    }
    let first = bytes.first_chunk().map(Header::parse);
    let is_known = first.is_some_and(|header| {
        header.stream != 0 && header.length <= frame::MIN_MAX_FRAME && is_open(header.stream)
    });
    chain.frames >= 2 || chain.is_exact || chain.head.is_some() || is_known
}

/// Whether bytes that are no whole frame may be the begin of one.
fn may_begin(bytes: &[u8]) -> bool {
    let is_short = bytes.first() == Some(&0);
    is_short
        && bytes
            .get(3)
            .is_none_or(|kind| *kind <= frame::PRIORITY_UPDATE)
}

/// A server begins with a SETTINGS frame. An empty one is too little to be sure.
fn announces_settings(bytes: &[u8]) -> Claim {
    let Some(header) = bytes.first_chunk().map(Header::parse) else {
        let start = [0, 0];
        let is_like = match bytes {
            [_, _, _, kind, ..] => *kind == frame::SETTINGS && bytes.starts_with(&start),
            _ => start.starts_with(&bytes[..bytes.len().min(2)]),
        };
        return match is_like {
            true => Claim::Unsure,
            false => Claim::NotMine,
        };
    };
    let is_settings = header.kind == frame::SETTINGS && header.flags == 0 && header.is_plausible();
    if !is_settings || header.length == 0 {
        return Claim::NotMine;
    }
    let payload = &bytes[HEADER_BYTES..];
    let ids = payload.chunks_exact(6).take(header.length as usize / 6);
    // The settings that are registered, and a few to come.
    let are_known = ids.fold(true, |all, entry| {
        all && entry[0] == 0 && (1..=32).contains(&entry[1])
    });
    match are_known {
        true if payload.len() >= 6 => Claim::Certain,
        true => Claim::Unsure,
        false => Claim::NotMine,
    }
}

/// Frames that follow each other.
struct Chain {
    /// Headers that were seen whole.
    frames: usize,
    /// None of them is against a rule.
    is_sound: bool,
    /// The last one ends where the bytes end.
    is_exact: bool,
    /// What the first whole header block is.
    head: Option<Kind>,
}

impl Chain {
    fn of(bytes: &[u8]) -> Chain {
        let mut chain = Chain {
            frames: 0,
            is_sound: true,
            is_exact: false,
            head: None,
        };
        let mut decoder = Decoder::mid_stream(4096);
        let mut rest = bytes;
        let mut continued = None;
        while chain.frames < ENOUGH
            && let Some((header, after)) = rest.split_first_chunk()
        {
            let header = Header::parse(header);
            let is_expected = match continued {
                Some(stream) => header.kind == frame::CONTINUATION && header.stream == stream,
                None => header.kind != frame::CONTINUATION || chain.frames == 0,
            };
            if !header.is_plausible() || !is_expected {
                chain.is_sound = false;
                break;
            }
            let is_of_block = matches!(
                header.kind,
                frame::HEADERS | frame::PUSH_PROMISE | frame::CONTINUATION
            );
            let is_open = is_of_block && !header.has(frame::END_HEADERS);
            continued = is_open.then_some(header.stream);
            chain.frames += 1;
            let Some((payload, next)) = after.split_at_checked(header.length as usize) else {
                break;
            };
            if header.kind == frame::HEADERS && !is_open && chain.head.is_none() {
                match read_head(header, payload, &mut decoder) {
                    Ok(kind) => chain.head = kind,
                    Err(()) => {
                        chain.is_sound = false;
                        break;
                    }
                }
            }
            rest = next;
            if rest.is_empty() {
                chain.is_exact = true;
                break;
            }
        }
        chain
    }
}

/// What a whole header block is; an error when it is none.
fn read_head(header: Header, payload: &[u8], decoder: &mut Decoder) -> Result<Option<Kind>, ()> {
    let (fragment, _) = frame::without_padding(header, payload).ok_or(())?;
    let fragment = match header.has(frame::HAS_PRIORITY) {
        true => fragment.get(5..).ok_or(())?,
        false => fragment,
    };
    let block = decoder.decode(fragment, None, 1 << 16);
    match block.fault {
        Some(_) => Err(()),
        None => Ok(head::kind_of(&block.fields, block.unknown_at, None)),
    }
}
