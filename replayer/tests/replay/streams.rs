//! Firing HTTP/2 at servers that this project did not write, and at hostile ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Server, ServerTlsConfig};
use twintap_replayer::fire::RunControl;

use crate::script::{Run, Script, recorded_stream, stream};
use crate::tls::Authority;
use crate::twins::{Reply, TwinServer};

/// An HTTP/2 server on a runtime of its own, until it is dropped.
pub struct StreamServer {
    pub address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl StreamServer {
    pub fn start(routes: Routes, change: impl FnOnce(Server) -> Server) -> StreamServer {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let incoming = TcpListenerStream::new(listener);
        let server = change(Server::builder()).add_routes(routes);
        runtime.spawn(server.serve_with_incoming(incoming));
        StreamServer {
            address,
            _runtime: runtime,
        }
    }
}

/// `/first` is answered after `/second` came; `/echo` gives the body back; `/crowd`
/// waits a while, and says how many did at most.
pub fn routes() -> Routes {
    let second = Arc::new(Notify::new());
    let first = Arc::clone(&second);
    let crowd: Arc<[AtomicUsize; 2]> = Arc::default();
    let router = Router::new()
        .route(
            "/first",
            get(async move || {
                first.notified().await;
                "first"
            }),
        )
        .route(
            "/second",
            get(async move || {
                second.notify_one();
                "second"
            }),
        )
        .route("/echo", post(async |body: axum::body::Bytes| body))
        .route(
            "/crowd",
            get(async move || {
                let now = crowd[0].fetch_add(1, Ordering::SeqCst) + 1;
                crowd[1].fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                crowd[0].fetch_sub(1, Ordering::SeqCst);
                crowd[1].load(Ordering::SeqCst).to_string()
            }),
        )
        .layer(DefaultBodyLimit::disable());
    Routes::from(router)
}

fn fire(script: &Script, change: impl Fn(Server) -> Server) -> Run {
    let twins = [(); 2].map(|()| StreamServer::start(routes(), &change));
    let addresses = twins.each_ref().map(|twin| twin.address);
    script.fire_at(addresses, &control(), |_| {})
}

fn control() -> RunControl {
    RunControl::new().expect("an eventfd")
}

fn one_request() -> Script {
    let mut script = Script::default();
    script.add(stream(0, 0), recorded_stream("GET", "/first", ""));
    script
}

#[test]
fn streams_go_side_by_side_over_one_connection() {
    let mut script = Script::default();
    script.add(stream(0, 0), recorded_stream("GET", "/first", ""));
    script.add(stream(1, 0), recorded_stream("GET", "/second", ""));
    let run = fire(&script, |server| server);
    assert_eq!(run.candidate(), ["200", "200"]);
    assert_eq!((run.detail(0), run.detail(1)), ("first", "second"));
    for summary in run.summaries() {
        assert_eq!((summary.connections, summary.reopened), (1, 0));
        assert_eq!(summary.release_error.count, 2);
    }
}

#[test]
fn large_bodies_pass_through_small_windows() {
    let mut script = Script::default();
    let body = "0123456789abcdef".repeat(40_000);
    script.add(stream(0, 0), recorded_stream("POST", "/echo", &body));
    script.add(stream(0, 0), recorded_stream("POST", "/echo", "small"));
    let run = fire(&script, |server| {
        server
            .initial_stream_window_size(20_000)
            .initial_connection_window_size(70_000)
    });
    assert_eq!(run.candidate(), ["200", "200"]);
    assert!(run.detail(0) == body, "another body came back");
    assert_eq!(run.detail(1), "small");
}

#[test]
fn a_twins_limit_of_streams_is_kept() {
    let mut script = Script::default();
    // By then the twin's settings have come.
    script.add(stream(0, 0), recorded_stream("POST", "/echo", "x"));
    for _ in 0..10 {
        script.add(stream(100, 0), recorded_stream("GET", "/crowd", ""));
    }
    let run = fire(&script, |server| server.max_concurrent_streams(3));
    assert_eq!(run.candidate(), ["200"; 11]);
    assert_eq!(run.detail(10), "3");
    assert_eq!(run.summary.candidate.connections, 1);
    assert_eq!(run.summary.candidate.stream_waits, 7);
}

#[test]
fn a_slow_stream_times_out_alone() {
    let mut script = Script::default();
    script.add(stream(0, 0), recorded_stream("GET", "/first", ""));
    script.add(stream(1, 0), recorded_stream("POST", "/echo", "x"));
    script.add(stream(700, 0), recorded_stream("POST", "/echo", "y"));
    let twins = [(); 2].map(|()| StreamServer::start(routes(), |server| server));
    let addresses = twins.each_ref().map(|twin| twin.address);
    let run = script.fire_at(addresses, &control(), |options| {
        options.response_timeout = Duration::from_millis(400);
    });
    assert_eq!(run.candidate(), ["timeout", "200", "200"]);
    assert_eq!(run.summary.candidate.connections, 1);
}

#[test]
fn http2_over_tls_is_chosen_by_alpn() {
    let authority = Authority::new(&["shop"]);
    let tls = ServerTlsConfig::new().identity(authority.identity());
    let candidate = StreamServer::start(routes(), |server| {
        server.tls_config(tls).expect("a certificate with its key")
    });
    let baseline = StreamServer::start(routes(), |server| server);
    let mut script = Script::default();
    let body = "x".repeat(200_000);
    script.add(stream(0, 0), recorded_stream("POST", "/echo", &body));
    let addresses = [candidate.address, baseline.address];
    let run = script.fire_at(addresses, &control(), |options| {
        options.targets[0].tls = Some(authority.client("shop", false));
    });
    assert_eq!(run.candidate(), ["200"], "{}", run.detail(0));
    assert!(run.detail(0) == body, "another body came back");
}

#[test]
fn a_twin_that_chooses_another_protocol_is_an_outcome() {
    for (protocols, chosen) in [(&["http/1.1"][..], "http/1.1"), (&[], "nothing")] {
        let authority = Authority::new(&["shop"]);
        let config = Arc::new(authority.server(false, protocols));
        let candidate = TwinServer::start_with(Some(config), |_| Reply::ok());
        let baseline = StreamServer::start(routes(), |server| server);
        let mut script = Script::default();
        script.add(stream(0, 0), recorded_stream("POST", "/echo", "x"));
        let addresses = [candidate.address, baseline.address];
        let run = script.fire_at(addresses, &control(), |options| {
            options.targets[0].tls = Some(authority.client("shop", false));
        });
        assert_eq!(run.candidate(), ["other_protocol"]);
        let expected = format!("the twin chose {chosen} by ALPN, and the recorded protocol is h2");
        assert_eq!(run.detail(0), expected);
    }
}

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A server that answers each connection's first bytes with those of `script` (by the
/// connection's number), and then waits for its end.
fn raw_server(script: impl Fn(usize) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let answer = script(number);
            thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 4096];
                let mut seen = 0;
                // The preface, SETTINGS and WINDOW_UPDATE take 58 bytes.
                while seen <= 58 {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => return,
                        Ok(count) => seen += count,
                    }
                }
                if stream.write_all(&answer).is_err() {
                    return;
                }
                if !answer.is_empty() {
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
                }
            });
        }
    });
    address
}

