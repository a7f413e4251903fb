//! Undoes content codings (RFC 9110, section 8.4): gzip, deflate, br, zstd, and several in a row.
//!
//! [`decode`] takes a whole body, [`Decoder`] one that comes in chunks. What a body expands to is
//! limited, and what is wrong with one is a [`Fault`]; what was decoded before it is kept.

mod codec;
mod gzip;
mod stage;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::stage::Stage;
use crate::message::{Field, field_values};

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// RFC 1952, of one or several members.
    Gzip,
    /// RFC 1950; or RFC 1951 without the frame around it, as many servers send it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, of one or several frames, with windows up to 8 MiB (RFC 9659).
    Zstd,
}

impl Coding {
    /// The coding of this name (ASCII case ignored); None when it can't be undone. `identity` is
    /// no coding.
    pub fn from_name(name: &[u8]) -> Option<Coding> {
        let codings: [(&[u8], Coding); 5] = [
            (b"gzip", Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"deflate", Coding::Deflate),
            (b"br", Coding::Brotli),
            (b"zstd", Coding::Zstd),
        ];
        let mut codings = codings.into_iter();
        let found = codings.find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, coding)| coding)
    }

    /// The name in `Content-Encoding` and `grpc-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

impl std::fmt::Display for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Codings of a body, in the order in which they were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codings(Vec<Coding>);

impl Codings {
    /// How many codings in a row are undone. Nobody needs more than two.
    pub const MOST: usize = 4;

    /// Those that a head's `Content-Encoding` fields name.
    ///
    /// # Errors
    /// [`Fault::Unknown`] when one of them can't be undone, [`Fault::TooMany`].
    pub fn of(fields: &[Field]) -> Result<Codings, Fault> {
        let names = field_values(fields, "content-encoding")
            .flat_map(|value| value.split(|byte| *byte == b','));
        Codings::named(names)
    }

    /// Those of these names; empty ones and `identity` say nothing.
    ///
    /// # Errors
    /// [`Fault::Unknown`] when one of them can't be undone, [`Fault::TooMany`].
    pub fn named<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Result<Codings, Fault> {
        let mut codings = Vec::new();
        for name in names.into_iter().map(<[u8]>::trim_ascii) {
            if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            let unknown = || Fault::Unknown {
                name: String::from_utf8_lossy(name).into_owned(),
            };
            codings.push(Coding::from_name(name).ok_or_else(unknown)?);
            if codings.len() > Codings::MOST {
                return Err(Fault::TooMany);
            }
        }
        Ok(Codings(codings))
    }

    /// True when the body is as it is.
    pub fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// The codings, the first applied first.
    pub fn as_slice(&self) -> &[Coding] {
        &self.0
    }
}

/// As a `Content-Encoding` field names them.
impl std::fmt::Display for Codings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, coding) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{coding}")?;
        }
        Ok(())
    }
}

impl From<Coding> for Codings {
    fn from(coding: Coding) -> Codings {
        Codings(vec![coding])
    }
}

/// How much a body may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes that any of its codings may expand to.
    pub output_bytes: u64,
    /// How many times its size it may become, once it is more than 1 MiB.
    pub ratio: u64,
}

impl DecodeLimits {
    /// Up to so many bytes, in whatever ratio.
    pub fn bytes(output_bytes: u64) -> DecodeLimits {
        DecodeLimits {
            output_bytes,
            ratio: u64::MAX,
        }
    }
}

/// 64 MiB; 1,100 times, which is a little more than gzip can do.
impl Default for DecodeLimits {
    fn default() -> DecodeLimits {
        DecodeLimits {
            output_bytes: 64 << 20,
            ratio: 1100,
        }
    }
}

