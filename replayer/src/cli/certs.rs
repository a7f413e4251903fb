//! `twintap certs`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    twintap certs --out ./certs --daemon twintap.example.internal --daemon 10.0.0.5 --agent node-1\n\n\
    Writes ca.pem, ca.key, daemon.pem, daemon.key and, for each agent, NAME.pem, NAME.key.\n\
    Existing files are never overwritten.")]
pub struct Args {
    /// The directory to write to; made when absent.
    #[arg(long)]
    out: PathBuf,
    /// Names and addresses that agents reach the daemon by.
    #[arg(long, required = true)]
    daemon: Vec<String>,
    /// The agents' names.
    #[arg(long, default_values_t = [String::from("agent")])]
    agent: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("making the directory {}", args.out.display()))?;
    let mut params = CertificateParams::default();
    // Each CA has a name of its own, so that a certificate of another one is refused
    // as that, and not as a forged one.
    let number: u64 = rand::random();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Twintap CA {number:016x}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    write(&args.out, "ca.pem", &ca.pem(), 0o644)?;
    write(&args.out, "ca.key", &ca.key().serialize_pem(), 0o600)?;

    let issue = |name: &str, hosts: Vec<String>, purpose| -> Result<()> {
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &ca)?;
        write(&args.out, &format!("{name}.pem"), &certificate.pem(), 0o644)?;
        write(
            &args.out,
            &format!("{name}.key"),
            &key.serialize_pem(),
            0o600,
        )
    };
    issue(
        "daemon",
        args.daemon.clone(),
        ExtendedKeyUsagePurpose::ServerAuth,
    )?;
    for agent in &args.agent {
        issue(
            agent,
            vec![agent.clone()],
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
    }
    Ok(())
}

fn write(directory: &Path, name: &str, text: &str, mode: u32) -> Result<()> {
    let path = directory.join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
