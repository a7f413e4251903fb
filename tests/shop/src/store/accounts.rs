//! Accounts and their sessions.

use jiff::Timestamp;
use rusqlite::{ErrorCode, OptionalExtension as _, params};

use super::{Store, StoreError, now_rfc3339};
use crate::ids;

/// An account as its owner sees it.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub username: String,
    pub display_name: String,
    pub created_at: String,
}

/// An account and what its password is checked against.
pub struct Credentials {
    pub account: Account,
    pub password_hash: String,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct Session {
    pub sid: String,
    pub account_id: String,
    pub csrf_token: String,
}

/// How long a session lives after its login.
pub const SESSION_LIFE_S: i64 = 24 * 60 * 60;

impl Store {
    /// Makes an account, or nothing if the username is taken.
    pub fn register(
        &self,
        username: &str,
        display_name: &str,
        password_hash: &str,
    ) -> Result<Option<Account>, StoreError> {
        let account = Account {
            id: ids::uuid(),
            username: username.to_owned(),
            display_name: display_name.to_owned(),
            created_at: now_rfc3339(),
        };
        let inserted = self
            .lock()
            .prepare_cached("INSERT INTO accounts VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                account.id,
                account.username,
                password_hash,
                account.display_name,
                account.created_at,
            ]);
        match inserted {
            Ok(_) => Ok(Some(account)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The account of this username.
    pub fn credentials(&self, username: &str) -> Result<Option<Credentials>, StoreError> {
        let found = self
            .lock()
            .prepare_cached(
                "SELECT id, username, display_name, created_at, password_hash
                 FROM accounts WHERE username = ?1",
            )?
            .query_row([username], |row| {
                Ok(Credentials {
                    account: Account {
                        id: row.get(0)?,
                        username: row.get(1)?,
                        display_name: row.get(2)?,
                        created_at: row.get(3)?,
                    },
                    password_hash: row.get(4)?,
                })
            })
            .optional()?;
        Ok(found)
    }

    /// The account with this id, which exists.
    pub fn account(&self, account_id: &str) -> Result<Account, StoreError> {
        let account = self
            .lock()
            .prepare_cached(
                "SELECT id, username, display_name, created_at FROM accounts WHERE id = ?1",
            )?
            .query_row([account_id], |row| {
                Ok(Account {
                    id: row.get(0)?,
                    username: row.get(1)?,
                    display_name: row.get(2)?,
                    created_at: row.get(3)?,
                })
            })?;
        Ok(account)
    }

    /// Changes the name that an account is called by.
    pub fn rename(&self, account_id: &str, display_name: &str) -> Result<(), StoreError> {
        self.lock()
            .prepare_cached("UPDATE accounts SET display_name = ?2 WHERE id = ?1")?
            .execute([account_id, display_name])?;
        Ok(())
    }

    /// Opens a session.
    pub fn log_in(&self, account_id: &str) -> Result<Session, StoreError> {
        let session = Session {
            sid: ids::session(),
            account_id: account_id.to_owned(),
            csrf_token: ids::csrf_token(),
        };
        self.lock()
            .prepare_cached("INSERT INTO sessions VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                session.sid,
                session.account_id,
                session.csrf_token,
                Timestamp::now().as_second() + SESSION_LIFE_S,
            ])?;
        Ok(session)
    }

    /// The session of this cookie, if it is known and not expired.
    pub fn session(&self, sid: &str) -> Result<Option<Session>, StoreError> {
        let session = self
            .lock()
            .prepare_cached(
                "SELECT sid, account_id, csrf_token FROM sessions
                 WHERE sid = ?1 AND expires_unix_s >= ?2",
            )?
            .query_row(params![sid, Timestamp::now().as_second()], |row| {
                Ok(Session {
                    sid: row.get(0)?,
                    account_id: row.get(1)?,
                    csrf_token: row.get(2)?,
                })
            })
            .optional()?;
        Ok(session)
    }

    /// Ends a session.
    pub fn log_out(&self, sid: &str) -> Result<(), StoreError> {
        self.lock()
            .prepare_cached("DELETE FROM sessions WHERE sid = ?1")?
            .execute([sid])?;
        Ok(())
    }
}
