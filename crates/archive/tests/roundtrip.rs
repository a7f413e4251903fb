//! What is written is read back, beside a live writer and after it.

mod common;

use common::{body, check_sample, checkpoint, id, read_all, received, record, scrubbed, store};
use twintap_archive::reader::key_of;
use twintap_archive::{Archive, Error, Options, Reader, StoredBody};
use twintap_stream::Timestamp;

fn small_parts() -> Options {
    Options {
        part_bytes: 4096,
        created: Timestamp(77),
        ..Options::default()
    }
}

#[test]
fn exchanges_come_back_in_order_over_many_parts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, recovery) =
        Archive::open(directory.path(), small_parts()).expect("a new archive");
    assert!(recovery.checkpoint.is_none());
    for number in 0..200 {
        store(&mut archive, number, (number % 4) as usize * 300).expect("there is room");
        if number % 10 == 9 {
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    archive.close().expect("there is room");

    let reader = Reader::open(directory.path()).expect("it is an archive");
    assert!(reader.parts().count() > 3, "the samples fill several parts");
    assert_eq!(reader.identity().created, Timestamp(77));
    assert_eq!(reader.len(), 200);
    let stored = read_all(&reader);
    assert_eq!(stored.len(), 200);
    for (number, stored) in stored.iter().enumerate() {
        check_sample(&reader, stored, number as u64, number % 4 * 300);
    }
    let last = reader.checkpoint().expect("it can be read");
    assert_eq!(received(last.as_ref()), 200);
    let verified = reader.verify().expect("it can be read");
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(verified.exchanges, 200);
    let (first, last) = reader.span().expect("it can be read");
    assert_eq!(first, record(0).exchange.request.first_byte);
    assert_eq!(last, record(199).exchange.response.last_byte);
}

#[test]
fn an_exchange_is_found_by_its_id_in_sealed_and_open_parts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) = Archive::open(directory.path(), small_parts()).expect("a new archive");
    for number in 0..95 {
        store(&mut archive, number, 0).expect("there is room");
        if number % 10 == 4 {
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    let reader = Reader::open(directory.path()).expect("it is an archive");
    for number in 0..95 {
        let found = reader.get(&id(number)).expect("nothing is damaged");
        assert_eq!(*found.expect("it was stored").record, record(number));
    }
    assert!(reader.get(&id(95)).expect("nothing is damaged").is_none());
}

#[test]
fn the_request_alone_is_that_of_the_exchange() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) = Archive::open(directory.path(), small_parts()).expect("a new archive");
    for number in 0..95 {
        store(&mut archive, number, (number % 4) as usize * 300).expect("there is room");
        if number % 10 == 4 {
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    let reader = Reader::open(directory.path()).expect("it is an archive");
    let mut number = 0;
    for block in reader.blocks() {
        let (block, first) = block.expect("nothing is damaged");
        assert_eq!(first, 0);
        for place in 0..block.len() {
            assert_eq!(block.key(place), key_of(&id(number)));
            let request = block.request(place).expect("nothing is damaged");
            let exchange = block.get(place).expect("nothing is damaged");
            assert_eq!(exchange.id(), &id(number));
            assert_eq!(request, exchange.into());
            number += 1;
        }
    }
    assert_eq!(number, 95);
}

#[test]
fn a_reader_beside_the_writer_sees_the_last_commit_and_no_more() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) =
        Archive::open(directory.path(), Options::default()).expect("a new archive");
    let open = || Reader::open(directory.path()).expect("it is an archive");
    assert!(open().is_empty());
    store(&mut archive, 0, 0).expect("there is room");
    archive.commit(checkpoint(1)).expect("there is room");
    // Large enough that its blocks are written before the commit.
    store(&mut archive, 1, 2_000_000).expect("there is room");
    let before = open();
    assert_eq!(before.len(), 1);
    assert_eq!(read_all(&before).len(), 1);
    archive.commit(checkpoint(2)).expect("there is room");
    assert_eq!(before.len(), 1);
    assert_eq!(read_all(&before).len(), 1);
    let after = open();
    assert_eq!(read_all(&after).len(), 2);
    let last = after.checkpoint().expect("it can be read");
    assert_eq!(received(last.as_ref()), 2);
    archive.close().expect("there is room");
    // The part has another name now, and what was open stays readable.
    check_sample(&after, &read_all(&after)[1], 1, 2_000_000);
}

#[test]
fn what_was_not_committed_is_gone_after_a_restart_and_the_part_goes_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) =
        Archive::open(directory.path(), Options::default()).expect("a new archive");
    store(&mut archive, 0, 0).expect("there is room");
    archive.commit(checkpoint(1)).expect("there is room");
    store(&mut archive, 1, 1_000_000).expect("there is room");
    drop(archive);

    let (mut archive, recovery) =
        Archive::open(directory.path(), Options::default()).expect("it is an archive");
    assert_eq!(received(recovery.checkpoint.as_ref()), 1);
    assert_eq!(recovery.exchanges, 1);
    assert!(recovery.truncated_bytes > 500_000, "{recovery:?}");
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    store(&mut archive, 2, 0).expect("there is room");
    archive.commit(checkpoint(2)).expect("there is room");
    archive.close().expect("there is room");

    let reader = Reader::open(directory.path()).expect("it is an archive");
    let stored = read_all(&reader);
    assert_eq!(stored.len(), 2);
    assert_eq!(*stored[1].id(), id(2));
    assert_eq!(reader.parts().collect::<Vec<_>>(), [1]);
}

