//! Builds the kernel programs, with whichever toolchain for them this machine has.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

const TARGET: &str = "bpfel-unknown-none";
const PROGRAM: &str = "twintap-agent-ebpf";
const LINKER_VERSION: &str = "0.13.0";
const RUSTFLAGS: &str = "-C linker=bpf-linker -C link-arg=--btf -C debuginfo=2";

/// What Debian needs beside the linker; the versions belong together.
const DEBIAN_PACKAGES: [&str; 8] = [
    "rustc-web",
    "rust-web-src",
    "cargo-web",
    "llvm-22-dev",
    "libpolly-22-dev",
    "libzstd-dev",
    "bpftool",
    "iproute2",
];
const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";

/// A compiler that can build `core` for the kernel's virtual machine.
#[derive(Clone, Copy, Debug)]
enum Toolchain {
    /// The distribution's compiler with the sources of its `core`.
    Debian,
    /// rustup's nightly with rust-src.
    Nightly,
}

impl Toolchain {
    /// The first that works.
    fn find(sh: &Shell) -> Option<Self> {
        if Path::new("/usr/lib/rustlib/src/rust/library/core").exists()
            && Path::new("/usr/bin/cargo").exists()
        {
            return Some(Self::Debian);
        }
        let sysroot = cmd!(sh, "rustup run nightly rustc --print sysroot")
            .quiet()
            .ignore_stderr()
            .read()
            .ok()?;
        let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/core");
        sources.exists().then_some(Self::Nightly)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Debian => "Debian's rustc (/usr/bin/rustc)",
            Self::Nightly => "rustup's nightly with rust-src",
        }
    }
}

/// Builds the kernel programs into `target/ebpf/twintap-agent-ebpf`, or where
/// `TWINTAP_EBPF_OBJECT` says, whatever `CARGO_TARGET_DIR` is.
///
/// # Errors
///
/// When a toolchain or the linker is missing (the error says what to type), or the build fails.
pub fn build_ebpf(sh: &Shell) -> Result<()> {
    let _path = with_cargo_bin(sh)?;
    let Some(toolchain) = Toolchain::find(sh) else {
        bail!("no compiler for the kernel programs. {}", advice());
    };
    if !has_linker(sh) {
        bail!("bpf-linker is missing. {}", advice());
    }
    eprintln!("kernel programs: building with {}", toolchain.name());
    let workspace = workspace();
    let target_dir = workspace.join("target/ebpf-build");
    let arguments = [
        "build",
        "--release",
        "--locked",
        "--package",
        PROGRAM,
        "-Z",
        "build-std=core",
        "--target",
        TARGET,
        "--target-dir",
    ];
    let command = match toolchain {
        Toolchain::Debian => cmd!(sh, "/usr/bin/cargo {arguments...} {target_dir}")
            .env("RUSTC", "/usr/bin/rustc")
            // Lets the compiler of a release take what only nightly ones do.
            .env("RUSTC_BOOTSTRAP", "1"),
        Toolchain::Nightly => cmd!(sh, "rustup run nightly cargo {arguments...} {target_dir}")
            .env_remove("RUSTC")
            .env_remove("RUSTUP_TOOLCHAIN"),
    };
    command
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .run()
        .context("the kernel programs do not build")?;

    let built = target_dir.join(TARGET).join("release").join(PROGRAM);
    let object = env::var_os("TWINTAP_EBPF_OBJECT").map_or_else(
        || workspace.join("target/ebpf").join(PROGRAM),
        PathBuf::from,
    );
    replace(&built, &object)?;
    eprintln!("kernel programs: {}", object.display());
    Ok(())
}

/// Installs what building the kernel programs takes, where it knows how and may; otherwise says
/// exactly what to type.
///
/// # Errors
///
/// When something is missing that it could not install.
pub fn setup(sh: &Shell) -> Result<()> {
    let _path = with_cargo_bin(sh)?;
    if let (Some(toolchain), true) = (Toolchain::find(sh), has_linker(sh)) {
        eprintln!(
            "kernel programs: {} and bpf-linker are here",
            toolchain.name()
        );
        return Ok(());
    }
    if !may_install(sh) {
        bail!("the kernel programs cannot be built here. {}", advice());
    }
    if Toolchain::find(sh).is_none() || !Path::new(DEBIAN_LLVM).exists() {
        cmd!(sh, "apt-get update").run()?;
        cmd!(sh, "apt-get install --yes {DEBIAN_PACKAGES...}").run()?;
    }
    if !has_linker(sh) {
        let arguments = linker_arguments();
        cmd!(sh, "cargo {arguments...}")
            .env("LLVM_PREFIX", DEBIAN_LLVM)
            .env("LLVM_SYS_221_PREFIX", DEBIAN_LLVM)
            .run()?;
    }
    let Some(toolchain) = Toolchain::find(sh) else {
        bail!(
            "the packages are installed, and still there is no compiler. {}",
            advice()
        );
    };
    eprintln!("kernel programs: chose {}", toolchain.name());
    Ok(())
}

/// Whether the packages of Debian can be installed: they need root.
fn may_install(sh: &Shell) -> bool {
    let is_debian = Path::new("/etc/debian_version").exists();
    let user = cmd!(sh, "id -u").quiet().read();
    is_debian && user.is_ok_and(|user| user == "0")
}

fn has_linker(sh: &Shell) -> bool {
    cmd!(sh, "bpf-linker --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
}

fn linker_arguments() -> Vec<&'static str> {
    vec![
        "install",
        "bpf-linker",
        "--locked",
        "--version",
        LINKER_VERSION,
        "--no-default-features",
        "--features",
        "llvm-22",
    ]
}

fn advice() -> String {
    format!(
        "On Debian, as root (`cargo xtask setup` does both):\n  \
         apt-get install {}\n  \
         LLVM_PREFIX={DEBIAN_LLVM} LLVM_SYS_221_PREFIX={DEBIAN_LLVM} cargo {}\n\
         Elsewhere:\n  \
         rustup toolchain install nightly --component rust-src\n  \
         cargo install bpf-linker",
        DEBIAN_PACKAGES.join(" "),
        linker_arguments().join(" ")
    )
}

/// The linker is installed beside cargo's own programs, which need not be in the path.
fn with_cargo_bin(sh: &Shell) -> Result<xshell::PushEnv<'_>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os("HOME")?;
        Some(Path::new(&home).join(".cargo"))
    });
    let mut paths: Vec<PathBuf> =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    paths.extend(home.map(|home| home.join("bin")));
    let joined = env::join_paths(paths).context("PATH")?;
    Ok(sh.push_env("PATH", joined))
}

/// Copies a file unless it is there already: a new time would build the agent anew.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| from.display().to_string())?;
    if fs::read(to).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(to, content).with_context(|| to.display().to_string())
}

fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}
