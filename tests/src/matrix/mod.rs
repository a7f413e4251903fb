//! What each fault of the shop looks like in a report, and what else is in it.

mod faults;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fault that the shop can be started with.
#[derive(Debug)]
pub struct Fault {
    /// What the shop calls it.
    pub name: &'static str,
    /// Which findings are true: any of them will do.
    pub signs: Vec<Sign>,
    /// Endpoints whose answers follow from what it does.
    pub reaches: Vec<&'static str>,
}

/// What a true finding looks like.
#[derive(Debug)]
pub struct Sign {
    /// Method and route; `*` where it shows anywhere.
    pub endpoint: &'static str,
    /// One of these kinds.
    pub kinds: Vec<&'static str>,
    /// What its location contains, in lower case.
    pub place: &'static str,
}

/// The faults that the demo's candidate has.
pub static SEEDED: LazyLock<Vec<Fault>> = LazyLock::new(|| faults_of(faults::SEEDED));

/// The harder set.
pub static HARDER: LazyLock<Vec<Fault>> = LazyLock::new(|| faults_of(faults::HARDER));

/// How a fault has to be replayed to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// As recorded.
    Recorded,
    /// Twice as fast.
    Double,
}

/// The findings of a report, held against the faults that the candidate had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Faults that were found.
    pub found: Vec<String>,
    /// Findings that say what a fault does.
    pub matched: Vec<String>,
    /// Findings where a fault reaches to, which say nothing of where it is.
    pub misattributed: Vec<String>,
    /// Findings that no fault explains.
    pub unexpected: Vec<String>,
}

/// What a finding says, whoever made it.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// Method and path, as a template or as one request had it.
    pub endpoint: &'a str,
    /// The kind; none where the finder knows no kinds.
    pub kind: Option<&'a str>,
    /// All places that it names.
    pub places: Vec<&'a str>,
}

impl Held {
    /// Holds the findings of a report against the faults.
    pub fn report(report: &Value, faults: &[&Fault]) -> Held {
        let findings = report["findings"].as_array().into_iter().flatten();
        let mut held = Held::default();
        for finding in findings {
            let also = finding["also"].as_array().into_iter().flatten();
            let places = std::iter::once(finding).chain(also);
            held.add(
                &Found {
                    endpoint: text(finding, "endpoint"),
                    kind: Some(text(finding, "kind")),
                    places: places.map(|place| text(place, "location")).collect(),
                },
                faults,
            );
        }
        held
    }

    /// Holds one finding against the faults.
    pub fn add(&mut self, found: &Found<'_>, faults: &[&Fault]) {
        let endpoint = route(found.endpoint);
        let words = [&endpoint, found.kind.unwrap_or(""), found.places[0]];
        let words = words.join(" ");
        let matching: Vec<&&Fault> = faults
            .iter()
            .filter(|fault| fault.signs.iter().any(|sign| sign.is_in(&endpoint, found)))
            .collect();
        if !matching.is_empty() {
            self.matched.push(words);
        } else if faults.iter().any(|fault| fault.reaches(&endpoint, found)) {
            self.misattributed.push(words);
        } else {
            self.unexpected.push(words);
        }
        for fault in matching {
            if !self.found.iter().any(|known| known == fault.name) {
                self.found.push(fault.name.to_owned());
            }
        }
    }
}

impl Fault {
    /// How it has to be replayed to show.
    pub fn load(&self) -> Load {
        match self.name {
            "lock-contention" => Load::Double,
            _ => Load::Recorded,
        }
    }

    /// Whether a finding may be one of its consequences. Nothing gets slower for them.
    fn reaches(&self, endpoint: &str, found: &Found<'_>) -> bool {
        let own = self.signs.iter().map(|sign| sign.endpoint);
        let is_of_answers = !matches!(found.kind, Some("latency" | "growth" | "cost"));
        let mut within = own.chain(self.reaches.iter().copied());
        is_of_answers && within.any(|reached| reached == endpoint)
    }
}

impl Sign {
    fn is_in(&self, endpoint: &str, found: &Found<'_>) -> bool {
        let is_here = |place: &&str| place.to_lowercase().contains(self.place);
        (self.endpoint == "*" || self.endpoint == endpoint)
            && found.kind.is_none_or(|kind| self.kinds.contains(&kind))
            && found.places.iter().any(is_here)
    }
}

/// Method and route of the shop for a path, or for a template of one; what it is given, where
/// the shop has no such route.
pub fn route(endpoint: &str) -> String {
    let Some((method, target)) = endpoint.split_once(' ') else {
        return endpoint.to_owned();
    };
    let path = target.split('?').next().unwrap_or(target);
    let fits = |route: &&&str| {
        let mut parts = route.split('/');
        let fits = path.split('/').all(|part| {
            let expected = parts.next();
            expected.is_some_and(|expected| expected.starts_with('{') || expected == part)
        });
        fits && parts.next().is_none()
    };
    match ROUTES.iter().find(fits) {
        Some(route) => format!("{method} {route}"),
        None => endpoint.to_owned(),
    }
}

