//! The archive against a list in memory, while the storage fails in every way.
//!
//! What was committed is there exactly once and in order, what was not is not,
//! and the checkpoint always says exactly what the exchanges say.

mod common;

use std::sync::Arc;

use common::storage::{Faults, FaultyStorage};
use common::{check_sample, checkpoint, id, read_all, received, store};
use proptest::prelude::*;
use twintap_archive::{Archive, Error, Options, Reader};
use twintap_stream::Timestamp;

#[derive(Clone, Debug)]
enum Op {
    Store {
        body_bytes: usize,
    },
    Commit,
    Retain,
    /// Dropped without being closed, and opened again.
    Restart,
    Close,
    /// Everything goes wrong once so many more bytes were written.
    CrashAfter(u64),
    /// The machine loses power, now.
    PowerLoss(Vec<u8>),
    RoomFor(u64),
    Room,
    FailSyncs(u32),
    FailRenames(u32),
    FailDirectorySyncs(u32),
    Read,
}

fn op() -> impl Strategy<Value = Op> {
    let body_bytes = prop_oneof![4 => Just(0_usize), 4 => 1..800_usize, 1 => 800..12_000_usize];
    prop_oneof![
        20 => body_bytes.prop_map(|body_bytes| Op::Store { body_bytes }),
        10 => Just(Op::Commit),
        2 => Just(Op::Retain),
        2 => Just(Op::Restart),
        1 => Just(Op::Close),
        3 => (0..20_000_u64).prop_map(Op::CrashAfter),
        2 => prop::collection::vec(any::<u8>(), 0..24).prop_map(Op::PowerLoss),
        2 => (0..3_000_u64).prop_map(Op::RoomFor),
        3 => Just(Op::Room),
        1 => (0..3_u32).prop_map(Op::FailSyncs),
        1 => (0..3_u32).prop_map(Op::FailRenames),
        1 => (0..3_u32).prop_map(Op::FailDirectorySyncs),
        3 => Just(Op::Read),
    ]
}

/// The archive and what it should hold.
struct Model {
    storage: FaultyStorage,
    archive: Option<Archive>,
    options: Options,
    faults: Faults,
    /// Numbers and bodies of what was handed over, in order; removed ones included.
    stored: Vec<(u64, usize)>,
    /// What of it is certainly committed.
    acknowledged: usize,
    /// What of it was in a commit that failed, and may be committed.
    attempted: Vec<usize>,
    next: u64,
}

impl Model {
    fn new(options: Options) -> Model {
        let mut model = Model {
            storage: FaultyStorage::new(),
            archive: None,
            options,
            faults: Faults::default(),
            stored: Vec::new(),
            acknowledged: 0,
            attempted: Vec::new(),
            next: 0,
        };
        model.open();
        model
    }

