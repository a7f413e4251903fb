//! What a twin tells of itself as metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use twintap_verdict::Resource;

use super::exposition::Selector;
use super::settings::{Figure, Scrape};
use super::{Look, Use};
use crate::fire::Tls;
use crate::fire::capture::RawBody;
use crate::run::ask::{Question, ask};
use crate::run::file::{RunFile, TargetSettings};
use crate::run::targets::{self, Captured};
use crate::run::values::HookRequest;

/// The longest that metrics may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most that they may be.
const MOST_BYTES: usize = 16 << 20;

/// What processes are told as by clients of Prometheus: of several names for a figure, the first
/// that is there counts. The heap has one for each runtime.
const USUAL: [(Figure, &str); 10] = [
    (Figure::Memory, "process_resident_memory_bytes"),
    (Figure::Heap, "process_heap_bytes"),
    (Figure::Heap, "go_memstats_heap_alloc_bytes"),
    (Figure::Heap, "jvm_memory_used_bytes{area=\"heap\"}"),
    (Figure::Heap, "jvm_memory_bytes_used{area=\"heap\"}"),
    (Figure::Heap, "nodejs_heap_size_used_bytes"),
    (Figure::FileDescriptors, "process_open_fds"),
    (Figure::Threads, "process_threads"),
    (Figure::CpuSeconds, "process_cpu_seconds_total"),
    (Figure::FileDescriptorsLimit, "process_max_fds"),
];

/// Asks a twin for its metrics.
#[derive(Debug)]
pub struct Scraper {
    request: HookRequest,
    address: SocketAddr,
    tls: Option<Tls>,
    metrics: Vec<(Figure, Selector)>,
    /// Whether each of them must be there.
    are_named: bool,
}

impl Scraper {
    /// Asks where the run file says at `place`.
    ///
    /// # Errors
    /// When that is not allowed, or can't be spoken to as the run file says.
    pub fn new(
        place: &str,
        scrape: &Scrape,
        twin: &TargetSettings,
        file: &RunFile,
        captured: &Captured,
    ) -> Result<Scraper> {
        let request = scrape.url.0.clone();
        let place = format!("{place}.prometheus.url");
        let address = targets::check_one(&place, &request.authority, file, captured)?;
        let tls = request
            .is_tls
            .then(|| targets::tls(twin.tls.as_ref(), &request.authority.host))
            .transpose()?;
        let named = scrape.metrics.iter();
        let mut metrics: Vec<(Figure, Selector)> = named
            .map(|(figure, metric)| (*figure, metric.selector.clone()))
            .collect();
        let are_named = !metrics.is_empty();
        if !are_named {
            for (figure, name) in USUAL {
                let selector = name.parse().map_err(anyhow::Error::msg)?;
                metrics.push((figure, selector));
            }
        }
        Ok(Scraper {
            request,
            address,
            tls,
            metrics,
            are_named,
        })
    }

    /// What is used, as the twin tells.
    ///
    /// # Errors
    /// When it does not, and why.
    pub fn look(&self) -> Result<Look, String> {
        let told = self.told().map_err(|error| format!("{error:#}"))?;
        let cpu_seconds = told.get(&Figure::CpuSeconds).copied();
        let used = by_resource(
            &told,
            &[
                (Figure::Memory, Resource::Memory),
                (Figure::Heap, Resource::Heap),
                (Figure::FileDescriptors, Resource::FileDescriptors),
                (Figure::Threads, Resource::Threads),
                (Figure::Sockets, Resource::Sockets),
            ],
        );
        Ok(Look { used, cpu_seconds })
    }

    /// What it must stay below, as it tells.
    pub fn limits(&self) -> Use {
        let told = self.told().unwrap_or_default();
        by_resource(
            &told,
            &[
                (Figure::MemoryLimit, Resource::Memory),
                (Figure::FileDescriptorsLimit, Resource::FileDescriptors),
            ],
        )
    }

    fn told(&self) -> Result<BTreeMap<Figure, f64>> {
        let text = self.text().with_context(|| self.request.to_string())?;
        let mut told = BTreeMap::new();
        for (figure, selector) in &self.metrics {
            match selector.sum(&text) {
                Some(value) => {
                    told.entry(*figure).or_insert(value);
                }
                None if self.are_named => {
                    bail!("{} has no series of {}", self.request, selector.name());
                }
                None => {}
            }
        }
        if told.is_empty() {
            bail!(
                "{} has none of the metrics that processes usually have; name them in `metrics`",
                self.request
            );
        }
        Ok(told)
    }

    fn text(&self) -> Result<String> {
        let answer = ask(
            &Question {
                request: &self.request,
                address: self.address,
                tls: self.tls.as_ref(),
                fields: "Accept: text/plain;version=0.0.4\r\nAccept-Encoding: identity\r\n",
                most_bytes: MOST_BYTES,
            },
            Instant::now() + PATIENCE,
        )?;
        if answer.head.status != 200 {
            bail!("answered with status {}", answer.head.status);
        }
        match answer.body {
            RawBody::Whole(body) => Ok(String::from_utf8_lossy(&body).into_owned()),
            RawBody::Digest { bytes, .. } => bail!("{bytes} bytes are more than metrics take"),
        }
    }
}

fn by_resource(told: &BTreeMap<Figure, f64>, pairs: &[(Figure, Resource)]) -> Use {
    let known = pairs.iter();
    known
        .filter_map(|(figure, resource)| Some((*resource, *told.get(figure)?)))
        .collect()
}
