use std::collections::BTreeSet;

use super::*;

static DETECTORS: std::sync::LazyLock<Detectors> = std::sync::LazyLock::new(Detectors::new);

/// Kind and text of all that is found in `text` under the field `name`.
fn found<'t>(name: &str, text: &'t str) -> Vec<(&'static str, &'t str)> {
    let context = Context { path: "", name };
    let found = DETECTORS.detect(&context, text);
    found
        .iter()
        .map(|found| (found.kind.name(), &text[found.span.clone()]))
        .collect()
}

/// By field's name and text: kind, and the part of the text.
const EXAMPLES: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "write to Ada.Lovelace+x@mail.example.org.",
        "email",
        "Ada.Lovelace+x@mail.example.org",
    ),
    ("", "call me at +49 30 901820", "phone", "+49 30 901820"),
    ("", "Desk: 5403926876", "phone", "5403926876"),
    (
        "",
        "Fax: +41 (0)62 585 51 90",
        "phone",
        "+41 (0)62 585 51 90",
    ),
    ("", "reach me, (212) 555-0187", "phone", "(212) 555-0187"),
    ("phoneNumber", "5403926876", "phone", "5403926876"),
    (
        "",
        "4111 1111 1111 1111 12/29",
        "card",
        "4111 1111 1111 1111",
    ),
    ("n", "346412338913585", "card", "346412338913585"),
    ("", "card 676222165679", "card", "676222165679"),
    (
        "",
        "My IBAN is GB82 WEST 1234 5698 7654 32",
        "iban",
        "GB82 WEST 1234 5698 7654 32",
    ),
    (
        "",
        "DE89370400440532013000",
        "iban",
        "DE89370400440532013000",
    ),
    ("routing_number", "021000021", "bank-routing", "021000021"),
    (
        "",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "crypto-address",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    ),
    (
        "",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "crypto-address",
        "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ),
    (
        "",
        "to 0x52908400098527886E0F7030069857D2E4169EE7",
        "crypto-address",
        "0x52908400098527886E0F7030069857D2E4169EE7",
    ),
    (
        "",
        "from 48.90.248.226 blocked",
        "ip-address",
        "48.90.248.226",
    ),
    (
        "",
        "[2001:db8::8a2e:370:7334]:443",
        "ip-address",
        "2001:db8::8a2e:370:7334",
    ),
    (
        "",
        "eth0 3c:22:fb:9a:01:7e up",
        "mac-address",
        "3c:22:fb:9a:01:7e",
    ),
    (
        "",
        "postgres://app:hunter2@db/x",
        "url-credentials",
        "app:hunter2",
    ),
    (
        "",
        "at 52.52000, 13.40495",
        "coordinates",
        "52.52000, 13.40495",
    ),
    ("latitude", "-33.8688", "coordinates", "33.8688"),
    (
        "",
        "She was born on 10/23/1951.",
        "birth-date",
        "10/23/1951",
    ),
    ("dateOfBirth", "1990-02-28", "birth-date", "1990-02-28"),
    ("", "born 3rd March 1970", "birth-date", "3rd March 1970"),
    ("", "His SSN is 460-89-9847", "us-ssn", "460-89-9847"),
    ("ssn", "460899847", "us-ssn", "460899847"),
    ("", "912-78-1234", "us-itin", "912-78-1234"),
    ("", "NHS number 943 476 5919", "uk-nhs", "943 476 5919"),
    ("", "AB123456C", "uk-nino", "AB123456C"),
    ("", "JG 10 37 59 A", "uk-nino", "JG 10 37 59 A"),
    ("steuerId", "86095742719", "de-tax-id", "86095742719"),
    (
        "",
        "2 55 08 14 168 025 38",
        "fr-nir",
        "2 55 08 14 168 025 38",
    ),
    ("", "RSSMRA85T10A562S", "it-fiscal-code", "RSSMRA85T10A562S"),
    ("", "12345678Z", "es-dni", "12345678Z"),
    ("", "X1234567L", "es-dni", "X1234567L"),
    ("bsn", "111222333", "nl-bsn", "111222333"),
    (
        "",
        "85.07.30-033.28",
        "be-national-number",
        "85.07.30-033.28",
    ),
    ("", "PESEL: 44051401359", "pl-pesel", "44051401359"),
    ("", "811228-9874", "se-personal-number", "811228-9874"),
    ("", "131052-308T", "fi-identity-code", "131052-308T"),
    ("fnr", "01010750160", "no-birth-number", "01010750160"),
    ("", "CPR 070761-4285", "dk-cpr", "070761-4285"),
    ("", "529.982.247-25", "br-cpf", "529.982.247-25"),
    ("", "Aadhaar 2341 2341 2346", "in-aadhaar", "2341 2341 2346"),
    ("", "TFN 123 456 782", "au-tfn", "123 456 782"),
    ("sin", "130 692 544", "ca-sin", "130 692 544"),
    ("", "756.9217.0769.85", "ch-ahv", "756.9217.0769.85"),
    ("password", "hunter2", "password", "hunter2"),
    ("", "Server=db;Password=s3cr;et", "password", "s3cr"),
    (
        "",
        "AKIAIOSFODNN7EXAMPLE",
        "cloud-key",
        "AKIAIOSFODNN7EXAMPLE",
    ),
    (
        "",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
        "token",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    ),
    (
        "",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "jwt",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ),
    ("client_secret", "q8Zr2LmX0vTb", "secret", "q8Zr2LmX0vTb"),
    ("", "api_key = q8Zr2LmX0vTb;", "secret", "q8Zr2LmX0vTb"),
    ("license_plate", "B-TX 1234", "plate", "B-TX 1234"),
    ("first_name", "Ada", "person-name", "Ada"),
    ("", "ask Mr. Demidov about it", "person-name", "Demidov"),
    ("street", "Hauptstr. 5", "street-address", "Hauptstr. 5"),
    (
        "",
        "lives at 12 Baker Street",
        "street-address",
        "12 Baker Street",
    ),
];

