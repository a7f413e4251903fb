//! Calls by name: GraphQL says with the name of a field what REST says with the
//! method of HTTP and the path.
//!
//! The name is split into a verb and a noun at its capitals or underscores. A verb
//! that is known to change something (`create`, `cancel`, ...) makes it a write; any
//! other name is a field that is asked for. The noun is the collection: `createOrder`
//! and `orders` are both of `order`.

use super::words::singular;

/// Verbs that change nothing.
const READS: [&str; 24] = [
    "aggregate",
    "batchget",
    "check",
    "count",
    "describe",
    "download",
    "exists",
    "export",
    "fetch",
    "filter",
    "find",
    "get",
    "is",
    "list",
    "lookup",
    "preview",
    "query",
    "read",
    "search",
    "show",
    "stream",
    "subscribe",
    "view",
    "watch",
];

/// Verbs that change something.
const WRITES: [&str; 34] = [
    "accept",
    "activate",
    "add",
    "append",
    "apply",
    "approve",
    "archive",
    "assign",
    "cancel",
    "clear",
    "close",
    "complete",
    "confirm",
    "create",
    "deactivate",
    "delete",
    "disable",
    "edit",
    "enable",
    "import",
    "insert",
    "make",
    "merge",
    "move",
    "open",
    "place",
    "publish",
    "put",
    "register",
    "reject",
    "remove",
    "save",
    "set",
    "update",
];

/// What a call does to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub writes: bool,
    /// The name of one thing; empty where the name has none.
    pub noun: String,
}

/// The call that a root field of a GraphQL answer was asked for.
pub(super) fn of_graphql(field: &str) -> Call {
    let (verb, noun) = split(field);
    if READS.contains(&verb.as_str()) {
        Call {
            writes: false,
            noun,
        }
    } else if WRITES.contains(&verb.as_str()) {
        Call { writes: true, noun }
    } else {
        Call {
            writes: false,
            noun: singular(field),
        }
    }
}

/// Verb and noun, both in lower case, the noun of one thing.
fn split(name: &str) -> (String, String) {
    let cut = name
        .char_indices()
        .skip(1)
        .find(|(_, c)| c.is_ascii_uppercase() || *c == '_')
        .map_or(name.len(), |(at, _)| at);
    let (verb, noun) = name.split_at(cut);
    let noun = noun.trim_start_matches('_');
    // `GetOrderById` and `OrdersByUser` are of orders.
    let noun = noun.find("By").map_or(noun, |by| &noun[..by]);
    (verb.to_ascii_lowercase(), singular(noun))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(writes: bool, noun: &str) -> Call {
        Call {
            writes,
            noun: noun.to_owned(),
        }
    }

    #[test]
    fn graphql_fields_read_unless_a_verb_says_otherwise() {
        for (field, expected) in [
            ("orders", call(false, "order")),
            ("orderHistory", call(false, "orderhistory")),
            ("getOrder", call(false, "order")),
            ("createOrder", call(true, "order")),
            ("update_order", call(true, "order")),
        ] {
            assert_eq!(of_graphql(field), expected, "{field}");
        }
    }
}
