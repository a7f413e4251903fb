//! Which service of a twin a request goes to, by what was recorded of it.

use serde::{Deserialize, Serialize};
use twintap_stream::Exchange;

use crate::options::path_of;

/// A rule that takes requests to a service. What is absent is met by all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The host of the recorded authority, ASCII case ignored: `cart.example`,
    /// `cart.example:8080` with a port that must stand there, or `*.example` for all
    /// hosts below one. As it is after scrubbing.
    #[serde(default)]
    pub authority: Option<String>,
    /// The port at which production's server was asked.
    #[serde(default)]
    pub port: Option<u16>,
    /// What the target's path begins with, by whole segments, as it is after scrubbing:
    /// `/cart` takes `/cart` and `/cart/1`, and not `/cartoon`.
    #[serde(default)]
    pub path: Option<String>,
    /// Where what meets all of it goes.
    pub to: RouteTo,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTo {
    /// To the service with this number; 0 is the default one.
    Service(u16),
    /// Nowhere: the requests are planned as filtered.
    Nowhere,
}

impl Route {
    /// True when nothing is asked of a request.
    pub fn takes_all(&self) -> bool {
        self.authority.is_none() && self.port.is_none() && self.path.is_none()
    }

    fn takes(&self, exchange: &Exchange) -> bool {
        let head = exchange.request.head.as_ref();
        let is_host = |pattern: &String| {
            let authority = head.and_then(|head| head.authority());
            authority.is_some_and(|authority| is_authority(pattern, &authority))
        };
        let is_path =
            |prefix: &String| head.is_some_and(|head| is_below(prefix, path_of(&head.target)));
        self.port
            .is_none_or(|port| exchange.endpoints.server.port() == port)
            && self.authority.as_ref().is_none_or(is_host)
            && self.path.as_ref().is_none_or(is_path)
    }
}

/// The first route that takes an exchange: its number, from 1, and where it leads.
pub(crate) fn route_of(routes: &[Route], exchange: &Exchange) -> Option<(u16, RouteTo)> {
    let mut numbered = (1..=u16::MAX).zip(routes);
    let (number, route) = numbered.find(|(_, route)| route.takes(exchange))?;
    Some((number, route.to))
}

/// Whether an authority (RFC 3986, section 3.2) is what the pattern says.
fn is_authority(pattern: &str, authority: &[u8]) -> bool {
    let authority = String::from_utf8_lossy(authority).to_ascii_lowercase();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let pattern = pattern.to_ascii_lowercase();
    let (host, port) = host_and_port(authority);
    let (wanted, wanted_port) = host_and_port(&pattern);
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_host = match wanted.strip_prefix('*') {
        Some(below) => host.len() > below.len() && host.ends_with(below),
        None => host == wanted,
    };
    is_host && wanted_port.is_none_or(|wanted| port == Some(wanted))
}

/// The two parts of `host:port`, where the host may be an IPv6 address in brackets.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Whether a path is the prefix, or goes on with another segment or a query.
fn is_below(prefix: &str, path: &[u8]) -> bool {
    let prefix = prefix.trim_end_matches('/').as_bytes();
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b'#')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_met_by_host_and_by_port_where_one_is_asked_for() {
        for (pattern, authority, expected) in [
            ("cart.example", "cart.example", true),
            ("Cart.Example", "CART.example.:8080", true),
            ("cart.example", "cart.example.org", false),
            ("cart.example:8080", "cart.example:8080", true),
            ("cart.example:8080", "cart.example", false),
            ("*.example", "cart.example:1", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "notexample", false),
            ("*.example:80", "a.example:81", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]:80", "[::1]", false),
            ("cart.example", "user@cart.example:80", true),
            ("cart.example", "", false),
        ] {
            let found = is_authority(pattern, authority.as_bytes());
            assert_eq!(found, expected, "{pattern} and {authority}");
        }
    }

    #[test]
    fn paths_are_met_by_whole_segments() {
        for (prefix, path, expected) in [
            ("/cart", "/cart", true),
            ("/cart", "/cart/1", true),
            ("/cart", "/cart?x=1", true),
            ("/cart", "/cartoon", false),
            ("/cart/", "/cart", true),
            ("/cart/", "/cart/1", true),
            ("/", "/anything", true),
            ("/cart", "/", false),
            ("/cart", "*", false),
        ] {
            let found = is_below(prefix, path.as_bytes());
            assert_eq!(found, expected, "{prefix} and {path}");
        }
    }
}