/// The fault of this name.
pub fn fault(name: &str) -> Option<&'static Fault> {
    let mut all = SEEDED.iter().chain(HARDER.iter());
    all.find(|fault| fault.name == name)
}

/// The flags that start a shop with these faults.
pub fn flags(faults: &[&Fault]) -> Vec<String> {
    if faults.is_empty() {
        return Vec::new();
    }
    let mut flags = vec!["--candidate".to_owned()];
    for (flag, family) in [("--regressions", &SEEDED), ("--mutations", &HARDER)] {
        let is_of = |fault: &&&Fault| family.iter().any(|known| known.name == fault.name);
        let names: Vec<&str> = faults
            .iter()
            .filter(is_of)
            .map(|fault| fault.name)
            .collect();
        if !names.is_empty() {
            flags.push(format!("{flag}={}", names.join(",")));
        }
    }
    flags
}

fn faults_of(table: &'static str) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for [name, endpoint, kinds, place] in rows(table) {
        let sign = Sign {
            endpoint,
            kinds: kinds.split(' ').collect(),
            place: place.trim_matches('-'),
        };
        match faults.last_mut().filter(|fault| fault.name == name) {
            Some(fault) => fault.signs.push(sign),
            None => faults.push(Fault {
                name,
                signs: vec![sign],
                reaches: reaches(name),
            }),
        }
    }
    faults
}

fn reaches(fault: &str) -> Vec<&'static str> {
    let named = listed(faults::REACHES, fault);
    named
        .flat_map(|name| match name.contains(' ') {
            true => vec![name],
            false => listed(faults::GROUPS, name).collect(),
        })
        .collect()
}

/// What a table lists under a name.
fn listed(table: &'static str, name: &str) -> impl Iterator<Item = &'static str> {
    rows(table)
        .filter(move |[listed, _]| *listed == name)
        .flat_map(|[_, items]| items.split(", "))
}

/// The rows of a table that have as many columns; a test holds that all do.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        columns.try_into().ok()
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

/// The routes of the shop, words before what stands for anything.
const ROUTES: &[&str] = &[
    "/healthz",
    "/accounts",
    "/login",
    "/logout",
    "/profile",
    "/products",
    "/products/{id}",
    "/products/{id}/image",
    "/products/{id}/review",
    "/products/{id}/reviews",
    "/reviews/{id}",
    "/search",
    "/cart",
    "/cart/items",
    "/cart/items/{id}",
    "/checkout",
    "/orders",
    "/orders/{id}",
    "/orders/{id}/events",
    "/downloads/{name}",
    "/uploads",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_and_templates_have_one_route() {
        for (endpoint, expected) in [
            ("GET /products/p-0001-blue", "GET /products/{id}"),
            ("GET /products/{product}/image", "GET /products/{id}/image"),
            ("GET /products?page=2", "GET /products"),
            ("GET /downloads/manual.pdf", "GET /downloads/{name}"),
            ("GET /nowhere/at/all", "GET /nowhere/at/all"),
            ("the process", "the process"),
        ] {
            assert_eq!(route(endpoint), expected);
        }
    }

    #[test]
    fn every_row_is_read() {
        let lines = |table: &str| table.lines().filter(|line| !line.is_empty()).count();
        for table in [faults::SEEDED, faults::HARDER] {
            assert_eq!(rows::<4>(table).count(), lines(table));
        }
        for table in [faults::REACHES, faults::GROUPS] {
            assert_eq!(rows::<2>(table).count(), lines(table));
        }
        for [name, _] in rows(faults::REACHES) {
            assert!(fault(name).is_some(), "{name}");
        }
    }

    #[test]
    fn findings_are_told_apart() {
        let finding = |endpoint: &str, kind: &str, location: &str| json!({ "endpoint": endpoint, "kind": kind, "location": location });
        let mut renamed = finding("GET /cart", "body_changed", "/totals/total_cents");
        renamed["also"] = json!([{ "kind": "body_changed", "location": "/items/*/quantity" }]);
        let report = json!({ "findings": [
            finding("POST /checkout", "body_changed", "/totals/total_cents"),
            finding("POST /checkout", "body_changed", "/id"),
            renamed,
            finding("POST /checkout", "latency", "latency"),
            finding("GET /search", "status", "status"),
        ] });
        let faults = ["rounding", "lost-update"].map(|name| fault(name).expect("a fault"));
        let held = Held::report(&report, &faults);
        assert_eq!(held.found, ["rounding", "lost-update"]);
        assert_eq!(
            held.matched,
            [
                "POST /checkout body_changed /totals/total_cents",
                "GET /cart body_changed /totals/total_cents"
            ]
        );
        assert_eq!(held.misattributed, ["POST /checkout body_changed /id"]);
        assert_eq!(
            held.unexpected,
            [
                "POST /checkout latency latency",
                "GET /search status status"
            ]
        );
        assert_eq!(
            flags(&faults),
            [
                "--candidate",
                "--regressions=rounding",
                "--mutations=lost-update"
            ]
        );
    }
}
