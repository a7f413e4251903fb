//! Parts that are cut, flipped, removed or made of anything at all.

mod common;

use std::sync::Arc;

use common::storage::FaultyStorage;
use common::{body, checkpoint, id, read_all, received, record, store};
use proptest::prelude::*;
use twintap_archive::{Archive, DamageCause, Error, Options, Reader};

const EXCHANGES: u64 = 6;
const SEALED: &str = "00000001.part";
const OPEN: &str = "00000001.open";

fn options() -> Options {
    Options {
        // Each exchange is a block of its own.
        run_bytes: 1,
        inline_bytes: 100,
        ..Options::default()
    }
}

/// Six exchanges in three commits, one of them with a body in blocks.
fn sample() -> (FaultyStorage, Archive) {
    let storage = FaultyStorage::new();
    let (mut archive, _) =
        Archive::open_in(Arc::new(storage.clone()), options()).expect("a new archive");
    for number in 0..EXCHANGES {
        let body_bytes = if number == 1 { 250 } else { 0 };
        store(&mut archive, number, body_bytes).expect("there is room");
        if number % 2 == 1 {
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    (storage, archive)
}

fn sealed_sample() -> FaultyStorage {
    let (storage, archive) = sample();
    archive.close().expect("there is room");
    storage
}

fn open_sample() -> FaultyStorage {
    let (storage, archive) = sample();
    drop(archive);
    storage
}

fn reader(storage: &FaultyStorage) -> Reader {
    Reader::open_in(Arc::new(storage.clone())).expect("the identity is sound")
}

/// Reads all that can be read, compares it with what was written, and gives the
/// numbers of what came back and how many errors came with it.
#[track_caller]
fn read_what_is_left(reader: &Reader) -> (Vec<u64>, usize) {
    let mut numbers = Vec::new();
    let mut errors = 0;
    for stored in reader.exchanges() {
        match stored {
            Ok(stored) => {
                let number = (0..EXCHANGES)
                    .find(|number| id(*number) == *stored.id())
                    .expect("no exchange is made up");
                assert_eq!(*stored.record, record(number));
                match reader.read_body(&stored.response_body, 1 << 20) {
                    Ok(read) => assert_eq!(read, body(number, if number == 1 { 250 } else { 0 })),
                    Err(Error::Damaged(_)) => errors += 1,
                    Err(error) => panic!("{error}"),
                }
                numbers.push(number);
            }
            Err(Error::Damaged(_)) => errors += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(numbers.is_sorted_by(|one, other| one < other));
    (numbers, errors)
}

#[test]
fn every_flipped_bit_of_a_sealed_part_is_told_of_and_costs_one_exchange_at_most() {
    let storage = sealed_sample();
    let bytes = storage.file(SEALED);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        storage.put(SEALED, flipped);
        let reader = reader(&storage);
        let verified = reader.verify().expect("it can be read");
        assert!(!verified.is_sound(), "the flip at {at} goes unseen");
        let (numbers, _) = read_what_is_left(&reader);
        assert!(
            numbers.len() as u64 >= EXCHANGES - 1,
            "flip at {at}: {numbers:?}"
        );
        for number in &numbers {
            let found = reader.get(&id(*number)).expect("its block is sound");
            assert!(found.is_some(), "flip at {at}: {number} is not found");
        }
        let last = reader.checkpoint().expect("it can be read");
        // A damaged checkpoint takes its own news with it, nothing else.
        assert!(received(last.as_ref()) + 2 >= EXCHANGES, "flip at {at}");
    }
}

#[test]
fn an_open_part_with_a_flipped_bit_loses_the_last_commit_or_tells_of_it() {
    let sample = open_sample();
    let bytes = sample.file(OPEN);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let storage = sample.fork();
        storage.put(OPEN, flipped);
        let before = reader(&storage);
        let (numbers, errors) = read_what_is_left(&before);
        let opened = Archive::open_in(Arc::new(storage.clone()), options());
        let (mut archive, recovery) = opened.expect("one bit does not lock it up");
        let detected = errors > 0
            || !recovery.damage.is_empty()
            || !before.verify().expect("it can be read").is_sound();
        assert!(
            detected || recovery.truncated_bytes > 0,
            "the flip at {at} goes unseen"
        );
        // In the last group it can't be told from a torn write.
        assert!(
            numbers.len() as u64 >= EXCHANGES - 2,
            "flip at {at}: {numbers:?}"
        );
        store(&mut archive, 100, 0).expect("there is room");
        archive.commit(checkpoint(100)).expect("there is room");
        archive.close().expect("there is room");
        let after = reader(&storage);
        assert!(after.get(&id(100)).expect("it is sound").is_some());
        let kept = after.exchanges().filter_map(Result::ok).count();
        assert_eq!(kept, numbers.len() + 1, "flip at {at}");
    }
}

#[test]
fn an_open_part_cut_anywhere_has_the_commits_before_the_cut() {
    let sample = open_sample();
    let bytes = sample.file(OPEN);
    let mut counts = Vec::new();
    for length in 0..=bytes.len() {
        let storage = sample.fork();
        storage.put(OPEN, bytes[..length].to_vec());
        let before = reader(&storage);
        let stored = read_all(&before);
        let last = before.checkpoint().expect("it can be read");
        assert_eq!(received(last.as_ref()), stored.len() as u64);
        assert!(before.verify().expect("it can be read").is_sound());
        let (archive, recovery) =
            Archive::open_in(Arc::new(storage.clone()), options()).expect("a cut is mended");
        assert_eq!(recovery.exchanges, stored.len() as u64);
        assert_eq!(archive.exchanges(), stored.len() as u64);
        counts.push(stored.len() as u64);
    }
    assert!(counts.is_sorted());
    counts.dedup();
    assert_eq!(counts, [0, 2, 4, EXCHANGES]);
}

#[test]
fn a_sealed_part_cut_anywhere_has_the_exchanges_before_the_cut_and_says_so() {
    let sample = sealed_sample();
    let bytes = sample.file(SEALED);
    let mut most = 0;
    for length in 0..bytes.len() {
        let storage = sample.fork();
        storage.put(SEALED, bytes[..length].to_vec());
        let reader = reader(&storage);
        assert!(!reader.verify().expect("it can be read").is_sound());
        let (numbers, _) = read_what_is_left(&reader);
        assert!(numbers.len() >= most);
        most = numbers.len();
        Archive::open_in(Arc::new(storage), options()).expect("a writer goes on after it");
    }
    assert_eq!(most as u64, EXCHANGES);
}

#[test]
fn reading_goes_on_after_a_damaged_block() {
    let storage = sealed_sample();
    let mut bytes = storage.file(SEALED);
    let runs: Vec<usize> = (0..bytes.len() - 5)
        .filter(|at| bytes[*at..].starts_with(b"TWBK\x01"))
        .collect();
    assert_eq!(runs.len() as u64, EXCHANGES);
    // One header, and one payload further on.
    bytes[runs[1]..runs[1] + 40].fill(0xff);
    bytes[runs[4] + 50] ^= 0xff;
    storage.put(SEALED, bytes);
    let reader = reader(&storage);
    let mut exchanges = reader.exchanges();
    let mut whole = Vec::new();
    for stored in exchanges.by_ref() {
        match stored {
            Ok(stored) => whole.push(stored.id().clone()),
            Err(Error::Damaged(damage)) => {
                assert_eq!(damage.part, 1);
                assert!(runs.contains(&(damage.offset as usize)));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(exchanges.damaged(), 2);
    assert_eq!(whole, [id(0), id(2), id(3), id(5)]);
}

#[test]
fn a_part_that_is_missing_is_told_of() {
    let storage = FaultyStorage::new();
    let small = Options {
        part_bytes: 1,
        ..options()
    };
    let (mut archive, _) =
        Archive::open_in(Arc::new(storage.clone()), small).expect("a new archive");
    for number in 0..3 {
        store(&mut archive, number, 0).expect("there is room");
        archive
            .commit(checkpoint(number + 1))
            .expect("there is room");
    }
    drop(archive);
    twintap_archive::Storage::remove(&storage, "00000002.part").expect("it is there");
    let verified = reader(&storage).verify().expect("it can be read");
    assert_eq!(verified.damage.len(), 1, "{verified:?}");
    assert_eq!(verified.damage[0].part, 2);
    assert_eq!(verified.damage[0].cause, DamageCause::Missing);
}

#[test]
fn parts_without_an_identity_are_not_taken_over() {
    let storage = sealed_sample();
    twintap_archive::Storage::remove(&storage, "archive.id").expect("it is there");
    let opened = Archive::open_in(Arc::new(storage.clone()), options());
    assert!(matches!(opened, Err(Error::Identity { .. })), "{opened:?}");
    let opened = Reader::open_in(Arc::new(storage));
    assert!(
        matches!(opened, Err(Error::NotAnArchive { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_part_of_another_archive_is_refused() {
    let storage = sealed_sample();
    storage.put("00000002.open", open_sample().file(OPEN));
    let opened = Archive::open_in(Arc::new(storage.clone()), options());
    assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
    let names = storage.names();
    assert!(
        names.iter().any(|name| name == "00000002.open"),
        "{names:?}"
    );
}

#[test]
fn another_major_version_is_refused_by_name() {
    let storage = sealed_sample();
    let mut bytes = storage.file("archive.id");
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..].copy_from_slice(&checksum);
    storage.put("archive.id", bytes);
    let opened = Reader::open_in(Arc::new(storage));
    let text = opened.expect_err("version 2 is not known").to_string();
    assert!(
        text.contains("archive.id has archive format version 2"),
        "{text}"
    );
}

#[test]
fn of_two_files_for_one_part_the_sealed_one_counts() {
    let storage = sealed_sample();
    let bytes = storage.file(SEALED);
    storage.put(OPEN, bytes[..bytes.len() / 2].to_vec());
    assert_eq!(read_all(&reader(&storage)).len() as u64, EXCHANGES);
    let (archive, _) =
        Archive::open_in(Arc::new(storage.clone()), options()).expect("it is an archive");
    assert_eq!(archive.exchanges(), EXCHANGES);
    assert!(!storage.names().iter().any(|name| name == OPEN));
}

/// Reads everything that there is, whatever comes of it.
fn exercise(storage: &FaultyStorage) {
    if let Ok(reader) = Reader::open_in(Arc::new(storage.clone())) {
        for stored in reader.exchanges().flatten().take(100) {
            // What is damaged is told of; here it matters that it comes back.
            let _ = reader.read_body(&stored.response_body, 1 << 20);
        }
        let _ = reader.verify();
        let _ = reader.checkpoint();
        let _ = reader.get(&id(1));
    }
    if let Ok((mut archive, _)) = Archive::open_in(Arc::new(storage.clone()), options()) {
        store(&mut archive, 100, 0).expect("there is room");
        archive.commit(checkpoint(100)).expect("there is room");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_no_part_and_no_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        sealed in any::<bool>(),
    ) {
        let storage = sealed_sample();
        storage.put(if sealed { "00000002.part" } else { "00000002.open" }, bytes);
        exercise(&storage);
        let (numbers, _) = read_what_is_left(&reader(&sealed_sample()));
        prop_assert_eq!(numbers.len() as u64, EXCHANGES);
    }

    #[test]
    fn a_part_pieced_together_from_its_own_pieces_makes_nothing_up(
        pieces in prop::collection::vec((0..4_000_usize, 0..1_500_usize), 0..8),
        sealed in any::<bool>(),
    ) {
        let sample = if sealed { sealed_sample() } else { open_sample() };
        let name = if sealed { SEALED } else { OPEN };
        let bytes = sample.file(name);
        let mut mixed = Vec::new();
        for (start, length) in pieces {
            let start = start.min(bytes.len());
            mixed.extend_from_slice(&bytes[start..bytes.len().min(start + length)]);
        }
        sample.put(name, mixed);
        read_what_is_left(&reader(&sample));
        exercise(&sample);
    }

    #[test]
    fn a_part_with_any_bytes_changed_is_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        sealed in any::<bool>(),
    ) {
        let sample = if sealed { sealed_sample() } else { open_sample() };
        let name = if sealed { SEALED } else { OPEN };
        let mut bytes = sample.file(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        sample.put(name, bytes);
        exercise(&sample);
    }
}
