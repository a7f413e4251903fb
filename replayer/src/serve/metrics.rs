//! Metrics and health over HTTP; every metric is documented in docs/operating.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use twintap_proto::v1::RunState;
use twintap_scrub::{CanaryLeak, Scrubber};

use super::Runs;
use crate::ingest::{KeeperHandle, Overview};

type Labels = Vec<(String, String)>;
type Counters = Family<Labels, Counter<u64, AtomicU64>>;
type Gauges = Family<Labels, Gauge<i64, AtomicI64>>;

/// What metrics are made from.
#[derive(Clone)]
pub struct Context {
    pub keeper: KeeperHandle,
    pub runs: Arc<Runs>,
    pub scrubber: Scrubber,
    pub canaries: Arc<[CanaryLeak]>,
}

/// `/metrics`, `/healthz` (the process lives) and `/readyz` (the archive takes data).
pub fn router(context: Context) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .with_state(context)
}

async fn ready(State(context): State<Context>) -> impl IntoResponse {
    match context.keeper.overview().await.archive_error {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the archive takes no data: {why}\n"),
        ),
    }
}

async fn metrics(State(context): State<Context>) -> impl IntoResponse {
    let overview = context.keeper.overview().await;
    let text = render(&overview, &context);
    (
        [(
            header::CONTENT_TYPE,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )],
        text,
    )
}

