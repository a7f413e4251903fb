//! The compressed protocol: frames of 3 bytes of length, 1 of sequence, 3 of length when inflated
//! (0 where the payload is not compressed), then payload that holds packets or parts of them.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// Bytes of a frame's header.
pub(super) const HEADER: usize = 7;

/// Deflate does not come to more (zlib's technical notes); of zstd no more is taken.
const MAX_EXPANSION: usize = 1032;

/// What is inflated at once.
pub(super) const STEP: usize = 16 << 10;

/// Small frames may expand to so much in any case.
const SMALL: usize = 64 << 10;

/// One direction's frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    have: usize,
    /// Bytes of the current frame's payload to come.
    left: usize,
    /// Bytes that are to be inflated out of it.
    to_inflate: usize,
    inflate: Inflate,
    /// The current frame's sequence number.
    pub sequence: u8,
    in_frame: bool,
}

#[derive(Default)]
enum Inflate {
    /// The payload is packets as it is.
    #[default]
    Stored,
    /// The first bytes will tell.
    Unknown,
    Zlib(Box<Decompress>),
    Zstd(Box<Decoder<'static>>),
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Inflate::Stored => "Stored",
            Inflate::Unknown => "Unknown",
            Inflate::Zlib(_) => "Zlib",
            Inflate::Zstd(_) => "Zstd",
        })
    }
}

/// A frame that can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Frames {
    /// Takes bytes of the next header; how many, and whether it is whole.
    pub fn header(&mut self, bytes: &[u8]) -> (usize, bool) {
        let used = bytes.len().min(HEADER - self.have);
        for (to, from) in self.header.iter_mut().skip(self.have).zip(bytes) {
            *to = *from;
        }
        self.have += used;
        (used, self.have == HEADER)
    }

    /// Begins the frame whose header is whole.
    pub fn begin(&mut self) -> Result<(), Malformed> {
        let [a, b, c, sequence, d, e, f] = self.header;
        self.have = 0;
        self.left = u32::from_le_bytes([a, b, c, 0]) as usize;
        self.to_inflate = u32::from_le_bytes([d, e, f, 0]) as usize;
        self.sequence = sequence;
        self.in_frame = true;
        self.inflate = match self.to_inflate {
            0 => Inflate::Stored,
            _ => Inflate::Unknown,
        };
        match self.to_inflate > SMALL.max(self.left.saturating_mul(MAX_EXPANSION)) {
            true => Err(Malformed),
            false => Ok(()),
        }
    }

    /// How long the frame is that was just begun.
    pub fn bytes(&self) -> usize {
        HEADER + self.left
    }

    /// How much of `bytes` belongs to the current frame.
    pub fn payload(&mut self, bytes: usize) -> usize {
        let used = self.left.min(bytes);
        self.left -= used;
        used
    }

    pub fn is_stored(&self) -> bool {
        matches!(self.inflate, Inflate::Stored)
    }

    /// Inflates into `out`; how many bytes of `input` were used, and of `out` filled. Call it
    /// until it fills nothing and all is used.
    pub fn inflate(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Malformed> {
        // What is more than announced is not looked for beyond its first byte.
        let room = (self.to_inflate + 1).min(out.len());
        let out = out.get_mut(..room).unwrap_or_default();
        if let Inflate::Unknown = self.inflate {
            self.inflate = match input.first() {
                Some(0x28) => Inflate::Zstd(zstd()?),
                _ => Inflate::Zlib(Box::new(Decompress::new(true))),
            };
        }
        let (used, filled) = match &mut self.inflate {
            Inflate::Stored | Inflate::Unknown => (input.len(), 0),
            Inflate::Zlib(zlib) => {
                let (read, written) = (zlib.total_in(), zlib.total_out());
                let status = zlib
                    .decompress(input, out, FlushDecompress::None)
                    .map_err(|_| Malformed)?;
                let used = (zlib.total_in() - read) as usize;
                let filled = (zlib.total_out() - written) as usize;
                if status == Status::StreamEnd && used < input.len() {
                    return Err(Malformed);
                }
                (used, filled)
            }
            Inflate::Zstd(zstd) => {
                let mut input = InBuffer::around(input);
                let mut out = OutBuffer::around(out);
                zstd.run(&mut input, &mut out).map_err(|_| Malformed)?;
                (input.pos(), out.pos())
            }
        };
        self.to_inflate = self.to_inflate.checked_sub(filled).ok_or(Malformed)?;
        Ok((used, filled))
    }

    /// True when the current frame's payload is over.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Ends the current frame.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.in_frame = false;
        let is_short = !self.is_stored() && self.to_inflate > 0;
        self.inflate = Inflate::Stored;
        match is_short {
            true => Err(Malformed),
            false => Ok(()),
        }
    }

    pub fn is_in_frame(&self) -> bool {
        self.in_frame
    }

    /// Bytes of a header that are held.
    pub fn held(&self) -> &[u8] {
        self.header.get(..self.have).unwrap_or_default()
    }
}

/// A decoder that does not take more memory than the largest frame needs.
fn zstd() -> Result<Box<Decoder<'static>>, Malformed> {
    let mut decoder = Decoder::new().map_err(|_| Malformed)?;
    decoder
        .set_parameter(DParameter::WindowLogMax(24))
        .map_err(|_| Malformed)?;
    Ok(Box::new(decoder))
}
