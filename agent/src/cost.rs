//! What the agent costs: processor time of the process, and of its kernel programs where the
//! machine keeps statistics of them.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use crate::{
    drain::Shared,
    governor::{BackOff, CpuShare, Governor},
    ledger::monotonic_ns,
    probes::{PauseReason, ProbeError, Probes},
};

/// Watches the cost and does what the governor says of it: [`Self::look`] once a second.
pub struct Cost {
    governor: Option<Governor>,
    last_ns: u64,
    last_cpu: Duration,
}

impl Cost {
    /// Watches from now on; without a budget nothing comes of it but the metrics.
    pub fn new(budget: Option<CpuShare>) -> Self {
        Self {
            governor: budget.map(Governor::new),
            last_ns: monotonic_ns(),
            last_cpu: process_cpu(),
        }
    }

    /// Reads the cost since the last call, and backs off or comes back.
    ///
    /// # Errors
    ///
    /// When the kernel's maps cannot be written.
    pub fn look(&mut self, probes: &mut Probes, shared: &Shared) -> Result<(), ProbeError> {
        let kernel = probes.cpu();
        let kernel_ns = u64::try_from(kernel.as_nanos()).unwrap_or(u64::MAX);
        shared.counts.kernel_cpu_ns.store(kernel_ns, Relaxed);
        let (now_ns, cpu) = (monotonic_ns(), process_cpu() + kernel);
        let elapsed = Duration::from_nanos(now_ns.saturating_sub(self.last_ns));
        let spent = cpu.saturating_sub(self.last_cpu);
        (self.last_ns, self.last_cpu) = (now_ns, cpu);
        let Some(governor) = &mut self.governor else {
            return Ok(());
        };
        let share = spent.as_secs_f64() / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        match governor.observe(CpuShare(share)) {
            Some(state) => apply(state, share, probes, shared),
            None => Ok(()),
        }
    }
}

fn apply(
    state: BackOff,
    share: f64,
    probes: &mut Probes,
    shared: &Shared,
) -> Result<(), ProbeError> {
    probes.set_paused(PauseReason::CpuBudget, state == BackOff::Stop)?;
    probes.set_shed_shares(state.shed_shares())?;
    shared
        .compress_fast
        .store(state >= BackOff::Compression, Relaxed);
    shared.counts.back_off_level.store(state.level(), Relaxed);
    let percent = format!("{:.2}%", share * 100.0);
    if state >= BackOff::Quarters(1) {
        tracing::warn!(last_second = percent, "cpu-budget: {state}");
    } else {
        tracing::info!(last_second = percent, "cpu-budget: {state}");
    }
    Ok(())
}

/// What all threads of the process have taken, in user and kernel mode.
pub fn process_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
