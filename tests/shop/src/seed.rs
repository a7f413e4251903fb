//! What a fresh shop holds: accounts and products, the same for the same seed.

use std::num::NonZero;
use std::thread;

use argon2::password_hash;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::pattern::split_mix;
use crate::{ids, names, password};

/// How many accounts a shop is seeded with unless told otherwise.
pub const DEFAULT_ACCOUNTS: usize = 256;
/// How many products a shop has.
pub const PRODUCTS: usize = 240;

/// A seeded account as its owner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededAccount {
    /// The account's id, a UUID.
    pub id: String,
    /// What its owner logs in with.
    pub username: String,
    /// The password in clear.
    pub password: String,
    /// What the shop calls its owner.
    pub display_name: String,
    salt: [u8; 16],
}

/// A product of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeededProduct {
    /// The product's id, which is readable.
    pub id: String,
    /// What it is.
    pub name: String,
    /// A sentence about it.
    pub description: String,
    /// Its price before tax.
    pub price_cents: i64,
    /// The count of the last stocktaking, which orders don't change: what one user sees must not
    /// depend on what others buy.
    pub stock: i64,
}

/// Account `index` of a shop with this seed.
#[must_use]
pub fn account(seed: u64, index: usize) -> SeededAccount {
    let mut rng = StdRng::seed_from_u64(split_mix(seed ^ ACCOUNTS_STREAM, index as u64));
    let display_name = names::display_name(&mut rng);
    let given_name: String = display_name
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let given_name = if given_name.is_empty() {
        "user".to_owned()
    } else {
        given_name.to_ascii_lowercase()
    };
    SeededAccount {
        id: ids::uuid_of(rng.random()),
        username: format!("{given_name}.{index:04}"),
        password: format!("pw-{}", &ids::hex(&rng.random::<[u8; 6]>())),
        display_name,
        salt: rng.random(),
    }
}

/// Product `index` of a shop with this seed.
#[must_use]
pub fn product(seed: u64, index: usize) -> SeededProduct {
    let mut rng = StdRng::seed_from_u64(split_mix(seed ^ PRODUCTS_STREAM, index as u64));
    let adjective = ADJECTIVES[rng.random_range(0..ADJECTIVES.len())];
    // Each thing comes round equally often, so that each search finds something.
    let thing = THINGS[index % THINGS.len()];
    SeededProduct {
        id: format!("p-{index:04}-{}", adjective.to_ascii_lowercase()),
        name: format!("{adjective} {thing}"),
        description: format!(
            "{adjective} {thing}, {} g, delivered within {} days.",
            rng.random_range(50..5_000),
            rng.random_range(2..9)
        ),
        price_cents: rng.random_range(199..12_000),
        stock: rng.random_range(500..50_000),
    }
}

/// The password hashes of the first `count` accounts, computed on all cores.
pub(crate) fn password_hashes(
    seed: u64,
    count: usize,
) -> Result<Vec<String>, password_hash::Error> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(workers).max(1);
    let indexes: Vec<usize> = (0..count).collect();
    thread::scope(|scope| {
        let shares: Vec<_> = indexes
            .chunks(share)
            .map(|share| scope.spawn(move || hash_share(seed, share)))
            .collect();
        let mut hashes = Vec::with_capacity(count);
        for share in shares {
            match share.join() {
                Ok(hashed) => hashes.extend(hashed?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(hashes)
    })
}

fn hash_share(seed: u64, indexes: &[usize]) -> Result<Vec<String>, password_hash::Error> {
    indexes
        .iter()
        .map(|&index| {
            let account = account(seed, index);
            password::hash(&account.password, account.salt)
        })
        .collect()
}

/// Keep accounts and products of one seed apart.
const ACCOUNTS_STREAM: u64 = 0x6163_636f_756e_7473;
const PRODUCTS_STREAM: u64 = 0x7072_6f64_7563_7473;

const ADJECTIVES: &[&str] = &[
    "Amber", "Blue", "Brass", "Copper", "Folding", "Green", "Heavy", "Linen", "Oak", "Plain",
    "Red", "Round", "Small", "Steel", "Striped", "Tall", "White", "Woollen",
];
pub(crate) const THINGS: &[&str] = &[
    "basket",
    "blanket",
    "bowl",
    "candle",
    "chair",
    "clock",
    "crème brûlée set",
    "curtain",
    "fondue pot",
    "jug",
    "kettle",
    "lamp",
    "mirror",
    "müsli jar",
    "pan",
    "pillow",
    "plate",
    "shelf",
    "stool",
    "table",
    "teapot",
    "towel",
    "tray",
    "vase",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_shop_again() {
        assert_eq!(account(1, 17), account(1, 17));
        assert_ne!(account(1, 17).password, account(2, 17).password);
        assert_eq!(product(1, 17), product(1, 17));
        assert_eq!(
            password_hashes(1, 3).unwrap(),
            password_hashes(1, 4).unwrap()[..3]
        );
    }
}
