//! The agent's life: start, capture, drain, end.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc as blocking,
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use tokio_util::sync::CancellationToken;
use twintap_abi::Role;
use twintap_proto::v1;

use crate::{
    cgroup::{self, Cgroup},
    config::{Config, Options, RoleChoice},
    cost::Cost,
    drain::{Drain, HEARTBEAT_LIMIT, Shared},
    kernel_log, metrics, preflight,
    probes::{Filters, OBJECT, PauseReason, Probes, Settings},
    rings::Rings,
    roles,
    seal::Seal,
    ship::{FlowOrder, Ship},
};

/// The largest batch, encoded.
const BATCH_BYTES: usize = 1 << 20;
/// Orders that wait to be carried out.
const MAX_ORDERS: usize = 1024;
/// How often the agent looks at what it costs.
const COST_EVERY: Duration = Duration::from_secs(1);

/// Where changed options come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Options of the command line.
    pub flags: Options,
    /// The file.
    pub file: Option<PathBuf>,
}

impl Source {
    /// Reads and checks the options.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or an option is wrong.
    pub fn load(&self) -> anyhow::Result<Config> {
        let file = match &self.file {
            Some(path) => Options::read(path)?,
            None => Options::default(),
        };
        self.flags.clone().or(file).check()
    }
}

/// Captures until SIGTERM or SIGINT, then drains.
///
/// # Errors
///
/// When capturing cannot begin; the error says in one line what is missing.
pub async fn run(config: Config, source: Source) -> anyhow::Result<()> {
    if let Some(finding) = preflight::check()
        .into_iter()
        .find(|finding| finding.missing.is_some())
    {
        bail!(
            "cannot capture: {} ({}); importing capture files with `twintap import` still works",
            finding.missing.unwrap_or_default(),
            finding.name
        );
    }
    let mount = cgroup::mount_point()?;
    let cgroups = Cgroup::open_all(&mount, &config.cgroups)?;
    let mut probes = Probes::load(
        OBJECT,
        &Settings {
            rings: config.rings,
            ring_bytes: config.ring_bytes,
            max_flows: config.max_flows,
            heartbeat_limit: HEARTBEAT_LIMIT,
        },
    )?;
    let kernel = Arc::new(probes.take_ledger()?);
    let shared = Arc::new(Shared::new(config.memory_budget_bytes, BATCH_BYTES));
    let rings = Rings::new(probes.take_rings()?);
    let late_closes = probes.take_late_closes()?;
    let mut heartbeat = probes.take_heartbeat()?;
    heartbeat.beat()?;

    let (batches, batches_out) = blocking::channel();
    let stop_drain = Arc::new(AtomicBool::new(false));
    let drain = Drain::new(rings, late_closes, heartbeat, Arc::clone(&shared), batches);
    let drain_stops = Arc::clone(&stop_drain);
    let drain = thread::Builder::new()
        .name("drain".to_owned())
        .spawn(move || drain.run(&drain_stops))
        .context("cannot start a thread")?;
    let seal = Seal::new(Arc::clone(&shared), Arc::clone(&kernel), config.compression)
        .context("compression")?;
    let seal = thread::Builder::new()
        .name("seal".to_owned())
        .spawn(move || seal.run(&batches_out))
        .context("cannot start a thread")?;

    probes.set_filters(&filters(&config, &cgroups, &mount))?;
    for cgroup in &cgroups {
        probes
            .attach(&cgroup.folder)
            .with_context(|| format!("cgroup {}", cgroup.path.display()))?;
    }
    probes.seed_roles(&roles::of_live_sockets(&cgroups))?;
    for cgroup in &cgroups {
        tracing::info!(cgroup = %cgroup.path.display(), ports = ?config.ports, "capturing");
    }

    let stop = CancellationToken::new();
    let kernel_log = tokio::spawn(kernel_log::run(probes.take_log()?, stop.clone()));
    if let Some(address) = config.metrics_addr {
        let listener = metrics::bind(address)
            .await
            .with_context(|| format!("metrics-addr is {address}: cannot listen there"))?;
        let (shared, kernel) = (Arc::clone(&shared), Arc::clone(&kernel));
        tokio::spawn(metrics::serve(
            listener,
            config.cpu_budget,
            shared,
            kernel,
            stop.clone(),
        ));
    }
    let (orders, mut orders_out) = mpsc::channel(MAX_ORDERS);
    let ship = Ship {
        daemon: config.daemon.clone(),
        hello: hello(&config),
        shared: Arc::clone(&shared),
        kernel: Arc::clone(&kernel),
        orders,
    };
    let finish = CancellationToken::new();
    let mut ship = tokio::spawn(ship.run(finish.clone(), stop.clone()));
    // For whoever started the agent: from here on nothing goes by unseen.
    println!("capturing");

    until_end(
        &mut probes,
        &mut orders_out,
        &shared,
        Cost::new(config.cpu_budget),
        &source,
        &cgroups,
        &mount,
    )
    .await?;
    drop(orders_out);

    tracing::info!("draining");
    let deadline = Instant::now() + config.drain;
    probes.detach()?;
    stop_drain.store(true, Relaxed);
    let ended = tokio::task::spawn_blocking(move || {
        let drained = drain.join().is_ok();
        seal.join().is_ok() && drained
    })
    .await?;
    if !ended {
        bail!("a thread of the agent ended by a panic");
    }
    shared.sealed.notify_one();
    finish.cancel();
    let finished = timeout_at(deadline, &mut ship).await;
    stop.cancel();
    match finished {
        Ok(ended) => ended?,
        Err(_) => ship.await?,
    }
    kernel_log
        .await?
        .context("the log of the kernel programs")?;
    let ledger = shared.counts.ledger(&kernel.read()?);
    let left = shared.with_outbox(|outbox| (outbox.len(), outbox.unconfirmed()));
    tracing::info!(
        seen_bytes = ledger.seen_bytes,
        delivered_bytes = ledger.delivered_bytes,
        dropped_bytes = ledger.dropped.iter().map(|drop| drop.bytes).sum::<u64>(),
        pending_bytes = ledger.pending_bytes,
        tls_bytes = ledger.tls_bytes,
        frames_not_durable = left.0,
        frames_not_received = left.1,
        "ended"
    );
    Ok(())
}