    /// The same expectations of another storage.
    fn fork(&self) -> Model {
        Model {
            storage: FaultyStorage::new(),
            archive: None,
            options: self.options.clone(),
            faults: self.faults,
            stored: self.stored.clone(),
            acknowledged: self.acknowledged,
            attempted: self.attempted.clone(),
            next: self.next,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Store { body_bytes } => self.store(*body_bytes),
            Op::Commit => self.commit(),
            Op::Retain => self.retain(),
            Op::Restart => self.restart(),
            Op::Close => self.close(),
            Op::CrashAfter(bytes) => self.set(|faults| faults.crash_after = Some(*bytes)),
            Op::PowerLoss(choices) => self.lose_power(choices),
            Op::RoomFor(bytes) => self.set(|faults| faults.room = Some(*bytes)),
            Op::Room => self.set(|faults| faults.room = None),
            Op::FailSyncs(count) => self.set(|faults| faults.syncs = *count),
            Op::FailRenames(count) => self.set(|faults| faults.renames = *count),
            Op::FailDirectorySyncs(count) => {
                self.set(|faults| faults.directory_syncs = *count);
            }
            Op::Read => self.check(),
        }
        if self.storage.crashed() {
            self.archive = None;
            self.storage = self.storage.after_kill();
            self.open();
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults;
        change(&mut faults);
        self.storage.set(faults);
    }

    fn store(&mut self, body_bytes: usize) {
        let Some(archive) = &mut self.archive else {
            return;
        };
        let number = self.next;
        self.next += 1;
        match store(archive, number, body_bytes) {
            Ok(()) => self.stored.push((number, body_bytes)),
            Err(error) if error.is_retryable() => self.stored.push((number, body_bytes)),
            Err(_) => self.restart(),
        }
    }

    fn commit(&mut self) {
        let Some(archive) = &mut self.archive else {
            return;
        };
        match archive.commit(checkpoint(self.stored.len() as u64)) {
            Ok(()) => {
                self.acknowledged = self.stored.len();
                self.attempted.clear();
            }
            Err(error) => {
                self.attempted.push(self.stored.len());
                if !error.is_retryable() {
                    self.restart();
                }
            }
        }
    }

    fn retain(&mut self) {
        let Some(archive) = &mut self.archive else {
            return;
        };
        // A failure leaves the rest for the next time.
        let _ = archive.enforce_retention(Timestamp(self.next * common::SECOND));
    }

    fn close(&mut self) {
        if let Some(archive) = self.archive.take() {
            // What it did not do, opening does.
            let _ = archive.close();
        }
        self.restart();
    }

    fn lose_power(&mut self, choices: &[u8]) {
        self.archive = None;
        let mut choices = choices.iter().copied().chain(std::iter::repeat(1));
        let choose = |n: usize| usize::from(choices.next().unwrap_or(0)) % (n + 1);
        self.storage = self.storage.after_power_loss(choose);
        self.open();
    }

    fn restart(&mut self) {
        self.archive = None;
        if self.storage.crashed() {
            // The caller decides what the crash left.
            return;
        }
        self.storage = self.storage.after_kill();
        self.open();
    }

    /// Opens the archive, all faults gone, and learns what was committed.
    fn open(&mut self) {
        self.storage.set(Faults::default());
        let storage = Arc::new(self.storage.clone());
        let (archive, recovery) =
            Archive::open_in(storage, self.options.clone()).expect("nothing fails now");
        assert!(recovery.damage.is_empty(), "{recovery:?}");
        let committed = received(recovery.checkpoint.as_ref()) as usize;
        assert!(
            committed == self.acknowledged || self.attempted.contains(&committed),
            "{committed} are committed, {} acknowledged, {:?} attempted",
            self.acknowledged,
            self.attempted
        );
        assert_eq!(
            archive.removed().exchanges + recovery.exchanges,
            committed as u64
        );
        self.archive = Some(archive);
        self.acknowledged = committed;
        self.attempted.clear();
        self.stored.truncate(committed);
        self.check();
    }

    /// Reads everything beside the writer.
    fn check(&self) {
        let reader = Reader::open_in(Arc::new(self.storage.clone())).expect("it can be read");
        let last = reader.checkpoint().expect("it can be read");
        let committed = received(last.as_ref()) as usize;
        assert!(committed == self.acknowledged || self.attempted.contains(&committed));
        let removed = reader.removed().exchanges as usize;
        let stored = read_all(&reader);
        assert_eq!(reader.len(), stored.len() as u64);
        assert_eq!(removed + stored.len(), committed);
        for (stored, (number, body_bytes)) in stored.iter().zip(&self.stored[removed..]) {
            check_sample(&reader, stored, *number, *body_bytes);
        }
        if let Some((number, _)) = self.stored[..committed].get(removed) {
            assert!(reader.get(&id(*number)).expect("it can be read").is_some());
        }
        if let Some((number, _)) = self.stored.get(committed) {
            assert!(reader.get(&id(*number)).expect("it can be read").is_none());
        }
        let verified = reader.verify().expect("it can be read");
        assert!(verified.is_sound(), "{verified:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_is_there_exactly_once(
        ops in prop::collection::vec(op(), 1..120),
        part_bytes in 600..6_000_u64,
        run_bytes in 100..4_000_usize,
        held_bytes in prop_oneof![Just(1 << 20), 100..20_000_usize],
        max_bytes in prop::option::of(5_000..60_000_u64),
        max_age_ns in prop::option::of((1..80_u64).prop_map(|seconds| seconds * common::SECOND)),
    ) {
        let mut model = Model::new(Options {
            part_bytes,
            run_bytes,
            held_bytes,
            max_bytes,
            max_age_ns,
            inline_bytes: 700,
            ..Options::default()
        });
        for op in &ops {
            model.apply(op);
        }
        model.apply(&Op::Restart);
        model.apply(&Op::Store { body_bytes: 5_000 });
        model.apply(&Op::Commit);
        prop_assert_eq!(model.acknowledged, model.stored.len());
        model.check();
    }
}

/// Dies at every byte of storing, committing and sealing, and loses what was not synced.
#[test]
fn a_crash_at_any_byte_leaves_the_last_commit_or_the_one_before() {
    let options = Options {
        part_bytes: 1_000,
        inline_bytes: 300,
        ..Options::default()
    };
    let script = |model: &mut Model| {
        for body_bytes in [0, 400, 0] {
            model.store(body_bytes);
            model.commit();
        }
    };
    for crash_after in 0.. {
        let mut model = Model::new(options.clone());
        model.set(|faults| faults.crash_after = Some(crash_after));
        script(&mut model);
        if !model.storage.crashed() {
            assert!(
                crash_after > 2_000,
                "the script writes more than {crash_after}"
            );
            return;
        }
        model.archive = None;
        let mut killed = model.fork();
        killed.storage = model.storage.after_kill();
        killed.open();
        let mut state = crash_after;
        model.storage = model.storage.after_power_loss(|n| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % (n + 1)
        });
        model.open();
        // Going on is the same from wherever it began: now and then is enough.
        if crash_after % 64 == 0 {
            script(&mut model);
            model.check();
            script(&mut killed);
            killed.check();
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_once_there_is_room() {
    let mut model = Model::new(Options::default());
    model.store(0);
    model.commit();
    model.set(|faults| faults.room = Some(100));
    let archive = model.archive.as_mut().expect("it was opened");
    store(archive, model.next, 300_000).expect_err("300 kB do not fit");
    model.stored.push((model.next, 300_000));
    model.next += 1;
    let error = archive.commit(checkpoint(2)).expect_err("the disk is full");
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("can't write 00000001.open"), "{text}");
    assert!(text.contains("free space"), "{text}");
    model.attempted.push(2);
    model.check();
    model.set(|faults| faults.room = None);
    model.commit();
    assert_eq!(model.acknowledged, 2);
    model.check();
}

#[test]
fn a_disk_that_stays_full_makes_the_archive_refuse_and_keeps_what_was_committed() {
    let mut model = Model::new(Options {
        held_bytes: 50_000,
        ..Options::default()
    });
    model.store(0);
    model.commit();
    model.set(|faults| faults.room = Some(0));
    let archive = model.archive.as_mut().expect("it was opened");
    let error = store(archive, 1, 900_000).expect_err("there is no room");
    assert!(!error.is_retryable() || store(archive, 2, 900_000).is_err());
    let error = archive.commit(checkpoint(2)).expect_err("it refuses");
    assert!(matches!(error, Error::Refusing { .. }), "{error}");
    model.restart();
    assert_eq!(model.acknowledged, 1);
}

#[test]
fn a_sync_that_failed_makes_the_archive_refuse() {
    let mut model = Model::new(Options::default());
    model.store(0);
    model.commit();
    model.store(0);
    model.set(|faults| faults.syncs = 1);
    let archive = model.archive.as_mut().expect("it was opened");
    let error = archive.commit(checkpoint(2)).expect_err("the sync fails");
    assert!(!error.is_retryable());
    let error = archive.commit(checkpoint(2)).expect_err("it refuses");
    assert!(matches!(error, Error::Refusing { .. }), "{error}");
}

/// The page cache shows what the disk does not have: reopening must not build on it.
#[test]
fn what_a_failed_sync_left_in_memory_is_written_again() {
    let mut model = Model::new(Options::default());
    model.store(0);
    model.commit();
    model.store(0);
    model.set(|faults| faults.syncs = 1);
    model.commit();
    // The kill kept the cache, and so the second exchange counts as committed.
    assert_eq!(model.acknowledged, 2);
    model.store(0);
    model.commit();
    model.lose_power(&[0; 64]);
    assert_eq!(model.acknowledged, 3);
    model.check();
}
