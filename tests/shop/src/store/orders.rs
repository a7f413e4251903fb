//! Orders.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{Store, StoreError, carts, now_rfc3339};
use crate::ids;

/// An order, apart from its price, which follows from its subtotal.
#[derive(Clone, Debug)]
pub struct Order {
    pub id: String,
    pub created_at: String,
    pub subtotal_cents: i64,
    pub items: Vec<OrderItem>,
}

/// A line of an order, as it was when the order was placed.
#[derive(Clone, Debug, Serialize)]
pub struct OrderItem {
    pub product_id: String,
    pub name: String,
    pub quantity: i64,
    pub unit_price_cents: i64,
}

/// An order in a list.
#[derive(Clone, Debug)]
pub struct OrderSummary {
    pub id: String,
    pub created_at: String,
    pub subtotal_cents: i64,
    pub item_count: i64,
}

/// What a checkout did.
pub struct Placed {
    pub order: Order,
    /// True where an earlier checkout with the same key had placed it.
    pub is_repeated: bool,
}

impl Store {
    /// Turns a cart into an order, or nothing if the cart is empty.
    ///
    /// With a key that the account used before, it is the order of that time, whatever the cart
    /// holds now.
    pub fn place_order(
        &self,
        account_id: &str,
        idempotency_key: Option<&str>,
    ) -> Result<Option<Placed>, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        if let Some(key) = idempotency_key
            && let Some(order) = order_of_key(&transaction, account_id, key)?
        {
            return Ok(Some(Placed {
                order,
                is_repeated: true,
            }));
        }
        let cart = carts::items(&transaction, account_id)?;
        if cart.is_empty() {
            return Ok(None);
        }
        let order = Order {
            id: ids::order(),
            created_at: now_rfc3339(),
            subtotal_cents: cart.iter().map(|item| item.line_cents).sum(),
            items: cart
                .into_iter()
                .map(|item| OrderItem {
                    product_id: item.product_id,
                    name: item.name,
                    quantity: item.quantity,
                    unit_price_cents: item.unit_price_cents,
                })
                .collect(),
        };
        insert(&transaction, account_id, idempotency_key, &order)?;
        transaction
            .prepare_cached("DELETE FROM cart_items WHERE account_id = ?1")?
            .execute([account_id])?;
        transaction.commit()?;
        Ok(Some(Placed {
            order,
            is_repeated: false,
        }))
    }

    /// Places an order once more.
    pub fn place_again(&self, account_id: &str, order: &Order) -> Result<Placed, StoreError> {
        let order = Order {
            id: ids::order(),
            created_at: now_rfc3339(),
            ..order.clone()
        };
        insert(&self.lock(), account_id, None, &order)?;
        Ok(Placed {
            order,
            is_repeated: false,
        })
    }

    /// The order with this id, if it is this account's.
    pub fn order(&self, account_id: &str, order_id: &str) -> Result<Option<Order>, StoreError> {
        let connection = self.lock();
        let found = connection
            .prepare_cached(
                "SELECT seq, id, created_at, subtotal_cents FROM orders
                 WHERE account_id = ?1 AND id = ?2",
            )?
            .query_row([account_id, order_id], without_items)
            .optional()?;
        with_items(&connection, found)
    }

    /// The latest `limit` orders of an account, newest first.
    pub fn orders(&self, account_id: &str, limit: i64) -> Result<Vec<OrderSummary>, StoreError> {
        let connection = self.lock();
        let mut query = connection.prepare_cached(
            "SELECT id, created_at, subtotal_cents,
                    (SELECT sum(quantity) FROM order_items WHERE order_seq = orders.seq)
             FROM orders WHERE account_id = ?1 ORDER BY seq DESC LIMIT ?2",
        )?;
        let orders = query
            .query_map(params![account_id, limit], |row| {
                Ok(OrderSummary {
                    id: row.get(0)?,
                    created_at: row.get(1)?,
                    subtotal_cents: row.get(2)?,
                    item_count: row.get(3)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        Ok(orders)
    }
}

fn insert(
    connection: &Connection,
    account_id: &str,
    idempotency_key: Option<&str>,
    order: &Order,
) -> Result<(), StoreError> {
    let seq: i64 = connection
        .prepare_cached(
            "INSERT INTO orders (id, account_id, idempotency_key, subtotal_cents, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5) RETURNING seq",
        )?
        .query_row(
            params![
                order.id,
                account_id,
                idempotency_key,
                order.subtotal_cents,
                order.created_at
            ],
            |row| row.get(0),
        )?;
    let mut insert =
        connection.prepare_cached("INSERT INTO order_items VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for (position, item) in (0_i64..).zip(&order.items) {
        insert.execute(params![
            seq,
            position,
            item.product_id,
            item.name,
            item.quantity,
            item.unit_price_cents,
        ])?;
    }
    Ok(())
}

fn order_of_key(
    connection: &Connection,
    account_id: &str,
    key: &str,
) -> Result<Option<Order>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT seq, id, created_at, subtotal_cents FROM orders
             WHERE account_id = ?1 AND idempotency_key = ?2",
        )?
        .query_row([account_id, key], without_items)
        .optional()?;
    with_items(connection, found)
}

fn without_items(row: &Row<'_>) -> rusqlite::Result<(i64, Order)> {
    let order = Order {
        id: row.get(1)?,
        created_at: row.get(2)?,
        subtotal_cents: row.get(3)?,
        items: Vec::new(),
    };
    Ok((row.get(0)?, order))
}

fn with_items(
    connection: &Connection,
    found: Option<(i64, Order)>,
) -> Result<Option<Order>, StoreError> {
    let Some((seq, mut order)) = found else {
        return Ok(None);
    };
    let mut query = connection.prepare_cached(
        "SELECT product_id, name, quantity, unit_price_cents FROM order_items
         WHERE order_seq = ?1 ORDER BY position",
    )?;
    order.items = query
        .query_map([seq], |row| {
            Ok(OrderItem {
                product_id: row.get(0)?,
                name: row.get(1)?,
                quantity: row.get(2)?,
                unit_price_cents: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Some(order))
}
