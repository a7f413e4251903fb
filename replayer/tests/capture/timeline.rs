//! When the pieces of bodies were sent, as the archive tells it.

use twintap_archive::{StoredBody, StoredExchange};
use twintap_scrub::{Piece, Timeline};
use twintap_stream::Direction::{Client, Server};

use crate::played;

const POST: &[u8] = b"POST /notes HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\
    Content-Type: application/json\r\n\r\n";

fn ends(timeline: &Timeline, expected: Piece) -> Vec<(u64, u64)> {
    let mark = |mark: &twintap_scrub::Mark| {
        assert_eq!(mark.piece, expected);
        (mark.end, mark.after_ns)
    };
    timeline.marks.iter().map(mark).collect()
}

fn only(stored: Vec<StoredExchange>) -> StoredExchange {
    let [exchange] = <[_; 1]>::try_from(stored).expect("one exchange");
    exchange
}

#[test]
fn chunks_are_stored_with_their_sizes_and_times() {
    let talk = [
        (Client, POST),
        (Client, b"5\r\n[\"one"),
        (Client, b"\r\n"),
        (Client, b"8\r\n\",\"t"),
        (Client, b"wo\",\r\n6\r\n\"end\"]\r\n0\r\n\r\n"),
        (Server, &b"HTTP/1.1 204 No Content\r\n\r\n"[..]),
    ];
    let (ledger, stored) = played("version: 1\nbase: default\n", &talk);
    assert!(ledger.closes(), "{ledger:?}");
    let timeline = only(stored).record.request.timeline.clone();
    assert_eq!(ends(&timeline, Piece::Chunk), [(5, 1), (13, 4), (19, 4)]);
}

#[test]
fn ends_of_chunks_follow_what_scrubbing_made_of_a_body() {
    let talk = [
        (Client, POST),
        (Client, b"17\r\n{\"email\":\"a@b.example\",\r\n"),
        (Client, b"18\r\n\"note\":\"Zoe is at home\"}\r\n0\r\n\r\n"),
        (Server, &b"HTTP/1.1 204 No Content\r\n\r\n"[..]),
    ];
    let (_, stored) = played("version: 1\nbase: default\n", &talk);
    let exchange = only(stored);
    let StoredBody::Inline(body) = &exchange.request_body else {
        panic!("a small body lies in its record");
    };
    let timeline = &exchange.record.request.timeline;
    let [first, last] = &ends(timeline, Piece::Chunk)[..] else {
        panic!("{timeline:?}");
    };
    let first = &body[..first.0 as usize];
    assert!(
        first.ends_with(b"\","),
        "{}",
        String::from_utf8_lossy(first)
    );
    assert_eq!(last.0, body.len() as u64);
}

#[test]
fn a_body_in_one_piece_has_no_timeline() {
    let talk = [
        (
            Client,
            &b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi"[..],
        ),
        (Server, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ];
    let (_, stored) = played("version: 1\nbase: default\n", &talk);
    assert!(only(stored).record.request.timeline.is_empty());
}
