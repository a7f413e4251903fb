//! Carts, checkouts and orders.

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use rand::Rng as _;
use serde_json::json;

use super::client::Call;
use super::visit::{Stop, Visit, text};
use crate::ids;

impl Visit<'_> {
    /// Fills a cart; most buy what is in it.
    pub(super) async fn shop(&mut self) -> Result<(), Stop> {
        let mut item_ids = Vec::new();
        let mut products = Vec::new();
        for _ in 0..self.rng.random_range(1..=3) {
            if let Some(product) = self.some_product()
                && !products.contains(&product)
            {
                item_ids.push(self.add(&product).await?);
                products.push(product);
            }
        }
        let Some(first) = item_ids.first().cloned() else {
            return Ok(());
        };
        if self.rng.random_bool(0.5) {
            let quantity = self.rng.random_range(1..=5);
            let call = Call::new("PUT /cart/items/{id}", format!("/cart/items/{first}"));
            self.step(call.json(&json!({ "quantity": quantity })))
                .await?;
        }
        if item_ids.len() > 1 && self.rng.random_bool(0.4) {
            let call = Call::new("DELETE /cart/items/{id}", format!("/cart/items/{first}"));
            self.step(call.expect(StatusCode::NO_CONTENT)).await?;
            if self.rng.random_bool(0.1) {
                let call = Call::new("DELETE /cart/items/{id}", format!("/cart/items/{first}"));
                self.step(call.expect(StatusCode::NOT_FOUND)).await?;
            }
        }
        self.step(Call::plain("GET /cart")).await?;
        if self.rng.random_bool(0.85) {
            self.check_out().await?;
        }
        Ok(())
    }

    /// Puts a product into the cart and answers the id of its line.
    async fn add(&mut self, product: &str) -> Result<String, Stop> {
        let quantity = self.rng.random_range(1..=3);
        let body = json!({ "product_id": product, "quantity": quantity });
        if self.rng.random_bool(0.02) {
            // A page from before the login: the shop refuses its token.
            let call = Call::plain("POST /cart/items")
                .json(&body)
                .header(
                    HeaderName::from_static("x-csrf-token"),
                    HeaderValue::from_static("stale"),
                )
                .expect(StatusCode::FORBIDDEN);
            self.step(call).await?;
        }
        // 200 where an earlier visit left the same product in the cart.
        let call = Call::plain("POST /cart/items")
            .json(&body)
            .expect(StatusCode::CREATED)
            .or(StatusCode::OK);
        let item = self.step(call).await?;
        Ok(text(&item.json()["id"]))
    }

    async fn check_out(&mut self) -> Result<(), Stop> {
        let key = ids::uuid_of(self.rng.random());
        let order = self.step(check_out_call(&key)).await?.json();
        if self.rng.random_bool(0.1) {
            // The page was sent again; the key keeps the user from buying twice.
            self.step(check_out_call(&key)).await?;
        }
        let path = format!("/orders/{}", text(&order["id"]));
        self.step(Call::new("GET /orders/{id}", path.clone()))
            .await?;
        if self.rng.random_bool(0.5) {
            let path = format!("{path}/events");
            self.at_once(Call::new("GET /orders/{id}/events", path))
                .await?;
        }
        if self.rng.random_bool(0.3) {
            self.step(Call::plain("GET /orders")).await?;
        }
        Ok(())
    }
}

fn check_out_call(key: &str) -> Call {
    let call = Call::plain("POST /checkout").expect(StatusCode::CREATED);
    // A UUID is always a header's value.
    match HeaderValue::from_str(key) {
        Ok(key) => call.header(HeaderName::from_static("idempotency-key"), key),
        Err(_) => call,
    }
}
