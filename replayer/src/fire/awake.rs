//! Idle processors that stay awake.

use std::fs::{File, OpenOptions};
use std::io::Write;

/// Where a program asks the kernel that processors wake up soon; for the privileged alone
/// (Documentation/power/pm_qos_interface.rst).
const LATENCY_DEVICE: &str = "/dev/cpu_dma_latency";

/// While this lives, idle processors poll rather than sleep: waking one takes up to a tenth
/// of a millisecond, and more in a virtual machine, just when a request is due. The kernel
/// takes the wish back when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct Awake {
    _asked: File,
}

impl Awake {
    /// Asks for it; none where that is not allowed, or nobody listens.
    pub(crate) fn ask() -> Option<Awake> {
        let mut device = OpenOptions::new().write(true).open(LATENCY_DEVICE).ok()?;
        // Microseconds, as a number of 32 bits.
        device.write_all(&0i32.to_ne_bytes()).ok()?;
        Some(Awake { _asked: device })
    }
}
