//! What a run file says of several services of the twins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use twintap_plan::{Route, RouteTo, Spoken};

use super::targets::{TargetSettings, Targets, TlsSettings, Way};
use crate::run::values::Address;

/// A rule that takes requests to a service; what is absent is met by all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// The recorded host: `cart.example`, `cart.example:8080` or `*.example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// The port of the recorded server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What the path begins with, by whole segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A service's name, `default`, or `none`.
    pub to: String,
}

/// One service of a twin, beside that at its address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSettings {
    /// `host:port`, `http://host:port`, `https://host:port`, or that of a database.
    pub address: Address,
    /// The environment variable that has the password to log in to a database with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// Whom TLS trusts and as whom it speaks, where the address is `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
}

/// The word for what is at a twin's own address.
const DEFAULT: &str = "default";
/// The word for what is not fired.
const NONE: &str = "none";

impl ServiceSettings {
    /// How it is reached.
    pub(crate) fn way(&self) -> Way<'_> {
        Way {
            address: &self.address,
            tls: self.tls.as_ref(),
            password_env: self.password_env.as_deref(),
        }
    }

    /// Makes its paths count from `base`.
    pub(super) fn resolve(&mut self, base: &Path) {
        if let Some(tls) = &mut self.tls {
            tls.resolve(base);
        }
    }
}

/// The routes as the planner takes them: services count from 1, in the order of their
/// names.
pub(super) fn routes(settings: &[RouteSettings], targets: &Targets) -> Vec<Route> {
    let numbers: BTreeMap<&str, u16> = names(targets).zip(1..).collect();
    let to = |name: &str| match name {
        NONE => RouteTo::Nowhere,
        _ => RouteTo::Service(numbers.get(name).copied().unwrap_or(0)),
    };
    let route = |route: &RouteSettings| Route {
        authority: route.authority.clone(),
        port: route.port,
        path: route.path.clone(),
        to: to(&route.to),
    };
    settings.iter().map(route).collect()
}

/// What the twins' services speak, by their numbers; what is not named speaks HTTP.
pub(super) fn spoken(targets: &Targets) -> Vec<Spoken> {
    let candidate = &targets.candidate;
    let services = candidate.services.values().map(|service| &service.address);
    let all = std::iter::once(&candidate.address).chain(services);
    let mut spoken: Vec<Spoken> = all.map(Address::spoken).collect();
    let last = spoken.iter().rposition(|spoken| *spoken != Spoken::Http);
    spoken.truncate(last.map_or(0, |last| last + 1));
    spoken
}

/// The names of the twins' services, in their order.
pub(super) fn names(targets: &Targets) -> impl Iterator<Item = &str> {
    targets.candidate.services.keys().map(String::as_str)
}

/// What can be said against routes and services without looking at files.
pub(super) fn check(settings: &[RouteSettings], targets: &Targets) -> Result<(), String> {
    check_services(targets)?;
    for (number, route) in settings.iter().enumerate() {
        let place = format!("routes[{number}]");
        route
            .check(targets)
            .map_err(|problem| format!("{place}{problem}"))?;
        if number + 1 < settings.len() && route.takes_all() {
            return Err(format!(
                "{place} takes every request, so that no route after it takes any; give it \
                 `authority`, `port` or `path`, or put it last"
            ));
        }
    }
    let is_database = |name: &str| {
        let service = targets.candidate.services.get(name);
        service.is_some_and(|service| service.address.database.is_some())
    };
    let is_used = |name: &str| is_database(name) || settings.iter().any(|route| route.to == name);
    match names(targets).find(|name| !is_used(name)) {
        Some(name) => Err(format!(
            "no route leads to the service `{name}`; add one: routes: [{{authority: ..., to: {name}}}]"
        )),
        None => Ok(()),
    }
}

