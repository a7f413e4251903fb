//! A walk past every endpoint, written down without what differs from one shop to the next.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use twintap_shop::seed;

use crate::browser::{Answer, Browser};

/// An answer as written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub endpoint: &'static str,
    pub answer: String,
}

/// What a walk saw.
pub struct Transcript {
    pub entries: Vec<Entry>,
    /// How long the search took.
    pub search_took: Duration,
}

impl Transcript {
    /// The endpoints whose answers differ from the other walk's.
    #[track_caller]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        assert_eq!(self.entries.len(), other.entries.len());
        self.entries
            .iter()
            .zip(&other.entries)
            .filter(|(here, there)| here != there)
            .map(|(here, _)| here.endpoint)
            .collect()
    }
}

/// Walks with account `index` of a shop with the default seed.
pub async fn walk(target: SocketAddr, index: usize) -> Transcript {
    let mut walker = Walker {
        browser: Browser::open(target).await,
        generated: Vec::new(),
        entries: Vec::new(),
    };
    let search_took = walker.look_around().await;
    walker.log_in(index).await;
    walker.shop().await;
    walker.edit_profile().await;
    walker.review().await;
    walker.step("POST /logout", "/logout", "").await;
    Transcript {
        entries: walker.entries,
        search_took,
    }
}

/// Walks where users seldom go: pages far down, refusals, repeated requests. With account `index`.
pub async fn stray(target: SocketAddr, index: usize) -> Transcript {
    let mut walker = Walker {
        browser: Browser::open(target).await,
        generated: Vec::new(),
        entries: Vec::new(),
    };
    let started = Instant::now();
    walker.look_at_odd_products().await;
    let search_took = started.elapsed();
    walker.knock(index).await;
    walker.shop_oddly().await;
    Transcript {
        entries: walker.entries,
        search_took,
    }
}

struct Walker {
    browser: Browser,
    /// What the shop made up, to be left out.
    generated: Vec<String>,
    entries: Vec<Entry>,
}

impl Walker {
    async fn look_around(&mut self) -> Duration {
        let product = seed::product(1, 7).id;
        self.step("GET /products", "/products?page=2&per_page=5", "")
            .await;
        self.step("GET /products/{id}", &format!("/products/{product}"), "")
            .await;
        let image = format!("/products/{product}/image");
        self.step("GET /products/{id}/image", &image, "").await;
        self.step("HEAD /products/{id}/image", &image, "").await;
        self.step("GET /downloads/{name}", "/downloads/manual?size=1000", "")
            .await;
        self.step("POST /uploads", "/uploads", "some bytes").await;
        self.step("GET /nowhere", "/nowhere", "").await;
        let started = Instant::now();
        self.step("GET /search", "/search?q=cr%C3%A8me", "").await;
        started.elapsed()
    }

    async fn log_in(&mut self, index: usize) {
        let answer = self.browser.log_in_as(index).await;
        self.generated.extend(self.browser.sid.clone());
        self.generated.extend(self.browser.csrf_token.clone());
        self.note("POST /login", &answer);
    }

