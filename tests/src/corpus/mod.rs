//! Real captures beside what other tools see in them.
//!
//! The corpus is not part of the repository: `TWINTAP_CORPUS` names it, or it lies beside the
//! checkout. Where this project differs from the ground truth, `corpus_differences.md` of
//! `twintap-stream` says why.

pub mod compare;
mod differences;
mod items;
mod peer;
pub mod replay;
mod truth;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use self::compare::{Comparison, Row, Tally, compare};
pub use self::differences::explanations;
pub use self::peer::NAME as PEER;
pub use self::replay::{Replayed, replay};

/// The folder with captures, ground truth and index.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
}

/// One capture of the index.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its path below `captures/`.
    pub name: String,
    /// The protocol that the index names.
    pub protocol: String,
}

impl Listed {
    /// The project that the capture comes from.
    pub fn source(&self) -> &str {
        self.name.split('/').next().unwrap_or("")
    }
}

impl Corpus {
    /// The corpus in `named`, or where `TWINTAP_CORPUS` says, or beside the checkout.
    ///
    /// # Errors
    /// When there is none; the error says what to do.
    pub fn find(named: Option<&Path>) -> Result<Corpus> {
        let root = match (named, std::env::var_os("TWINTAP_CORPUS")) {
            (Some(named), _) => named.to_owned(),
            (None, Some(path)) => PathBuf::from(path),
            (None, None) => {
                let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
                manifest.join("../../shared/corpus")
            }
        };
        if !root.join("INDEX.tsv").exists() {
            bail!(
                "no corpus of captures at {}: it has INDEX.tsv, captures/ and truth/; \
                 set TWINTAP_CORPUS to where it is, or pass --corpus",
                root.display()
            );
        }
        Ok(Corpus { root })
    }

    /// The path of a capture of the index.
    pub fn capture(&self, name: &str) -> PathBuf {
        self.root.join("captures").join(name)
    }

    /// A path in the corpus.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A path below `captures/` for output.
    pub fn relative(&self, path: &Path) -> String {
        let captures = self.root.join("captures");
        path.strip_prefix(captures)
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The captures of the index, by name.
    ///
    /// # Errors
    /// When the index can't be read.
    pub fn listed(&self) -> Result<BTreeMap<String, Listed>> {
        let path = self.root.join("INDEX.tsv");
        let index = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        let lines = index.lines().skip(1).map(|line| {
            let mut cells = line.split('\t');
            let path = cells.next().unwrap_or("");
            let name = path.strip_prefix("captures/").unwrap_or(path).to_owned();
            let protocol = cells.next().unwrap_or("").to_owned();
            (name.clone(), Listed { name, protocol })
        });
        Ok(lines.collect())
    }

    /// Every file under `captures/`, captures and others, in a fixed order.
    ///
    /// # Errors
    /// When a folder can't be read.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        walk(&self.root.join("captures"), &mut files)?;
        Ok(files)
    }

    /// The table of messages for a capture, in order where tshark stalled.
    fn truth(&self, name: &str) -> Option<PathBuf> {
        let stem = name.replace('/', "__");
        [format!("{stem}.inorder.tsv"), format!("{stem}.tsv")]
            .iter()
            .map(|file| self.root.join("truth").join(file))
            .find(|path| path.exists())
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = Vec::new();
    let context = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        entries.push(entry.with_context(context)?.path());
    }
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => walk(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}
