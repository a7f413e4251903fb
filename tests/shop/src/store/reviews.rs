//! Reviews, which only their authors see until somebody has read them over.

use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError, now_rfc3339};
use crate::ids;

/// A review and what it is about.
#[derive(Clone, Debug)]
pub struct Review {
    pub id: String,
    pub product_id: String,
    pub product_name: String,
    pub rating: i64,
    pub body: String,
    pub created_at: String,
}

impl Store {
    /// Stores a review of a product that exists and answers its id.
    pub fn add_review(
        &self,
        account_id: &str,
        product_id: &str,
        rating: i64,
        body: &str,
    ) -> Result<String, StoreError> {
        let id = ids::uuid();
        self.lock()
            .prepare_cached("INSERT INTO reviews VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                id,
                account_id,
                product_id,
                rating,
                body,
                now_rfc3339()
            ])?;
        Ok(id)
    }

    /// The review with this id, if it is this account's.
    pub fn review(&self, account_id: &str, review_id: &str) -> Result<Option<Review>, StoreError> {
        let review = self
            .lock()
            .prepare_cached(
                "SELECT r.id, p.id, p.name, r.rating, r.body, r.created_at
                 FROM reviews r JOIN products p ON p.id = r.product_id
                 WHERE r.account_id = ?1 AND r.id = ?2",
            )?
            .query_row([account_id, review_id], |row| {
                Ok(Review {
                    id: row.get(0)?,
                    product_id: row.get(1)?,
                    product_name: row.get(2)?,
                    rating: row.get(3)?,
                    body: row.get(4)?,
                    created_at: row.get(5)?,
                })
            })
            .optional()?;
        Ok(review)
    }
}
