//! One direction of a connection: where in a frame it stands, and what its sender said.

use super::frame::{self, Header};
use super::hpack::Decoder;
use super::settings::Announced;
use crate::flags::Flags;
use crate::maybe::{Maybe32, Rare};
use crate::time::Timestamp;

/// The largest header table that is held, in each direction.
const TABLE_HOLD: u32 = 64 << 10;

/// The window of a new connection (RFC 9113, section 6.9.2).
const INITIAL_WINDOW: i32 = 65_535;

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is unknown where frames start.
    Lost,
    /// The preface of a client, if there is one.
    Start,
    /// The header of a frame.
    Header,
    /// So many first bytes of a payload, which are needed together.
    Payload { want: u32 },
    /// What is left of the payload of a DATA frame, of which the last bytes are padding.
    Data { left: u32, padding: u32 },
    /// What is left of a payload that is passed over: as framing, or discarded for a cause.
    Skip { left: u32, as_what: Passed },
}

/// As what bytes that are passed over count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Framing,
    Malformed,
    ClosedStream,
    GapInFraming,
    GapInHead,
    HeadTooLarge,
}

impl Passed {
    /// The cause for which they are discarded; None for framing.
    pub fn cause(self) -> Option<&'static str> {
        match self {
            Passed::Framing => None,
            Passed::Malformed => Some("malformed"),
            Passed::ClosedStream => Some("closed_stream"),
            Passed::GapInFraming => Some("gap_in_framing"),
            Passed::GapInHead => Some("gap_in_head"),
            Passed::HeadTooLarge => Some("head_too_large"),
        }
    }
}

/// A header block whose end was not seen yet.
#[derive(Debug)]
pub(super) struct OpenBlock {
    /// The stream of its frames.
    pub stream: u32,
    /// The stream that it promises.
    pub promised: Option<u32>,
    pub ends_stream: bool,
    pub bytes: Vec<u8>,
    /// It is larger than may be held; nothing of it is.
    pub is_refused: bool,
    /// Where its first frame is.
    pub offset: u64,
    pub first_byte: Timestamp,
}

/// Bytes that wait for others. Mostly there are none, and then it takes one word.
#[derive(Debug, Default)]
pub(super) struct Held(Rare<Vec<u8>>);

impl Held {
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().extend_from_slice(bytes);
        }
    }

    pub fn take(&mut self) -> Vec<u8> {
        self.0.take().map_or_else(Vec::new, |bytes| *bytes)
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Side {
    pub state: State,
    /// The frame that is being received.
    pub frame: Header,
    /// The part of a header or payload that was seen.
    pub held: Held,
    pub block: Option<Box<OpenBlock>>,
    /// Everything below is accounted for, but what is held.
    pub consumed: u64,
    /// Where the frame starts.
    pub frame_offset: u64,
    pub frame_time: Timestamp,
    /// Frames were seen, and the first of them announces settings.
    pub opened_with_settings: Option<bool>,
    pub decoder: Decoder,
    /// Header blocks were decoded.
    pub has_decoded: bool,
    pub announced: Announced,
    /// What the other side still allows to be sent on the connection.
    pub window: i32,
    /// What is wrong with the connection.
    pub faults: Flags,
    /// How often frames may have been missed.
    pub breaks: u32,
    /// The last stream that its sender will answer.
    pub goaway: Maybe32,
}

impl Side {
    /// From the begin of a connection.
    pub fn fresh(consumed: u64, state: State) -> Side {
        Side {
            state,
            frame: Header::default(),
            held: Held::default(),
            block: None,
            consumed,
            frame_offset: consumed,
            frame_time: Timestamp::default(),
            opened_with_settings: None,
            decoder: Decoder::new(TABLE_HOLD),
            has_decoded: false,
            announced: Announced::new(true),
            window: INITIAL_WINDOW,
            faults: Flags::default(),
            breaks: 0,
            goaway: Maybe32::NONE,
        }
    }

    /// Within a connection.
    pub fn mid_stream(consumed: u64, state: State) -> Side {
        Side {
            decoder: Decoder::mid_stream(TABLE_HOLD),
            announced: Announced::new(false),
            ..Side::fresh(consumed, state)
        }
    }

    /// The connection begins here after all.
    pub fn freshen(&mut self) {
        self.decoder = Decoder::new(TABLE_HOLD);
        self.announced = Announced::new(true);
    }

    /// Nothing of the tables is needed any more.
    pub fn drop_tables(&mut self) {
        self.decoder = Decoder::new(0);
    }

    pub fn held_bytes(&self) -> u64 {
        let block = self.block.as_ref().map_or(0, |block| block.bytes.len());
        (self.held.len() + block) as u64
    }

    /// Forgets what is held; counts it.
    pub fn drop_held(&mut self) -> usize {
        self.held.take().len()
    }

    /// Where reading would go on without loss.
    pub fn watermark(&self) -> u64 {
        let is_between = match self.state {
            State::Header | State::Start => self.held.is_empty(),
            // It goes on where a frame starts, so that it can.
            State::Payload { .. } | State::Data { .. } | State::Skip { .. } => false,
            State::Lost => true,
        };
        let own = match is_between {
            true => self.consumed,
            false => self.frame_offset,
        };
        self.block
            .as_ref()
            .map_or(own, |block| own.min(block.offset))
    }

    /// The next bytes are the header of a frame.
    pub fn next_frame(&mut self) {
        self.state = State::Header;
    }

    /// True while the bytes held are a begin of the preface.
    pub fn holds_preface(&self) -> bool {
        frame::PREFACE.starts_with(self.held.bytes())
    }
}
