//! Laws that hold for any bytes; the fuzz targets go by them, too.

use std::sync::LazyLock;

use twintap_scrub::{Key, Policy, Scrubber, SnapshotError, SnapshotFormat};

pub const FORMATS: [SnapshotFormat; 5] = [
    SnapshotFormat::JsonLines,
    SnapshotFormat::Csv,
    SnapshotFormat::Postgres,
    SnapshotFormat::Mysql,
    SnapshotFormat::Redis,
];

static DEFAULT: LazyLock<Scrubber> = LazyLock::new(|| scrubber(Policy::default_policy()));
static ALLOW_ALL: LazyLock<Scrubber> = LazyLock::new(|| scrubber(Policy::allow_all()));

fn scrubber(policy: Policy) -> Scrubber {
    Scrubber::new(policy, &Key::from_bytes([7; Key::BYTES]))
}

/// A snapshot, or what is taken for one: the first byte says its format, the second in
/// which pieces it comes.
///
/// In pieces it becomes what it becomes at once. Where it can be read, what comes out can
/// be read again, and the policy that allows all gives the very same bytes.
pub fn snapshot(data: &[u8]) {
    let [format, piece, bytes @ ..] = data else {
        return;
    };
    let format = FORMATS[usize::from(*format) % FORMATS.len()];
    let at_once = in_pieces(&DEFAULT, format, bytes, bytes.len());
    let piece = 1 + usize::from(*piece) % 16;
    assert_eq!(at_once, in_pieces(&DEFAULT, format, bytes, piece));
    let kept = in_pieces(&ALLOW_ALL, format, bytes, bytes.len());
    assert_eq!(at_once.is_ok(), kept.is_ok());
    if let (Ok(scrubbed), Ok(kept)) = (at_once, kept) {
        assert_eq!(kept, bytes);
        let again = in_pieces(&ALLOW_ALL, format, &scrubbed, scrubbed.len());
        assert_eq!(again.as_ref(), Ok(&scrubbed));
    }
}

/// What a snapshot becomes that comes in pieces of so many bytes.
pub fn in_pieces(
    scrubber: &Scrubber,
    format: SnapshotFormat,
    bytes: &[u8],
    piece: usize,
) -> Result<Vec<u8>, SnapshotError> {
    let mut snapshot = scrubber.snapshot(format);
    let mut out = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        out.extend_from_slice(&snapshot.push(piece)?);
    }
    let (rest, _) = snapshot.finish()?;
    out.extend_from_slice(&rest);
    Ok(out)
}
