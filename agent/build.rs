//! Embeds the kernel programs when they have been built. Without them the agent builds all the same
//! and says at its start what is missing.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=TWINTAP_EBPF_OBJECT");
    let object = match env::var_os("TWINTAP_EBPF_OBJECT") {
        Some(path) => PathBuf::from(path),
        None => {
            let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
            let folder = workspace.join("target/ebpf");
            fs::create_dir_all(&folder)?;
            // A file that is missing would count as changed in every build; the folder does not.
            println!("cargo:rerun-if-changed={}", folder.display());
            folder.join("twintap-agent-ebpf")
        }
    };
    let embedded = PathBuf::from(env::var("OUT_DIR")?).join("twintap-agent-ebpf");
    if object.exists() {
        println!("cargo:rerun-if-changed={}", object.display());
        fs::copy(&object, &embedded)?;
    } else {
        fs::write(&embedded, [])?;
    }
    Ok(())
}
