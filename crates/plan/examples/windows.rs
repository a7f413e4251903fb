//! What planning window by window costs: `cargo run --release -p twintap-plan --example windows
//! -- ARCHIVE SECONDS [KEPT_MIB]`.
//!
//! Reads an archive, and plans windows of so many seconds of it as a run without end does,
//! keeping so many MiB (64) of earlier ones. Prints a JSON line: exchanges, windows, CPU of
//! planning for an exchange in microseconds over all windows and in the last tenth of them, and
//! what was kept and forgotten.

use twintap_archive::Reader;
use twintap_plan::{Follower, PlanOptions};
use twintap_scrub::ExchangeRecord;
use twintap_stream::Timestamp;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let archive = arguments.next().ok_or("name an archive")?;
    let seconds: f64 = arguments
        .next()
        .ok_or("say how long a window is")?
        .parse()?;
    let kept_mib: usize = arguments.next().map_or(Ok(64), |text| text.parse())?;
    let reader = Reader::open(&archive)?;
    let mut windows = Windows {
        length_ns: (seconds * 1e9) as u64,
        follower: None,
        kept_bytes: kept_mib << 20,
        costs: Vec::new(),
    };
    let mut window: Vec<ExchangeRecord> = Vec::new();
    for stored in reader.exchanges() {
        let record = ExchangeRecord::clone(&stored?.record);
        let sent = record.exchange.request.first_byte;
        let first = window.first();
        let begin = first.map_or(sent, |first| first.exchange.request.first_byte);
        if sent.since_ns(begin) >= windows.length_ns {
            windows.plan(&std::mem::take(&mut window))?;
        }
        window.push(record);
    }
    windows.plan(&window)?;
    windows.print();
    Ok(())
}

struct Windows {
    length_ns: u64,
    follower: Option<Follower>,
    kept_bytes: usize,
    /// Exchanges and nanoseconds of each.
    costs: Vec<(u64, u64)>,
}

impl Windows {
    fn plan(&mut self, window: &[ExchangeRecord]) -> Result<(), AnyError> {
        let Some(first) = window.first() else {
            return Ok(());
        };
        let origin: Timestamp = first.exchange.request.first_byte;
        let options = PlanOptions::default;
        let follower = self
            .follower
            .get_or_insert_with(|| Follower::new(options(), origin, self.kept_bytes));
        let before = cpu_ns()?;
        let planned = follower.plan(window.iter().map(|record| (record, true)));
        let count = planned.requests.len() as u64;
        self.costs.push((count, cpu_ns()? - before));
        Ok(())
    }

    fn print(&self) {
        let us = |costs: &[(u64, u64)]| {
            let exchanges: u64 = costs.iter().map(|cost| cost.0).sum();
            let ns: u64 = costs.iter().map(|cost| cost.1).sum();
            (exchanges, ns as f64 / 1000.0 / exchanges.max(1) as f64)
        };
        let (exchanges, all_us) = us(&self.costs);
        let (_, last_us) = us(&self.costs[self.costs.len() * 9 / 10..]);
        let (kept, forgotten) = self
            .follower
            .as_ref()
            .map_or((0, 0), |follower| (follower.kept(), follower.forgotten()));
        println!(
            "{{\"exchanges\":{exchanges},\"windows\":{},\"us_an_exchange\":{all_us:.2},\
             \"us_an_exchange_at_the_end\":{last_us:.2},\"kept\":{kept},\"forgotten\":{forgotten}}}",
            self.costs.len()
        );
    }
}

/// Nanoseconds that this thread has had a CPU.
fn cpu_ns() -> Result<u64, AnyError> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().ok_or("schedstat is empty")?;
    Ok(first.parse()?)
}
