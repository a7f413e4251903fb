//! Names: of JSON members, parameters, cookies and fields.

use crate::pseudonym::formats;

/// True for what reads like a name that a programmer gave. What does not may be
/// a value standing where a name belongs, such as a customer's address used as a
/// key, and gets a pseudonym.
pub(crate) fn is_structural(name: &str) -> bool {
    is_plain(name.as_bytes()) || is_intricate(name)
}

/// Most names are short words of small letters.
fn is_plain(name: &[u8]) -> bool {
    (1..=24).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'))
}

fn is_intricate(name: &str) -> bool {
    name.len() <= 64
        && !name.is_empty()
        && !name.as_bytes()[1..].contains(&b'@')
        && name.bytes().all(is_name_byte)
        && name
            .as_bytes()
            .split(|byte| !byte.is_ascii_alphanumeric())
            .all(|run| !is_opaque(run))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:$@[]/*~+".contains(&byte)
}

/// True for a run of letters and digits that nobody chose.
pub(crate) fn is_opaque(run: &[u8]) -> bool {
    let digits = run.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == run.len() {
        return digits > 4;
    }
    let count = |test: fn(&u8) -> bool| run.iter().filter(|byte| test(byte)).count();
    let (uppers, lowers) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let kinds = run
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    let humps = run
        .windows(2)
        .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
        .count();
    // In names, capitals are few and come one by one, and a long word has no
    // number of three digits. Whoever writes such a name has it replaced.
    let is_mixed =
        run.len() >= 16 && (digits > 2 || lowers * 6 > run.len() && uppers * 3 > run.len());
    formats::is_hex_run(run)
        || run.len() > 32
        || digits > 6
        || kinds > 3
        || is_mixed
        || humps * 4 > run.len().max(12)
}

/// The name's words in lower case with dashes between them: `orderId`,
/// `order_id` and `Order-ID` are all `order-id`.
pub fn words(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut last = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() {
            if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
        } else {
            if c.is_uppercase() && (last.is_lowercase() || last.is_ascii_digit()) {
                out.push('-');
            }
            out.extend(c.to_lowercase());
        }
        last = c;
    }
    if out.ends_with('-') {
        out.pop();
    }
    out
}

/// True for a part of a path that is a word of the service's own: lower-case
/// ASCII letters without digits, in pieces joined by `-`, `_` or `.`, or a
/// version such as `v2`.
pub(crate) fn is_path_word(segment: &str) -> bool {
    let is_version = segment.len() <= 3
        && segment.strip_prefix('v').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    let words = segment.strip_prefix('.').unwrap_or(segment);
    is_version
        || (words.len() <= 48
            && words.split(['-', '_', '.']).all(|word| {
                (1..=20).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programmers_are_structural() {
        for name in [
            "id",
            "displayName",
            "csrf_token",
            "items[0][qty]",
            "@type",
            "x-b3-traceid",
            "utf8",
            "sha256",
            "md5",
            "address_line_2",
            "0",
            "2024",
            "isOAuth2Enabled",
            "content-type",
        ] {
            assert!(is_structural(name), "{name}");
        }
        for value in [
            "",
            "ada@example.com",
            "Ada Lovelace",
            "Zoë",
            "4915112345678",
            "0f0e0d0c-0b0a-4900-8800-070605040302",
            "8f3a61c07d",
            "kJ8xQ2mW9pL4vT7z",
            "aAAaaaaAaaaaaaaAaaaaaAAaAa000",
            "aaaaaaaaaaaaaaaaaaaaaaaaAa000",
        ] {
            assert!(!is_structural(value), "{value}");
        }
    }

    #[test]
    fn words_are_found_in_any_spelling() {
        for name in ["orderId", "order_id", "Order-ID", "order.id", "order[id]"] {
            assert_eq!(words(name), "order-id");
        }
        assert_eq!(words("csrf"), "csrf");
    }

    #[test]
    fn path_words_have_no_digits() {
        for word in ["orders", "cart-items", "robots.txt", ".well-known", "v2"] {
            assert!(is_path_word(word), "{word}");
        }
        for value in ["", "p-0001-blue", "Ada", "17", "ord_8f3a", "v2024", "a--b"] {
            assert!(!is_path_word(value), "{value}");
        }
    }
}