#[track_caller]
fn check_raw(answer: &[u8], expected: &str, detail: &str) {
    let answer = answer.to_vec();
    let candidate = raw_server(move |_| answer.clone());
    let baseline = raw_server(|_| [SETTINGS, &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]].concat());
    let run = one_request().fire_at([candidate, baseline], &control(), |options| {
        options.response_timeout = Duration::from_secs(1);
    });
    assert_eq!(run.candidate(), [expected], "{}", run.detail(0));
    assert!(run.detail(0).contains(detail), "{}", run.detail(0));
    assert_eq!(run.baseline(), ["200"]);
}

#[test]
fn hostile_twins_are_outcomes() {
    check_raw(
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "garbage",
        "HTTP/1 where HTTP/2 was recorded",
    );
    check_raw(b"", "closed_early", "closed before the end");
    let reset = [SETTINGS, &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 11]].concat();
    check_raw(&reset, "stream_reset", "ENHANCE_YOUR_CALM");
    let push = [SETTINGS, &[0, 0, 4, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2]].concat();
    check_raw(&push, "garbage", "PUSH_PROMISE");
    check_raw(SETTINGS, "timeout", "no whole answer");
}

#[test]
fn what_was_not_processed_goes_to_another_connection() {
    let goaway = [
        SETTINGS,
        &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let answer = [SETTINGS, &[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]].concat();
    let twice = {
        let goaway = goaway.clone();
        raw_server(move |number| {
            if number < 2 {
                goaway.clone()
            } else {
                answer.clone()
            }
        })
    };
    let always = raw_server(move |_| goaway.clone());
    let run = one_request().fire_at([twice, always], &control(), |_| {});
    assert_eq!(run.candidate(), ["200"]);
    assert_eq!(run.summary.candidate.unprocessed, 2);
    assert_eq!(run.baseline(), ["stream_reset"]);
    assert_eq!(run.summary.baseline.unprocessed, 3);
}

/// A server that refuses so many streams of each connection, and answers further ones.
fn refusing(times: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut preface = [0; 24];
            let begins = stream.read_exact(&mut preface);
            let mut seen = 0;
            let mut answer = SETTINGS.to_vec();
            while begins.is_ok() && stream.write_all(&answer).is_ok() {
                answer.clear();
                let mut header = [0; 9];
                if stream.read_exact(&mut header).is_err() {
                    break;
                }
                let length = usize::from(header[1]) << 8 | usize::from(header[2]);
                let mut payload = vec![0; length];
                if stream.read_exact(&mut payload).is_err() {
                    break;
                }
                if header[3] != 1 {
                    continue;
                }
                let id = &header[5..];
                answer = match seen < times {
                    true => [&[0, 0, 4, 3, 0], id, &[0, 0, 0, 7]].concat(),
                    false => [&[0, 0, 1, 1, 5], id, &[0x88]].concat(),
                };
                seen += 1;
            }
        }
    });
    address
}

