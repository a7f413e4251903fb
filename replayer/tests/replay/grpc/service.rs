//! A gRPC service of all four kinds of calls, and a client of it.

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::post;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tonic::client::Grpc as Client;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::server::{
    ClientStreamingService, Grpc, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Ask {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub count: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Price {
    #[prost(string, tag = "1")]
    pub item: String,
    #[prost(uint64, tag = "2")]
    pub cents: u64,
}

/// Says what things cost.
#[derive(Clone, Copy)]
pub struct Prices {
    pub cents: u64,
    /// What it does not have, and what it says of that.
    pub nothing: &'static str,
    pub unknown: Code,
}

/// As it is in production.
pub const PRICES: Prices = Prices {
    cents: 5,
    nothing: "nothing",
    unknown: Code::NotFound,
};

impl Prices {
    fn of(self, ask: &Ask) -> Result<Price, Status> {
        if ask.item == self.nothing {
            return Err(Status::new(self.unknown, "there is none"));
        }
        Ok(Price {
            item: ask.item.clone(),
            cents: self.cents * ask.count,
        })
    }

    /// The service's four calls, each under a path.
    pub fn routes(self) -> Routes {
        let codec = ProstCodec::<Price, Ask>::default;
        let one = async move |request: HttpRequest| Grpc::new(codec()).unary(self, request).await;
        let several = async move |request: HttpRequest| {
            Grpc::new(codec()).server_streaming(self, request).await
        };
        let sum = async move |request: HttpRequest| {
            Grpc::new(codec()).client_streaming(self, request).await
        };
        let each =
            async move |request: HttpRequest| Grpc::new(codec()).streaming(self, request).await;
        let router = Router::new()
            .route("/shop.Prices/One", post(one))
            .route("/shop.Prices/Several", post(several))
            .route("/shop.Prices/Sum", post(sum))
            .route("/shop.Prices/Each", post(each));
        Routes::from(router)
    }
}

type Answer<T> = BoxFuture<'static, Result<Response<T>, Status>>;
type Answers = BoxStream<'static, Result<Price, Status>>;

impl UnaryService<Ask> for Prices {
    type Response = Price;
    type Future = Answer<Price>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let price = self.of(request.get_ref()).map(Response::new);
        async move { price }.boxed()
    }
}

impl ServerStreamingService<Ask> for Prices {
    type Response = Price;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: Request<Ask>) -> Self::Future {
        let prices = *self;
        let ask = request.into_inner();
        let each = (1..=ask.count).map(move |count| {
            prices.of(&Ask {
                count,
                ..ask.clone()
            })
        });
        let answers = futures::stream::iter(each).boxed();
        async move { Ok(Response::new(answers)) }.boxed()
    }
}

impl ClientStreamingService<Ask> for Prices {
    type Response = Price;
    type Future = Answer<Price>;

    fn call(&mut self, request: Request<Streaming<Ask>>) -> Self::Future {
        let prices = *self;
        async move {
            let mut asks = request.into_inner();
            let mut sum = Price::default();
            while let Some(ask) = asks.message().await? {
                let price = prices.of(&ask)?;
                sum.item.push_str(&price.item);
                sum.cents += price.cents;
            }
            Ok(Response::new(sum))
        }
        .boxed()
    }
}

impl StreamingService<Ask> for Prices {
    type Response = Price;
    type ResponseStream = Answers;
    type Future = Answer<Answers>;

    fn call(&mut self, request: Request<Streaming<Ask>>) -> Self::Future {
        let prices = *self;
        let asks = request.into_inner();
        let answers = asks.map(move |ask| prices.of(&ask?)).boxed();
        async move { Ok(Response::new(answers)) }.boxed()
    }
}

/// What a client does on one connection, one call after another; of the streams it
/// sends each message some time after the one before.
pub async fn visit(channel: Channel, number: u64) {
    let codec = ProstCodec::<Ask, Price>::default;
    let path = PathAndQuery::from_static;
    let ask = move |item: &str, count| Ask {
        item: format!("{item}{number}"),
        count,
    };
    let mut client = Client::new(channel);
    client.ready().await.expect("a connection");
    let one = Request::new(ask("pen", 2));
    let answer = client.unary(one, path("/shop.Prices/One"), codec()).await;
    assert_eq!(answer.expect("a price").get_ref().cents, 10);

    client.ready().await.expect("a connection");
    let none = Request::new(Ask {
        item: "nothing".to_owned(),
        count: 1,
    });
    let answer = client.unary(none, path("/shop.Prices/One"), codec()).await;
    assert_eq!(answer.expect_err("there is none").code(), Code::NotFound);

    client.ready().await.expect("a connection");
    let several = Request::new(ask("ink", 3));
    let answer = client
        .server_streaming(several, path("/shop.Prices/Several"), codec())
        .await;
    let prices: Vec<_> = answer.expect("prices").into_inner().collect().await;
    assert_eq!(prices.len(), 3);

    let slowly = move |item: &'static str| {
        let asks = futures::stream::iter(1..=3).then(move |count| async move {
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
            ask(item, count)
        });
        Request::new(asks)
    };
    client.ready().await.expect("a connection");
    let answer = client
        .client_streaming(slowly("cup"), path("/shop.Prices/Sum"), codec())
        .await;
    assert_eq!(answer.expect("a sum").get_ref().cents, 30);

    client.ready().await.expect("a connection");
    let answer = client
        .streaming(slowly("hat"), path("/shop.Prices/Each"), codec())
        .await;
    let prices: Vec<_> = answer.expect("prices").into_inner().collect().await;
    assert_eq!(prices.len(), 3);
}
