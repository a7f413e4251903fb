//! What goes, when, and what is counted of it.

mod common;

use std::sync::Arc;

use common::storage::{Faults, FaultyStorage};
use common::{
    SECOND, body, check_sample, checkpoint, id, read_all, received, record, scrubbed, store,
};
use twintap_archive::{Archive, Error, Options, Reader, Retention};
use twintap_stream::Timestamp;

fn open(storage: &FaultyStorage, options: &Options) -> Archive {
    let storage = Arc::new(storage.clone());
    Archive::open_in(storage, options.clone())
        .expect("nothing fails")
        .0
}

fn reader(storage: &FaultyStorage) -> Reader {
    Reader::open_in(Arc::new(storage.clone())).expect("it is an archive")
}

/// Stores the samples in `numbers`, each a commit of its own.
fn fill(archive: &mut Archive, numbers: std::ops::Range<u64>) {
    for number in numbers {
        store(archive, number, 500).expect("there is room");
        archive
            .commit(checkpoint(number + 1))
            .expect("there is room");
    }
}

#[test]
fn the_oldest_parts_go_when_the_archive_is_too_large_and_are_counted() {
    let options = Options {
        max_bytes: Some(40_000),
        ..Options::default()
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &options);
    let mut removed = Retention::default();
    for round in 0..10 {
        fill(&mut archive, round * 20..(round + 1) * 20);
        removed.add(
            archive
                .enforce_retention(Timestamp(0))
                .expect("nothing fails"),
        );
        assert!(archive.bytes() <= 40_000, "{}", archive.bytes());
    }
    assert!(removed.parts > 2, "{removed:?}");
    assert_eq!(archive.removed(), removed);
    assert_eq!(archive.exchanges() + removed.exchanges, 200);
    let reader = reader(&storage);
    assert_eq!(reader.removed(), removed);
    let stored = read_all(&reader);
    for (stored, number) in stored.iter().zip(removed.exchanges..) {
        check_sample(&reader, stored, number, 500);
    }
    assert_eq!(stored.len() as u64, archive.exchanges());
}

#[test]
fn what_is_too_old_goes_and_the_checkpoint_stays() {
    let options = Options {
        max_age_ns: Some(160 * SECOND),
        ..Options::default()
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &options);
    for number in 0..100 {
        fill(&mut archive, number..number + 1);
        archive
            .enforce_retention(Timestamp((number + 1) * SECOND))
            .expect("nothing fails");
    }
    assert_eq!(archive.exchanges(), 100);
    let now = Timestamp(220 * SECOND);
    let removed = archive.enforce_retention(now).expect("nothing fails");
    assert!((45..=60).contains(&removed.exchanges), "{removed:?}");
    let oldest = read_all(&reader(&storage)).swap_remove(0);
    let age = now.since_ns(oldest.exchange().response.last_byte);
    assert!(age <= (160 + 11) * SECOND, "{age}");

    let now = Timestamp(10_000 * SECOND);
    archive.enforce_retention(now).expect("nothing fails");
    assert_eq!(archive.exchanges(), 0);
    drop(archive);
    assert!(reader(&storage).is_empty());
    let last = reader(&storage).checkpoint().expect("it can be read");
    assert_eq!(received(last.as_ref()), 100);
    let mut archive = open(&storage, &options);
    assert_eq!(archive.removed().exchanges, 100);
    fill(&mut archive, 100..101);
    assert_eq!(read_all(&reader(&storage)).len(), 1);
}

#[test]
fn a_body_that_began_in_a_removed_part_says_which() {
    let options = Options {
        part_bytes: 100_000,
        ..Options::default()
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &options);
    let mut response = archive.begin_body();
    for number in 0..4 {
        let piece = scrubbed(&body(number, 200_000));
        archive
            .write_body(&mut response, piece)
            .expect("there is room");
        archive
            .commit(checkpoint(number + 1))
            .expect("there is room");
    }
    let request = archive.begin_body();
    archive
        .store(scrubbed(&record(0)), request, response)
        .expect("there is room");
    archive.commit(checkpoint(5)).expect("there is room");
    archive.close().expect("there is room");
    let before = reader(&storage);
    let last = before.parts().last().expect("there are parts");
    assert!(last > 1);
    twintap_archive::Storage::remove(&storage, "00000001.part").expect("it is there");

    let stored = before
        .get(&id(0))
        .expect("it is sound")
        .expect("it is there");
    for reader in [before, reader(&storage)] {
        let read = reader.read_body(&stored.response_body, u64::MAX);
        assert!(
            matches!(read, Err(Error::PartRemoved { part: 1 })),
            "{read:?}"
        );
    }
}