#[test]
fn closing_gives_up_what_was_not_committed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) =
        Archive::open(directory.path(), Options::default()).expect("a new archive");
    store(&mut archive, 0, 0).expect("there is room");
    archive.commit(checkpoint(1)).expect("there is room");
    store(&mut archive, 1, 300_000).expect("there is room");
    archive.close().expect("there is room");
    let reader = Reader::open(directory.path()).expect("it is an archive");
    assert_eq!(read_all(&reader).len(), 1);
    assert!(reader.verify().expect("it can be read").is_sound());
}

#[test]
fn a_second_writer_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (archive, _) = Archive::open(directory.path(), Options::default()).expect("a new archive");
    let second = Archive::open(directory.path(), Options::default());
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
    drop(archive);
    Archive::open(directory.path(), Options::default()).expect("the first writer is gone");
}

#[test]
fn an_empty_directory_is_no_archive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let reader = Reader::open(directory.path());
    assert!(
        matches!(reader, Err(Error::NotAnArchive { .. })),
        "{reader:?}"
    );
    let reader = Reader::open(directory.path().join("missing"));
    assert!(
        matches!(reader, Err(Error::NotAnArchive { .. })),
        "{reader:?}"
    );
}

#[test]
fn bodies_of_all_sizes_come_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) =
        Archive::open(directory.path(), Options::default()).expect("a new archive");
    let sizes = [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 1_000_000];
    for (number, size) in sizes.into_iter().enumerate() {
        store(&mut archive, number as u64, size).expect("there is room");
    }
    archive.commit(checkpoint(1)).expect("there is room");
    let reader = Reader::open(directory.path()).expect("it is an archive");
    for (number, (stored, size)) in read_all(&reader).iter().zip(sizes).enumerate() {
        check_sample(&reader, stored, number as u64, size);
        let inline = matches!(stored.response_body, StoredBody::Inline(_));
        assert_eq!(inline, size > 0 && size <= 65_536);
    }
}

#[test]
fn a_body_of_100_mib_is_never_held_whole() {
    const CHUNK: usize = 1 << 20;
    const CHUNKS: u64 = 100;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        part_bytes: 16 << 20,
        ..Options::default()
    };
    let (mut archive, _) = Archive::open(directory.path(), options).expect("a new archive");
    let mut response = archive.begin_body();
    for number in 0..CHUNKS {
        archive
            .write_body(&mut response, scrubbed(&body(number, CHUNK)))
            .expect("there is room");
        assert!(response.held_bytes() <= 65_536);
        assert!(
            archive.held_bytes() <= 2 * CHUNK,
            "{}",
            archive.held_bytes()
        );
        if number % 7 == 0 {
            // Parts change while the body flows.
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    let request = archive.begin_body();
    archive
        .store(scrubbed(&record(0)), request, response)
        .expect("there is room");
    archive
        .commit(checkpoint(CHUNKS + 1))
        .expect("there is room");
    archive.close().expect("there is room");

    let reader = Reader::open(directory.path()).expect("it is an archive");
    assert!(reader.parts().count() > 4);
    let stored = reader
        .get(&id(0))
        .expect("nothing is damaged")
        .expect("it was stored");
    let StoredBody::Blocks { refs, bytes } = &stored.response_body else {
        panic!("the body is {:?}", stored.response_body);
    };
    assert_eq!(*bytes, CHUNKS * CHUNK as u64);
    assert!(refs.len() < 600, "references are folded: {}", refs.len());
    let mut expected = (0..CHUNKS).map(|number| body(number, CHUNK));
    let mut want = expected.next().expect("there are chunks");
    for chunk in reader.body(&stored.response_body) {
        let mut chunk = chunk.expect("nothing is damaged");
        assert!(chunk.len() <= 65_536);
        while !chunk.is_empty() {
            if want.is_empty() {
                want = expected.next().expect("no more was written");
            }
            let common = want.len().min(chunk.len());
            assert!(want.split_to(common) == chunk.split_to(common));
        }
    }
    assert!(want.is_empty() && expected.next().is_none());
    let refused = reader.read_body(&stored.response_body, 1 << 20);
    assert!(
        matches!(refused, Err(Error::BodyTooLarge { .. })),
        "{refused:?}"
    );
}

#[test]
fn exchanges_can_be_read_from_any_place() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut archive, _) = Archive::open(directory.path(), small_parts()).expect("a new archive");
    for number in 0..60 {
        store(&mut archive, number, 0).expect("there is room");
        if number % 7 == 6 {
            archive
                .commit(checkpoint(number + 1))
                .expect("there is room");
        }
    }
    archive.commit(checkpoint(60)).expect("there is room");
    let reader = Reader::open(directory.path()).expect("it is an archive");
    for skip in 0..=61 {
        let first = reader.exchanges_from(skip).next();
        match first.transpose().expect("nothing is damaged") {
            Some(stored) => assert_eq!(*stored.id(), id(skip)),
            None => assert!(skip >= 60),
        }
    }
}

#[test]
fn writers_can_be_sent_and_readers_shared_between_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    sent::<Archive>();
    sent::<twintap_archive::BodyWriter>();
    shared::<Reader>();
}
