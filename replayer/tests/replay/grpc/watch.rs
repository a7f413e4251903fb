//! A stream that hands out tickets, and stays open until these were used by other calls.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::post;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::sync::watch::Sender;
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use twintap_scrub::Policy;

use super::replay_at;
use super::service::{Ask, Price};
use super::tape::Tape;
use crate::chat::token;
use crate::recording::store;
use crate::streams::StreamServer;

const CLIENTS: u64 = 6;

/// A service whose tickets bear its name.
#[derive(Clone)]
struct Office {
    name: &'static str,
    made: Arc<AtomicU64>,
    used: Arc<Mutex<HashSet<String>>>,
    changed: Sender<()>,
}

impl Office {
    fn start(name: &'static str) -> StreamServer {
        let office = Office {
            name,
            made: Arc::default(),
            used: Arc::default(),
            changed: Sender::new(()),
        };
        let codec = ProstCodec::<Price, Ask>::default;
        let other = office.clone();
        let watch = async move |request: HttpRequest| {
            Grpc::new(codec())
                .server_streaming(office.clone(), request)
                .await
        };
        let take = async move |request: HttpRequest| {
            Grpc::new(codec()).unary(other.clone(), request).await
        };
        let router = Router::new()
            .route("/shop.Office/WatchTickets", post(watch))
            .route("/shop.Office/TakeSeat", post(take));
        StreamServer::start(Routes::from(router), |server| server)
    }
}

impl UnaryService<Ask> for Office {
    type Response = Price;
    type Future = BoxFuture<'static, Result<Response<Price>, Status>>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let ticket = request.into_inner().item;
        let is_own = ticket.starts_with(self.name);
        self.used.lock().expect("no thread failed").insert(ticket);
        self.changed.send_replace(());
        async move {
            match is_own {
                true => Ok(Response::new(Price::default())),
                false => Err(Status::not_found("another office's")),
            }
        }
        .boxed()
    }
}

impl ServerStreamingService<Ask> for Office {
    type Response = Price;
    type ResponseStream = BoxStream<'static, Result<Price, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Ask>) -> Self::Future {
        let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let ticket = token(self.name, number);
        let (used, mut changed) = (Arc::clone(&self.used), self.changed.subscribe());
        let first = Price {
            item: ticket.clone(),
            cents: 1,
        };
        let is_used = async move {
            let is_used = || used.lock().expect("no thread failed").contains(&ticket);
            while !is_used() && changed.changed().await.is_ok() {}
        };
        let last = async move {
            // Whoever waits longer finds out in the run's ledger.
            let _ = tokio::time::timeout(Duration::from_secs(8), is_used).await;
            Ok(Price::default())
        };
        let first = futures::stream::iter([Ok(first)]);
        let stream = first.chain(futures::stream::once(last)).boxed();
        async move { Ok(Response::new(stream)) }.boxed()
    }
}

/// Watches over one connection, and takes a seat over another.
async fn visit([watching, taking]: [Channel; 2]) {
    let codec = ProstCodec::<Ask, Price>::default;
    let path = PathAndQuery::from_static;
    let mut watching = Client::new(watching);
    watching.ready().await.expect("a connection");
    let nothing = Request::new(Ask::default());
    let answer = watching
        .server_streaming(nothing, path("/shop.Office/WatchTickets"), codec())
        .await;
    let mut prices = answer.expect("a stream").into_inner();
    let first = prices
        .message()
        .await
        .expect("a message")
        .expect("a ticket");
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut taking = Client::new(taking);
    taking.ready().await.expect("a connection");
    let ask = Request::new(Ask {
        item: first.item,
        count: 1,
    });
    let answer = taking
        .unary(ask, path("/shop.Office/TakeSeat"), codec())
        .await;
    answer.expect("a seat");
    while prices.message().await.expect("a message").is_some() {}
}

#[test]
fn what_a_stream_hands_out_is_used_while_it_is_open() {
    let server = Office::start("prod");
    let tape = Tape::before(server.address);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{}", tape.address));
        let endpoint = endpoint.expect("an address");
        for _ in 0..CLIENTS {
            let watching = endpoint.connect().await.expect("the proxy");
            let taking = endpoint.connect().await.expect("the proxy");
            visit([watching, taking]).await;
        }
    });
    let directory = TempDir::new().expect("a temporary directory");
    store(directory.path(), Policy::allow_all(), tape.segments());
    let twins = ["cand", "base"].map(Office::start);
    let addresses = twins.each_ref().map(|twin| twin.address);
    let report = replay_at(directory.path(), addresses, "allow-all", None);
    assert_eq!(report.correlation.bound, CLIENTS);
    let runs = &report.ledgers.runs;
    for ledger in [&runs.candidate, &runs.baseline] {
        assert_eq!(ledger.answered, 2 * CLIENTS, "{ledger:?}");
    }
    for lateness in [&report.timing.candidate, &report.timing.baseline] {
        assert_eq!(lateness.wait_expired, 0);
    }
    let other = &report.correlation.other;
    let unbound = other["candidate_fired_unbound"] + other["baseline_fired_unbound"];
    assert_eq!(unbound, 0);
}
