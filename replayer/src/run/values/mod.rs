//! How single values of a run file are written.

mod database;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use twintap_plan::Spoken;
use twintap_stream::Timestamp;

pub use database::DatabaseAddress;
pub(super) use database::database_schemes;

/// The only version there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Version, String> {
        match version {
            1 => Ok(Version),
            other => Err(format!("version {other} is not known here; it must be 1")),
        }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> u64 {
        1
    }
}

/// A speed: from 0.1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Speed(pub f64);

impl TryFrom<f64> for Speed {
    type Error = String;

    fn try_from(speed: f64) -> Result<Speed, String> {
        if (0.1..=100.0).contains(&speed) {
            Ok(Speed(speed))
        } else {
            Err(format!(
                "speed must be from 0.1 to 100 (2.0 is twice as fast), not {speed}"
            ))
        }
    }
}

/// A span of time, written as `500ms`, `30s`, `5m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let span: Option<jiff::SignedDuration> = text.parse().ok();
        let span = span.and_then(|span| Duration::try_from(span).ok());
        span.map(Span)
            .ok_or_else(|| format!("{text:?} is no span of time; write `500ms`, `30s` or `5m`"))
    }
}

/// As it is written in a run file.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An instant, written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub Timestamp);

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Instant, String> {
        let instant: Option<jiff::Timestamp> = text.parse().ok();
        let ns = instant.and_then(|instant| u64::try_from(instant.as_nanosecond()).ok());
        ns.map(|ns| Instant(Timestamp(ns)))
            .ok_or_else(|| format!("{text:?} is no instant; write `2026-01-31T12:00:00Z`"))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// RFC 3339; past the year 9999, where that ends, nanoseconds.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0.0)) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{}ns", self.0.0),
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Authority {
    /// Reads `host:port`; without a port it is `default_port`.
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Option<Authority> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (text, default_port?),
        };
        let is_host = !host.is_empty()
            && !host.contains(['/', '@', ' ', '?', '#'])
            && (host.starts_with('[') == host.contains(':'));
        (is_host && port != 0).then(|| Authority {
            host: host.to_owned(),
            port,
        })
    }
}

/// Where a twin listens: `host:port`, `http://host:port`, `https://host:port`, or that of a
/// database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host and port.
    pub authority: Authority,
    /// True where TLS is spoken.
    pub is_tls: bool,
    /// Whom a database is asked as, and for what; without it HTTP is spoken.
    pub database: Option<DatabaseAddress>,
}

impl Address {
    /// What is spoken there.
    pub fn spoken(&self) -> Spoken {
        let database = self.database.as_ref();
        database.map_or(Spoken::Http, |database| database.spoken)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.authority;
        if let Some(database) = &self.database {
            return database.write(authority, f);
        }
        let scheme = if self.is_tls { "https://" } else { "" };
        write!(f, "{scheme}{authority}")
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(address) = DatabaseAddress::parse(text) {
            let (authority, database) = address?;
            return Ok(Address {
                authority,
                is_tls: false,
                database: Some(database),
            });
        }
        let schemes = [("https://", Some(443)), ("http://", Some(80)), ("", None)];
        let authority = schemes.into_iter().find_map(|(scheme, port)| {
            let rest = text.strip_prefix(scheme)?;
            Some(Authority::parse(rest, port))
        });
        let authority = authority.flatten().ok_or_else(|| {
            format!(
                "{text:?} is no address; write `host:port`, `http://host:port`, \
                 `https://host:port`, `redis://host:port` or \
                 `postgres://user@host:port/database`"
            )
        })?;
        Ok(Address {
            authority,
            is_tls: text.starts_with("https://"),
            database: None,
        })
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `METHOD http://host:port/path`, or with `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRequest {
    /// The method.
    pub method: String,
    /// Where it goes.
    pub authority: Authority,
    /// True where TLS is spoken.
    pub is_tls: bool,
    /// Path and query.
    pub target: String,
}

impl HookRequest {
    /// A request by its method and `http://host:port/path`, or with `https`.
    pub fn parse(method: &str, url: &str) -> Option<HookRequest> {
        let url = url.trim();
        let (rest, port) = match url.strip_prefix("https://") {
            Some(rest) => (rest, 443),
            None => (url.strip_prefix("http://")?, 80),
        };
        let (authority, target) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_method && !method.is_empty() && is_plain(target)).then_some(())?;
        Some(HookRequest {
            method: method.to_owned(),
            authority: Authority::parse(authority, Some(port))?,
            is_tls: port == 443,
            target: target.to_owned(),
        })
    }

    /// Where it goes, with its path.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.target)
    }
}

impl fmt::Display for HookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url())
    }
}

impl<'de> Deserialize<'de> for HookRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HookRequest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let request = text
            .split_once(' ')
            .and_then(|(method, url)| HookRequest::parse(method, url));
        request.ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no request; write `POST http://host:port/path`"
            ))
        })
    }
}

impl Serialize for HookRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
