//! Captures that see one direction alone.

use super::*;

const EXCHANGES: u64 = 2000;

/// Feeds the segments of one direction, a second apart, with the timers that are due between
/// them. Gives the most exchanges that were pending at once.
fn most_pending(tap: &mut Tap, is_seen: fn(&Segment) -> bool) -> u64 {
    let mut most = 0;
    let mut talk = Talk::new().handshake();
    for _ in 0..EXCHANGES {
        talk = talk.ask(GET).answer(OK).wait(1000);
    }
    for segment in talk.segments().into_iter().filter(is_seen) {
        let now = segment.time;
        tap.timeout(now);
        tap.segment(segment);
        most = most.max(tap.streams.ledger().pending);
        assert!(tap.streams.held().1 < 4096, "{:?}", tap.streams.held());
        let mut marks = 0;
        tap.streams
            .held_marks(&mut |first, last| marks += last - first + 1);
        assert!(marks < 16, "{marks}");
    }
    most
}

fn is_of_client(segment: &Segment) -> bool {
    segment.endpoints.client.port() == 40_000
}

fn exchanges(tap: &Tap) -> usize {
    tap.events
        .iter()
        .filter(|event| event.kind.is_exchange())
        .count()
}

#[test]
fn requests_come_out_in_time() {
    let mut tap = Tap::new(Limits::default());
    assert!(most_pending(&mut tap, is_of_client) <= 2);
    tap.finish(Timestamp(1 << 50));
    assert_eq!(exchanges(&tap), EXCHANGES as usize);
    assert!(render(&tap.events).contains("GET /a complete -> ? absent"));
}

#[test]
fn responses_come_out_in_time() {
    let mut tap = Tap::new(Limits::default());
    assert!(most_pending(&mut tap, |segment| !is_of_client(segment)) <= 2);
    tap.finish(Timestamp(1 << 50));
    assert_eq!(exchanges(&tap), EXCHANGES as usize);
    assert!(render(&tap.events).contains("? absent -> 200 \"ok\" complete"));
}

#[test]
fn requests_without_acknowledgements_come_out_when_the_flow_is_idle() {
    let mut tap = Tap::new(Limits::default());
    for mut segment in Talk::new().handshake().ask(GET).ask(GET).segments() {
        if is_of_client(&segment) {
            segment.flags = TcpFlags(segment.flags.0 & !TcpFlags::ACK);
            tap.segment(segment);
        }
    }
    tap.timeout(Timestamp(1 << 50));
    expect![[r#"
        GET /a complete -> ? absent
        GET /a complete -> ? absent
        closed Idle
    "#]]
    .assert_eq(&render(&tap.events));
}
