//! `twintap-shop`: the sample service, as it is in production or as a candidate.

use std::alloc::System;
use std::io::{self, Write as _};
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::signal::unix::{SignalKind, signal};
use twintap_shop::mutations::{Mutation, Mutations};
use twintap_shop::regressions::{Regression, Regressions};
use twintap_shop::{Shop, ShopConfig, StateAt, seed};

/// Counts what is in use, for `GET /metrics`.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The sample service that Twintap captures and replays.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Where to listen; port 0 takes a free one. The address is printed when the shop is ready.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to keep the state: a SQLite file, or `:memory:`.
    #[arg(long, default_value = ":memory:")]
    state: StateAt,
    /// What accounts and products are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many accounts to seed.
    #[arg(long, default_value_t = seed::DEFAULT_ACCOUNTS)]
    accounts: usize,
    /// Be a candidate: the same shop with faults.
    #[arg(long)]
    candidate: bool,
    /// The candidate's faults, separated by commas; all if none are given, here or of the
    /// harder set.
    #[arg(long, value_delimiter = ',', requires = "candidate")]
    regressions: Option<Vec<Regression>>,
    /// The candidate's faults of the harder set, separated by commas; none if not given.
    #[arg(long, value_delimiter = ',', requires = "candidate")]
    mutations: Option<Vec<Mutation>>,
    /// Let `POST /admin/reset` bring the state back to its seeded start.
    #[arg(long)]
    allow_reset: bool,
    /// Have a cache that fills while the shop is used, and stops at so many bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    warm_cache: usize,
}

impl Cli {
    fn into_config(self) -> ShopConfig {
        let regressions = match (self.candidate, self.regressions, &self.mutations) {
            (true, Some(chosen), _) => chosen.into_iter().collect(),
            (true, None, None) => Regressions::all(),
            _ => Regressions::none(),
        };
        let mutations: Mutations = self.mutations.into_iter().flatten().collect();
        ShopConfig {
            listen: self.listen,
            state: self.state,
            seed: self.seed,
            accounts: self.accounts,
            regressions,
            mutations,
            allow_reset: self.allow_reset,
            warm_cache_bytes: self.warm_cache,
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("catching SIGTERM")?;
    let shop = Shop::start(Cli::parse().into_config()).await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", shop.addr())
        .and_then(|()| stdout.flush())
        .context("saying that the shop is ready")?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("catching SIGINT")?,
    }
    shop.stop().await.context("stopping the shop")
}