/// Carries out orders and changes of the file until a signal asks for the end.
async fn until_end(
    probes: &mut Probes,
    orders: &mut mpsc::Receiver<FlowOrder>,
    shared: &Shared,
    mut cost: Cost,
    source: &Source,
    cgroups: &[Cgroup],
    mount: &std::path::Path,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut pause_wanted = shared.pause_wanted.subscribe();
    // The daemon's first word may have come already.
    pause_wanted.mark_changed();
    let mut look = interval(COST_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once.
    look.tick().await;
    loop {
        tokio::select! {
            _ = look.tick() => cost.look(probes, shared)?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {
                let changed = source
                    .load()
                    .and_then(|config| Ok(probes.set_filters(&filters(&config, cgroups, mount))?));
                match changed {
                    Ok(()) => tracing::info!("read the filters anew"),
                    Err(error) => {
                        tracing::error!("kept the filters as they are: {error:#}");
                    }
                }
            }
            // Whoever sends lives as long as `shared` does.
            Ok(()) = pause_wanted.changed() => {
                let paused = *pause_wanted.borrow_and_update();
                pause(probes, shared, paused)?;
            }
            order = orders.recv() => {
                let Some(order) = order else {
                    bail!("the shipping task ended by a panic");
                };
                if let Err(error) = probes.order(order.flow, order.order) {
                    tracing::error!(%error, "an order could not be carried out");
                }
            }
        }
    }
}

/// Does what the daemon said of capturing, and has the shipper tell it so.
fn pause(probes: &mut Probes, shared: &Shared, paused: bool) -> anyhow::Result<()> {
    probes.set_paused(PauseReason::Ordered, paused)?;
    let before = shared.counts.paused.swap(u64::from(paused), Relaxed) == 1;
    match (before, paused) {
        (false, true) => tracing::warn!("paused by the daemon: nothing is captured"),
        (true, false) => tracing::info!("the daemon lets the capture go on"),
        _ => {}
    }
    shared.pause_done.notify_one();
    Ok(())
}

fn filters(config: &Config, cgroups: &[Cgroup], mount: &std::path::Path) -> Filters {
    let roles = match config.role {
        RoleChoice::Server => vec![Role::Server],
        RoleChoice::Client => vec![Role::Client],
        RoleChoice::Both => vec![Role::Server, Role::Client],
    };
    let mut excluded: Vec<_> = config
        .daemon
        .addresses
        .iter()
        .map(|address| (address.ip(), address.port()))
        .collect();
    excluded.extend(
        config
            .metrics_addr
            .map(|address| (address.ip(), address.port())),
    );
    // An agent that runs inside a cgroup that was named by itself stands beside the service.
    let excluded_cgroup = cgroup::own(mount)
        .filter(|(path, _)| path != mount)
        .filter(|(path, _)| !cgroups.iter().any(|cgroup| cgroup.path == *path))
        .map(|(_, id)| id);
    Filters {
        roles,
        ports: config.ports.clone(),
        prefixes: config.prefixes.clone(),
        cgroups: Vec::new(),
        excluded,
        excluded_cgroup,
    }
}

fn hello(config: &Config) -> v1::Hello {
    v1::Hello {
        node: config.node.clone(),
        boot: rand::random(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        captured_endpoints: config.ports.iter().map(|port| format!(":{port}")).collect(),
    }
}
