//! Diffy's published rule, for comparison: differences of each field are counted, once between
//! candidate and baseline (raw) and once between two instances of the baseline (noise). A field
//! counts where raw > noise, by more than 20 % of both together and 0.03 % of all requests.
//!
//! The answers are those of our runs, so that sessions and tokens of each twin are its own, which
//! Diffy itself would not see to. Noise is that of another run, with two baselines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use twintap_tests::matrix::{Fault, Found, Held, route};

/// The least difference against both counts together.
const RELATIVE: f64 = 0.2;
/// The least difference against all requests of the endpoint.
const ABSOLUTE: f64 = 0.000_3;

/// Differing requests, by endpoint and field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, Endpoint>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Endpoint {
    total: u64,
    fields: BTreeMap<String, u64>,
}

impl Counts {
    /// Counts a request that both twins answered, as the example `outcomes` prints it.
    pub fn add(&mut self, outcome: &Value) {
        let word = |key: &str| outcome[key].as_str().unwrap_or("");
        let name = route(&format!("{} {}", word("method"), word("target")));
        let endpoint = self.0.entry(name).or_default();
        endpoint.total += 1;
        for field in differences(&outcome["baseline"], &outcome["candidate"]) {
            *endpoint.fields.entry(field).or_default() += 1;
        }
    }

    /// What the rule finds, held against the faults.
    pub fn judge(&self, noise: &Counts, faults: &[&Fault]) -> Held {
        let mut held = Held::default();
        for (name, endpoint) in &self.0 {
            let noise = noise.0.get(name);
            for (field, raw) in &endpoint.fields {
                let noise = noise.and_then(|noise| noise.fields.get(field));
                if is_found(*raw, noise.copied().unwrap_or(0), endpoint.total) {
                    let found = Found {
                        endpoint: name,
                        kind: None,
                        places: vec![field],
                    };
                    held.add(&found, faults);
                }
            }
        }
        held
    }
}

fn is_found(raw: u64, noise: u64, total: u64) -> bool {
    let (raw, noise, total) = (raw as f64, noise as f64, total as f64);
    let more = raw - noise;
    more > 0.0 && more / (raw + noise) > RELATIVE && more / total > ABSOLUTE
}

/// The fields in which two answers differ: another status is another answer.
fn differences(left: &Value, right: &Value) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    if left["status"] != right["status"] {
        fields.insert("status".to_owned());
        return fields;
    }
    let (one, other) = (headers(left), headers(right));
    for name in one.keys().chain(other.keys()) {
        if one.get(name) != other.get(name) {
            fields.insert(format!("header.{name}"));
        }
    }
    let text = |answer: &Value| answer["body"].as_str().unwrap_or("").to_owned();
    let (one, other) = (text(left), text(right));
    match (serde_json::from_str(&one), serde_json::from_str(&other)) {
        (Ok(one), Ok(other)) => values(&one, &other, "", &mut fields),
        _ if is_html(&one) && is_html(&other) => {
            let (one, other) = (elements(&one), elements(&other));
            let names = one.keys().chain(other.keys());
            fields.extend(
                names
                    .filter(|name| one.get(*name) != other.get(*name))
                    .cloned(),
            );
        }
        _ if one != other => {
            fields.insert("body".to_owned());
        }
        _ => {}
    }
    fields
}

/// The values of each header field, sorted.
fn headers(answer: &Value) -> BTreeMap<String, Vec<&Value>> {
    let mut headers: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for field in answer["headers"].as_array().into_iter().flatten() {
        let name = field[0].as_str().unwrap_or("").to_ascii_lowercase();
        headers.entry(name).or_default().push(&field[1]);
    }
    for values in headers.values_mut() {
        values.sort_by_key(|value| value.to_string());
    }
    headers
}

fn values(left: &Value, right: &Value, place: &str, fields: &mut BTreeSet<String>) {
    match (left, right) {
        (one, other) if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            for (key, left) in one {
                let place = format!("{place}/{key}");
                match other.get(key) {
                    Some(right) => values(left, right, &place, fields),
                    None => drop(fields.insert(place)),
                }
            }
            let added = other.keys().filter(|key| !one.contains_key(*key));
            fields.extend(added.map(|key| format!("{place}/{key}")));
        }
        // The same elements in another order, or other numbers of them, are one difference.
        (Value::Array(one), Value::Array(other))
            if one.len() == other.len() && sorted(one) != sorted(other) =>
        {
            for (left, right) in one.iter().zip(other) {
                values(left, right, &format!("{place}/*"), fields);
            }
        }
        _ => drop(fields.insert(place.to_owned())),
    }
}

fn sorted(list: &[Value]) -> Vec<String> {
    let mut elements: Vec<String> = list.iter().map(Value::to_string).collect();
    elements.sort_unstable();
    elements
}

fn is_html(body: &str) -> bool {
    let head = body.trim_start().get(..9).unwrap_or("");
    head.eq_ignore_ascii_case("<!doctype") || head.to_ascii_lowercase().starts_with("<html")
}

/// Texts and attributes of a page, by the element that has them.
fn elements(page: &str) -> BTreeMap<String, Vec<&str>> {
    let mut elements: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        for attribute in attributes.split_inclusive("\" ") {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            elements
                .entry(format!("html.{name}.{key}"))
                .or_default()
                .push(value);
        }
        elements
            .entry(format!("html.{name}"))
            .or_default()
            .push(text);
    }
    elements
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: &[[&str; 2]], body: &str) -> Value {
        json!({ "status": status, "headers": headers, "body": body })
    }

    #[track_caller]
    fn check(left: &str, right: &str, expected: &[&str]) {
        let found = differences(&answer(200, &[], left), &answer(200, &[], right));
        assert_eq!(
            found.iter().map(String::as_str).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn bodies_differ_field_by_field() {
        check(
            r#"{"a": 1, "b": {"c": 2}}"#,
            r#"{"a": 1, "b": {"d": 2}}"#,
            &["/b/c", "/b/d"],
        );
        check(r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#, &["/a"]);
        check(r#"{"a": [1, 2]}"#, r#"{"a": [1, 2, 3]}"#, &["/a"]);
        check(
            r#"{"a": [{"x": 1}, {"x": 2}]}"#,
            r#"{"a": [{"x": 3}, {"x": 4}]}"#,
            &["/a/*/x"],
        );
        check("some text", "other text", &["body"]);
        check(
            r#"<html><p class="a">one</p></html>"#,
            r#"<html><p class="b">two</p></html>"#,
            &["html.p", "html.p.class"],
        );
    }

    #[test]
    fn heads_differ_by_name() {
        let one = answer(200, &[["A", "1"], ["B", "2"], ["B", "3"]], "");
        let other = answer(200, &[["b", "3"], ["b", "2"]], "");
        assert_eq!(
            differences(&one, &other),
            BTreeSet::from(["header.a".to_owned()])
        );
        let failed = answer(500, &[], "");
        assert_eq!(
            differences(&one, &failed),
            BTreeSet::from(["status".to_owned()])
        );
    }

    #[test]
    fn the_rule_is_the_published_one() {
        assert!(is_found(1, 0, 1_000));
        assert!(!is_found(1, 0, 4_000), "0.025 % of all requests");
        assert!(!is_found(60, 40, 100), "20 % of both together");
        assert!(is_found(61, 40, 100));
        assert!(!is_found(5, 5, 10));
        assert!(!is_found(4, 5, 10));
    }
}
