//! The thread that makes frames of batches.

use std::sync::{Arc, atomic::Ordering::Relaxed, mpsc};

use bytes::Bytes;
use prost::Message;
use twintap_abi::Ledger;
use twintap_proto::v1;
use zstd::bulk::Compressor;

use crate::{batch::RawBatch, drain::Shared, ledger::clock_reading, probes::KernelLedger};

/// Batches below this size are not worth a compressor's start.
const MIN_COMPRESSED_BYTES: usize = 128;
/// The level of zstd that costs least.
const FASTEST_LEVEL: i32 = -7;

/// The sealing thread's state.
pub struct Seal {
    shared: Arc<Shared>,
    kernel: Arc<KernelLedger>,
    compressor: Option<Compressor<'static>>,
    /// What was configured.
    level: i32,
    is_fast: bool,
    encoded: Vec<u8>,
}

impl Seal {
    /// Seals with zstd at `level`; `None` leaves batches as they are.
    ///
    /// # Errors
    ///
    /// When there is no such level.
    pub fn new(
        shared: Arc<Shared>,
        kernel: Arc<KernelLedger>,
        level: Option<i32>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            shared,
            kernel,
            compressor: level.map(Compressor::new).transpose()?,
            level: level.unwrap_or_default(),
            is_fast: false,
            encoded: Vec::new(),
        })
    }

    /// Runs until the draining thread has ended and every batch is in a frame.
    pub fn run(mut self, batches: &mpsc::Receiver<RawBatch>) {
        while let Ok(batch) = batches.recv() {
            self.seal(&batch);
            // The records' memory goes before their bytes are given back to the budget.
            let memory_bytes = batch.memory_bytes;
            drop(batch);
            self.shared.open_bytes.fetch_sub(memory_bytes, Relaxed);
            self.shared.sealed.notify_one();
        }
    }

    fn seal(&mut self, raw: &RawBatch) {
        self.adapt();
        self.encoded.clear();
        // A vector grows as it must: encoding cannot fail.
        let _ = raw.batch.encode(&mut self.encoded);
        let batch_bytes = self.encoded.len();
        let (codec, payload) = match &mut self.compressor {
            Some(compressor) if batch_bytes >= MIN_COMPRESSED_BYTES => {
                match compressor.compress(&self.encoded) {
                    Ok(compressed) if compressed.len() < batch_bytes => {
                        (v1::Codec::Zstd, Bytes::from(compressed.into_boxed_slice()))
                    }
                    _ => (v1::Codec::None, Bytes::copy_from_slice(&self.encoded)),
                }
            }
            _ => (v1::Codec::None, Bytes::copy_from_slice(&self.encoded)),
        };
        let counts = &self.shared.counts;
        counts.delivered_bytes.fetch_add(raw.payload_bytes, Relaxed);
        counts.frames.fetch_add(1, Relaxed);
        counts.frame_bytes.fetch_add(payload.len() as u64, Relaxed);
        let frame = v1::Frame {
            sequence: 0,
            codec: codec.into(),
            // A batch is at most as large as the daemon's limit, which has 32 bits.
            batch_bytes: batch_bytes as u32,
            payload,
            clock: Some(clock_reading()),
            ledger: Some(counts.ledger(&self.kernel())),
        };
        self.shared
            .with_outbox(|outbox| outbox.push(frame, raw.payload_bytes));
    }

    /// Compresses as fast as the CPU budget wants it.
    fn adapt(&mut self) {
        let is_fast = self.shared.compress_fast.load(Relaxed);
        let Some(compressor) = &mut self.compressor else {
            return;
        };
        if is_fast == self.is_fast {
            return;
        }
        self.is_fast = is_fast;
        let level = match is_fast {
            true => self.level.min(FASTEST_LEVEL),
            false => self.level,
        };
        if let Err(error) = compressor.set_compression_level(level) {
            tracing::error!(%error, level, "the level of compression stays");
        }
    }

    fn kernel(&self) -> Ledger {
        self.kernel.read().unwrap_or_else(|error| {
            tracing::error!(%error, "the kernel's ledger could not be read");
            Ledger::default()
        })
    }
}
