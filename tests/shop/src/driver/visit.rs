//! One visit: from the first page to the logout.

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use serde_json::{Value, json};

use super::client::{Answer, Call, Client, Unexpected, escape};
use super::pace::{Pace, TimeUp};
use super::{Credentials, Kind};
use crate::seed;

/// Why a visit ends before its end.
pub enum Stop {
    /// The time is up: log out and go.
    TimeUp,
    /// An answer was unexpected: what follows would be as well.
    Unexpected,
}

impl From<TimeUp> for Stop {
    fn from(TimeUp: TimeUp) -> Self {
        Self::TimeUp
    }
}

impl From<Unexpected> for Stop {
    fn from(Unexpected: Unexpected) -> Self {
        Self::Unexpected
    }
}

/// One visit of one user. The shopping and the paperwork are in modules of their own.
pub struct Visit<'a> {
    client: &'a mut Client,
    pace: &'a Pace,
    pub(super) rng: StdRng,
    takes_gzip: bool,
    /// The products that this visit has seen in a list.
    pub(super) seen: Vec<String>,
}

impl<'a> Visit<'a> {
    pub fn new(client: &'a mut Client, pace: &'a Pace, rng: StdRng, takes_gzip: bool) -> Self {
        Self {
            client,
            pace,
            rng,
            takes_gzip,
            seen: Vec::new(),
        }
    }

    /// Makes the visit. A newcomer is a customer afterwards.
    pub async fn run(mut self, kind: &mut Kind) {
        match kind {
            Kind::Guest => {
                // The tally has what went wrong.
                let _ = self.look_around().await;
            }
            Kind::Customer(credentials) => {
                let credentials = credentials.clone();
                self.run_as(&credentials).await;
            }
            Kind::Newcomer(credentials) => {
                let credentials = credentials.clone();
                if self.register(&credentials).await.is_ok() {
                    *kind = Kind::Customer(credentials.clone());
                    self.run_as(&credentials).await;
                }
            }
        }
    }

    async fn run_as(&mut self, credentials: &Credentials) {
        if self.log_in(credentials).await.is_err() {
            return;
        }
        let ended = self.errands().await;
        // Some just close the window; nobody does when the time is up, so that a drive ends with
        // as few sessions open as it can.
        let logs_out = match ended {
            Ok(()) => self.rng.random_bool(0.85),
            Err(Stop::TimeUp) => true,
            Err(Stop::Unexpected) => false,
        };
        if logs_out {
            let call = Call::plain("POST /logout").expect(StatusCode::NO_CONTENT);
            let _ = self.client.send(call).await;
        }
        self.client.set_csrf_token(None);
    }

    /// Thinks, then sends the request.
    pub(super) async fn step(&mut self, call: Call) -> Result<Answer, Stop> {
        self.pace.think(&mut self.rng).await?;
        Ok(self.client.send(call).await?)
    }

    /// Sends the request at once, as a page does with what belongs to it.
    pub(super) async fn at_once(&mut self, call: Call) -> Result<Answer, Stop> {
        Ok(self.client.send(call).await?)
    }

    async fn register(&mut self, credentials: &Credentials) -> Result<(), Stop> {
        let call = Call::plain("POST /accounts")
            .json(&json!({
                "username": credentials.username,
                "password": credentials.password,
                "display_name": credentials.display_name,
            }))
            .expect(StatusCode::CREATED);
        self.step(call).await?;
        Ok(())
    }

    async fn log_in(&mut self, credentials: &Credentials) -> Result<(), Stop> {
        if self.rng.random_bool(0.2) {
            let mistyped = format!("{}x", credentials.password);
            let call = log_in_call(&credentials.username, &mistyped);
            self.step(call.expect(StatusCode::UNAUTHORIZED)).await?;
        }
        let call = log_in_call(&credentials.username, &credentials.password);
        let answer = self.step(call).await?.json();
        let token = text(&answer["csrf_token"]);
        self.client.set_csrf_token(Some(token));
        Ok(())
    }

    /// What a customer does between login and logout.
    async fn errands(&mut self) -> Result<(), Stop> {
        self.browse().await?;
        if self.rng.random_bool(0.3) {
            self.open_two_pages().await?;
        }
        if self.rng.random_bool(0.7) {
            self.shop().await?;
        }
        if self.rng.random_bool(0.5) {
            self.edit_profile().await?;
        }
        if self.rng.random_bool(0.25) {
            self.review().await?;
        }
        if self.rng.random_bool(0.2) {
            self.exchange_files().await?;
        }
        Ok(())
    }