fn check_services(targets: &Targets) -> Result<(), String> {
    if let Some(([twin, other], name)) = unmatched(targets).next() {
        return Err(format!(
            "targets.{twin}.services has `{name}`, and targets.{other}.services has not; all \
             twins need the same services"
        ));
    }
    check_spoken(targets)?;
    for (twin, target) in targets.all() {
        for (name, service) in &target.services {
            let place = format!("targets.{twin}.services.{name}");
            if name.is_empty() || [DEFAULT, NONE].contains(&name.as_str()) {
                return Err(format!(
                    "{place}: `{name}` is no name for a service: what is at the twin's own \
                     address is `{DEFAULT}`, and `{NONE}` is not fired"
                ));
            }
            let way = service.way().check();
            way.map_err(|(key, problem)| format!("{place}.{key} {problem}"))?;
        }
    }
    Ok(())
}

/// Each command goes to all twins: what one speaks at a place, all must.
fn check_spoken(targets: &Targets) -> Result<(), String> {
    let places = |target: &TargetSettings| -> Vec<(String, Spoken)> {
        let services = target.services.iter();
        let services =
            services.map(|(name, service)| (format!(".services.{name}"), service.address.spoken()));
        let own = (String::new(), target.address.spoken());
        std::iter::once(own).chain(services).collect()
    };
    let candidate = places(&targets.candidate);
    for (twin, target) in targets.all().skip(1) {
        for ((place, own), (_, other)) in candidate.iter().zip(places(target)) {
            if *own != other {
                return Err(format!(
                    "targets.candidate{place}.address and targets.{twin}{place}.address do not \
                     speak the same protocol"
                ));
            }
        }
    }
    Ok(())
}

/// Services that the candidate has and another twin has not, or the other way round.
fn unmatched(targets: &Targets) -> impl Iterator<Item = ([&'static str; 2], &str)> {
    let [(first, candidate), _] = targets.both();
    let others = targets.all().skip(1);
    let pairs = others.flat_map(move |(word, twin)| {
        [
            ([first, word], candidate, twin),
            ([word, first], twin, candidate),
        ]
    });
    pairs.flat_map(|(words, own, other)| {
        let missing = own
            .services
            .keys()
            .filter(|name| !other.services.contains_key(*name));
        missing.map(move |name| (words, name.as_str()))
    })
}

impl RouteSettings {
    fn takes_all(&self) -> bool {
        self.authority.is_none() && self.port.is_none() && self.path.is_none()
    }

    fn check(&self, targets: &Targets) -> Result<(), String> {
        if let Some(pattern) = &self.authority
            && !is_authority(pattern)
        {
            return Err(format!(
                ".authority: {pattern:?} is no host; write `cart.example`, `cart.example:8080` or \
                 `*.example`"
            ));
        }
        if self.port == Some(0) {
            return Err(".port must be from 1 to 65535, not 0".to_owned());
        }
        if let Some(path) = &self.path
            && (!path.starts_with('/') || path.contains(['?', '#']))
        {
            return Err(format!(
                ".path: {path:?} is no path; write what it begins with: `/cart`"
            ));
        }
        let known = [DEFAULT, NONE].into_iter().chain(names(targets));
        let known: Vec<&str> = known.collect();
        if !known.contains(&self.to.as_str()) {
            return Err(format!(
                ".to: there is no service `{}`; it must be one of {}",
                self.to,
                known.join(", ")
            ));
        }
        Ok(())
    }
}

/// As it is written in a run file.
impl fmt::Display for RouteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| port.to_string());
        let parts = [
            ("authority", self.authority.as_deref()),
            ("port", port.as_deref()),
            ("path", self.path.as_deref()),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{name} {value}, ")?;
            }
        }
        write!(f, "to {}", self.to)
    }
}

/// Whether it is a host with or without a port, its first label perhaps a `*`.
fn is_authority(pattern: &str) -> bool {
    let host = pattern.strip_prefix("*.").unwrap_or(pattern);
    !host.is_empty()
        && !host.starts_with(['.', ':'])
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte))
}
