//! Products.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Store, StoreError};

/// A product on its own page.
#[derive(Clone, Debug)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub description: String,
    pub price_cents: i64,
    pub stock: i64,
}

/// A product in a list.
#[derive(Clone, Debug, Serialize)]
pub struct ProductSummary {
    pub id: String,
    pub name: String,
    pub price_cents: i64,
}

impl Store {
    /// How many products there are.
    pub fn product_count(&self) -> Result<i64, StoreError> {
        let count = self
            .lock()
            .prepare_cached("SELECT count(*) FROM products")?
            .query_row([], |row| row.get(0))?;
        Ok(count)
    }

    /// `limit` products in the order of the catalogue, after the first `offset`.
    pub fn products(&self, offset: i64, limit: i64) -> Result<Vec<ProductSummary>, StoreError> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT id, name, price_cents FROM products ORDER BY seq LIMIT ?2 OFFSET ?1",
        )?;
        let products = query
            .query_map(params![offset, limit], summary)?
            .collect::<Result<_, _>>()?;
        Ok(products)
    }

    /// The product with this id.
    pub fn product(&self, id: &str) -> Result<Option<Product>, StoreError> {
        let product = self
            .lock()
            .prepare_cached(
                "SELECT id, name, description, price_cents, stock FROM products WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(Product {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    description: row.get(2)?,
                    price_cents: row.get(3)?,
                    stock: row.get(4)?,
                })
            })
            .optional()?;
        Ok(product)
    }

    /// The first `limit` products that have `text` in their name.
    pub fn search(&self, text: &str, limit: i64) -> Result<Vec<ProductSummary>, StoreError> {
        let connection = self.lock();
        // `instr` and not `LIKE`: what users type has no wildcards.
        let mut query = connection.prepare_cached(
            "SELECT id, name, price_cents FROM products
             WHERE instr(lower(name), lower(?1)) > 0 ORDER BY seq LIMIT ?2",
        )?;
        let products = query
            .query_map(params![text, limit], summary)?
            .collect::<Result<_, _>>()?;
        Ok(products)
    }
}

fn summary(row: &Row<'_>) -> rusqlite::Result<ProductSummary> {
    Ok(ProductSummary {
        id: row.get(0)?,
        name: row.get(1)?,
        price_cents: row.get(2)?,
    })
}
