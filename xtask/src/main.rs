//! `cargo xtask TASK`: everything that this repository can do for itself.

mod bench;
mod ci;
mod corpus;
mod demo;
mod ebpf;
mod edges;
mod fuzz;
mod services;
mod soak;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xshell::{Shell, cmd};

/// Tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build and the tests need, or say exactly what to type.
    Setup,
    /// Build the kernel programs into target/ebpf.
    BuildEbpf,
    /// Build everything, then run the agent with these flags.
    Run {
        /// Flags of twintap-agent, e.g. `--cgroup /my/service --port 8080`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Capture the sample shop live, replay it at two twins, print the verdict.
    Demo(demo::Options),
    /// Run all tests; those that need root say so when they are skipped.
    Test(test::Options),
    /// Measure something against a peer.
    Bench(bench::Options),
    /// Compare what is found in a corpus of real captures with other tools.
    Corpus(corpus::Options),
    /// Give the fuzz targets hostile input, and count how much.
    Fuzz(fuzz::Options),
    /// Install services that nobody here wrote, capture and replay them, print the fidelity.
    Services(services::Options),
    /// Follow live traffic for a while, and tell whether memory and lag stay as they were.
    Soak(soak::Options),
    /// Generate the gRPC code anew from the .proto files.
    Codegen,
    /// What the integration checks: format, lints, dependency edges, all tests.
    Ci,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let shell = Shell::new()?;
    shell.change_dir(workspace_root());
    match cli.task {
        Task::Setup => ebpf::setup(&shell),
        Task::BuildEbpf => ebpf::build_ebpf(&shell),
        Task::Run { args } => {
            ebpf::setup(&shell)?;
            ebpf::build_ebpf(&shell)?;
            cmd!(
                shell,
                "cargo run --release --package twintap-agent -- {args...}"
            )
            .run()?;
            Ok(())
        }
        Task::Demo(options) => demo::run(&shell, &options),
        Task::Test(options) => test::run(&shell, &options),
        Task::Bench(options) => bench::run(&shell, &options),
        Task::Corpus(options) => corpus::run(&shell, &options),
        Task::Fuzz(options) => fuzz::run(&shell, &options),
        Task::Services(options) => services::run(&shell, &options),
        Task::Soak(options) => soak::run(&shell, &options),
        Task::Codegen => {
            cmd!(
                shell,
                "cargo test --quiet --package twintap-proto --test codegen"
            )
            .env("TWINTAP_CODEGEN", "write")
            .run()?;
            Ok(())
        }
        Task::Ci => ci::run(&shell),
    }
}

/// The directory of the workspace's Cargo.toml.
fn workspace_root() -> std::path::PathBuf {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Where cargo puts what it builds.
fn target_directory() -> std::path::PathBuf {
    let root = workspace_root();
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => root.join(directory),
        None => root.join("target"),
    }
}
