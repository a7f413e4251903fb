//! Starting and stopping a shop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mutations::{Memory, Mutations};
use crate::regressions::{Leaked, Regressions};
use crate::routes::{self, AppState};
use crate::seed;
use crate::store::{StateAt, Store, StoreError};
use crate::tidy;
use crate::warming::WarmCache;

/// What a shop is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to keep the state.
    pub state: StateAt,
    /// What accounts and products are made from.
    pub seed: u64,
    /// How many accounts to seed.
    pub accounts: usize,
    /// The faults of a candidate; none in production.
    pub regressions: Regressions,
    /// Its faults of the harder set.
    pub mutations: Mutations,
    /// Whether `POST /admin/reset` exists.
    pub allow_reset: bool,
    /// The bytes of a cache that fills while the shop is used; 0 for none.
    pub warm_cache_bytes: usize,
}

impl Default for ShopConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            state: StateAt::Memory,
            seed: 1,
            accounts: seed::DEFAULT_ACCOUNTS,
            regressions: Regressions::none(),
            mutations: Mutations::none(),
            allow_reset: false,
            warm_cache_bytes: 0,
        }
    }
}

impl ShopConfig {
    /// The flags of `twintap-shop` that mean the same.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![
            format!("--listen={}", self.listen),
            format!("--state={}", self.state),
            format!("--seed={}", self.seed),
            format!("--accounts={}", self.accounts),
        ];
        if !(self.regressions.is_empty() && self.mutations.is_empty()) {
            args.push("--candidate".to_owned());
        }
        if !self.regressions.is_empty() {
            args.push(format!("--regressions={}", self.regressions.to_list()));
        }
        if !self.mutations.is_empty() {
            args.push(format!("--mutations={}", self.mutations.to_list()));
        }
        if self.allow_reset {
            args.push("--allow-reset".to_owned());
        }
        if self.warm_cache_bytes > 0 {
            args.push(format!("--warm-cache={}", self.warm_cache_bytes));
        }
        args
    }
}

/// Why a shop did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("listening on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The state can't be opened or seeded.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Seeding was cut short.
    #[error("seeding was cut short")]
    Seeding,
}

/// A shop that takes requests. Dropping it stops it without waiting for those in flight.
#[derive(Debug)]
pub struct Shop {
    addr: SocketAddr,
    leaked: Arc<Leaked>,
    shutdown: CancellationToken,
    server: JoinHandle<io::Result<()>>,
    tidy: JoinHandle<()>,
}

impl Shop {
    /// Seeds a shop and starts it on the present tokio runtime.
    ///
    /// It takes requests from the moment this returns.
    pub async fn start(config: ShopConfig) -> Result<Self, StartError> {
        let store = tokio::task::spawn_blocking(move || {
            Store::open(&config.state, config.seed, config.accounts)
        })
        .await
        .map_err(|_| StartError::Seeding)??;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let state = AppState {
            store: Arc::new(store),
            regressions: Arc::new(config.regressions),
            leaked: Arc::new(Leaked::default()),
            mutations: Arc::new(config.mutations),
            memory: Arc::new(Memory::default()),
            warming: Arc::new(WarmCache::of_bytes(config.warm_cache_bytes)),
            hashing: Arc::new(Semaphore::new(cores)),
        };
        let listen_error = |error| StartError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(listen_error)?;
        let addr = listener.local_addr().map_err(listen_error)?;
        // Without it the last chunk of a stream would wait for the acknowledgement of the one
        // before.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("twintap-shop: setting TCP_NODELAY: {error}");
            }
        });

        let shutdown = CancellationToken::new();
        let leaked = Arc::clone(&state.leaked);
        let tidy = tokio::spawn(tidy::run(state.clone(), shutdown.clone()));
        let router = routes::router(state, config.allow_reset);
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(shutdown.clone().cancelled_owned());
        Ok(Self {
            addr,
            leaked,
            shutdown,
            server: tokio::spawn(server.into_future()),
            tidy,
        })
    }

    /// Where the shop listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The bytes that [`Regression::Leak`](crate::regressions::Regression::Leak) holds by now.
    #[must_use]
    pub fn leaked_bytes(&self) -> usize {
        self.leaked.bytes()
    }

    /// Stops taking connections, answers what is in flight and stops.
    pub async fn stop(mut self) -> io::Result<()> {
        self.shutdown.cancel();
        (&mut self.server).await.map_err(io::Error::other)?
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.server.abort();
        self.tidy.abort();
    }
}
