//! The compressed protocol.

use super::build::*;
use crate::common::{Talk, run};
use expect_test::{Expect, expect};
use twintap_stream::{Direction, Limits};

/// Without the last line: how many bytes there are is the compressor's affair.
#[track_caller]
fn check(talk: Talk, expect: Expect) {
    let text = run(talk.close().segments(), Limits::default());
    let (events, _) = text.trim_end().rsplit_once('\n').expect("lines");
    expect.assert_eq(&format!("{events}\n"));
}

fn results() -> Vec<u8> {
    packets(
        1,
        &[&[1], &column("a"), &eof(2), b"\x011", b"\x012", &eof(2)],
    )
}

#[test]
fn stored_and_deflated() {
    let done = packet(1, ok(1, 2));
    let turns = [
        frame(0, 0, &query("SELECT a FROM t")),
        zlib_frame(1, &results()),
        zlib_frame(0, &query("DELETE FROM t")),
        frame(1, 0, &done),
    ];
    check(
        talk(connected(PLAIN | COMPRESS), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete
            COM_QUERY "DELETE FROM t" complete -> Done affected=1 complete
            closed Finished
        "#]],
    );
}

#[test]
fn zstandard() {
    let inside = results();
    let zstd = zstd::bulk::compress(&inside, 3).expect("memory takes it");
    let turns = [
        frame(0, 0, &query("SELECT a FROM t")),
        frame(1, inside.len(), &zstd),
    ];
    check(
        talk(connected(PLAIN | ZSTD), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete
            closed Finished
        "#]],
    );
}

#[test]
fn packets_across_frames() {
    let reply = results();
    let ask = query("SELECT a FROM t");
    let turns = [
        [frame(0, 0, &ask[..2]), zlib_frame(1, &ask[2..])].concat(),
        [zlib_frame(2, &reply[..30]), frame(3, 0, &reply[30..])].concat(),
    ];
    check(
        talk(connected(PLAIN | COMPRESS), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete
            closed Finished
        "#]],
    );
}

#[test]
fn several_commands_in_a_frame() {
    let both = [command(0x19, [1, 0, 0, 0]), query("SELECT a FROM t")].concat();
    let turns = [zlib_frame(0, &both), zlib_frame(1, &results())];
    check(
        talk(connected(PLAIN | COMPRESS), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_STMT_CLOSE #1 complete [statement_unknown] -> None complete
            COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete
            closed Finished
        "#]],
    );
}

#[test]
fn more_than_announced() {
    let mut lying = zlib_frame(1, &results());
    lying[4] = 9;
    let turns = [frame(0, 0, &query("SELECT a FROM t")), lying];
    check(
        talk(connected(PLAIN | COMPRESS), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Done incomplete [bad_compression malformed_packet]
            closed Finished
        "#]],
    );
}

#[test]
fn more_than_is_possible() {
    let bomb = frame(1, 0xff_ffff, &[0x78; 100]);
    let turns = [frame(0, 0, &query("SELECT a FROM t")), bomb];
    check(
        talk(connected(PLAIN | COMPRESS), &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            COM_QUERY "SELECT a FROM t" complete -> Done incomplete [bad_compression malformed_packet]
            closed Finished
        "#]],
    );
}

#[test]
fn loss_and_after() {
    let lossy = connected(PLAIN | COMPRESS)
        .ask(zlib_frame(0, &query("SELECT a FROM t")))
        .unseen(Direction::Server, zlib_frame(1, &results()));
    let turns = [
        zlib_frame(0, &query("SELECT b FROM t")),
        zlib_frame(1, &results()),
    ];
    check(
        talk(lossy, &turns),
        expect![[r#"
            Handshake "ann" "shop" complete -> Done affected=0 complete
            gap Server 89+73
            COM_QUERY "SELECT a FROM t" complete -> ? absent
            COM_QUERY "SELECT b FROM t" complete -> Rows a rows=2 complete
            closed Finished
        "#]],
    );
}

#[test]
fn the_login_was_answered_unseen() {
    let lossy = Talk::new()
        .handshake()
        .answer(greeting(PLAIN | COMPRESS))
        .ask(login(PLAIN | COMPRESS))
        .unseen(Direction::Server, packet(2, ok(0, 2)));
    let turns = [
        zlib_frame(0, &query("SELECT b FROM t")),
        zlib_frame(1, &results()),
    ];
    check(
        talk(lossy, &turns),
        expect![[r#"
            gap Server 78+11
            Handshake "ann" "shop" complete -> Done incomplete
            COM_QUERY "SELECT b FROM t" complete -> Rows a rows=2 complete
            closed Finished
        "#]],
    );
}

#[test]
fn in_the_middle() {
    let turns = [
        frame(0, 0, &query("SELECT a FROM t")),
        zlib_frame(1, &results()),
    ];
    check(
        talk(Talk::new(), &turns),
        expect![[r#"
            began before
            COM_QUERY "SELECT a FROM t" complete -> Rows a rows=2 complete [capabilities_unknown]
            closed Finished
        "#]],
    );
}
