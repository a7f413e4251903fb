//! Operations of GraphQL, which share one path (GraphQL over HTTP).

use serde_json::Value;

use super::path_of;
use crate::observation::{Answer, Body, Observation};

/// The most operations of one batch that are named.
const MOST_NAMED: usize = 4;

/// What the operation of a request is called: its kind and its name (`query Products`), or,
/// where it has none or scrubbing took it, the fields that the answer has (`{cart,me}`).
pub(super) fn operation(observation: &Observation, target: &str) -> Option<String> {
    let asked = asked(observation, target)?;
    let operations: Vec<&Value> = match &asked {
        Value::Array(batch) => batch.iter().collect(),
        single => vec![single],
    };
    let is_call = |operation: &&Value| {
        operation["query"].is_string() || !operation["extensions"]["persistedQuery"].is_null()
    };
    if operations.is_empty() || !operations.iter().all(is_call) {
        return None;
    }
    let is_endpoint = path_of(target)
        .rsplit('/')
        .any(|segment| matches!(segment, "graphql" | "gql"));
    let says_so = operations.iter().any(|operation| {
        operation["query"]
            .as_str()
            .is_some_and(|text| definition(text).is_some())
    });
    if !is_endpoint && !says_so {
        return None;
    }
    let shown = root_fields(observation.production.as_ref());
    let names: Vec<String> = operations
        .iter()
        .take(MOST_NAMED)
        .map(|operation| name(operation, shown.as_deref()))
        .collect();
    let more = if operations.len() > MOST_NAMED {
        "+…"
    } else {
        ""
    };
    Some(format!("{}{more}", names.join("+")))
}

/// What a request asks: its body, or the parameters of its target.
fn asked(observation: &Observation, target: &str) -> Option<Value> {
    if observation.request.method == b"GET"[..] {
        let (_, query) = target.split_once('?')?;
        let mut members = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = match name.as_ref() {
                "query" | "operationName" => Value::from(value),
                "extensions" => serde_json::from_str(&value).ok()?,
                _ => continue,
            };
            members.insert(name.into_owned(), value);
        }
        return Some(Value::Object(members));
    }
    let Body::Whole(body) = &observation.request_body else {
        return None;
    };
    // Most bodies are told apart by their first byte and a word in them.
    let begins = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    let has = |word: &[u8]| body.windows(word.len()).any(|bytes| bytes == word);
    (begins && (has(b"\"query\"") || has(b"\"persistedQuery\"")))
        .then(|| serde_json::from_slice(body).ok())
        .flatten()
}

fn name(operation: &Value, shown: Option<&str>) -> String {
    let text = operation["query"].as_str();
    let definition = text.and_then(definition);
    let said = operation["operationName"]
        .as_str()
        .filter(|name| is_name(name));
    match (definition, said, shown) {
        (Some((kind, _)), Some(name), _) | (Some((kind, Some(name))), None, _) => {
            format!("{kind} {name}")
        }
        (Some((kind, None)), None, Some(fields)) => format!("{kind} {fields}"),
        (Some((kind, None)), None, None) => kind.to_owned(),
        // A text that is none any more was scrubbed, and so was its name.
        (None, _, Some(fields)) if text.is_some() => fields.to_owned(),
        (None, Some(name), _) => name.to_owned(),
        (None, None, Some(fields)) => fields.to_owned(),
        (None, None, None) => "operation".to_owned(),
    }
}

/// The kind of a document's first operation, and its name (GraphQL, section 2.3).
fn definition(document: &str) -> Option<(&'static str, Option<&str>)> {
    let mut rest = document;
    loop {
        rest = rest
            .trim_start_matches(|char: char| char.is_whitespace() || ",\u{feff}".contains(char));
        match rest.strip_prefix('#') {
            Some(comment) => rest = comment.split_once('\n').map_or("", |(_, after)| after),
            None => break,
        }
    }
    if rest.starts_with('{') {
        return Some(("query", None));
    }
    let kinds = ["query", "mutation", "subscription"];
    let (kind, after) = kinds
        .into_iter()
        .find_map(|kind| Some((kind, rest.strip_prefix(kind)?)))?;
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    if after.starts_with(is_word) || !document.contains('{') {
        return None;
    }
    let name = after.trim_start();
    let end = name.find(|char| !is_word(char)).unwrap_or(name.len());
    Some((kind, Some(&name[..end]).filter(|name| !name.is_empty())))
}

fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The members of `data` in an answer.
fn root_fields(answer: Option<&Answer>) -> Option<String> {
    let Body::Whole(body) = &answer?.body else {
        return None;
    };
    let document: Value = serde_json::from_slice(body).ok()?;
    let data = document["data"].as_object()?;
    let fields: Vec<&str> = data.keys().map(String::as_str).collect();
    (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_what_their_first_operation_is() {
        let cases = [
            (
                "query Products($n: Int) { products { id } }",
                Some(("query", Some("Products"))),
            ),
            (
                "# all\n mutation AddToCart{add}",
                Some(("mutation", Some("AddToCart"))),
            ),
            ("{ me { name } }", Some(("query", None))),
            ("query { me }", Some(("query", None))),
            (
                "subscription($a: ID) { news }",
                Some(("subscription", None)),
            ),
            ("queryable things {", None),
            ("query of scrubbed words", None),
            ("", None),
        ];
        for (document, expected) in cases {
            assert_eq!(definition(document), expected, "{document}");
        }
    }

    #[test]
    fn operations_are_called_by_name_and_else_by_what_they_show() {
        let of = |text: &str, shown: Option<&str>| {
            name(&serde_json::from_str(text).expect("JSON"), shown)
        };
        let shown = Some("{cart,me}");
        assert_eq!(
            of(r#"{"query":"query A{a}","operationName":"B"}"#, shown),
            "query B"
        );
        assert_eq!(of(r#"{"query":"query A{a}"}"#, shown), "query A");
        assert_eq!(of(r#"{"query":"{a}"}"#, shown), "query {cart,me}");
        assert_eq!(of(r#"{"query":"{a}"}"#, None), "query");
        assert_eq!(
            of(r#"{"query":"Xyz abc","operationName":"Qrst"}"#, shown),
            "{cart,me}"
        );
        assert_eq!(of(r#"{"operationName":"B"}"#, shown), "B");
    }
}
