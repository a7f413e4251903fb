//! `twintap scrub`.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::ValueEnum;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::NamedTempFile;
use twintap_scrub::{Scrubber, SnapshotCounts, SnapshotFormat, SnapshotScrubber};

use crate::{import, keys};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    pg_dump shop | twintap scrub --policy policy.yaml --key archive.key --format pgdump | psql twin\n  \
    twintap scrub --policy policy.yaml --key archive.key --format mysqldump shop.sql.gz -o twin.sql.gz\n  \
    twintap scrub --key archive.key users.csv -o users-of-twin.csv\n\n\
    With the policy and the key of the archive, what the twin holds and what is fired at it\n\
    have the same pseudonyms.")]
pub struct Args {
    /// The snapshot; standard input when left out. gzip is undone.
    input: Option<PathBuf>,
    /// Where the scrubbed snapshot goes, as gzip when its name ends with .gz; standard output
    /// when left out. The file is there when all of it is, and not before.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// How the snapshot is written [default: told from the input's name, .jsonl, .ndjson or .csv].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The scrubbing rules: `default`, `allow-all`, or a policy file.
    #[arg(long, default_value = "default")]
    policy: String,
    /// The pseudonym key, a file of 64 hex digits: that of the archive whose traffic the twin
    /// gets.
    #[arg(long)]
    key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON text on each line.
    Jsonl,
    /// Comma-separated values under a line of names.
    Csv,
    /// A plain dump of PostgreSQL.
    Pgdump,
    /// A dump of MySQL or MariaDB.
    Mysqldump,
    /// Commands of Redis, as lines of text or in RESP.
    Redis,
}

pub fn run(args: &Args) -> Result<()> {
    let policy = keys::load_policy(&args.policy)?;
    let key = keys::load_key(&args.key)?;
    let format = match args.format {
        Some(format) => format,
        None => format_of(args.input.as_deref())?,
    };
    let scrubber = Scrubber::new(policy, &key);
    let name = match &args.input {
        Some(path) => path.display().to_string(),
        None => "standard input".to_owned(),
    };
    let input = open(args.input.as_deref(), &name)?;
    let snapshot = scrubber.snapshot(format.into());
    let (counts, bytes) = match &args.output {
        None => pass(snapshot, input, &name, &mut io::stdout().lock())?,
        Some(path) => into_file(path, |out| pass(snapshot, input, &name, out))?,
    };
    eprintln!(
        "{name}: {bytes} bytes, {} values kept, {} pseudonyms, {} replaced; policy {}",
        counts.allowed,
        counts.pseudonyms,
        counts.replaced,
        scrubber.policy_hash().0
    );
    Ok(())
}

impl From<Format> for SnapshotFormat {
    fn from(format: Format) -> SnapshotFormat {
        match format {
            Format::Jsonl => SnapshotFormat::JsonLines,
            Format::Csv => SnapshotFormat::Csv,
            Format::Pgdump => SnapshotFormat::Postgres,
            Format::Mysqldump => SnapshotFormat::Mysql,
            Format::Redis => SnapshotFormat::Redis,
        }
    }
}

fn format_of(input: Option<&Path>) -> Result<Format> {
    let name = input.map(|path| match is_gzip(path) {
        true => path.with_extension(""),
        false => path.to_owned(),
    });
    let extension = name.as_ref().and_then(|name| name.extension());
    match extension.and_then(OsStr::to_str) {
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        Some("csv") => Ok(Format::Csv),
        _ => Err(anyhow!(
            "how the snapshot is written is not told by its name: name it with --format"
        )),
    }
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn open(input: Option<&Path>, name: &str) -> Result<Box<dyn Read + Send>> {
    let input = match input {
        None => import::unpacked(io::stdin()),
        Some(path) => File::open(path).and_then(import::unpacked),
    };
    input.with_context(|| format!("opening {name}"))
}

/// Writes a file that has its name when it is whole, and not before.
fn into_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let writing = || format!("writing {}", path.display());
    // Beside its place, since a file is renamed within one file system only. Dropped, it
    // is removed.
    let file = NamedTempFile::new_in(directory).with_context(writing)?;
    let buffer = BufWriter::with_capacity(1 << 20, file);
    let (done, buffer) = if is_gzip(path) {
        let mut packed = GzEncoder::new(buffer, Compression::default());
        let done = write(&mut packed)?;
        (done, packed.finish().with_context(writing)?)
    } else {
        let mut buffer = buffer;
        (write(&mut buffer)?, buffer)
    };
    let file = buffer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .with_context(writing)?;
    file.as_file().sync_all().with_context(writing)?;
    file.persist(path).with_context(writing)?;
    Ok(done)
}

/// Passes a snapshot through; what was done, and the bytes read.
fn pass(
    mut snapshot: SnapshotScrubber,
    mut input: Box<dyn Read + Send>,
    name: &str,
    out: &mut dyn Write,
) -> Result<(SnapshotCounts, u64)> {
    const WRITING: &str = "writing the scrubbed snapshot";
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {name}")),
        };
        bytes += read as u64;
        let scrubbed = snapshot
            .push(&buffer[..read])
            .with_context(|| name.to_owned())?;
        out.write_all(&scrubbed).context(WRITING)?;
    }
    let (rest, counts) = snapshot.finish().with_context(|| name.to_owned())?;
    out.write_all(&rest).context(WRITING)?;
    out.flush().context(WRITING)?;
    Ok((counts, bytes))
}
