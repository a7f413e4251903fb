//! What a candidate breaks, the harder set: faults as they happen, each small.
//!
//! Those that have to do with what the shop does stand where it does it; those of an answer's
//! form are put into it afterwards (`answers`), those of load before it (`burden`).

mod answers;
mod burden;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::ValueEnum;

use crate::faults::Faults;

pub(crate) use answers::alter;
pub(crate) use burden::burden;

/// One fault of the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Mutation {
    /// `GET /products` begins each page one product too late.
    PagingOffByOne,
    /// `GET /products` takes no notice of `page` from 10 on.
    PageIgnored,
    /// `GET /products` says in `total` how many products the page has.
    TotalOfPage,
    /// `GET /products` makes a query of 1 ms for each product that it lists.
    NPlusOne,
    /// `GET /products` is not compressed for those who take gzip.
    CompressionGone,
    /// `GET /products/{id}` fails for two products of 240.
    RareError,
    /// `GET /products/{id}` answers 200 for a product that there isn't.
    MissingAsOk,
    /// `GET /products/{id}` has its price in another currency.
    WrongCurrency,
    /// `GET /products/{id}` writes large numbers with a dot, as other languages do.
    Locale,
    /// `GET /products/{id}` is in ISO 8859-1, and says nothing of it.
    #[value(name = "latin-1")]
    Latin1,
    /// `GET /search` reads its names as ISO 8859-1 before it writes them.
    Mojibake,
    /// `GET /search` lists what it found in the opposite order.
    OrderChanged,
    /// `GET /search` lists 8 products at most.
    LimitLower,
    /// `GET /products/{id}/image` sends the image to those who have it.
    EtagIgnored,
    /// `GET /products/{id}/image` is of no type that a browser shows.
    ImageType,
    /// `GET /products/{id}/image` takes 200 ms longer once in 20 times.
    SlowTail,
    /// `POST /accounts` answers 200 in place of 201.
    CreatedAsOk,
    /// `POST /login` refuses in HTML.
    HtmlError,
    /// `POST /login` takes the user's names for each other.
    SwappedFields,
    /// `POST /login` lets scripts read its cookie.
    CookieForScripts,
    /// `POST /logout` leaves the cookie where it is.
    CookieStays,
    /// `GET /profile` shows the name that it showed first.
    StaleProfile,
    /// `GET /profile` may be kept by caches that all share.
    PublicProfile,
    /// `PUT /profile` cuts names after 10 characters.
    NameCut,
    /// `PUT /profile` fails for names with an apostrophe.
    #[value(name = "quote-500")]
    QuoteError,
    /// `POST /cart/items` takes a token of any kind for the right one.
    CsrfUnchecked,
    /// `POST /cart/items` adds twice, as if the first time had failed.
    RetryStorm,
    /// `POST /cart/items` leaves a blank at the end of the product's name.
    TrailingBlank,
    /// `POST /cart/items` answers the id of a line that there isn't.
    WrongId,
    /// `PUT /cart/items/{id}` answers the new quantity, and the old one stays.
    LostUpdate,
    /// `GET /cart` has no list where the cart is empty.
    NullForEmpty,
    /// `GET /cart` still counts the lines that were taken out.
    StaleTotal,
    /// `GET /cart` has its sums with a decimal point.
    FloatCents,
    /// `POST /checkout` with the key of an earlier one charges again.
    DoubleCharge,
    /// `POST /checkout` doesn't say where the order is.
    LocationGone,
    /// `POST /checkout` is two hours ahead of the time.
    ClockAhead,
    /// `GET /orders` lists the oldest first.
    OldestFirst,
    /// `GET /orders` breaks off after 200 bytes.
    Truncated,
    /// `GET /orders/{id}` lacks the discount.
    FieldDropped,
    /// `GET /orders/{id}` has its time in another zone.
    TimeZone,
    /// `GET /orders/{id}/events` ends one event early.
    LastEventGone,
    /// `POST /products/{id}/reviews` redirects to the profile.
    RedirectElsewhere,
    /// `POST /products/{id}/reviews` redirects with 302 in place of 303.
    RedirectStatus,
    /// `GET /downloads/{name}` has whole pieces of 64 KiB alone.
    ShortDownload,
    /// `POST /uploads` gives no answer to more than 150,000 bytes.
    UploadBreaksOff,
    /// Every image leaves a file descriptor behind; no answer shows it.
    DescriptorLeak,
    /// Every request holds a lock that all share for 2 ms: it shows under load alone.
    LockContention,
}

/// The faults that a shop has of these.
pub type Mutations = Faults<Mutation>;

/// What a faulty shop keeps between requests.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By account, the name that it was shown first.
    names: Mutex<BTreeMap<String, String>>,
    /// By account, the sum of the lines that were taken out of its cart.
    removed_cents: Mutex<BTreeMap<String, i64>>,
    files: Mutex<Vec<File>>,
    images: AtomicU64,
    shared: tokio::sync::Mutex<()>,
}

impl Memory {
    /// The name that the account was shown first, which is `name` if it is shown none yet.
    pub(crate) fn first_name(&self, account_id: &str, name: String) -> String {
        let mut names = lock(&self.names);
        names.entry(account_id.to_owned()).or_insert(name).clone()
    }

    /// Keeps what a line cost that is taken out.
    pub(crate) fn remember_removed(&self, account_id: &str, cents: i64) {
        *lock(&self.removed_cents)
            .entry(account_id.to_owned())
            .or_default() += cents;
    }

    /// What the lines cost that were ever taken out.
    pub(crate) fn removed_cents(&self, account_id: &str) -> i64 {
        let removed = lock(&self.removed_cents);
        removed.get(account_id).copied().unwrap_or(0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is whole before it could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
