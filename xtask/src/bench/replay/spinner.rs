//! A thread that does nothing but wait for due times: what the machine itself adds.

use std::time::{Duration, Instant};

/// Errors of a thread that spins until each of `count` due times, `spacing` apart: how much
/// later it saw the time, in nanoseconds, sorted. It goes before other threads as the firing
/// one does, where it may.
pub fn errors(count: u32, spacing: Duration) -> Vec<u64> {
    std::thread::spawn(move || {
        let thread = rustix::thread::gettid();
        // Without the right to it both run alike all the same.
        let _ = rustix::process::setpriority_process(Some(thread), -10);
        let start = Instant::now();
        let mut errors = Vec::with_capacity(count as usize);
        for number in 1..=count {
            let due = start + spacing * number;
            loop {
                let now = Instant::now();
                if now >= due {
                    errors.push((now - due).as_nanos() as u64);
                    break;
                }
                std::hint::spin_loop();
            }
        }
        errors.sort_unstable();
        errors
    })
    .join()
    .unwrap_or_default()
}

/// The value below which this share of sorted values lies, in microseconds.
pub fn quantile_us(sorted: &[u64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (sorted.len() as f64 * share) as usize;
    sorted
        .get(place.min(last))
        .map_or(0.0, |ns| *ns as f64 / 1000.0)
}
