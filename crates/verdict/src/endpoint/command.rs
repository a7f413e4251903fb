//! Commands of databases: statements by their form, commands of Redis by the form of their key.

use serde_json::Value;
use twintap_stream::document;

use super::{VARIABLE, looks};
use crate::observation::{Body, Observation};

/// The most characters of a name.
const MOST_CHARS: usize = 200;

/// Commands of Redis whose first argument is no key.
const WITHOUT_KEY: &[&str] = &[
    "ACL",
    "AUTH",
    "CLIENT",
    "CLUSTER",
    "COMMAND",
    "CONFIG",
    "DBSIZE",
    "DEBUG",
    "ECHO",
    "EVAL",
    "EVALSHA",
    "FCALL",
    "FLUSHALL",
    "FLUSHDB",
    "FUNCTION",
    "HELLO",
    "INFO",
    "KEYS",
    "LATENCY",
    "MEMORY",
    "OBJECT",
    "PING",
    "SCAN",
    "SCRIPT",
    "SELECT",
    "SLOWLOG",
    "SWAPDB",
    "WAIT",
    "XGROUP",
    "XREAD",
    "XREADGROUP",
];

/// What a command is called: `postgres SELECT name FROM users WHERE id = ?`,
/// `redis GET session:{id}`; none for what is no command of a database.
pub(super) fn name(observation: &Observation, method: &str) -> Option<String> {
    let mut fields = observation.request.fields.iter();
    let is_command =
        fields.any(|field| field.is("content-type") && field.value == document::CONTENT_TYPE);
    if !is_command {
        return None;
    }
    let asked = match &observation.request_body {
        Body::Whole(body) => serde_json::from_slice(body).unwrap_or(Value::Null),
        Body::Digest { .. } => Value::Null,
    };
    let is_mysql = method.starts_with("COM_") || method == "Handshake";
    let is_postgres = method.bytes().any(|byte| byte.is_ascii_lowercase());
    let statement = asked["statement"].as_str();
    let form = statement.and_then(|text| twintap_scrub::fingerprint(text, is_mysql));
    let name = match (is_mysql, is_postgres) {
        (true, _) => format!("mysql {}", form.as_deref().unwrap_or(method)),
        (_, true) => format!("postgres {}", form.as_deref().unwrap_or(method)),
        _ => redis(method, &asked),
    };
    Some(match name.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    })
}

fn redis(method: &str, asked: &Value) -> String {
    let key = asked["arguments"][0].as_str();
    match key.filter(|_| !WITHOUT_KEY.contains(&method)) {
        Some(key) => {
            let parts: Vec<&str> = key
                .split(':')
                .map(|part| match is_word(part) {
                    true => part,
                    false => VARIABLE,
                })
                .collect();
            format!("redis {method} {}", parts.join(":"))
        }
        None => format!("redis {method}"),
    }
}

/// A part of a key that a programmer gave, by its looks.
fn is_word(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    part.len() <= 32
        && part.bytes().all(is_plain)
        && part.starts_with(|char: char| char.is_ascii_lowercase())
        && !looks::is_value(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_called_by_their_words() {
        for (key, expected) in [
            ("session:4711", "redis GET session:{id}"),
            ("user:4711:cart", "redis GET user:{id}:cart"),
            ("cart:Ada Lovelace", "redis GET cart:{id}"),
            ("9f86d081884c7d659a2feaa0c55ad015", "redis GET {id}"),
            ("settings", "redis GET settings"),
        ] {
            let asked = serde_json::json!({ "arguments": [key] });
            assert_eq!(redis("GET", &asked), expected);
        }
        assert_eq!(redis("PING", &serde_json::json!({})), "redis PING");
        let asked = serde_json::json!({ "arguments": ["return 1"] });
        assert_eq!(redis("EVAL", &asked), "redis EVAL");
    }
}
