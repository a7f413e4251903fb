//! `twintap-shop-driver`: users for the sample service.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use twintap_shop::driver::{DriveConfig, Until, drive};
use twintap_shop::seed;

/// Users for the sample service: exits with 1 if any answer was not the one of production.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The shop.
    #[arg(long)]
    target: SocketAddr,
    /// How many users visit it.
    #[arg(long, default_value_t = 200)]
    users: usize,
    /// For how many seconds users visit it.
    #[arg(long, value_name = "SECS", default_value_t = 25.0, value_parser = positive)]
    duration: f64,
    /// How many visits each user makes, however long they take.
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    journeys: Option<u32>,
    /// What the users' choices follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The shop's own seed.
    #[arg(long, default_value_t = 1)]
    shop_seed: u64,
    /// How many accounts the shop was seeded with; users beyond them register.
    #[arg(long, default_value_t = seed::DEFAULT_ACCOUNTS)]
    accounts: usize,
    /// How long a user thinks before a step, in milliseconds.
    #[arg(long, value_name = "MIN..MAX", default_value = "400..1600", value_parser = milliseconds)]
    think_ms: RangeInclusive<u64>,
    /// How many users are on a visit at the same time, at most; all if not given.
    #[arg(long)]
    concurrency: Option<usize>,
    /// How to print what the users got.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    summary: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let format = cli.summary;
    let summary = drive(cli.into_config()).await;
    match format {
        Format::Text => print!("{summary}"),
        Format::Json => {
            let summary = serde_json::to_string(&summary).context("printing the summary")?;
            println!("{summary}");
        }
    }
    Ok(if summary.unexpected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Cli {
    fn into_config(self) -> DriveConfig {
        DriveConfig {
            target: self.target,
            users: self.users,
            until: match self.journeys {
                Some(visits) => Until::Visits(visits),
                None => Until::Elapsed(Duration::from_secs_f64(self.duration)),
            },
            seed: self.seed,
            shop_seed: self.shop_seed,
            shop_accounts: self.accounts,
            think_ms: self.think_ms,
            concurrency: self.concurrency.unwrap_or(usize::MAX),
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, 0 to 1000000".to_owned()),
    }
}

fn milliseconds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let parsed = text.split_once("..").and_then(|(min, max)| {
        let range = min.parse().ok()?..=max.parse().ok()?;
        (!range.is_empty()).then_some(range)
    });
    parsed.ok_or_else(|| "expected MIN..MAX in milliseconds, as in 400..1600".to_owned())
}
