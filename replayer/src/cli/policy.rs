//! `twintap policy`.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use twintap_scrub::{Canaries, CanaryLeak, IdleRule, Key, try_canaries};

use super::{EXIT_FAIL, EXIT_PASS};
use crate::keys;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check a policy: its keys, rules that can never decide, and what made-up values come through.
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    twintap policy check policy.yaml\n  \
    twintap policy check default --format json | jq .leaks\n\n\
    Exit codes: 0 nothing is to be mended, 1 something is, 3 it is no policy.")]
pub struct CheckArgs {
    /// `default`, `allow-all`, or a policy file.
    policy: String,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One object.
    Json,
}

/// What a check found; documented in docs/command-line.md.
#[derive(Serialize)]
struct Checked {
    policy: String,
    idle_rules: Vec<IdleRule>,
    canaries_tried: bool,
    leaks: Vec<CanaryLeak>,
}

pub fn run(command: &Command) -> Result<u8> {
    let Command::Check(args) = command;
    let policy = keys::load_policy(&args.policy)?;
    let canaries_tried = policy.canaries() != Canaries::Nothing;
    // Which key it is makes no difference to what is kept.
    let key = Key::from_bytes([0; 32]);
    let checked = Checked {
        policy: policy.hash().0,
        idle_rules: policy.idle_rules(),
        canaries_tried,
        leaks: match canaries_tried {
            true => try_canaries(&policy, &key),
            false => Vec::new(),
        },
    };
    match args.format {
        Format::Json => println!("{}", serde_json::to_string(&checked)?),
        Format::Text => checked.print(&args.policy),
    }
    let is_sound = checked.idle_rules.is_empty() && checked.leaks.is_empty();
    Ok(match is_sound {
        true => EXIT_PASS,
        false => EXIT_FAIL,
    })
}

impl Checked {
    fn print(&self, name: &str) {
        println!("{name}: policy {}", self.policy);
        for idle in &self.idle_rules {
            println!(
                "rule {} never decides: rule {} before it matches all that it does",
                idle.rule, idle.behind
            );
        }
        for leak in &self.leaks {
            println!(
                "made-up values come through at {} of {}: {}",
                leak.place,
                leak.route,
                leak.kinds.join(", ")
            );
        }
        match (self.canaries_tried, self.leaks.is_empty()) {
            (false, _) => println!("no made-up values were tried: the policy says so"),
            (true, true) => println!("no made-up value comes through"),
            (true, false) => (),
        }
    }
}
