//! Values inside of values, and bodies of XML, forms in parts, and gRPC.

use expect_test::{Expect, expect};
use twintap_scrub::{BodyFate, Leaf, Policy, Scrubber, extract, replace_inside, split_path};

use crate::support::{body, key, response, scrubber};

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// The leaves of a body that is kept as it is.
#[track_caller]
fn check(media_type: &str, raw: &[u8], expected: Expect) {
    let allowing = Scrubber::new(Policy::allow_all(), &key());
    let (_, note) = body(&allowing, media_type, raw);
    let head = response(200, "OK", &[("Content-Type", media_type)]);
    let mut found = String::new();
    for leaf in note.leaves.iter().filter(|leaf| is_of_body(leaf)) {
        let value = extract(&head, raw, &leaf.path).expect("a leaf is extracted by its path");
        assert_eq!(allowing.link_tag(&value), leaf.tag, "{}", leaf.path);
        let value = String::from_utf8_lossy(&value).into_owned();
        found.push_str(&format!("{} = {}\n", leaf.path, value.escape_debug()));
    }
    expected.assert_eq(&found);
}

fn is_of_body(leaf: &Leaf) -> bool {
    leaf.part == twintap_scrub::Part::Body
}

const ORDER: &str = r#"<?xml version="1.0"?>
    <!-- made today --><Order id="ord_17" xmlns="urn:x"><Item>a &amp; b</Item><Item><![CDATA[<raw>]]></Item>
    <Note/></Order>"#;

const PARTS: &str = "--xyz\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\ntok-1\r\n\
    --xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.json\"\r\n\
    Content-Type: application/json\r\n\r\n{\"id\":7}\r\n--xyz--\r\n";

/// Field 1 is `ord_1234567890`, field 2 is 300.
const MESSAGE: &[u8] = b"\0\0\0\0\x13\x0a\x0eord_1234567890\x10\xac\x02";

#[test]
fn xml_has_texts_and_attributes() {
    check(
        "application/xml",
        ORDER.as_bytes(),
        expect![[r#"
            xml.comment = made today
            xml./Order/@id = ord_17
            xml./Order/Item = a & b
            xml./Order/Item#1 = <raw>
        "#]],
    );
}

#[test]
fn forms_in_parts_have_fields_and_files() {
    check(
        "multipart/form-data; boundary=xyz",
        PARTS.as_bytes(),
        expect![[r#"
            multipart.csrf = tok-1
            multipart.file.filename = a.json
            multipart.file = {\"id\":7}
            multipart.file>json./id = 7
        "#]],
    );
}

#[test]
fn messages_of_grpc_have_fields() {
    check(
        "application/grpc",
        &[MESSAGE, MESSAGE].concat(),
        expect![[r#"
            grpc.0 = \0\0\0\0\u{13}\n\u{e}ord_1234567890\u{10}�\u{2}
            grpc.0>proto./1 = ord_1234567890
            grpc.0>proto./2 = 300
            grpc.1 = \0\0\0\0\u{13}\n\u{e}ord_1234567890\u{10}�\u{2}
            grpc.1>proto./1 = ord_1234567890
            grpc.1>proto./2 = 300
        "#]],
    );
}

#[test]
fn what_is_not_sound_is_dropped() {
    for (media_type, raw) in [
        ("text/xml", "<a><b></a></b>"),
        ("text/xml", "<a>"),
        ("text/xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
        ("multipart/form-data", "--x\r\nno head\r\n--x--"),
        (
            "multipart/form-data",
            "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nopen",
        ),
        ("application/grpc", "\0\0\0\0\x05abc"),
        ("application/grpc", "\x01\0\0\0\x02\x08\x01"),
    ] {
        let (kept, note) = body(&scrubber(), media_type, raw.as_bytes());
        assert_eq!(kept, None, "{media_type} {raw:?}");
        assert_eq!(
            note.body,
            BodyFate::Dropped("unparsable".to_owned()),
            "{raw:?}"
        );
    }
}

/// What is stored of a body: it has the form that it had, and no value.
#[track_caller]
fn check_form(media_type: &str, raw: &str, secret: &str, expected: &[&str]) {
    let (kept, note) = body(&scrubber(), media_type, raw.as_bytes());
    let kept = String::from_utf8_lossy(&kept.expect("a body that is kept")).into_owned();
    assert!(!kept.contains(secret), "{kept}");
    for part in expected {
        assert!(kept.contains(part), "{part:?} is not in {kept}");
    }
    // What is inside of a pseudonym can be replaced there by its path.
    for leaf in note.leaves.iter().filter(|leaf| is_of_body(leaf)) {
        let Some((_, inside)) = split_path(&leaf.path).filter(|(_, path)| !path.contains("jwt."))
        else {
            continue;
        };
        let span = &kept.as_bytes()[leaf.start as usize..][..leaf.len as usize];
        let container = twintap_scrub::decode(span, leaf.encoding);
        let new = replace_inside(&container, &[(inside, b"12345")]);
        assert!(new.is_some(), "{} in {kept}", leaf.path);
    }
}

#[test]
fn scrubbed_containers_keep_their_form() {
    check_form(
        "application/json",
        r#"{"state":"{\"user\":\"Ada Lovelace\",\"n\":7,\"ok\":true}"}"#,
        "Ada",
        &[r#"{"state":"{\"user\":\""#, r#"\"ok\":true}"}"#],
    );
    check_form(
        "application/json",
        r#"{"next":"https://shop.example:8080/users/Lovelace?cursor=Zq81x7&page=2"}"#,
        "Lovelace",
        &["https://", "?cursor=", "&page=", ":8080/"],
    );
    let token = format!(
        "{}.{}.c2ln",
        base64(r#"{"alg":"HS256"}"#),
        base64(r#"{"sub":"Lovelace","exp":1700000000}"#)
    );
    let kept = format!("{{\"token\":\"{}.", base64(r#"{"alg":"HS256"}"#));
    check_form(
        "application/json",
        &format!("{{\"token\":\"{token}\"}}"),
        &base64(r#"{"sub":"Lovelace"#)[..16],
        &[&kept],
    );
    check_form("text/xml", ORDER, "ord_17", &["<Order id=\"", "<Item>"]);
    check_form(
        "multipart/form-data; boundary=xyz",
        PARTS,
        "tok-1",
        &["name=\"csrf\"\r\n\r\n", "--xyz--", "{\"id\":"],
    );
}

#[test]
fn scrubbed_messages_of_grpc_can_be_read() {
    let (kept, note) = body(&scrubber(), "application/grpc", MESSAGE);
    let kept = kept.expect("a body that is kept");
    assert!(!kept.windows(4).any(|bytes| bytes == b"ord_"));
    assert_eq!(kept.len(), MESSAGE.len());
    // A number of three digits is no secret.
    assert!(kept.ends_with(b"\x10\xac\x02"));
    assert_eq!(note.body, BodyFate::Scrubbed);
}

#[test]
fn one_pseudonym_stands_for_a_value_wherever_it_lies() {
    let id = "Zq81x7LmX7vKc0";
    let whole = scrubber().pseudonym(id.as_bytes());
    let whole = String::from_utf8_lossy(&whole);
    let link = scrubber().pseudonym(format!("/orders/{id}").as_bytes());
    assert!(String::from_utf8_lossy(&link).ends_with(&*whole));
    let json = scrubber().pseudonym(format!("{{\"id\":\"{id}\"}}").as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&json),
        format!("{{\"id\":\"{whole}\"}}")
    );
}
