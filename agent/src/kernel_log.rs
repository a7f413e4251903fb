//! The few lines that the kernel programs write, among those of the agent.

use std::io;

use aya_log::EbpfLogger;
use log::Log;
use tokio::io::{Interest, unix::AsyncFd};
use tokio_util::sync::CancellationToken;

/// Writes the lines as they come until `stop`, then those that are left.
///
/// The logger hands them to `log`, from which `tracing` takes them.
///
/// # Errors
///
/// When the ring of the lines cannot be waited for.
pub async fn run(lines: EbpfLogger<&'static dyn Log>, stop: CancellationToken) -> io::Result<()> {
    // SAFETY: the lines own their ring, whose descriptor stays the same and open while they live.
    let mut lines = unsafe { AsyncFd::register_with_interest(lines, Interest::READABLE) }?;
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                lines.get_mut().flush();
                return Ok(());
            }
            ready = lines.readable_mut() => {
                let mut ready = ready?;
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
        }
    }
}
