//! What a candidate breaks, and that it breaks nothing else.

use std::time::Duration;

use clap::ValueEnum as _;
use twintap_shop::driver::{DriveConfig, Until, drive};
use twintap_shop::regressions::{Regression, Regressions};
use twintap_shop::{Shop, ShopConfig};

use crate::browser::Browser;
use crate::walk::{Transcript, walk};

async fn walk_in(regressions: Regressions) -> Transcript {
    let shop = start(regressions).await;
    walk(shop.addr(), 0).await
}

async fn start(regressions: Regressions) -> Shop {
    let config = ShopConfig {
        accounts: 4,
        regressions,
        ..ShopConfig::default()
    };
    Shop::start(config).await.expect("the shop starts")
}

#[tokio::test]
async fn each_regression_shows_on_its_endpoint_alone() {
    let production = walk_in(Regressions::none()).await;
    for &regression in Regression::value_variants() {
        let candidate = walk_in(Regressions::from_iter([regression])).await;
        let mut differences = production.differences(&candidate);
        differences.dedup();
        let expected: &[&str] = match regression {
            Regression::Utf8Error => &["PUT /profile"],
            Regression::Rounding => &["POST /checkout"],
            Regression::HeaderGone => &["GET /products"],
            Regression::TypeChange => &["GET /products/{id}"],
            Regression::Slow | Regression::Leak => &[],
        };
        assert_eq!(differences, expected, "{regression:?}");
        if regression == Regression::Slow {
            assert!(candidate.search_took >= Duration::from_millis(40));
        }
    }
}

#[tokio::test]
async fn a_candidate_with_all_regressions_differs_once_for_each_that_shows() {
    let production = walk_in(Regressions::none()).await;
    let candidate = walk_in(Regressions::all()).await;
    let differences = production.differences(&candidate);
    assert_eq!(
        differences,
        [
            "GET /products",
            "GET /products/{id}",
            "POST /checkout",
            "PUT /profile"
        ]
    );
}

#[tokio::test]
async fn the_same_requests_get_the_same_answers_whatever_others_do() {
    let alone = walk_in(Regressions::none()).await;
    let crowded = start(Regressions::none()).await;
    let crowd = tokio::spawn(drive(DriveConfig {
        users: 20,
        // Account 0 is the walker's: the crowd registers.
        shop_accounts: 0,
        until: Until::Visits(2),
        think_ms: 0..=5,
        ..DriveConfig::new(crowded.addr())
    }));
    let in_the_crowd = walk(crowded.addr(), 0).await;
    assert_eq!(crowd.await.expect("the crowd ends").unexpected, 0);
    assert_eq!(alone.entries, in_the_crowd.entries);
}

#[tokio::test]
async fn the_leak_holds_a_kibibyte_for_each_request() {
    for (regressions, expected) in [
        (Regressions::none(), 0),
        (Regressions::from_iter([Regression::Leak]), 3 * 1024),
    ] {
        let shop = start(regressions).await;
        let mut browser = Browser::open(shop.addr()).await;
        for path in ["/healthz", "/products", "/nowhere"] {
            browser.get(path).await;
        }
        assert_eq!(shop.leaked_bytes(), expected);
    }
}