/// The metrics of this moment. The ledgers are cumulative figures kept elsewhere,
/// so that each scrape makes its registry from them.
fn render(overview: &Overview, context: &Context) -> String {
    let runs = &context.runs;
    let mut registry = Registry::with_prefix("twintap");
    let mut counters = |name: &str, help: &str| {
        let family = Counters::default();
        registry.register(name, help, family.clone());
        family
    };
    let frames = counters("frames_received", "Frames received, by node");
    let undecodable = counters("frames_undecodable", "Frames that could not be decoded");
    let kernel = counters(
        "kernel_bytes",
        "The kernel ledger, bytes of TCP payload, by node and place",
    );
    let dropped = counters(
        "kernel_dropped_bytes",
        "Bytes dropped before the daemon, by cause",
    );
    let store = counters("store_bytes", "The store ledger, bytes, by node and place");
    let discarded = counters("store_discarded_bytes", "Bytes discarded, by cause");
    let discarded_exchanges =
        counters("store_discarded_exchanges", "Exchanges discarded, by cause");
    let exchanges = counters(
        "store_exchanges",
        "The store ledger, exchanges, by node and place",
    );
    let gaps = counters("stream_gaps", "Holes in streams, by node");
    let orders = counters(
        "flow_orders",
        "Orders for flows given to agents, by node and order",
    );
    let commits = counters("archive_commits", "Commits to the archive");
    let retired = counters("archive_retired_parts", "Parts removed by retention");
    let run_windows = counters("run_windows", "Windows planned, by run");
    let run_tardy = counters(
        "run_tardy_requests",
        "Requests that were stored too late to be due in their place",
    );
    let run_missed = counters(
        "run_missed_exchanges",
        "Exchanges that retention removed before they were planned",
    );
    let run_forgotten = counters(
        "run_forgotten_exchanges",
        "Earlier exchanges that requests can't refer to any more",
    );
    let looked = counters(
        "second_look_bytes",
        "Bytes that the second look saw, and that it passed over",
    );
    let quarantined = counters(
        "second_look_quarantined",
        "Exchanges and messages of WebSockets that were quarantined, by kind",
    );
    let mut gauges = |name: &str, help: &str| {
        let family = Gauges::default();
        registry.register(name, help, family.clone());
        family
    };
    let pending = gauges("store_pending_bytes", "Bytes held, by node");
    let connected = gauges("agents_connected", "1 while the node's agent is connected");
    let paused = gauges(
        "agents_paused",
        "1 while the node's agent says that it captures nothing",
    );
    let flows = gauges("flows", "Live flows, by node");
    let failed = gauges("archive_failed", "1 while the archive takes no data");
    let run_states = gauges("runs", "Runs, by state");
    let run_lag = gauges(
        "run_lag_milliseconds",
        "How far behind what is captured a run is that follows it",
    );
    let run_down = gauges(
        "run_twin_down",
        "1 while a twin of the run can't be reached",
    );
    let run_kept = gauges(
        "run_kept_exchanges",
        "Earlier exchanges that requests to come may refer to",
    );

    let canaries = gauges(
        "canary_leaks",
        "Places where a made-up personal value would be stored, by kind",
    );

    let second_look = context.scrubber.second_look();
    set(&looked, &[("place", "looked")], second_look.looked_bytes);
    let passed_over = second_look.passed_over_bytes;
    set(&looked, &[("place", "passed_over")], passed_over);
    for (kind, count) in &second_look.by_kind {
        set(&quarantined, &[("kind", kind)], *count);
    }
    for kind in context.canaries.iter().flat_map(|leak| &leak.kinds) {
        add_gauge(&canaries, &[("kind", kind)], 1);
    }
    set(&commits, &[], overview.commits);
    set(&retired, &[], overview.retired_parts);
    set_gauge(&failed, &[], i64::from(overview.archive_error.is_some()));
    for (state, count) in runs.count_by_state() {
        set_gauge(&run_states, &[("state", state)], count);
    }
    for run in runs.list() {
        let Some(following) = &run.following else {
            continue;
        };
        // What has ended lags no more.
        let is_live = matches!(run.state(), RunState::Running | RunState::Paused);
        let run = &[("run", &*run.id)];
        if is_live {
            let lag = Duration::try_from(following.lag.unwrap_or_default()).unwrap_or_default();
            let lag_ms = i64::try_from(lag.as_millis()).unwrap_or(i64::MAX);
            set_gauge(&run_lag, run, lag_ms);
            set_gauge(&run_down, run, i64::from(following.twin_down));
            add_gauge(&run_kept, run, following.kept);
        }
        add(&run_windows, run, following.windows);
        add(&run_tardy, run, following.tardy);
        add(&run_missed, run, following.missed);
        add(&run_forgotten, run, following.forgotten);
    }
    for capture in &overview.captures {
        let state = &capture.state;
        let node = ("node", &*state.node);
        add(&frames, &[node], state.received_frames);
        add(&undecodable, &[node], state.undecodable_frames);
        add(&kernel, &[node, ("place", "seen")], state.kernel.seen_bytes);
        add(
            &kernel,
            &[node, ("place", "delivered")],
            state.kernel.delivered_bytes,
        );
        add(&kernel, &[node, ("place", "tls")], state.kernel.tls_bytes);
        add(
            &kernel,
            &[node, ("place", "unprotected")],
            state.kernel.unprotected_bytes,
        );
        for (cause, drop) in &state.kernel.dropped {
            add(&dropped, &[node, ("cause", cause)], drop.bytes);
        }
        let ledger = &state.store;
        add(
            &store,
            &[node, ("place", "delivered")],
            ledger.delivered_bytes,
        );
        add(&store, &[node, ("place", "message")], ledger.message_bytes);
        add(&store, &[node, ("place", "framing")], ledger.framing_bytes);
        add(
            &store,
            &[node, ("place", "duplicate")],
            ledger.duplicate_bytes,
        );
        add(&store, &[node, ("place", "opaque")], ledger.opaque_bytes);
        for (cause, bytes) in &ledger.discarded_bytes {
            add(&discarded, &[node, ("cause", cause)], *bytes);
        }
        add(&exchanges, &[node, ("place", "rebuilt")], ledger.rebuilt);
        add(&exchanges, &[node, ("place", "stored")], ledger.stored);
        for (cause, count) in &ledger.discarded {
            add(&discarded_exchanges, &[node, ("cause", cause)], *count);
        }
        add(&gaps, &[node], state.gaps);
        add_gauge(&pending, &[node], ledger.pending_bytes);
        add_gauge(&flows, &[node], capture.flows);
        if let Some(agent) = capture.agent {
            add(&orders, &[node, ("order", "stop")], agent.stop_orders);
            add(
                &orders,
                &[node, ("order", "headers_only")],
                agent.headers_only_orders,
            );
            // A boot that was killed says nothing more; another of its node may go on.
            let is_paused = capture.connected && agent.paused;
            let gauge = paused.get_or_create(&labels(&[node]));
            gauge.set(gauge.get().max(i64::from(is_paused)));
        }
        let gauge = connected.get_or_create(&labels(&[node]));
        gauge.set(gauge.get().max(i64::from(capture.connected)));
    }
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => text,
        // Writing to a String cannot fail.
        Err(std::fmt::Error) => String::new(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn set(family: &Counters, pairs: &[(&str, &str)], value: u64) {
    let counter = family.get_or_create(&labels(pairs));
    counter.inner().store(value, Ordering::Relaxed);
}

fn add(family: &Counters, pairs: &[(&str, &str)], value: u64) {
    family.get_or_create(&labels(pairs)).inc_by(value);
}

fn set_gauge(family: &Gauges, pairs: &[(&str, &str)], value: i64) {
    family.get_or_create(&labels(pairs)).set(value);
}

fn add_gauge(family: &Gauges, pairs: &[(&str, &str)], value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    family.get_or_create(&labels(pairs)).inc_by(value);
}
