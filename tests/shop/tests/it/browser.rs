//! A client that sends what it is told to, and shows all that comes back.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use twintap_shop::seed;

/// One connection with at most one session.
pub struct Browser {
    sender: SendRequest<Full<Bytes>>,
    pub sid: Option<String>,
    pub csrf_token: Option<String>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// In how many data frames the body came.
    pub frames: usize,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

impl Browser {
    pub async fn open(target: SocketAddr) -> Self {
        let stream = TcpStream::connect(target).await.expect("the shop listens");
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .expect("the shop speaks HTTP/1.1");
        tokio::spawn(connection);
        Self {
            sender,
            sid: None,
            csrf_token: None,
        }
    }

    /// Sends a request with the session's cookie and token, if there is one.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "shop");
        if let Some(sid) = &self.sid {
            request = request.header("cookie", format!("theme=dark; sid={sid}"));
        }
        if let Some(token) = &self.csrf_token {
            request = request.header("x-csrf-token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .expect("the request is well-formed");
        self.sender.ready().await.expect("the connection is open");
        let response = self
            .sender
            .send_request(request)
            .await
            .expect("the shop answers");
        let (head, mut rest) = response.into_parts();
        let mut frames = 0;
        let mut body = Vec::new();
        while !rest.is_end_stream() {
            let Some(frame) = rest.frame().await else {
                break;
            };
            if let Ok(data) = frame.expect("the body is whole").into_data() {
                frames += 1;
                body.extend(data);
            }
        }
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.into(),
            frames,
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn json(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(method, path, &headers, body.to_string()).await
    }

    /// Logs in and keeps the session.
    pub async fn log_in(&mut self, username: &str, password: &str) -> Answer {
        let body = json!({ "username": username, "password": password });
        let answer = self.json("POST", "/login", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a login sets a cookie");
        let (sid, _) = cookie
            .strip_prefix("sid=")
            .and_then(|cookie| cookie.split_once(';'))
            .expect("the cookie is the session's");
        self.sid = Some(sid.to_owned());
        self.csrf_token = answer.json()["csrf_token"].as_str().map(str::to_owned);
        answer
    }

    /// Logs in with an account of a shop with the default seed.
    pub async fn log_in_as(&mut self, index: usize) -> Answer {
        let account = seed::account(1, index);
        self.log_in(&account.username, &account.password).await
    }
}
