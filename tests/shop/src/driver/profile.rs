//! What users do beside shopping: their profile, reviews and files.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;
use serde_json::json;

use super::client::Call;
use super::visit::{Stop, Visit};
use crate::names;

impl Visit<'_> {
    /// Takes another name.
    pub(super) async fn edit_profile(&mut self) -> Result<(), Stop> {
        self.step(Call::plain("GET /profile")).await?;
        let name = names::changed_name(&mut self.rng);
        let call = Call::plain("PUT /profile").json(&json!({ "display_name": name }));
        self.step(call).await?;
        if self.rng.random_bool(0.5) {
            self.step(Call::plain("GET /profile")).await?;
        }
        Ok(())
    }

    /// Reviews a product with the page's form, as a browser without scripts does.
    pub(super) async fn review(&mut self) -> Result<(), Stop> {
        let Some(product) = self.some_product() else {
            return Ok(());
        };
        let path = format!("/products/{product}/review");
        let page = self
            .step(Call::new("GET /products/{id}/review", path))
            .await?;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let token = hidden_token(&page).unwrap_or_default();

        let opinion = OPINIONS.choose(&mut self.rng).copied();
        let (rating, body) = opinion.unwrap_or(("3", "Fine."));
        let path = format!("/products/{product}/reviews");
        let call = Call::new("POST /products/{id}/reviews", path)
            .form(&[("csrf_token", token), ("rating", rating), ("body", body)])
            .expect(StatusCode::SEE_OTHER);
        let answer = self.step(call).await?;
        let location = answer.header(header::LOCATION).unwrap_or_default();
        self.at_once(Call::new("GET /reviews/{id}", location))
            .await?;
        Ok(())
    }

    /// Fetches a file and sends one.
    pub(super) async fn exchange_files(&mut self) -> Result<(), Stop> {
        self.download().await?;
        let mut file = vec![0; self.rng.random_range(1_000..200_000)];
        self.rng.fill(file.as_mut_slice());
        let call = Call::plain("POST /uploads").body("application/octet-stream", Bytes::from(file));
        self.step(call).await?;
        Ok(())
    }

    /// Fetches a file.
    pub(super) async fn download(&mut self) -> Result<(), Stop> {
        let name = DOWNLOADS.choose(&mut self.rng).copied().unwrap_or("manual");
        let size_bytes = self.rng.random_range(10_000..400_000);
        let path = format!("/downloads/{name}?size={size_bytes}");
        self.step(Call::new("GET /downloads/{name}", path)).await?;
        Ok(())
    }
}

/// The CSRF token in the page's hidden input.
fn hidden_token(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("name=\"csrf_token\" value=\"")?;
    let (token, _) = rest.split_once('"')?;
    Some(token)
}

const DOWNLOADS: &[&str] = &[
    "manual.pdf",
    "catalogue.pdf",
    "warranty.pdf",
    "firmware.bin",
];
const OPINIONS: &[(&str, &str)] = &[
    ("5", "Just what I was looking for."),
    ("4", "Good, but the box was dented & wet."),
    ("4", "Très bien, même si la livraison était lente."),
    ("3", "It does what it says.\r\nNo more, no less."),
    ("1", "Came broken. \"Quality\" = 100 % marketing + <hype>"),
];