#[test]
fn examples_are_found() {
    for &(name, text, kind, part) in EXAMPLES {
        assert_eq!(found(name, text), [(kind, part)], "{name}: {text}");
    }
}

#[test]
fn kinds_have_examples_and_names_of_their_own() {
    let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    let shown: BTreeSet<_> = EXAMPLES.iter().map(|(_, _, kind, _)| *kind).collect();
    let pem = BTreeSet::from(["private-key"]);
    assert_eq!(&names - &shown, pem, "a PEM block has a test of its own");
}

/// One more in the last digit, or the next letter: the checksum must not hold.
#[test]
fn a_number_off_by_one_is_not_that_number() {
    let checked: Vec<_> = EXAMPLES
        .iter()
        .filter(|&&(name, text, ..)| {
            let context = Context { path: "", name };
            DETECTORS
                .detect(&context, text)
                .iter()
                .any(|found| found.reason.is_checked)
        })
        .collect();
    assert!(
        checked.len() >= 24,
        "{} examples have checksums",
        checked.len()
    );
    for &&(name, text, kind, part) in &checked {
        let last = part.chars().next_back().expect("no part is empty");
        let next = match last {
            '9' => '0',
            'Z' => 'A',
            _ => char::from(last as u8 + 1),
        };
        let off = text.replace(part, &format!("{}{next}", &part[..part.len() - 1]));
        // Denmark gives numbers without a sound checksum.
        if kind != "dk-cpr" {
            assert!(
                !found(name, &off).iter().any(|found| found.0 == kind),
                "{off}"
            );
        }
    }
}

#[test]
fn look_alikes_are_not_found() {
    for (name, text) in [
        ("", "The order 8412231 has 3 items"),
        ("id", "550e8400-e29b-41d4-a716-446655440000"),
        ("id", "12345678-1234-5678-1234-567812345678"),
        (
            "sha",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ),
        ("created_at", "2026-11-23T15:24:01.123456Z"),
        ("ts", "1732375441123"),
        ("total", "1299.99"),
        ("", "version 1.2.3.4"),
        ("", "Opened at 12:30:45, closed at 18:00"),
        ("tracking", "0123456789012"),
        ("", "founded on 1990-02-28"),
        ("", "https://shop.example/orders/17?page=2"),
        ("", "the password is wrong"),
        ("password", "********"),
        ("token", "true"),
        ("message", "seats 512 466 638"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        ),
        ("title", "Chapter 12: 100 ways"),
        ("etag", "W/\"5f3-17e2a\""),
        ("", "@media (max-width: 600px) and :: and ://"),
        ("", ""),
    ] {
        assert_eq!(found(name, text), [], "{name}: {text}");
    }
}

#[test]
fn a_pem_block_is_one_finding() {
    let text = "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIE4111111111111111\n-----END RSA PRIVATE KEY-----\nbye";
    let key = text.trim_start_matches("key:\n").trim_end_matches("\nbye");
    assert_eq!(found("", text), [("private-key", key)]);
}

#[test]
fn several_are_found_in_order() {
    let text = "Ada@x.org paid with 4111111111111111 from 48.90.248.226, phone 083 564 9312";
    let kinds: Vec<_> = found("", text).into_iter().map(|found| found.0).collect();
    assert_eq!(kinds, ["email", "card", "ip-address", "phone"]);
}

#[test]
fn the_reason_tells_pattern_checksum_and_context() {
    let context = Context {
        path: "patients[3].nhs_number",
        name: "",
    };
    let found = DETECTORS.detect(&context, "9434765919");
    let reason = Reason {
        pattern: "health service number",
        is_checked: true,
        context: Some("nhs"),
        against: None,
    };
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].score, found[0].reason), (65, reason));
}

#[test]
fn the_path_speaks_for_a_number_but_names_no_person() {
    let context = Context {
        path: "customer.phones[0]",
        name: "",
    };
    let kinds = |text| {
        let found = DETECTORS.detect(&context, text);
        found.iter().map(|found| found.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("5403926876"), [Kind::Phone]);
    assert_eq!(kinds("Ada"), []);
}
