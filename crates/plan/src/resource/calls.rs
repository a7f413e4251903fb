//! Calls by name: GraphQL says with the name of a field, and gRPC with that of a method,
//! what REST says with the method of HTTP and the path.
//!
//! The name is split into a verb and a noun at its capitals or underscores. A verb
//! that is known to change something (`create`, `cancel`, ...) makes it a write; any
//! other name is a field that is asked for. The noun is the collection: `createOrder`
//! and `orders` are both of `order`.

use super::words::{is_plural, singular};

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

/// Verbs of methods that ask for what there is, not for one thing by its id.
const LISTS: [&str; 8] = [
    "aggregate",
    "batchget",
    "count",
    "export",
    "list",
    "query",
    "search",
    "watch",
];

/// Verbs of methods that make something.
const MAKES: [&str; 7] = [
    "add", "create", "insert", "make", "place", "publish", "register",
];

/// What a method of gRPC does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// It shows one thing.
    Read,
    /// It shows several.
    List,
    /// It makes one.
    Make,
    /// It changes or removes one.
    Change,
}

/// What a method of gRPC does to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rpc {
    pub verb: Verb,
    /// The name of one thing.
    pub noun: String,
}

/// What the method of a service does; `None` where its verb is not known, or nothing says to
/// what.
pub(super) fn of_method(service: &str, method: &str) -> Option<Rpc> {
    let (verb, noun) = split(method);
    let is_of_many = {
        let name = method.get(verb.len()..).unwrap_or_default();
        is_plural(name.find("By").map_or(name, |by| &name[..by]))
    };
    let verb = match verb.as_str() {
        verb if LISTS.contains(&verb) => Verb::List,
        verb if READS.contains(&verb) && is_of_many => Verb::List,
        verb if READS.contains(&verb) => Verb::Read,
        verb if MAKES.contains(&verb) => Verb::Make,
        verb if WRITES.contains(&verb) => Verb::Change,
        _ => return None,
    };
    if !noun.is_empty() {
        return Some(Rpc { verb, noun });
    }
    let service = service.rsplit('.').next().unwrap_or(service);
    let bare = ["Service", "Api", "API"]
        .iter()
        .find_map(|end| service.strip_suffix(end));
    let noun = singular(bare.unwrap_or(service));
    (!noun.is_empty()).then_some(Rpc { verb, noun })
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

    #[test]
    fn methods_say_what_they_do_or_nothing_is_known() {
        for (method, expected) in [
            ("GetOrder", Some((Verb::Read, "order"))),
            ("GetOrderById", Some((Verb::Read, "order"))),
            ("GetOrders", Some((Verb::List, "order"))),
            ("ListOrders", Some((Verb::List, "order"))),
            ("CreateOrder", Some((Verb::Make, "order"))),
            ("UpdateOrder", Some((Verb::Change, "order"))),
            ("DeleteOrder", Some((Verb::Change, "order"))),
            ("CancelOrder", Some((Verb::Change, "order"))),
            ("Delete", Some((Verb::Change, "cart"))),
            ("Checkout", None),
            ("Gettysburg", None),
        ] {
            let found = of_method("shop.v1.CartService", method);
            let found = found.as_ref().map(|rpc| (rpc.verb, rpc.noun.as_str()));
            assert_eq!(found, expected, "{method}");
        }
    }
}
