//! Metrics and health over HTTP.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{cost, drain::Shared, governor::CpuShare, probes::KernelLedger};

/// Everything that `/metrics` tells.
struct Metrics {
    cpu_budget: Option<CpuShare>,
    shared: Arc<Shared>,
    kernel: Arc<KernelLedger>,
}

/// Serves `/metrics`, `/healthz` and `/readyz` until `stop`.
///
/// # Errors
///
/// When the server fails.
pub async fn serve(
    listener: TcpListener,
    cpu_budget: Option<CpuShare>,
    shared: Arc<Shared>,
    kernel: Arc<KernelLedger>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let mut registry = Registry::with_prefix("twintap_agent");
    registry.register_collector(Box::new(Metrics {
        cpu_budget,
        shared: Arc::clone(&shared),
        kernel,
    }));
    let registry = Arc::new(registry);
    let router = Router::new()
        .route(
            "/metrics",
            get(|| async move {
                let mut text = String::new();
                match encode(&mut text, &registry) {
                    Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
                }
            }),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shared);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds the address for metrics.
///
/// # Errors
///
/// When it cannot be bound.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Ready is who is connected to the daemon: capturing without that only fills the budget.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.counts.connected.load(Relaxed) == 1 {
        "ok\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not connected to the daemon\n",
        )
            .into_response()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let kernel = self.kernel.read().unwrap_or_default();
        let counts = &self.shared.counts;
        let ledger = counts.ledger(&kernel);
        for (name, help, bytes) in [
            (
                "seen",
                "Payload of named flows that the kernel saw",
                ledger.seen_bytes,
            ),
            (
                "delivered",
                "Payload put into frames",
                ledger.delivered_bytes,
            ),
            (
                "tls",
                "Payload of flows that look like TLS",
                ledger.tls_bytes,
            ),
            (
                "unprotected",
                "Payload in frames let go before they were durable",
                ledger.unprotected_bytes,
            ),
            (
                "frame",
                "Frames as they are sent",
                counts.frame_bytes.load(Relaxed),
            ),
        ] {
            count(&mut encoder, name, help, Some(Unit::Bytes), bytes)?;
        }
        for (name, help, number) in [
            ("frames", "Frames sealed", counts.frames.load(Relaxed)),
            (
                "unprotected_frames",
                "Frames let go before they were durable",
                ledger.unprotected_frames,
            ),
            (
                "records",
                "Records taken from the rings",
                counts.records.load(Relaxed),
            ),
            (
                "unreadable_records",
                "Records of the rings that could not be read",
                counts.unreadable.load(Relaxed),
            ),
            ("flows", "Flows that began to be captured", kernel.flows),
            (
                "closes_deferred",
                "Ends of flows that found no room in a ring and came late",
                kernel.closes_deferred,
            ),
            (
                "closes_lost",
                "Ends of flows that found no room at all",
                kernel.closes_lost,
            ),
            (
                "malformed_packets",
                "Packets that could not be read",
                kernel.malformed,
            ),
            (
                "fragments",
                "Packets that were IP fragments",
                kernel.fragments,
            ),
            (
                "roles_unknown",
                "Packets of flows whose role nothing could tell",
                kernel.roles_unknown,
            ),
            (
                "inert_packets",
                "Packets that passed while this agent gave no sign of life",
                kernel.inert_packets,
            ),
            (
                "connections",
                "Connections made to the daemon",
                counts.connections.load(Relaxed),
            ),
        ] {
            count(&mut encoder, name, help, None, number)?;
        }
        let mut drops = encoder.encode_descriptor(
            "dropped",
            "Payload that was seen and dropped, by cause",
            Some(&Unit::Bytes),
            prometheus_client::metrics::MetricType::Counter,
        )?;
        for drop in &ledger.dropped {
            let cause = [("cause", drop.cause.as_str())];
            ConstCounter::new(drop.bytes).encode(drops.encode_family(&cause)?)?;
        }
        for (name, help, number) in [
            (
                "pending",
                "Payload in rings and open batches",
                ledger.pending_bytes,
            ),
            (
                "outbox",
                "Memory of frames that are not durable",
                self.shared.outbox_bytes.load(Relaxed) as u64,
            ),
            (
                "open",
                "Memory of records that are in no frame yet",
                self.shared.open_bytes.load(Relaxed) as u64,
            ),
            (
                "budget",
                "The memory budget",
                self.shared.budget_bytes as u64,
            ),
        ] {
            gauge(&mut encoder, name, help, Some(Unit::Bytes), number)?;
        }
        for (name, help, number) in [
            (
                "live_flows",
                "Flows that are followed",
                counts.flows.load(Relaxed),
            ),
            (
                "paused",
                "1 while nothing is captured because the daemon said so",
                counts.paused.load(Relaxed),
            ),
            (
                "back_off_level",
                "How far the agent has backed off for its CPU budget, 0 to 6",
                counts.back_off_level.load(Relaxed),
            ),
            (
                "connected",
                "1 while connected to the daemon",
                counts.connected.load(Relaxed),
            ),
        ] {
            gauge(&mut encoder, name, help, None, number)?;
        }
        let kernel = Duration::from_nanos(counts.kernel_cpu_ns.load(Relaxed));
        for (name, help, time) in [
            (
                "cpu",
                "Processor time of the process, in user and kernel mode",
                cost::process_cpu(),
            ),
            (
                "programs_cpu",
                "Processor time of the kernel programs, where the machine keeps statistics",
                kernel,
            ),
        ] {
            let metric = ConstCounter::new(time.as_secs_f64());
            let kind = metric.metric_type();
            let unit = Some(&Unit::Seconds);
            metric.encode(encoder.encode_descriptor(name, help, unit, kind)?)?;
        }
        if let Some(CpuShare(budget)) = self.cpu_budget {
            let metric = ConstGauge::new(budget);
            let kind = metric.metric_type();
            let help = "The CPU budget, as a share of one processor";
            let unit = Some(&Unit::Ratios);
            metric.encode(encoder.encode_descriptor("cpu_budget", help, unit, kind)?)?;
        }
        Ok(())
    }
}

fn count(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstCounter::new(value);
    let kind = metric.metric_type();
    metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: u64,
) -> Result<(), std::fmt::Error> {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    let kind = metric.metric_type();
    metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
}
