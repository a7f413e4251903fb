//! Tags, pseudonyms and values across places.

use proptest::prelude::*;
use twintap_scrub::{Encoding, Leaf, Policy, Scrubber, encode, extract, splice};

use crate::support::{body, exchange, key, request, response, scrub, scrubber};

const TOKEN: &str = "kJ8xQ2mW9pL4vT7z";

#[test]
fn one_value_has_one_tag_and_one_pseudonym_everywhere() {
    let cookie = format!("sid={TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    let location = format!("/a/{TOKEN}?t={TOKEN}");
    let target = format!("GET /a/{TOKEN}?t={TOKEN}");
    let scrubbed = scrub(
        &scrubber(),
        exchange(
            request(&target, &[("Cookie", &cookie), ("Authorization", &bearer)]),
            response(
                200,
                "OK",
                &[
                    ("Set-Cookie", &cookie),
                    ("Location", &location),
                    ("Content-Type", "text/html"),
                ],
            ),
        ),
        b"",
        format!("<input type=hidden name=t value=\"{TOKEN}\">").as_bytes(),
    );
    let (_, wanted) = scrubbed.request_values().swap_remove(1);
    let of_token: Vec<(&Leaf, Vec<u8>)> = scrubbed
        .request_values()
        .into_iter()
        .chain(scrubbed.response_values())
        .filter(|(leaf, _)| leaf.tag == scrubber().link_tag(TOKEN.as_bytes()))
        .collect();
    assert_eq!(of_token.len(), 8);
    for (leaf, value) in of_token {
        assert_eq!(value, wanted, "{}", leaf.path);
        assert_eq!(leaf.raw_chars, 16);
    }
    assert_eq!(wanted, scrubber().pseudonym(TOKEN.as_bytes()));
}

#[test]
fn numbers_and_strings_of_one_value_are_one() {
    let (_, number) = body(&scrubber(), "application/json", b"{\"id\":17}");
    let (_, string) = body(&scrubber(), "application/json", br#"{"id":"\u0031\u0037"}"#);
    assert_eq!(
        number.leaves.last().unwrap().tag,
        string.leaves.last().unwrap().tag
    );
    let (number, _) = body(&scrubber(), "application/json", b"{\"id\":17}");
    let (string, _) = body(&scrubber(), "application/json", br#"{"id":"17"}"#);
    let unquoted = String::from_utf8_lossy(&string.unwrap())
        .replacen(":\"", ":", 1)
        .replacen("\"}", "}", 1);
    assert_eq!(number.unwrap(), unquoted);
}

#[test]
fn keys_and_policies_tell_apart() {
    let other = Scrubber::new(
        Policy::default_policy(),
        &twintap_scrub::Key::from_bytes([43; 32]),
    );
    assert_ne!(scrubber().link_tag(b"a"), other.link_tag(b"a"));
    assert_ne!(Policy::default_policy().hash(), Policy::allow_all().hash());
    assert_eq!(
        Policy::default_policy().hash(),
        Policy::default_policy().hash()
    );
}

#[test]
fn a_key_reads_what_it_writes_and_hides_itself() {
    use twintap_scrub::Key;
    assert_eq!(
        *Key::from_hex(&key().to_hex()).unwrap().to_hex(),
        *key().to_hex()
    );
    assert_eq!(format!("{:?}", key()), "Key(..)");
    let error = Key::from_hex("2a2a").unwrap_err().to_string();
    assert_eq!(error, "a key is 64 hexadecimal digits, not 4 characters");
    assert!(Key::from_hex(&"xy".repeat(32)).is_err());
}

#[test]
fn bound_values_take_the_place_of_pseudonyms() {
    let target = format!("POST /orders/{TOKEN}?t={TOKEN}");
    let scrubbed = scrub(
        &scrubber(),
        exchange(
            request(&target, &[("Content-Type", "application/json")]),
            response(200, "OK", &[]),
        ),
        format!("{{\"token\":\"{TOKEN}\"}}").as_bytes(),
        b"",
    );
    let value = "a \"b\"/ü";
    let edit = |leaf: &Leaf| {
        (
            leaf.start as usize,
            leaf.len as usize,
            encode(value.as_bytes(), leaf.encoding),
        )
    };
    let tag = scrubber().link_tag(TOKEN.as_bytes());
    let edits = |part| -> Vec<_> {
        scrubbed
            .request
            .leaves
            .iter()
            .filter(|leaf| leaf.tag == tag && leaf.part == part)
            .map(edit)
            .collect()
    };
    assert_eq!(
        splice(
            &scrubbed.request_head().target,
            &edits(twintap_scrub::Part::Target)
        ),
        "/orders/a%20%22b%22%2F%C3%BC?t=a%20%22b%22%2F%C3%BC"
    );
    assert_eq!(
        splice(&scrubbed.request_body, &edits(twintap_scrub::Part::Body)),
        r#"{"token":"a \"b\"/ü"}"#
    );
}

#[test]
fn values_are_extracted_by_the_paths_of_leaves() {
    let fields = [
        ("Content-Type", "application/json"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "a=2; Path=/"),
        ("Location", "/orders/a%20b?x=c+d"),
        ("ETag", "\"e\""),
    ];
    let head = response(200, "OK", &fields);
    let json = br#"{"a":[{"b/c":"x\ny"}],"n":1.50,"d":1,"d":2,"ada@example.org":"z"}"#;
    for (path, value) in [
        ("set-cookie.a", Some("1")),
        ("set-cookie.a#1", Some("2")),
        ("location.path.1", Some("a b")),
        ("location.query.x", Some("c d")),
        ("header.etag", Some("\"e\"")),
        ("header.nothing", None),
        ("json./a/0/b~1c", Some("x\ny")),
        ("json./n", Some("1.50")),
        ("json./d#1", Some("2")),
        ("json./a/1", None),
        ("json./ada@example.org", Some("z")),
        ("form.a", None),
    ] {
        let found = extract(&head, json, path).map(|value| String::from_utf8(value).unwrap());
        assert_eq!(found.as_deref(), value, "{path}");
    }
}

proptest! {
    /// What is noted of a raw response can be read from it again, by the same name.
    #[test]
    fn every_leaf_is_extracted(
        json in json(),
        cookie in "[a-z]{1,3}=[A-Za-z0-9]{0,9}(; Path=/)?",
        segments in proptest::collection::vec("[a-zA-Z0-9%]{0,5}", 0..4),
    ) {
        let location = format!("/{}", segments.join("/"));
        let fields = [
            ("Content-Type", "application/json"), ("Set-Cookie", &cookie), ("Set-Cookie", &cookie),
            ("Location", &location),
        ];
        let head = response(200, "OK", &fields);
        let raw = serde_json::to_vec(&json).unwrap();
        let (_, _, note) = scrubber().scrub_response(&request("GET /", &[]), &head, raw.clone().into());
        for leaf in &note.leaves {
            let value = scrubber().extract(&head, &raw, &leaf.path);
            let value = value.unwrap_or_else(|| panic!("{} in {}", leaf.path, json));
            prop_assert_eq!(scrubber().link_tag(&value), leaf.tag);
        }
    }

    /// A scrubbed text is JSON of the same form, key order and numbers kept.
    #[test]
    fn scrubbed_json_is_json(json in json()) {
        let raw = serde_json::to_vec_pretty(&json).unwrap();
        let (kept, note) = body(&scrubber(), "application/json", &raw);
        let kept = kept.unwrap();
        let after: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        prop_assert_eq!(count(&after), count(&json));
        for leaf in note.leaves.iter().filter(|leaf| leaf.part == twintap_scrub::Part::Body) {
            let written = &kept[leaf.start as usize..][..leaf.len as usize];
            let (before, end) = (leaf.start as usize, (leaf.start + leaf.len) as usize);
            if leaf.encoding == Encoding::JsonString {
                prop_assert_eq!((kept[before - 1], kept[end]), (b'"', b'"'));
            } else {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(written).is_ok());
            }
        }
    }
}

fn count(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        serde_json::Value::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9_f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[a-z0-9 -]{0,20}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(
                "[a-zA-Z_/~]{0,8}|[a-z]{3}@[a-z]{3}\\.org",
                inner,
                0..6
            )
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
