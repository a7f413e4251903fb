//! What the words of paths and of fields say of resources.

/// Words that name something of which each session has its own. A path with one of
/// them, and what is below it, is told apart by session.
const OWN: [&str; 40] = [
    "account",
    "address",
    "auth",
    "authenticate",
    "bag",
    "basket",
    "callback",
    "cart",
    "checkout",
    "consent",
    "csrf",
    "current",
    "favorites",
    "favourites",
    "feed",
    "inbox",
    "login",
    "logout",
    "me",
    "mine",
    "my",
    "notifications",
    "oauth",
    "oauth2",
    "password",
    "preferences",
    "profile",
    "register",
    "self",
    "session",
    "settings",
    "signin",
    "signout",
    "signup",
    "token",
    "verify",
    "wallet",
    "whoami",
    "wishlist",
    "~",
];

/// Words at the beginning of a path that name no resource.
const PREFIXES: [&str; 8] = [
    "api", "app", "internal", "public", "rest", "service", "services", "web",
];

/// Members of a JSON answer that hold a list, and say nothing of what is in it.
const LISTS: [&str; 11] = [
    "content", "data", "edges", "elements", "entries", "hits", "items", "node", "records",
    "results", "rows",
];

/// True when each session has its own of what the word names.
pub(super) fn is_own(word: &str) -> bool {
    OWN.binary_search(&word).is_ok()
}

/// True when the word at the beginning of a path names no resource: `api`, `v2`.
pub(super) fn is_prefix(word: &str) -> bool {
    let is_version = |rest: &str| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    PREFIXES.contains(&word) || word.strip_prefix('v').is_some_and(is_version)
}

/// True when a member of a JSON answer is a list of whatever was asked for.
pub(super) fn is_list(word: &str) -> bool {
    LISTS.contains(&word)
}

/// The name of one thing, of a collection's name: `orders` and `Order` are `order`,
/// `categories` is `category`. It need not be right, only the same each time.
pub(super) fn singular(word: &str) -> String {
    let word = word.to_ascii_lowercase().replace(['-', '_'], "");
    let stem = |end: &str| word.strip_suffix(end).filter(|stem| stem.len() >= 2);
    if let Some(stem) = stem("ies") {
        return format!("{stem}y");
    }
    for end in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(end) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match stem("s") {
        Some(stem) if !stem.ends_with('s') => stem.to_owned(),
        _ => word,
    }
}

/// True when the word is the name of many.
pub(super) fn is_plural(word: &str) -> bool {
    singular(word) != word.to_ascii_lowercase().replace(['-', '_'], "")
}

/// What the name of a field says its value is an id of: `order_id`, `orderId` and
/// `order-uuid` are of an `order`; the empty word for `id` alone.
pub(super) fn of_id(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    for end in ["id", "uuid", "guid"] {
        let Some(stem) = lower.strip_suffix(end) else {
            continue;
        };
        if stem.is_empty() {
            return Some(String::new());
        }
        let cut = name.len() - end.len();
        let is_new_word = stem.ends_with(['_', '-', '.']) || starts_word(&name[cut..]);
        let stem = name[..cut].trim_end_matches(['_', '-', '.']);
        if is_new_word && !stem.is_empty() {
            let last = stem.rsplit(['.', '[']).next().unwrap_or(stem);
            return Some(singular(last));
        }
    }
    None
}

fn starts_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
}

/// True when a segment of a path is an id by its looks: a number, a UUID, something
/// random, `SKU-0001`. What is left are words; `v2` and `oauth2` are among them.
pub(super) fn is_id(segment: &[u8]) -> bool {
    let digits = segment.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return is_random(segment) || segment.contains(&b'@');
    }
    if digits == segment.len() {
        return true;
    }
    let has_only = |allowed: &[u8]| {
        segment
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || allowed.contains(byte))
    };
    if segment.len() >= 8 && has_only(b"-") {
        return true;
    }
    // `prd_17`, `SKU-0001`.
    let after_mark = segment
        .iter()
        .rposition(|byte| matches!(byte, b'-' | b'_' | b':' | b'.'))
        .map(|mark| &segment[mark + 1..]);
    let is_numbered =
        after_mark.is_some_and(|end| !end.is_empty() && end.iter().all(u8::is_ascii_digit));
    is_numbered || digits >= 3 || segment.len() >= 16 || segment.contains(&b'@')
}

/// True for letters of both cases without digits, too many for a word.
fn is_random(segment: &[u8]) -> bool {
    let changes = segment
        .windows(2)
        .filter(|two| two[0].is_ascii_lowercase() && two[1].is_ascii_uppercase())
        .count();
    segment.len() >= 16 && changes >= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(OWN.is_sorted(), "it is searched by halves");
    }

    #[test]
    fn collections_and_their_members_meet() {
        for (word, expected) in [
            ("orders", "order"),
            ("Order", "order"),
            ("categories", "category"),
            ("boxes", "box"),
            ("addresses", "address"),
            ("address", "address"),
            ("line-items", "lineitem"),
            ("line_item", "lineitem"),
            ("bus", "bu"),
            ("is", "is"),
        ] {
            assert_eq!(singular(word), expected, "{word}");
        }
    }

    #[test]
    fn names_of_ids_name_what_they_identify() {
        for (name, expected) in [
            ("id", Some("")),
            ("ID", Some("")),
            ("uuid", Some("")),
            ("order_id", Some("order")),
            ("orderId", Some("order")),
            ("orderID", Some("order")),
            ("order-uuid", Some("order")),
            ("lineItemId", Some("lineitem")),
            ("paid", None),
            ("valid", None),
            ("grid", None),
            ("name", None),
        ] {
            assert_eq!(of_id(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn ids_look_otherwise_than_words() {
        for id in [
            "17",
            "prd_17",
            "SKU-0001",
            "4bf92f35",
            "6f1c2a9e-0b7d-4c55-9f3a-1e2d3c4b5a69",
            "xKqPzRtbWvNmLkJh",
            "ann@shop.test",
            "ord3382a",
        ] {
            assert!(is_id(id.as_bytes()), "{id}");
        }
        for word in [
            "orders",
            "v2",
            "oauth2",
            "checkout",
            "blue-shirt",
            "face",
            "",
        ] {
            assert!(!is_id(word.as_bytes()), "{word}");
        }
    }
}
