//! A user's browser: cookies, the CSRF token, and at most two connections that stay open.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cookie::Cookie;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;

use super::summary::Tally;

/// The visit ends here: an answer was not what the shop in production gives. It is in the tally.
pub struct Unexpected;

/// A request, and the statuses that are right for it.
pub struct Call {
    endpoint: &'static str,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    expected: Vec<StatusCode>,
}

impl Call {
    /// A request for `path`; the endpoint is its method and route, as the summary names them.
    pub fn new(endpoint: &'static str, path: impl Into<String>) -> Self {
        Self {
            endpoint,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            expected: vec![StatusCode::OK],
        }
    }

    /// A request for an endpoint that has no parts to fill in.
    pub fn plain(endpoint: &'static str) -> Self {
        let (_, path) = endpoint.split_once(' ').unwrap_or(("GET", endpoint));
        Self::new(endpoint, path)
    }

    /// Expects this status and no other; without it, 200.
    pub fn expect(mut self, status: StatusCode) -> Self {
        self.expected = vec![status];
        self
    }

    /// Takes this status as well.
    pub fn or(mut self, status: StatusCode) -> Self {
        self.expected.push(status);
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub fn json(self, body: &impl Serialize) -> Self {
        // All bodies are made of strings and numbers, which always serialize.
        let body = serde_json::to_vec(body).unwrap_or_default();
        self.body("application/json", body)
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        self.body("application/x-www-form-urlencoded", fields.join("&"))
    }

    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    fn method(&self) -> Method {
        let (method, _) = self.endpoint.split_once(' ').unwrap_or(("GET", ""));
        method.parse().unwrap_or(Method::GET)
    }
}

/// The text as part of a path, a query or a form.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An answer with the expected status.
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        let is_gzip = self
            .headers
            .get(header::CONTENT_ENCODING)
            .is_some_and(|coding| coding == "gzip");
        if is_gzip {
            let mut text = Vec::new();
            match GzDecoder::new(&*self.body).read_to_end(&mut text) {
                Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
                Err(_) => Value::Null,
            }
        } else {
            serde_json::from_slice(&self.body).unwrap_or_default()
        }
    }

    /// A header that is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A user's browser.
pub struct Client {
    first: Connection,
    second: Connection,
    cookies: BTreeMap<String, String>,
    csrf_token: Option<String>,
    tally: Arc<Tally>,
}

impl Client {
    pub fn new(target: SocketAddr, tally: Arc<Tally>) -> Self {
        Self {
            first: Connection::to(target),
            second: Connection::to(target),
            cookies: BTreeMap::new(),
            csrf_token: None,
            tally,
        }
    }

    /// Takes the token that requests with a change carry from now on.
    pub fn set_csrf_token(&mut self, token: Option<String>) {
        self.csrf_token = token;
    }

    /// Sends a request and waits for its answer.
    pub async fn send(&mut self, call: Call) -> Result<Answer, Unexpected> {
        let request = self.request(&call);
        let outcome = self.first.exchange(request).await;
        self.judge(&call, outcome)
    }

    /// Sends two requests at the same time, each on a connection of its own.
    pub async fn send_both(&mut self, calls: [Call; 2]) -> Result<[Answer; 2], Unexpected> {
        let requests = (self.request(&calls[0]), self.request(&calls[1]));
        let outcomes = tokio::join!(
            self.first.exchange(requests.0),
            self.second.exchange(requests.1),
        );
        let first = self.judge(&calls[0], outcomes.0);
        let second = self.judge(&calls[1], outcomes.1);
        Ok([first?, second?])
    }

    fn request(&self, call: &Call) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method();
        // Paths are made of what the shop gave and of escaped text, so they always parse.
        *request.uri_mut() = call.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(call.headers.clone());
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            insert_text(headers, header::COOKIE, &cookies.join("; "));
        }
        // Forms carry it in their body.
        let is_form = call
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value == "application/x-www-form-urlencoded");
        let is_change = !matches!(call.method(), Method::GET | Method::HEAD) && !is_form;
        let name = HeaderName::from_static(CSRF_HEADER);
        if let Some(token) = &self.csrf_token
            && is_change
            && !headers.contains_key(&name)
        {
            insert_text(headers, name, token);
        }
        request
    }

    fn judge(
        &mut self,
        call: &Call,
        outcome: Result<(StatusCode, Answer), String>,
    ) -> Result<Answer, Unexpected> {
        let (status, answer) = match outcome {
            Ok(answered) => answered,
            Err(error) => {
                self.tally.count(call.endpoint, "error");
                self.tally.complain(format!("{}: {error}", call.endpoint));
                return Err(Unexpected);
            }
        };
        self.tally.count(call.endpoint, status.as_str());
        self.keep_cookies(&answer.headers);
        if call.expected.contains(&status) {
            return Ok(answer);
        }
        self.tally.complain(format!(
            "{} {}: {status} instead of {:?}",
            call.endpoint, call.path, call.expected
        ));
        Err(Unexpected)
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        let cookies = headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| Cookie::parse(value).ok());
        for cookie in cookies {
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies
                    .insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

const USER_AGENT: &str = "twintap-shop-driver";
const CSRF_HEADER: &str = "x-csrf-token";
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection, opened when it is first needed and again after it was closed.
struct Connection {
    target: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    fn to(target: SocketAddr) -> Self {
        Self {
            target,
            sender: None,
        }
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Answer), String> {
        let outcome = tokio::time::timeout(PATIENCE, self.try_exchange(request)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")));
        if outcome.is_err() {
            self.sender = None;
        }
        outcome
    }

    async fn try_exchange(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Answer), String> {
        insert_text(
            request.headers_mut(),
            header::HOST,
            &self.target.to_string(),
        );
        let sender = self.ready().await?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        let answer = Answer {
            headers: head.headers,
            body: body.to_bytes(),
        };
        Ok((head.status, answer))
    }

    async fn ready(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let is_open = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !is_open {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            closed => Ok(closed.insert(connect(self.target).await?)),
        }
    }
}

async fn connect(target: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(target)
        .await
        .map_err(|error| format!("connecting to {target}: {error}"))?;
    stream
        .set_nodelay(true)
        .map_err(|error| format!("setting TCP_NODELAY: {error}"))?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // Ends when the sender is dropped; what breaks it also fails the request in flight.
    tokio::spawn(connection);
    Ok(sender)
}
