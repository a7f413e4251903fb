//! Which exchanges a figure is of.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::endpoint::path_of;
use crate::observation::Observation;
use crate::pattern::Pattern;

/// Which exchanges are meant; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// What method and path must be, `{id}` being any one segment; or the endpoint's name, of
    /// an operation of GraphQL for example.
    pub endpoint: Option<Pattern>,
    /// What the status code must be.
    pub status: Option<Statuses>,
}

impl Filter {
    /// Whether the request, of an endpoint that may have no template yet, is meant, whatever was
    /// answered.
    pub(super) fn takes_request(&self, observation: &Observation, endpoint: &str) -> bool {
        let Some(pattern) = &self.endpoint else {
            return true;
        };
        let text = |bytes| String::from_utf8_lossy(bytes);
        let request = &observation.request;
        pattern.takes_request(&text(&request.method), path_of(&text(&request.target)))
            || pattern.takes_endpoint(endpoint)
    }

    /// Whether an answer is meant; none has no status.
    pub(super) fn takes_status(&self, status: Option<u16>) -> bool {
        match &self.status {
            None => true,
            Some(statuses) => status.is_some_and(|status| statuses.takes(status)),
        }
    }
}

/// Status codes: `200`, `2xx`, or a list of such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    fn takes(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&status))
    }

    fn range(text: &str) -> Result<(u16, u16), String> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
        if let Some(class @ 1..=9) = class {
            return Ok((class * 100, class * 100 + 99));
        }
        let code: Option<u16> = text.parse().ok();
        code.filter(|code| (100..=999).contains(code))
            .map(|code| (code, code))
            .ok_or_else(|| format!("{text:?} is no status; write `200` or `2xx`"))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Statuses, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct StatusesVisitor;

impl<'de> Visitor<'de> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status, `200` or `2xx`, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Statuses, E> {
        let range = Statuses::range(text).map_err(E::custom)?;
        Ok(Statuses(vec![range]))
    }

    fn visit_u64<E: Error>(self, code: u64) -> Result<Statuses, E> {
        self.visit_str(&code.to_string())
    }

    fn visit_i64<E: Error>(self, code: i64) -> Result<Statuses, E> {
        self.visit_str(&code.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Statuses, A::Error> {
        let mut ranges = Vec::new();
        while let Some(Statuses(some)) = list.next_element()? {
            ranges.extend(some);
        }
        Ok(Statuses(ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_codes_and_classes() {
        let of = |text: &str| serde_json::from_str::<Statuses>(text);
        let some = of(r#"["2xx", 304]"#).expect("statuses");
        assert!(some.takes(204) && some.takes(304) && !some.takes(302));
        assert!(of("404").expect("a status").takes(404));
        for wrong in ["\"20x\"", "20", "\"0xx\"", "-200"] {
            let error = of(wrong).expect_err("no status");
            assert!(error.to_string().contains("`2xx`"), "{wrong}: {error}");
        }
    }
}
