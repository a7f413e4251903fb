//! Bodies with pauses and open WebSockets, while the run is steered.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use twintap_replayer::fire::websocket::Script as Said;
use twintap_replayer::fire::{BodyPace, Options, Recorded, RunControl};
use twintap_scrub::{Mark, Piece, SocketMessage, Timeline};
use twintap_stream::message::Framing;
use twintap_stream::websocket::accept;

use crate::script::{Run, Script, recorded, request};
use crate::twins::{Reply, Seen, TwinServer};

const HOUR_MS: u64 = 3_600_000;

/// A body of two chunks, of which the second follows so much later.
fn body(gap_ms: u64) -> Recorded {
    let fields = [("Transfer-Encoding", "chunked")];
    let mark = |end, after_ms: u64| Mark {
        end,
        after_ns: after_ms * 1_000_000,
        piece: Piece::Chunk,
        dropped_bytes: 0,
    };
    Recorded {
        framing: Framing::Chunked,
        timeline: Timeline {
            marks: vec![mark(5, 0), mark(11, gap_ms)],
            ..Timeline::default()
        },
        ..recorded("POST", "/", &fields, "firstsecond")
    }
}

/// A WebSocket over which two messages are said, the second so much later.
fn socket(gap_ms: u64) -> Recorded {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let message = |text: &'static str, start, after_ms: u64| SocketMessage {
        piece: Piece::Text,
        payload: Bytes::from_static(text.as_bytes()),
        start,
        fragments: Vec::new(),
        after_ns: after_ms * 1_000_000,
        dropped_bytes: 0,
    };
    let said = vec![message("first", 0, 0), message("second", 5, gap_ms)];
    let script = Said {
        key: Bytes::from_static(KEY.as_bytes()),
        ..Said::new(said, &[], 0, 1.0)
    };
    let fields = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    Recorded {
        framing: Framing::Socket,
        script: Some(Arc::new(script)),
        ..recorded("GET", "/", &fields, "")
    }
}

/// Takes bodies, and opens WebSockets.
fn twin() -> TwinServer {
    TwinServer::start(|seen: &Seen| {
        let key = seen.head.split("Sec-WebSocket-Key: ").nth(1);
        let Some(key) = key.and_then(|rest| rest.lines().next()) else {
            return Reply::ok();
        };
        let accept = accept(key.as_bytes());
        Reply::Text(format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            String::from_utf8_lossy(&accept)
        ))
    })
}

/// What of this request comes to a twin before its second part is due: chunk and frame take
/// ten and eleven bytes.
fn first_bytes(request: &Recorded) -> usize {
    let head = request.head.to_wire().len();
    match request.script {
        Some(_) => head + 11,
        None => head + 10,
    }
}

/// Fires it at both twins; once the first part is there, `act` steers, and is told how many
/// bytes the first twin has got.
fn steered(
    request_fired: Recorded,
    change: impl FnOnce(&mut Options),
    act: impl FnOnce(&RunControl, &dyn Fn() -> usize) + Send,
) -> Run {
    let mut script = Script::default();
    let first = first_bytes(&request_fired);
    script.add(request(0, 0), request_fired);
    let twins = [twin(), twin()];
    let control = RunControl::new().expect("an eventfd");
    thread::scope(|scope| {
        let (twins, steering) = (&twins, control.clone());
        scope.spawn(move || {
            let got = |twin: &TwinServer| twin.received().iter().map(String::len).sum::<usize>();
            while twins.iter().any(|twin| got(twin) < first) {
                thread::sleep(Duration::from_millis(1));
            }
            act(&steering, &|| got(&twins[0]));
        });
        script.fire_with(twins, &control, |options| {
            options.bodies = BodyPace::Recorded;
            change(options);
        })
    })
}

#[track_caller]
fn check(run: &Run, status: &str) {
    assert_eq!(run.candidate(), [status], "{}", run.detail(0));
    assert_eq!(run.baseline(), [status]);
    for summary in run.summaries() {
        assert_eq!(summary.ledger.answered, 1);
        assert!(summary.ledger.closes());
    }
}

#[test]
fn a_seek_brings_what_is_said_later() {
    for (request, status) in [(body(HOUR_MS), "200"), (socket(HOUR_MS), "101")] {
        let run = steered(
            request,
            |_| {},
            |control, _| {
                let later = Duration::from_millis(HOUR_MS + 1);
                control.seek(later).expect("a later place");
            },
        );
        check(&run, status);
    }
}

#[test]
fn a_higher_speed_brings_it_sooner() {
    // Half a minute is longer than an answer is waited for.
    for (request, status) in [(body(40_000), "200"), (socket(40_000), "101")] {
        let run = steered(
            request,
            |_| {},
            |control, _| {
                control.set_speed(100.0).expect("a speed in range");
            },
        );
        check(&run, status);
    }
}

#[test]
fn nothing_is_said_in_a_pause_and_nothing_is_lost() {
    for (request, status) in [(body(250), "200"), (socket(250), "101")] {
        let change = |options: &mut Options| {
            // Both would be over in the pause if it did not hold them.
            options.response_timeout = Duration::from_millis(150);
            options.wait = Duration::from_millis(50);
        };
        let run = steered(request, change, |control, got| {
            control.pause();
            // What was on its way before.
            thread::sleep(Duration::from_millis(50));
            let before = got();
            thread::sleep(Duration::from_millis(850));
            let after = got();
            control.resume();
            assert_eq!(after, before, "something came in the pause");
        });
        check(&run, status);
    }
}