/// What is wrong with a body.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// It has a coding that can't be undone.
    #[error("content coding {name:?} can't be undone")]
    Unknown {
        /// The name as it was sent.
        name: String,
    },
    /// It has more than [`Codings::MOST`] codings.
    #[error("more than {} content codings in a row", Codings::MOST)]
    TooMany,
    /// Its bytes are not what the coding allows, or a checksum is wrong.
    #[error("the body is no sound {coding}")]
    Corrupt {
        /// The coding.
        coding: Coding,
    },
    /// It ends before the coded data does.
    #[error("the body ends within its {coding} data")]
    Truncated {
        /// The coding.
        coding: Coding,
    },
    /// The coded data is whole, but something comes after it.
    #[error("{bytes} bytes after the end of the {coding} data")]
    Trailing {
        /// The coding.
        coding: Coding,
        /// How many bytes, as that coding has them.
        bytes: u64,
    },
    /// It becomes more than [`DecodeLimits::output_bytes`].
    #[error("the body is more than {limit_bytes} bytes once decoded")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// It becomes more than [`DecodeLimits::ratio`] times its size.
    #[error("the body is more than {limit} times its size once decoded")]
    TooDense {
        /// The limit.
        limit: u64,
    },
}

/// A body that was decoded as far as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What was decoded until the fault was noticed, or all of it.
    pub bytes: Bytes,
    /// What is wrong with the body.
    pub fault: Option<Fault>,
}

impl Decoded {
    /// The bytes of a body with which nothing is wrong.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn sound(self) -> Result<Bytes, Fault> {
        match self.fault {
            None => Ok(self.bytes),
            Some(fault) => Err(fault),
        }
    }
}

/// Decodes a whole body. Without codings it is handed back as it is, whatever the limits say.
pub fn decode(body: &Bytes, codings: &Codings, limits: DecodeLimits) -> Decoded {
    if codings.is_identity() {
        return Decoded {
            bytes: body.clone(),
            fault: None,
        };
    }
    let guess = (body.len() as u64).saturating_mul(4);
    let mut bytes = Vec::with_capacity(guess.min(limits.output_bytes).min(1 << 20) as usize);
    let mut decoder = Decoder::new(codings, limits);
    let fault = decoder
        .push(body, |chunk| bytes.extend_from_slice(chunk))
        .and_then(|()| decoder.finish());
    Decoded {
        bytes: Bytes::from(bytes),
        fault: fault.err(),
    }
}

/// Decodes a body that comes in chunks: [`Decoder::push`] each, then [`Decoder::finish`].
///
/// It holds the windows of its codings: up to 50 KiB for gzip and deflate, and for br and zstd
/// what the sender chose, up to 16 MiB and 8 MiB.
///
/// What is wrong with a body is the same in any chunks, but for when a limit is passed. How much of
/// a corrupt one is decoded before that is noticed can depend on them.
#[derive(Debug)]
pub struct Decoder {
    /// The coding that was applied last comes first.
    stages: Vec<Stage>,
    limits: DecodeLimits,
    taken_bytes: u64,
    fault: Option<Fault>,
}

impl Decoder {
    /// For a body with these codings.
    pub fn new(codings: &Codings, limits: DecodeLimits) -> Decoder {
        Decoder {
            stages: codings.0.iter().rev().copied().map(Stage::new).collect(),
            limits,
            taken_bytes: 0,
            fault: None,
        }
    }

    /// Takes the next chunk and hands on what it decodes to, in chunks of up to 16 KiB (without
    /// codings the chunk itself).
    ///
    /// # Errors
    /// What is wrong with the body; then and from then on.
    pub fn push(&mut self, chunk: &[u8], mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.taken_bytes = self.taken_bytes.saturating_add(chunk.len() as u64);
        let budget = self.budget();
        let result = stage::push(&mut self.stages, chunk, &budget, &mut take);
        self.fault = result.as_ref().err().cloned();
        result
    }

    /// The body is over.
    ///
    /// # Errors
    /// What is wrong with the body: [`Fault::Truncated`] and [`Fault::Trailing`] are found here.
    /// A body without a single byte is sound in any coding.
    pub fn finish(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.stages.iter().try_for_each(Stage::finish)
    }

    fn budget(&self) -> stage::Budget {
        const FREE_BYTES: u64 = 1 << 20;
        let by_ratio = self.taken_bytes.saturating_mul(self.limits.ratio);
        stage::Budget {
            limits: self.limits,
            dense_bytes: by_ratio.max(FREE_BYTES),
        }
    }
}
