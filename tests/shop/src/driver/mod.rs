//! Users who visit a shop: a load with the shape of real traffic, the same for the same seed.
//!
//! Each user has connections, cookies and an account of their own, so that nothing one user gets
//! depends on another. What a user does next follows from the seed, the user's number and the
//! visit's number; only how many visits fit into a duration depends on the machine.

mod client;
mod pace;
mod profile;
mod shopping;
mod summary;
mod visit;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::pattern::split_mix;
use crate::{names, seed};

pub use summary::Summary;

use client::Client;
use pace::Pace;
use summary::Tally;
use visit::Visit;

/// What a drive is made of.
#[derive(Clone, Debug)]
pub struct DriveConfig {
    /// The shop.
    pub target: SocketAddr,
    /// How many users visit it.
    pub users: usize,
    /// When users stop visiting.
    pub until: Until,
    /// What the users' choices follow from.
    pub seed: u64,
    /// The seed of the shop, from which the passwords of its accounts follow.
    pub shop_seed: u64,
    /// How many accounts the shop was seeded with; users beyond them register.
    pub shop_accounts: usize,
    /// How long a user thinks before a step, in milliseconds.
    pub think_ms: RangeInclusive<u64>,
    /// How many users are on a visit at the same time, at most.
    pub concurrency: usize,
}

impl DriveConfig {
    /// 200 users for 25 seconds, all at the same time, at a shop with the default seed.
    #[must_use]
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            users: 200,
            until: Until::Elapsed(Duration::from_secs(25)),
            seed: 1,
            shop_seed: 1,
            shop_accounts: seed::DEFAULT_ACCOUNTS,
            think_ms: 400..=1_600,
            concurrency: usize::MAX,
        }
    }
}

/// When users stop visiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After this many visits of each user.
    Visits(u32),
    /// After this time: nobody begins a step later, but those who are logged in log out.
    Elapsed(Duration),
}

/// Sends the users to the shop and counts what they got.
pub async fn drive(config: DriveConfig) -> Summary {
    let started = Instant::now();
    let config = Arc::new(config);
    let tally = Arc::new(Tally::default());
    let turns = Arc::new(Semaphore::new(
        config.concurrency.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut users = JoinSet::new();
    for index in 0..config.users {
        users.spawn(live(
            User::of(&config, index),
            Arc::clone(&config),
            Arc::clone(&tally),
            Arc::clone(&turns),
            started,
        ));
    }
    while let Some(ended) = users.join_next().await {
        if let Err(error) = ended {
            tally.complain(format!("a user's task died: {error}"));
        }
    }
    tally.summary(started.elapsed())
}

/// A user of the shop.
struct User {
    index: usize,
    kind: Kind,
    /// Whether this user's browser takes gzip.
    takes_gzip: bool,
}

/// Who a user is to the shop.
enum Kind {
    /// Looks around and never logs in.
    Guest,
    /// Has an account.
    Customer(Credentials),
    /// Registers on the first visit, and is a customer from then on.
    Newcomer(Credentials),
}

/// What a user logs in with.
#[derive(Clone)]
struct Credentials {
    username: String,
    password: String,
    display_name: String,
}

impl User {
    fn of(config: &DriveConfig, index: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(split_mix(config.seed, index as u64));
        let kind = match rng.random_range(0..100) {
            0..10 => Kind::Guest,
            10..20 => Kind::Newcomer(newcomer(config.seed, index, &mut rng)),
            _ if index >= config.shop_accounts => {
                Kind::Newcomer(newcomer(config.seed, index, &mut rng))
            }
            _ => {
                let account = seed::account(config.shop_seed, index);
                Kind::Customer(Credentials {
                    username: account.username,
                    password: account.password,
                    display_name: account.display_name,
                })
            }
        };
        Self {
            index,
            kind,
            takes_gzip: rng.random_bool(0.5),
        }
    }
}

fn newcomer(seed: u64, index: usize, rng: &mut StdRng) -> Credentials {
    let display_name = names::display_name(rng);
    // Half of those with letters of their own use them in the username as well.
    let first = display_name.split(' ').next().unwrap_or("new");
    let first = if rng.random_bool(0.5) { first } else { "new" };
    Credentials {
        username: format!("{}.{seed}-{index}", first.to_lowercase()),
        password: format!("secret-{:08x}", rng.random::<u32>()),
        display_name,
    }
}

async fn live(
    mut user: User,
    config: Arc<DriveConfig>,
    tally: Arc<Tally>,
    turns: Arc<Semaphore>,
    started: Instant,
) {
    let deadline = match config.until {
        Until::Visits(_) => None,
        Until::Elapsed(duration) => Some(started + duration),
    };
    let pace = Pace::new(config.think_ms.clone(), deadline);
    let mut client = Client::new(config.target, tally);
    let own_seed = split_mix(config.seed, user.index as u64);
    // Users come one after the other, not all at the same moment.
    let mut rng = StdRng::seed_from_u64(own_seed);
    pace.arrive(&mut rng).await;
    for number in 0_u32.. {
        let is_over = match config.until {
            Until::Visits(visits) => number >= visits,
            Until::Elapsed(_) => pace.is_over(),
        };
        if is_over {
            return;
        }
        // Never closed, so a turn always comes.
        let _turn = turns.acquire().await;
        let rng = StdRng::seed_from_u64(split_mix(own_seed, u64::from(number)));
        let visit = Visit::new(&mut client, &pace, rng, user.takes_gzip);
        visit.run(&mut user.kind).await;
    }
}
