//! Reading pcap and pcapng files.
//!
//! Sans-IO but for the [`Read`] that the caller gives: decompression is the caller's affair.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};
use thiserror::Error;

use crate::packet::{CapturedPacket, LinkType};
use crate::time::Timestamp;

/// The buffer at the start; a larger block makes it grow.
const BUFFER_BYTES: usize = 256 << 10;
/// No packet is larger, whatever a file's lengths say.
const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Why a capture file can't be read on. All packets before the place were given out.
#[derive(Debug, Error)]
pub enum CaptureFileError {
    /// The first bytes are those of no capture file.
    #[error("neither a pcap nor a pcapng file")]
    NotACapture,
    /// The file ends within a block.
    #[error("the file ends within the block that starts at byte {offset}")]
    Truncated {
        /// Where the block starts.
        offset: u64,
    },
    /// A block that contradicts itself.
    #[error("malformed block at byte {offset}: {reason}")]
    Malformed {
        /// Where the block starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file could not be read.
    #[error("cannot read on at byte {offset}")]
    Read {
        /// How much was understood before.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

/// The packets of a capture file, in its order.
pub struct CaptureReader {
    blocks: Box<dyn PcapReaderIterator + Send>,
    /// Why the last read failed; the parser's own error doesn't say.
    failure: Failure,
    offset: u64,
    format: Format,
    is_over: bool,
}

type Failure = Arc<Mutex<Option<io::Error>>>;

enum Format {
    Pcap {
        link_type: LinkType,
        fraction_ns: u64,
    },
    PcapNg {
        interfaces: Vec<Interface>,
        last: Timestamp,
    },
}

/// An interface of a pcapng section.
struct Interface {
    link_type: LinkType,
    units_per_second: u64,
    offset_seconds: i64,
    snaplen: u32,
}

impl CaptureReader {
    /// Begins to read a file of either kind.
    ///
    /// # Errors
    /// When it is no capture file, is empty, or can't be read.
    pub fn new(source: impl Read + Send + 'static) -> Result<CaptureReader, CaptureFileError> {
        let failure = Failure::default();
        let source = Filled {
            source,
            failure: Arc::clone(&failure),
        };
        match create_reader(BUFFER_BYTES, source) {
            Ok(blocks) => Ok(CaptureReader {
                blocks,
                failure,
                offset: 0,
                format: Format::PcapNg {
                    interfaces: Vec::new(),
                    last: Timestamp::default(),
                },
                is_over: false,
            }),
            Err(_) => Err(match take(&failure) {
                Some(source) => CaptureFileError::Read { offset: 0, source },
                None => CaptureFileError::NotACapture,
            }),
        }
    }

    fn next_packet(&mut self) -> Result<Option<CapturedPacket>, CaptureFileError> {
        let mut size = BUFFER_BYTES;
        loop {
            let offset = self.offset;
            let step = match self.blocks.next() {
                Ok((length, block)) => {
                    let packet = self
                        .format
                        .read(block)
                        .map_err(|reason| CaptureFileError::Malformed { offset, reason })?;
                    Step::Block(length, packet)
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => Step::Refill,
                Err(PcapError::BufferTooSmall) => Step::Grow,
                Err(PcapError::UnexpectedEof) => {
                    return Err(CaptureFileError::Truncated { offset });
                }
                Err(error) => {
                    let reason = match error {
                        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => {
                            format!("{kind:?}")
                        }
                        _ => "unreadable".to_owned(),
                    };
                    return Err(CaptureFileError::Malformed { offset, reason });
                }
            };
            match step {
                Step::Block(length, packet) => {
                    self.blocks.consume(length);
                    self.offset += length as u64;
                    if packet.is_some() {
                        return Ok(packet);
                    }
                }
                Step::Refill => self.refill()?,
                Step::Grow => {
                    if self.blocks.reader_exhausted() {
                        return Err(CaptureFileError::Truncated { offset });
                    }
                    size *= 2;
                    if size > MAX_BLOCK_BYTES || !self.blocks.grow(size) {
                        let reason = format!("larger than {MAX_BLOCK_BYTES} bytes");
                        return Err(CaptureFileError::Malformed { offset, reason });
                    }
                    self.refill()?;
                }
            }
        }
    }

    fn refill(&mut self) -> Result<(), CaptureFileError> {
        if self.blocks.refill().is_ok() {
            return Ok(());
        }
        let source = take(&self.failure).unwrap_or_else(|| io::ErrorKind::Other.into());
        Err(CaptureFileError::Read {
            offset: self.offset,
            source,
        })
    }
}

enum Step {
    Block(usize, Option<CapturedPacket>),
    Refill,
    Grow,
}

impl Iterator for CaptureReader {
    type Item = Result<CapturedPacket, CaptureFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.next_packet().transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Format {
    fn read(&mut self, block: PcapBlockOwned<'_>) -> Result<Option<CapturedPacket>, String> {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                *self = Format::Pcap {
                    // Above bit 16 stand properties of the frame check sequence.
                    link_type: LinkType(header.network.0 as u32 & 0xffff),
                    fraction_ns: if header.is_nanosecond_precision() {
                        1
                    } else {
                        1000
                    },
                };
                Ok(None)
            }
            PcapBlockOwned::Legacy(frame) => {
                let Format::Pcap {
                    link_type,
                    fraction_ns,
                } = self
                else {
                    return Err("a packet before the header".to_owned());
                };
                let ns = u64::from(frame.ts_sec) * 1_000_000_000
                    + u64::from(frame.ts_usec) * *fraction_ns;
                Ok(Some(CapturedPacket {
                    time: Timestamp(ns),
                    link_type: *link_type,
                    bytes: Bytes::copy_from_slice(frame.data),
                    original_bytes: frame.origlen,
                }))
            }
            PcapBlockOwned::NG(block) => {
                let Format::PcapNg { interfaces, last } = self else {
                    return Err("a pcapng block in a pcap file".to_owned());
                };
                read_block(block, interfaces, last)
            }
        }
    }
}

fn read_block(
    block: Block<'_>,
    interfaces: &mut Vec<Interface>,
    last: &mut Timestamp,
) -> Result<Option<CapturedPacket>, String> {
    match block {
        Block::SectionHeader(_) => interfaces.clear(),
        Block::InterfaceDescription(block) => interfaces.push(Interface {
            link_type: LinkType(block.linktype.0 as u32 & 0xffff),
            units_per_second: units_per_second(block.if_tsresol)
                .ok_or_else(|| format!("time stamp resolution {}", block.if_tsresol))?,
            // The parser reads the offset as little-endian, and the block's type too.
            offset_seconds: match block.block_type {
                1 => block.if_tsoffset,
                _ => block.if_tsoffset.swap_bytes(),
            },
            snaplen: block.snaplen,
        }),
        Block::EnhancedPacket(block) => {
            let interface = interfaces
                .get(block.if_id as usize)
                .ok_or_else(|| format!("no interface {}", block.if_id))?;
            let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
            *last = interface.time(ticks);
            return Ok(Some(CapturedPacket {
                time: *last,
                link_type: interface.link_type,
                bytes: Bytes::copy_from_slice(block.packet_data()),
                original_bytes: block.origlen,
            }));
        }
        Block::SimplePacket(block) => {
            // It belongs to the first interface and has no time of its own.
            let interface = interfaces
                .first()
                .ok_or_else(|| "a packet without an interface".to_owned())?;
            let limit = match interface.snaplen {
                0 => block.origlen,
                snaplen => snaplen.min(block.origlen),
            };
            let data = block.packet_data();
            let data = &data[..data.len().min(limit as usize)];
            return Ok(Some(CapturedPacket {
                time: *last,
                link_type: interface.link_type,
                bytes: Bytes::copy_from_slice(data),
                original_bytes: block.origlen,
            }));
        }
        _ => {}
    }
    Ok(None)
}

/// What `if_tsresol` says: a negative power of ten, or of two when its highest bit is set.
fn units_per_second(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    match resolution & 0x80 {
        0 => 10_u64.checked_pow(exponent),
        _ => 1_u64.checked_shl(exponent),
    }
}

impl Interface {
    fn time(&self, ticks: u64) -> Timestamp {
        let units = u128::from(self.units_per_second.max(1));
        let ns = u128::from(ticks) * 1_000_000_000 / units;
        let ns = i128::try_from(ns).unwrap_or(i128::MAX);
        let ns = ns.saturating_add(i128::from(self.offset_seconds) * 1_000_000_000);
        Timestamp(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }
}

/// A reader that fills the buffer it is given, so that a short read is the end.
struct Filled<R> {
    source: R,
    failure: Failure,
}

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        Ok(filled)
    }
}

fn take(failure: &Failure) -> Option<io::Error> {
    failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
}