#[test]
fn a_part_with_bodies_alone_stays_as_long_as_their_exchange() {
    let options = Options {
        part_bytes: 100_000,
        max_age_ns: Some(1_000 * SECOND),
        ..Options::default()
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &options);
    let mut response = archive.begin_body();
    let piece = scrubbed(&body(7, 200_000));
    archive
        .write_body(&mut response, piece)
        .expect("there is room");
    archive.commit(checkpoint(1)).expect("there is room");
    let now = Timestamp(900 * SECOND);
    archive.enforce_retention(now).expect("nothing fails");
    let request = archive.begin_body();
    archive
        .store(scrubbed(&record(7)), request, response)
        .expect("there is room");
    archive.commit(checkpoint(2)).expect("there is room");
    archive.enforce_retention(now).expect("nothing fails");
    let reader = reader(&storage);
    check_sample(&reader, &read_all(&reader)[0], 7, 200_000);
}

#[test]
fn sealing_that_fails_is_told_of_and_done_later() {
    let options = Options {
        part_bytes: 1,
        ..Options::default()
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &options);
    storage.set(Faults {
        renames: 2,
        ..Faults::default()
    });
    fill(&mut archive, 0..1);
    let failure = archive
        .seal_failure()
        .expect("the rename fails")
        .to_string();
    assert!(failure.contains("can't rename 00000001.open"), "{failure}");
    fill(&mut archive, 1..2);
    assert_eq!(read_all(&reader(&storage)).len(), 2);
    fill(&mut archive, 2..3);
    assert!(archive.seal_failure().is_none());
    assert!(storage.names().iter().any(|name| name == "00000001.part"));
    let reader = reader(&storage);
    assert_eq!(read_all(&reader).len(), 3);
    assert!(reader.verify().expect("it can be read").is_sound());
}

#[test]
fn a_commit_without_news_writes_nothing() {
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &Options::default());
    archive
        .commit(twintap_archive::Checkpoint::default())
        .expect("there is room");
    assert!(!storage.names().iter().any(|name| name.ends_with(".open")));
    fill(&mut archive, 0..1);
    let before = storage.file("00000001.open").len();
    for _ in 0..10 {
        archive.commit(checkpoint(1)).expect("there is room");
    }
    assert_eq!(storage.file("00000001.open").len(), before);
}

#[test]
fn many_live_flows_cost_little_where_few_change() {
    use twintap_archive::{Capture, Checkpoint, FlowMark};
    use twintap_stream::event::Watermark;
    use twintap_stream::{Endpoints, FlowId};

    let mark = |flow: u64, client: u64| FlowMark {
        flow: FlowId(flow),
        endpoints: Endpoints {
            client: ([10, 0, (flow >> 8) as u8, flow as u8], 40_000).into(),
            server: ([10, 1, 0, 1], 80).into(),
        },
        watermark: Watermark { client, server: 1 },
        next_index: 1,
        reached: Watermark::default(),
        is_websocket: false,
    };
    let commit = |flows: Vec<FlowMark>| Checkpoint {
        at: Timestamp(1),
        captures: vec![Capture {
            node: Arc::from("node-1"),
            flows,
            ..Capture::default()
        }],
    };
    let storage = FaultyStorage::new();
    let mut archive = open(&storage, &Options::default());
    let mut all: Vec<FlowMark> = (0..10_000).map(|flow| mark(flow, 1)).collect();
    archive.commit(commit(all.clone())).expect("there is room");
    let first = storage.file("00000001.open").len();
    for round in 0..100 {
        all[round] = mark(round as u64, 2);
        // Whether all flows are given or the changed one makes no difference.
        let given = if round % 2 == 0 {
            all.clone()
        } else {
            vec![all[round]]
        };
        archive.commit(commit(given)).expect("there is room");
    }
    let grown = storage.file("00000001.open").len() - first;
    let each = grown / 100;
    assert!(
        each * 20 < first,
        "{each} bytes a commit, {first} all flows"
    );
    drop(archive);
    let storage = Arc::new(storage);
    let (_, recovery) = Archive::open_in(storage, Options::default()).expect("it is an archive");
    let found = recovery.checkpoint.expect("it was committed");
    assert_eq!(found.captures[0].flows, all);
}