#[test]
fn refused_streams_are_sent_again() {
    // Neither method is a safe one, which makes no difference here.
    let mut script = Script::default();
    script.add(stream(0, 0), recorded_stream("POST", "/first", "body"));
    let run = script.fire_at([refusing(2), refusing(9)], &control(), |_| {});
    assert_eq!(run.candidate(), ["200"], "{}", run.detail(0));
    let (candidate, baseline) = (&run.summary.candidate, &run.summary.baseline);
    assert_eq!((candidate.unprocessed, candidate.connections), (2, 1));
    assert_eq!(run.baseline(), ["stream_reset"]);
    assert_eq!(baseline.unprocessed, 3);
    assert!(candidate.ledger.closes() && baseline.ledger.closes());
}

#[test]
fn a_stream_that_is_refused_after_its_answer_began_is_reset() {
    let answer = [
        SETTINGS,
        &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88],
        &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7],
    ]
    .concat();
    check_raw(&answer, "stream_reset", "REFUSED_STREAM");
}

proptest::proptest! {
    #[test]
    fn no_bytes_of_a_twin_break_the_clients_laws(
        step in 0u8..80,
        frames in proptest::collection::vec(
            (0u8..11, proptest::num::u8::ANY, 0u8..12, proptest::collection::vec(proptest::num::u8::ANY, 0..30)),
            0..40,
        ),
    ) {
        let mut bytes = vec![step];
        bytes.extend_from_slice(SETTINGS);
        for (kind, flags, stream, payload) in frames {
            bytes.extend([0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream]);
            bytes.extend(payload);
        }
        crate::hostile::http2_twin(&bytes);
    }
}
