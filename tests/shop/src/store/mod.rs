//! The state of a shop, in SQLite.
//!
//! A file can be copied while the shop is down and given to a twin: it holds the seed that it was
//! made with, and what users changed since.

mod accounts;
mod carts;
mod catalogue;
mod orders;
mod reviews;

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::seed;

pub use accounts::{Account, SESSION_LIFE_S, Session};
pub use carts::{CartItem, MOST_OF_ONE};
pub use catalogue::ProductSummary;
pub use orders::{Order, OrderItem};

/// Where a shop keeps its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateAt {
    /// In memory: gone with the shop.
    Memory,
    /// In a SQLite file, made and seeded if it isn't there.
    File(PathBuf),
}

impl FromStr for StateAt {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            MEMORY => Self::Memory,
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for StateAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str(MEMORY),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the state: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A password could not be hashed.
    #[error("hashing a password: {0}")]
    Hash(password_hash::Error),
    /// The file was made with another seed or number of accounts.
    #[error("the state was made with {found}, not {wanted}: take another file, or delete it")]
    OtherSeed {
        /// What the file says.
        found: String,
        /// What the shop was started with.
        wanted: String,
    },
}

impl From<password_hash::Error> for StoreError {
    fn from(error: password_hash::Error) -> Self {
        Self::Hash(error)
    }
}

/// The state behind one connection.
///
/// All methods block, for some tens of microseconds but for [`Self::reset`]: handlers call them in
/// place, since the hop to a blocking thread would cost more than the query.
pub struct Store {
    connection: Mutex<Connection>,
    seed: u64,
    password_hashes: Vec<String>,
}

impl Store {
    /// Opens the state, and seeds it if it is empty.
    pub fn open(at: &StateAt, seed: u64, accounts: usize) -> Result<Self, StoreError> {
        let connection = match at {
            StateAt::Memory => Connection::open_in_memory()?,
            StateAt::File(path) => Connection::open(path)?,
        };
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", "on")?;
        // Hashed even for a state that is seeded already: a reset needs them at once.
        let store = Self {
            connection: Mutex::new(connection),
            seed,
            password_hashes: seed::password_hashes(seed, accounts)?,
        };
        store.ensure_seeded()?;
        Ok(store)
    }

    /// Brings the state back to its seeded start.
    pub fn reset(&self) -> Result<(), StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        // Children before the parents that they reference.
        for table in [
            "reviews",
            "order_items",
            "orders",
            "cart_items",
            "sessions",
            "accounts",
        ] {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        self.insert_accounts(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    /// Marks paid orders as shipped and forgets expired sessions.
    pub fn tidy(&self) -> Result<(), StoreError> {
        let connection = self.lock();
        connection
            .prepare_cached("DELETE FROM sessions WHERE expires_unix_s < ?1")?
            .execute([Timestamp::now().as_second()])?;
        // In portions, so that no request waits long for the lock.
        connection
            .prepare_cached(
                "UPDATE orders SET shipped = 1 WHERE seq IN
                 (SELECT seq FROM orders WHERE shipped = 0 ORDER BY seq LIMIT 200)",
            )?
            .execute([])?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A handler that panicked left at most a transaction, which was rolled back as it unwound.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn ensure_seeded(&self) -> Result<(), StoreError> {
        let wanted = format!(
            "seed {}, {} accounts",
            self.seed,
            self.password_hashes.len()
        );
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        if transaction.table_exists(None, "meta")? {
            let found: Option<String> = transaction
                .query_row("SELECT value FROM meta WHERE name = 'origin'", [], |row| {
                    row.get(0)
                })
                .optional()?;
            let found = found.unwrap_or_else(|| "an unknown seed".to_owned());
            if found != wanted {
                return Err(StoreError::OtherSeed { found, wanted });
            }
            return Ok(());
        }
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.execute("INSERT INTO meta VALUES ('origin', ?1)", [&wanted])?;
        let mut insert =
            transaction.prepare("INSERT INTO products VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for index in 0..seed::PRODUCTS {
            let product = seed::product(self.seed, index);
            insert.execute(params![
                index as i64,
                product.id,
                product.name,
                product.description,
                product.price_cents,
                product.stock,
            ])?;
        }
        drop(insert);
        self.insert_accounts(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    fn insert_accounts(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let mut insert = transaction.prepare("INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (index, hash) in self.password_hashes.iter().enumerate() {
            let account = seed::account(self.seed, index);
            insert.execute(params![
                account.id,
                account.username,
                hash,
                account.display_name,
                SEEDED_AT,
            ])?;
        }
        Ok(())
    }
}

/// The present in RFC 3339, always with milliseconds, so that its length never changes.
fn now_rfc3339() -> String {
    format!("{:.3}", Timestamp::now())
}

const MEMORY: &str = ":memory:";
/// When seeded accounts say they were made.
const SEEDED_AT: &str = "2025-01-01T00:00:00.000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_and_its_seed_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let at = StateAt::File(folder.path().join("state.db"));
        let store = Store::open(&at, 1, 2).unwrap();
        let credentials = store
            .register("carl", "Carl", "hash")
            .unwrap()
            .expect("the name is free");
        drop(store);

        let store = Store::open(&at, 1, 2).unwrap();
        let found = store.credentials("carl").unwrap().expect("carl was stored");
        assert_eq!(found.account.id, credentials.id);
        drop(store);

        let refused = Store::open(&at, 2, 2).err().expect("another seed");
        assert_eq!(
            refused.to_string(),
            "the state was made with seed 1, 2 accounts, not seed 2, 2 accounts: \
             take another file, or delete it"
        );
    }

    #[test]
    fn a_reset_forgets_what_users_did() {
        let store = Store::open(&StateAt::Memory, 1, 2).unwrap();
        let owner = store.register("carl", "Carl", "hash").unwrap().unwrap();
        store.log_in(&owner.id).unwrap();
        let product = seed::product(1, 0).id;
        store.add_to_cart(&owner.id, &product, 1).unwrap().unwrap();
        store.place_order(&owner.id, None).unwrap().unwrap();
        store.add_to_cart(&owner.id, &product, 1).unwrap().unwrap();
        store.add_review(&owner.id, &product, 5, "Good.").unwrap();
        store.tidy().unwrap();
        store.reset().unwrap();
        assert!(store.credentials("carl").unwrap().is_none());
        let seeded = seed::account(1, 1).username;
        assert!(store.credentials(&seeded).unwrap().is_some());
    }

    #[test]
    fn a_timestamp_always_has_its_milliseconds() {
        assert_eq!(now_rfc3339().len(), SEEDED_AT.len());
    }
}
