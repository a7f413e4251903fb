//! Carts: one for each account.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;

use super::{Store, StoreError};
use crate::ids;

/// The most of one product that a cart holds.
pub const MOST_OF_ONE: i64 = 99;

/// A line of a cart.
#[derive(Clone, Debug, Serialize)]
pub struct CartItem {
    pub id: String,
    pub product_id: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price_cents: i64,
    pub line_cents: i64,
}

/// What adding to a cart did.
pub struct Added {
    pub item: CartItem,
    /// False where the product was there already and only its quantity grew.
    pub is_new: bool,
}

impl Store {
    /// Adds a product, or nothing if there is no such product.
    pub fn add_to_cart(
        &self,
        account_id: &str,
        product_id: &str,
        quantity: i64,
    ) -> Result<Option<Added>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let product: Option<i64> = transaction
            .prepare_cached("SELECT seq FROM products WHERE id = ?1")?
            .query_row([product_id], |row| row.get(0))
            .optional()?;
        if product.is_none() {
            return Ok(None);
        }
        let id = ids::uuid();
        let held_id: String = transaction
            .prepare_cached(
                "INSERT INTO cart_items (id, account_id, product_id, quantity)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (account_id, product_id)
                 DO UPDATE SET quantity = min(quantity + excluded.quantity, ?5)
                 RETURNING id",
            )?
            .query_row(
                params![id, account_id, product_id, quantity, MOST_OF_ONE],
                |row| row.get(0),
            )?;
        let item = item(&transaction, account_id, &held_id)?;
        transaction.commit()?;
        Ok(item.map(|item| Added {
            is_new: item.id == id,
            item,
        }))
    }

    /// Changes how many of a line, or nothing if the cart has no such line.
    pub fn change_cart_item(
        &self,
        account_id: &str,
        item_id: &str,
        quantity: i64,
    ) -> Result<Option<CartItem>, StoreError> {
        let connection = self.lock();
        connection
            .prepare_cached(
                "UPDATE cart_items SET quantity = ?3 WHERE account_id = ?1 AND id = ?2",
            )?
            .execute(params![account_id, item_id, quantity])?;
        item(&connection, account_id, item_id)
    }

    /// Takes a line out; false if the cart has no such line.
    pub fn remove_cart_item(&self, account_id: &str, item_id: &str) -> Result<bool, StoreError> {
        let removed = self
            .lock()
            .prepare_cached("DELETE FROM cart_items WHERE account_id = ?1 AND id = ?2")?
            .execute([account_id, item_id])?;
        Ok(removed > 0)
    }

    /// The lines of a cart, in the order in which they were added.
    pub fn cart(&self, account_id: &str) -> Result<Vec<CartItem>, StoreError> {
        items(&self.lock(), account_id)
    }
}

/// The lines of a cart, in the order in which they were added.
pub(super) fn items(
    connection: &Connection,
    account_id: &str,
) -> Result<Vec<CartItem>, StoreError> {
    let mut query = connection.prepare_cached(
        "SELECT c.id, p.id, p.name, c.quantity, p.price_cents
         FROM cart_items c JOIN products p ON p.id = c.product_id
         WHERE c.account_id = ?1 ORDER BY c.seq",
    )?;
    let items = query
        .query_map([account_id], |row| {
            let quantity: i64 = row.get(3)?;
            let unit_price_cents: i64 = row.get(4)?;
            Ok(CartItem {
                id: row.get(0)?,
                product_id: row.get(1)?,
                name: row.get(2)?,
                quantity,
                unit_price_cents,
                line_cents: quantity * unit_price_cents,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(items)
}

fn item(
    connection: &Connection,
    account_id: &str,
    item_id: &str,
) -> Result<Option<CartItem>, StoreError> {
    // A cart has a handful of lines: reading them all is cheaper than a second query to keep.
    let found = items(connection, account_id)?
        .into_iter()
        .find(|item| item.id == item_id);
    Ok(found)
}
