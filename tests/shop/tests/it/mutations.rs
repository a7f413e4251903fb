//! Where each fault of the harder set shows.

use clap::ValueEnum as _;
use twintap_shop::driver::{DriveConfig, Until, drive};
use twintap_shop::mutations::{Mutation, Mutations};
use twintap_shop::{Shop, ShopConfig};

use crate::walk::{Transcript, stray, walk};

async fn start(mutations: Mutations) -> Shop {
    let config = ShopConfig {
        accounts: 4,
        mutations,
        ..ShopConfig::default()
    };
    Shop::start(config).await.expect("the shop starts")
}

async fn walk_in(mutations: Mutations) -> [Transcript; 2] {
    let shop = start(mutations).await;
    [walk(shop.addr(), 0).await, stray(shop.addr(), 1).await]
}

#[tokio::test]
async fn each_mutation_shows_where_it_says() {
    let production = walk_in(Mutations::none()).await;
    let mut others = Vec::new();
    for &mutation in Mutation::value_variants() {
        let candidate = walk_in(Mutations::from_iter([mutation])).await;
        let walks = production.iter().zip(&candidate);
        let mut differences: Vec<&str> = walks
            .flat_map(|(production, candidate)| production.differences(candidate))
            .collect();
        differences.sort_unstable();
        differences.dedup();
        if differences != expected(mutation) {
            others.push((mutation, differences));
        }
    }
    assert_eq!(others, []);
}

fn expected(mutation: Mutation) -> &'static [&'static str] {
    match mutation {
        Mutation::PagingOffByOne
        | Mutation::PageIgnored
        | Mutation::TotalOfPage
        | Mutation::CompressionGone => &["GET /products"],
        Mutation::RareError
        | Mutation::MissingAsOk
        | Mutation::WrongCurrency
        | Mutation::Locale
        | Mutation::Latin1 => &["GET /products/{id}"],
        Mutation::Mojibake | Mutation::OrderChanged | Mutation::LimitLower => &["GET /search"],
        Mutation::EtagIgnored | Mutation::ImageType => &["GET /products/{id}/image"],
        Mutation::CreatedAsOk => &["POST /accounts"],
        Mutation::HtmlError | Mutation::SwappedFields | Mutation::CookieForScripts => {
            &["POST /login"]
        }
        Mutation::CookieStays => &["POST /logout"],
        Mutation::StaleProfile | Mutation::PublicProfile => &["GET /profile"],
        Mutation::NameCut => &["GET /profile", "PUT /profile"],
        Mutation::QuoteError => &["PUT /profile"],
        Mutation::CsrfUnchecked => &["GET /cart", "POST /cart/items", "POST /checkout"],
        Mutation::RetryStorm => &["GET /cart", "POST /cart/items", "POST /checkout"],
        Mutation::TrailingBlank => &["POST /cart/items"],
        Mutation::WrongId => &[
            "DELETE /cart/items/{id}",
            "GET /cart",
            "GET /orders",
            "GET /orders/{id}",
            "POST /cart/items",
            "POST /checkout",
            "PUT /cart/items/{id}",
        ],
        Mutation::LostUpdate => &[
            "GET /cart",
            "GET /orders",
            "GET /orders/{id}",
            "POST /checkout",
        ],
        Mutation::NullForEmpty | Mutation::StaleTotal | Mutation::FloatCents => &["GET /cart"],
        Mutation::DoubleCharge | Mutation::LocationGone | Mutation::ClockAhead => {
            &["POST /checkout"]
        }
        Mutation::OldestFirst | Mutation::Truncated => &["GET /orders"],
        Mutation::FieldDropped | Mutation::TimeZone => &["GET /orders/{id}"],
        Mutation::LastEventGone => &["GET /orders/{id}/events"],
        Mutation::RedirectElsewhere => &["GET /reviews/{id}", "POST /products/{id}/reviews"],
        Mutation::RedirectStatus => &["POST /products/{id}/reviews"],
        Mutation::ShortDownload => &["GET /downloads/{name}"],
        // How long something takes is in no transcript.
        Mutation::NPlusOne
        | Mutation::SlowTail
        | Mutation::LockContention
        | Mutation::DescriptorLeak
        | Mutation::UploadBreaksOff => &[],
    }
}

#[tokio::test]
async fn large_uploads_get_no_answer() {
    let shop = start(Mutations::from_iter([Mutation::UploadBreaksOff])).await;
    let summary = drive(DriveConfig {
        users: 40,
        shop_accounts: 4,
        until: Until::Visits(2),
        think_ms: 0..=5,
        ..DriveConfig::new(shop.addr())
    });
    let uploads = &summary.await.endpoints["POST /uploads"];
    assert!(uploads["error"] > 0 && uploads["200"] > 0, "{uploads:?}");
}
