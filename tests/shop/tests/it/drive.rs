//! The driver against a shop in the same process.

use std::time::Duration;

use twintap_shop::driver::{DriveConfig, Summary, Until, drive};
use twintap_shop::regressions::{Regression, Regressions};
use twintap_shop::{Shop, ShopConfig};

async fn drive_at(regressions: Regressions, until: Until) -> Summary {
    let shop = Shop::start(ShopConfig {
        accounts: 30,
        regressions,
        ..ShopConfig::default()
    });
    let shop = shop.await.expect("the shop starts");
    let summary = drive(DriveConfig {
        // More than there are accounts.
        users: 40,
        until,
        shop_accounts: 30,
        think_ms: 0..=10,
        ..DriveConfig::new(shop.addr())
    });
    let summary = summary.await;
    shop.stop().await.expect("the shop stops");
    summary
}

#[tokio::test]
async fn the_same_seed_makes_the_same_requests() {
    let first = drive_at(Regressions::none(), Until::Visits(2)).await;
    let second = drive_at(Regressions::none(), Until::Visits(2)).await;
    assert_eq!(first.complaints, [""; 0]);
    assert_eq!(first.endpoints, second.endpoints);
    assert!(first.exchanges > 800, "{first}");
    for endpoint in [
        "DELETE /cart/items/{id}",
        "GET /cart",
        "GET /downloads/{name}",
        "GET /orders",
        "GET /orders/{id}",
        "GET /orders/{id}/events",
        "GET /products",
        "GET /products/{id}",
        "GET /products/{id}/image",
        "GET /products/{id}/review",
        "GET /profile",
        "GET /reviews/{id}",
        "GET /search",
        "HEAD /products/{id}/image",
        "POST /accounts",
        "POST /cart/items",
        "POST /checkout",
        "POST /login",
        "POST /logout",
        "POST /products/{id}/reviews",
        "POST /uploads",
        "PUT /cart/items/{id}",
        "PUT /profile",
    ] {
        assert!(first.endpoints.contains_key(endpoint), "{endpoint}");
    }
}

#[tokio::test]
async fn a_drive_ends_when_its_time_is_up() {
    let until = Until::Elapsed(Duration::from_millis(500));
    let summary = drive_at(Regressions::none(), until).await;
    assert_eq!(summary.complaints, [""; 0]);
    assert!(summary.exchanges > 0);
}

#[tokio::test]
async fn what_production_does_not_do_is_unexpected() {
    let broken = Regressions::from_iter([Regression::Utf8Error]);
    let summary = drive_at(broken, Until::Visits(2)).await;
    let failed = summary.endpoints["PUT /profile"]["500"];
    assert_eq!(summary.unexpected, failed);
    assert!(failed > 0);
}