    async fn shop(&mut self) {
        // Half up and down differ for the total of the one order, and not for the other.
        for (first, second) in [(3, 5), (4, 11)] {
            for product in [first, second] {
                let product = seed::product(1, product).id;
                let body = json!({ "product_id": product, "quantity": 1 }).to_string();
                let item = self.step("POST /cart/items", "/cart/items", &body).await;
                let path = format!("/cart/items/{}", self.made_up(&item, "id"));
                self.step("PUT /cart/items/{id}", &path, r#"{"quantity":3}"#)
                    .await;
            }
            self.step("GET /cart", "/cart", "").await;
            let order = self.step("POST /checkout", "/checkout", "").await;
            let path = format!("/orders/{}", self.made_up(&order, "id"));
            self.step("GET /orders/{id}", &path, "").await;
            let path = format!("{path}/events");
            self.step("GET /orders/{id}/events", &path, "").await;
        }
        self.step("GET /orders", "/orders", "").await;
    }

    async fn edit_profile(&mut self) {
        for name in ["Ann Other", "Zoë Ångström"] {
            let body = json!({ "display_name": name }).to_string();
            self.step("PUT /profile", "/profile", &body).await;
            self.step("GET /profile", "/profile", "").await;
        }
    }

    async fn review(&mut self) {
        let product = seed::product(1, 9).id;
        let path = format!("/products/{product}/review");
        self.step("GET /products/{id}/review", &path, "").await;
        let token = self.browser.csrf_token.clone().expect("logged in");
        let body = format!("csrf_token={token}&rating=4&body=fine");
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = format!("/products/{product}/reviews");
        let answer = self.browser.send("POST", &path, &headers, body).await;
        let location = answer.header("location").expect("a redirect").to_owned();
        let (_, id) = location.rsplit_once('/').expect("a path");
        self.generated.push(id.to_owned());
        self.note("POST /products/{id}/reviews", &answer);
        self.step("GET /reviews/{id}", &location, "").await;
    }

    async fn look_at_odd_products(&mut self) {
        self.step("GET /products", "/products?page=11", "").await;
        let gzip = [("accept-encoding", "gzip")];
        self.step_with("GET /products", "/products", &gzip, "")
            .await;
        let [special, rare] = [6, 37].map(|number| seed::product(1, number).id);
        for id in [special.as_str(), &rare, "p-9999-none"] {
            let path = format!("/products/{id}");
            self.step("GET /products/{id}", &path, "").await;
        }
        let path = format!("/products/{special}/image");
        let image = self.step("GET /products/{id}/image", &path, "").await;
        let etag = image.header("etag").expect("a tag").to_owned();
        let known = [("if-none-match", etag.as_str())];
        self.step_with("GET /products/{id}/image", &path, &known, "")
            .await;
    }

    /// Registers, fails to log in, and logs in.
    async fn knock(&mut self, index: usize) {
        let body = r#"{"username":"new.one","password":"long enough","display_name":"New One"}"#;
        let answer = self.step("POST /accounts", "/accounts", body).await;
        let id = answer.json()["user"]["id"].as_str().map(str::to_owned);
        self.generated.extend(id);
        // Written down before the id was known.
        self.entries.pop();
        self.note("POST /accounts", &answer);
        let body = r#"{"username":"new.one","password":"a wrong one"}"#;
        self.step("POST /login", "/login", body).await;
        self.log_in(index).await;
    }

    async fn shop_oddly(&mut self) {
        self.step("GET /cart", "/cart", "").await;
        let products = [3, 5].map(|number| seed::product(1, number).id);
        let body = |id: &str| json!({ "product_id": id, "quantity": 1 }).to_string();
        let token = self.browser.csrf_token.replace("stale".to_owned());
        self.step("POST /cart/items", "/cart/items", &body(&products[0]))
            .await;
        self.browser.csrf_token = token;
        for product in &products {
            let item = self
                .step("POST /cart/items", "/cart/items", &body(product))
                .await;
            if product == &products[1] {
                let path = format!("/cart/items/{}", self.made_up(&item, "id"));
                self.step("DELETE /cart/items/{id}", &path, "").await;
            }
        }
        self.step("GET /cart", "/cart", "").await;
        let key = [("idempotency-key", "one-of-a-kind")];
        for _ in 0..2 {
            self.step_with("POST /checkout", "/checkout", &key, "")
                .await;
        }
        let body = r#"{"display_name":"Grace O'Brien"}"#;
        self.step("PUT /profile", "/profile", body).await;
    }

    async fn step(&mut self, endpoint: &'static str, path: &str, body: &str) -> Answer {
        self.step_with(
            endpoint,
            path,
            &[("content-type", "application/json")],
            body,
        )
        .await
    }

    async fn step_with(
        &mut self,
        endpoint: &'static str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (method, _) = endpoint.split_once(' ').expect("a method and a route");
        let answer = self
            .browser
            .send(method, path, headers, body.to_owned())
            .await;
        // What a checkout or an addition makes up is in its own answer already.
        if let Some(id) = generated_id(endpoint, &answer) {
            self.generated.push(id);
        }
        self.note(endpoint, &answer);
        answer
    }

    #[track_caller]
    fn made_up(&self, answer: &Answer, field: &str) -> String {
        answer.json()[field].as_str().expect("an id").to_owned()
    }

    fn note(&mut self, endpoint: &'static str, answer: &Answer) {
        let mut text = format!("{}\n", answer.status);
        for (name, value) in &answer.headers {
            if name != "date" {
                text += &format!("{name}: {}\n", value.to_str().expect("text"));
            }
        }
        text += &String::from_utf8_lossy(&answer.body);
        for (number, value) in self.generated.iter().enumerate() {
            text = text.replace(value, &format!("<{number}>"));
        }
        self.entries.push(Entry {
            endpoint,
            answer: without_times(&text),
        });
    }
}

fn generated_id(endpoint: &str, answer: &Answer) -> Option<String> {
    match endpoint {
        "POST /cart/items" | "POST /checkout" => answer.json()["id"].as_str().map(str::to_owned),
        _ => None,
    }
}

/// The text without the time stamps that are not from the seed.
fn without_times(text: &str) -> String {
    text.split_inclusive(['"', '<', '>'])
        .map(|piece| {
            let inner = piece.trim_end_matches(['"', '<', '>']);
            let is_time = inner.len() == 24 && inner.parse::<Timestamp>().is_ok();
            if is_time && !inner.starts_with("2025-01-01") {
                piece.replace(inner, "<time>")
            } else {
                piece.to_owned()
            }
        })
        .collect()
}
