//! What was done.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Everything that the log has entries of; its fields are in docs/audit.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "subject", rename_all = "snake_case")]
pub enum Event {
    /// The log's first entry.
    LogBegun {
        /// Version of the format.
        format: u32,
        /// Who signs the log's lines: the public key of Ed25519, in base64.
        public_key: String,
        /// Whether the key was made for this log; else it was there before the log was.
        key_is_new: bool,
    },
    /// What stood after the last sound line is part of no entry: a write that a crash cut
    /// off, or nothing that the log's key signed.
    BytesSealed {
        /// How many bytes, without a line feed at their end.
        bytes: u64,
        /// BLAKE3 of them, in hexadecimal digits.
        hash: String,
        /// Whether they had no line feed at their end, as a write that was cut off.
        is_torn: bool,
    },
    /// The head file names entries that were not there any more.
    CutSealed {
        /// The last entry's number by the head file.
        seq: u64,
        /// Its hash.
        hash: String,
    },
    /// There was a log and no head file, or none that its key signed.
    HeadMissing {},
    /// A pseudonym key was read.
    KeyLoaded {
        /// The archive that it is for.
        archive: String,
        /// Tells one key from another, and nothing about either.
        fingerprint: String,
    },
    /// A policy, for the first time or the same as the last time.
    PolicyUsed {
        /// The archive that it scrubs.
        archive: String,
        /// The policy's hash.
        policy: String,
    },
    /// Another policy than the last one for this archive.
    PolicyChanged {
        /// The archive that it scrubs.
        archive: String,
        /// The policy's hash.
        policy: String,
        /// That of the last one.
        before: String,
    },
    /// A capture file is to be brought into an archive.
    ImportStarted {
        /// The archive.
        archive: String,
        /// The capture file.
        file: String,
    },
    /// That has come to an end.
    ImportEnded {
        /// The archive.
        archive: String,
        /// The capture file.
        file: String,
        /// Exchanges stored.
        stored: u64,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Requests are to be fired.
    RunStarted {
        /// The run's name.
        run: String,
        /// The archive.
        archive: String,
        /// Where the candidate is.
        candidate: String,
        /// Where the baseline is.
        baseline: String,
        /// Where the second baseline is, if the run has one and fires at it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        second_baseline: Option<String>,
        /// Where the twins for confirmation are, the candidate's first, if the run has some.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        confirm: Vec<String>,
        /// The policy's hash.
        policy: String,
        /// The key's fingerprint.
        key: String,
        /// Exchanges that are fired alone; empty for a whole run.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        only: Vec<String>,
    },
    /// A run came to its end.
    RunEnded {
        /// The run's name.
        run: String,
        /// The archive.
        archive: String,
        /// `pass`, `fail` or `inconclusive`; absent where it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<String>,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Somebody told a daemon, or a run in the foreground, what to do.
    RunSteered {
        /// The run's id there; absent where it was to be created.
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<String>,
        /// What it was told.
        order: Order,
    },
    /// Somebody told a daemon which agents may capture.
    AgentsSteered {
        /// One node; absent for all.
        #[serde(skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// `pause` or `resume`.
        order: Order,
    },
    /// Stored data was shown.
    Revealed {
        /// The archive.
        archive: String,
        /// What of it.
        data: Data,
    },
    /// What scrubbing had let through was kept out of the archive.
    Quarantined {
        /// The archive.
        archive: String,
        /// Exchanges, and messages of WebSockets.
        exchanges: u64,
        /// How many of them had something of each kind.
        kinds: BTreeMap<String, u64>,
    },
    /// An archive is to be searched for personal values.
    ScanStarted {
        /// The archive.
        archive: String,
    },
    /// That has come to an end.
    ScanEnded {
        /// The archive.
        archive: String,
        /// Exchanges searched.
        exchanges: u64,
        /// Personal values found.
        found: u64,
    },
    /// A daemon began.
    DaemonStarted {
        /// The archive.
        archive: String,
        /// Its version.
        version: String,
    },
    /// A daemon ended.
    DaemonStopped {
        /// The archive.
        archive: String,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// The words for what was done, in the order of [`Event`].
pub const ACTIONS: [&str; 19] = [
    "log_begun",
    "bytes_sealed",
    "cut_sealed",
    "head_missing",
    "key_loaded",
    "policy_used",
    "policy_changed",
    "import_started",
    "import_ended",
    "run_started",
    "run_ended",
    "run_steered",
    "agents_steered",
    "revealed",
    "quarantined",
    "scan_started",
    "scan_ended",
    "daemon_started",
    "daemon_stopped",
];

/// What a run was told, or agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// To be there.
    Create,
    /// To begin.
    Start,
    /// To hold.
    Pause,
    /// To go on.
    Resume,
    /// To end early.
    Stop,
    /// To go at another speed.
    Speed,
    /// To go on from a later place.
    Seek,
}

/// What was shown of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Heads of exchanges.
    Exchanges,
    /// Sessions with the addresses of their clients.
    Sessions,
    /// A plan, with methods and targets.
    Plan,
}

/// A path as entries have it: the same wherever a command is started.
pub fn path(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    let path = absolute.as_deref().unwrap_or(path);
    path.to_string_lossy().into_owned()
}
