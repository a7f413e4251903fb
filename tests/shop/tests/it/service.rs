//! The service itself: what a replay has to get right.

use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use twintap_shop::{Shop, ShopConfig, ids, pattern, seed};

use crate::browser::Browser;

async fn start() -> Shop {
    let config = ShopConfig {
        accounts: 2,
        allow_reset: true,
        ..ShopConfig::default()
    };
    Shop::start(config).await.expect("the shop starts")
}

#[tokio::test]
async fn a_login_is_refused_accepted_and_ended() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let account = seed::account(1, 0);
    let wrong = json!({ "username": account.username, "password": "guess" });
    assert_eq!(browser.json("POST", "/login", &wrong).await.status, 401);
    assert_eq!(browser.get("/profile").await.status, 401);

    let answer = browser.log_in_as(0).await;
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly"), "{cookie}");
    assert_eq!(answer.json()["user"]["display_name"], account.display_name);
    assert_eq!(browser.get("/profile").await.status, 200);

    assert_eq!(browser.send("POST", "/logout", &[], "").await.status, 204);
    assert_eq!(browser.get("/profile").await.status, 401);
}

#[tokio::test]
async fn a_change_needs_the_token_of_its_session() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    browser.log_in_as(0).await;
    let own = browser.csrf_token.take();
    let body = json!({ "display_name": "Somebody" });
    assert_eq!(browser.json("PUT", "/profile", &body).await.status, 403);

    let mut other = Browser::open(shop.addr()).await;
    other.log_in_as(1).await;
    browser.csrf_token = other.csrf_token;
    assert_eq!(browser.json("PUT", "/profile", &body).await.status, 403);
    browser.csrf_token = own;
    assert_eq!(browser.json("PUT", "/profile", &body).await.status, 200);
}

#[tokio::test]
async fn a_newcomer_registers_with_letters_of_their_own() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let body = json!({
        "username": "søren",
        "password": "long enough",
        "display_name": "Søren Ødegård",
    });
    let answer = browser.json("POST", "/accounts", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let again = browser.json("POST", "/accounts", &body).await;
    assert_eq!(again.status, 409);
    let answer = browser.log_in("søren", "long enough").await;
    assert_eq!(answer.json()["user"]["display_name"], "Søren Ødegård");
}

#[tokio::test]
async fn a_checkout_with_the_same_key_buys_once() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    browser.log_in_as(0).await;
    let empty = browser.send("POST", "/checkout", &[], "").await;
    assert_eq!(empty.status, 409);

    let product = seed::product(1, 3);
    let body = json!({ "product_id": product.id, "quantity": 2 });
    let added = browser.json("POST", "/cart/items", &body).await;
    assert_eq!(added.status, 201);
    let merged = browser.json("POST", "/cart/items", &body).await;
    assert_eq!(merged.status, 200);
    assert_eq!(merged.json()["id"], added.json()["id"]);
    assert_eq!(merged.json()["quantity"], 4);

    let key = [("idempotency-key", "k1")];
    let first = browser.send("POST", "/checkout", &key, "").await;
    let second = browser.send("POST", "/checkout", &key, "").await;
    assert_eq!(first.status, 201);
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(
        first.json()["totals"]["subtotal_cents"],
        4 * product.price_cents
    );
    let orders = browser.get("/orders").await.json();
    assert_eq!(orders["orders"].as_array().map(Vec::len), Some(1));
    assert_eq!(browser.get("/cart").await.json()["items"], json!([]));
}

#[tokio::test]
async fn an_order_is_its_owners_alone() {
    let shop = start().await;
    let mut owner = Browser::open(shop.addr()).await;
    owner.log_in_as(0).await;
    let body = json!({ "product_id": seed::product(1, 3).id, "quantity": 1 });
    owner.json("POST", "/cart/items", &body).await;
    let order = owner.send("POST", "/checkout", &[], "").await;
    let path = order.header("location").expect("a location").to_owned();
    assert_eq!(owner.get(&path).await.status, 200);

    let events = owner.get(&format!("{path}/events")).await;
    assert_eq!(events.header("transfer-encoding"), Some("chunked"));
    assert_eq!(events.text().lines().count(), 5);
    assert_eq!(events.frames, 5);

    let mut other = Browser::open(shop.addr()).await;
    other.log_in_as(1).await;
    assert_eq!(other.get(&path).await.status, 404);
    assert_eq!(other.get(&format!("{path}/events")).await.status, 404);
}