    async fn look_around(&mut self) -> Result<(), Stop> {
        self.browse().await?;
        if self.rng.random_bool(0.3) {
            let call = Call::plain("GET /cart").expect(StatusCode::UNAUTHORIZED);
            self.step(call).await?;
        }
        self.browse().await?;
        if self.rng.random_bool(0.3) {
            self.download().await?;
        }
        Ok(())
    }

    /// Looks at lists, searches, and looks at some of what was found.
    async fn browse(&mut self) -> Result<(), Stop> {
        for _ in 0..self.rng.random_range(1..=2) {
            let page = self.rng.random_range(1..=LIST_PAGES);
            self.list(page).await?;
        }
        if self.rng.random_bool(0.6) {
            // The list of what the shop sells is never empty.
            let thing = seed::THINGS.choose(&mut self.rng).copied();
            let thing = thing.unwrap_or_default();
            let path = format!("/search?q={}", escape(thing));
            let found = self.step(Call::new("GET /search", path)).await?;
            self.remember(&found);
        }
        for _ in 0..self.rng.random_range(1..=3) {
            self.look_at_product().await?;
        }
        if self.rng.random_bool(0.05) {
            let call = Call::new("GET /products/{id}", "/products/p-9999-sold-out");
            self.step(call.expect(StatusCode::NOT_FOUND)).await?;
        }
        Ok(())
    }

    async fn list(&mut self, page: u32) -> Result<(), Stop> {
        let call = self.list_call(page);
        let list = self.step(call).await?;
        self.remember(&list);
        Ok(())
    }

    fn list_call(&self, page: u32) -> Call {
        let call = Call::new(
            "GET /products",
            format!("/products?page={page}&per_page=20"),
        );
        if self.takes_gzip {
            let coding = HeaderValue::from_static("gzip, deflate");
            call.header(header::ACCEPT_ENCODING, coding)
        } else {
            call
        }
    }

    async fn look_at_product(&mut self) -> Result<(), Stop> {
        let Some(id) = self.some_product() else {
            return Ok(());
        };
        let call = Call::new("GET /products/{id}", format!("/products/{id}"));
        self.step(call).await?;

        let path = format!("/products/{id}/image");
        if self.rng.random_bool(0.1) {
            self.at_once(Call::new("HEAD /products/{id}/image", path.clone()))
                .await?;
        }
        let image = self
            .at_once(Call::new("GET /products/{id}/image", path.clone()))
            .await?;
        // Some come back to the page and have the image already.
        if let Some(etag) = image.headers.get(header::ETAG)
            && self.rng.random_bool(0.3)
        {
            let call = Call::new("GET /products/{id}/image", path)
                .header(header::IF_NONE_MATCH, etag.clone())
                .expect(StatusCode::NOT_MODIFIED);
            self.step(call).await?;
        }
        Ok(())
    }

    /// Opens two pages at the same time, neither of which changes anything.
    async fn open_two_pages(&mut self) -> Result<(), Stop> {
        for _ in 0..self.rng.random_range(1..=3) {
            self.pace.think(&mut self.rng).await?;
            let page = self.rng.random_range(1..=LIST_PAGES);
            let own = ["GET /cart", "GET /orders", "GET /profile"];
            let first = self.rng.random_range(0..own.len());
            // Never the same page twice.
            let second = if self.rng.random_bool(0.5) {
                self.list_call(page)
            } else {
                Call::plain(own[(first + 1) % own.len()])
            };
            let calls = [Call::plain(own[first]), second];
            self.client.send_both(calls).await?;
        }
        Ok(())
    }

    /// Remembers the products of a list.
    fn remember(&mut self, list: &Answer) {
        if let Some(items) = list.json()["items"].as_array() {
            self.seen.extend(items.iter().map(|item| text(&item["id"])));
        }
    }

    /// One of the products that this visit has seen.
    pub(super) fn some_product(&mut self) -> Option<String> {
        self.seen.iter().choose(&mut self.rng).cloned()
    }
}

/// The text of a JSON string; nothing for what is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn log_in_call(username: &str, password: &str) -> Call {
    Call::plain("POST /login").json(&json!({ "username": username, "password": password }))
}

/// How many pages of 20 products the catalogue has.
const LIST_PAGES: u32 = seed::PRODUCTS.div_ceil(20) as u32;
