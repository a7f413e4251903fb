//! The sample service that Twintap's demo and end-to-end tests capture and replay, and its driver.
//!
//! The shop is a small but honest web service: accounts with hashed passwords, sessions, CSRF
//! tokens, a catalogue, carts, orders, forms, large bodies and a chunked stream. It is built so
//! that a replay *can* be exact: two shops with the same seed that get the same requests of a
//! user answer the same but for what they generate ([`ids`]), the `Date` header and `created_at`,
//! however the requests of other users fall between.
//!
//! A candidate build is the same shop with [`regressions`] or [`mutations`] switched on.
//!
//! Start it inside a process with [`Shop::start`], as a child with [`ShopProcess`], and put a load
//! on it with [`driver::drive`].

mod auth;
pub mod driver;
mod error;
pub mod faults;
pub mod ids;
pub mod money;
pub mod mutations;
mod names;
mod password;
mod pattern;
mod process;
pub mod regressions;
mod routes;
pub mod seed;
mod server;
mod store;
mod tidy;
mod warming;

pub use pattern::pattern;
pub use process::{ProcessError, ShopProcess};
pub use server::{Shop, ShopConfig, StartError};
pub use store::{StateAt, StoreError};