#[tokio::test]
async fn the_list_is_compressed_for_those_who_take_it() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let plain = browser.get("/products?page=12").await;
    let coding = [("accept-encoding", "gzip")];
    let packed = browser.send("GET", "/products?page=12", &coding, "").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = Vec::new();
    GzDecoder::new(&*packed.body)
        .read_to_end(&mut unpacked)
        .expect("gzip");
    assert_eq!(unpacked, plain.body);

    let last = plain.json();
    assert_eq!(last["total"], seed::PRODUCTS);
    assert_eq!(last["items"].as_array().map(Vec::len), Some(20));
    let beyond = browser.get("/products?page=13").await.json();
    assert_eq!(beyond["items"], json!([]));
    assert_eq!(browser.get("/products?page=0").await.status, 400);
}

#[tokio::test]
async fn a_search_finds_names_and_takes_text_as_it_is() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let found = browser.get("/search?q=KETTLE").await.json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(10));
    let found = browser.get("/search?q=cr%C3%A8me+br%C3%BBl%C3%A9e").await;
    assert_ne!(found.json()["items"], json!([]));
    let found = browser.get("/search?q=%25").await.json();
    assert_eq!(found, json!({ "query": "%", "items": [] }));
}

#[tokio::test]
async fn an_image_is_sent_once() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let path = format!("/products/{}/image", seed::product(1, 0).id);
    let image = browser.get(&path).await;
    let etag = image.header("etag").expect("a tag");
    let known = [("if-none-match", etag)];
    let again = browser.send("GET", &path, &known, "").await;
    assert_eq!(again.status, 304);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), Some(etag));

    let head = browser.send("HEAD", &path, &[], "").await;
    assert_eq!(head.status, 200);
    assert_eq!(
        head.header("content-length"),
        image.header("content-length")
    );
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_form_is_checked_stored_and_escaped() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    browser.log_in_as(0).await;
    // A page without scripts sends no header.
    let token = browser.csrf_token.take().expect("logged in");
    let product = seed::product(1, 5).id;
    let page = browser.get(&format!("/products/{product}/review")).await;
    let input = format!(r#"<input type="hidden" name="csrf_token" value="{token}">"#);
    assert!(page.text().contains(&input), "{}", page.text());

    let path = format!("/products/{product}/reviews");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let fields = "csrf_token=wrong&rating=5&body=x";
    let refused = browser.send("POST", &path, &form, fields).await;
    assert_eq!(refused.status, 403);
    let fields = format!("csrf_token={token}&rating=5&body=%3Cb%3E+good");
    let sent = browser.send("POST", &path, &form, fields).await;
    assert_eq!(sent.status, 303);
    let review = browser
        .get(sent.header("location").expect("a location"))
        .await;
    assert_eq!(review.status, 200);
    assert!(
        review.text().contains("&lt;b&gt; good"),
        "{}",
        review.text()
    );
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let size_bytes = 32 * 1024 * 1024 + 5;
    let path = format!("/downloads/big.bin?size={size_bytes}");
    let download = browser.get(&path).await;
    assert_eq!(
        download.header("content-length"),
        Some(size_bytes.to_string().as_str())
    );
    let mut expected = vec![0; size_bytes];
    pattern("big.bin", 0, &mut expected);
    assert!(download.body == expected, "the bytes differ");

    let digest = ids::hex(&Sha256::digest(&expected));
    let upload = browser.send("POST", "/uploads", &[], expected).await;
    assert_eq!(
        upload.json(),
        json!({ "bytes": size_bytes, "sha256": digest })
    );
}

#[tokio::test]
async fn a_reset_exists_where_it_is_allowed() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    browser.log_in_as(0).await;
    let reset = browser.send("POST", "/admin/reset", &[], "").await;
    assert_eq!(reset.status, 204);
    assert_eq!(browser.get("/profile").await.status, 401);
    browser.log_in_as(0).await;

    let shop = Shop::start(ShopConfig {
        accounts: 1,
        ..ShopConfig::default()
    });
    let shop = shop.await.expect("the shop starts");
    let mut browser = Browser::open(shop.addr()).await;
    let reset = browser.send("POST", "/admin/reset", &[], "").await;
    assert_eq!(reset.status, 404);
}

#[tokio::test]
async fn refusals_are_json() {
    let shop = start().await;
    let mut browser = Browser::open(shop.addr()).await;
    let unparsable = [("content-type", "application/json")];
    let answer = browser.send("POST", "/login", &unparsable, "{").await;
    assert_eq!(answer.status, 400);
    assert!(matches!(answer.json()["error"], Value::String(_)));
    assert_eq!(
        browser.get("/nowhere").await.json(),
        json!({ "error": "there is no such page" })
    );
}
