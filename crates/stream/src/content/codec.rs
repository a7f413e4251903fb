//! The codings themselves, over the crates that know them.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::Coding;
use super::gzip::Gzip;

/// What one step took and made.
pub(super) struct Step {
    pub taken: usize,
    pub made: usize,
    /// A member ended.
    pub is_over: bool,
}

pub(super) trait Codec: Send {
    /// Takes some of the input and makes some output; None when the input is not sound.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step>;
    /// Whether another member starts with these bytes after one is over; None when more have to
    /// be seen, which are four at most.
    fn is_start(&self, _bytes: &[u8]) -> Option<bool> {
        Some(false)
    }
    /// Another member follows.
    fn restart(&mut self) {}
}

pub(super) fn new(coding: Coding) -> Box<dyn Codec> {
    match coding {
        Coding::Gzip => Box::new(Gzip::new()),
        Coding::Deflate => Box::new(Deflate::Unknown { first: None }),
        Coding::Brotli => Box::new(Brotli(Box::new(BrotliState::new_strict(
            StandardAlloc::default(),
            StandardAlloc::default(),
            StandardAlloc::default(),
        )))),
        Coding::Zstd => Box::new(Zstd::new()),
    }
}

/// One step of zlib's or bare deflate data.
pub(super) fn inflate(inflater: &mut Decompress, input: &[u8], output: &mut [u8]) -> Option<Step> {
    let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
    let status = inflater
        .decompress(input, output, FlushDecompress::None)
        .ok()?;
    Some(Step {
        taken: (inflater.total_in() - before_in) as usize,
        made: (inflater.total_out() - before_out) as usize,
        is_over: status == Status::StreamEnd,
    })
}

/// `deflate`, with zlib's head or without: two bytes tell.
enum Deflate {
    Unknown { first: Option<u8> },
    Known(Decompress),
}

impl Codec for Deflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let first = match self {
            Deflate::Known(inflater) => return inflate(inflater, input, output),
            Deflate::Unknown { first } => *first,
        };
        let (first, second, was_held) = match (first, input) {
            (Some(first), [second, ..]) => (first, *second, true),
            (None, [first, second, ..]) => (*first, *second, false),
            (None, [first]) => {
                *self = Deflate::Unknown {
                    first: Some(*first),
                };
                return Some(Step {
                    taken: 1,
                    made: 0,
                    is_over: false,
                });
            }
            (_, []) => {
                return Some(Step {
                    taken: 0,
                    made: 0,
                    is_over: false,
                });
            }
        };
        // RFC 1950, section 2.2. What starts so and is bare would be a stored block whose
        // padding is not zero.
        let is_framed = first & 0x0f == 8
            && first >> 4 <= 7
            && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
        let mut inflater = Decompress::new(is_framed);
        if was_held {
            // One byte makes no output and ends nothing.
            inflate(&mut inflater, &[first], output)?;
        }
        *self = Deflate::Known(inflater);
        self.step(input, output)
    }
}

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

struct Brotli(Box<State>);

impl Codec for Brotli {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let (mut left, mut taken) = (input.len(), 0);
        let (mut space, mut made, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut space,
            &mut made,
            output,
            &mut total,
            &mut self.0,
        );
        let is_over = match result {
            BrotliResult::ResultFailure => return None,
            BrotliResult::ResultSuccess => true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => false,
        };
        Some(Step {
            taken,
            made,
            is_over,
        })
    }
}

/// None where the library had no memory for its context.
struct Zstd(Option<Decoder<'static>>);

impl Zstd {
    /// The logarithm of the largest window (RFC 9659, section 3).
    const WINDOW_LOG: u32 = 23;

    fn new() -> Zstd {
        let decoder = Decoder::new().and_then(|mut decoder| {
            decoder.set_parameter(DParameter::WindowLogMax(Zstd::WINDOW_LOG))?;
            Ok(decoder)
        });
        Zstd(decoder.ok())
    }
}

impl Codec for Zstd {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        let status = self.0.as_mut()?.run_on_buffers(input, output).ok()?;
        Some(Step {
            taken: status.bytes_read,
            made: status.bytes_written,
            is_over: status.remaining == 0,
        })
    }

    /// A frame, or one to be skipped (RFC 8878, sections 3.1.1 and 3.1.2).
    fn is_start(&self, bytes: &[u8]) -> Option<bool> {
        let frame = [0x28, 0xb5, 0x2f, 0xfd];
        let is_frame = frame.starts_with(bytes);
        let is_skippable = match bytes {
            [] => true,
            [first, rest @ ..] => first & 0xf0 == 0x50 && [0x2a, 0x4d, 0x18].starts_with(rest),
        };
        match (is_frame || is_skippable, bytes.len()) {
            (false, _) => Some(false),
            (true, 0..4) => None,
            (true, _) => Some(true),
        }
    }
}
