//! Tables and laws of pseudonyms.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::key::Key;

fn pseudonyms() -> Pseudonyms {
    let key = Key::from_bytes([7; 32]);
    Pseudonyms::new(Keys::derive(&key), vec!["ord_".to_owned()], None)
}

fn of(text: &str) -> String {
    String::from_utf8(pseudonyms().of(text.as_bytes())).unwrap()
}

#[track_caller]
fn check(values: &[&str], expected: Expect) {
    let mut table = String::new();
    for value in values {
        let filler = pseudonyms().filler(value.as_bytes());
        let filler = String::from_utf8(filler).unwrap();
        writeln!(table, "{value} -> {} | {filler}", of(value)).unwrap();
    }
    expected.assert_eq(&table);
}

#[test]
fn formats_survive() {
    check(
        &[
            "ada.0017",
            "Zoë Ångström",
            "Ольга Иванова",
            "佐藤 美咲",
            "O'Brien",
            "4111 1111 1111 1111",
            "DE89370400440532013000",
            "2024-05-01T12:00:00.250Z",
            "1990-02-28",
            "192.0.2.7",
            "2001:db8::7",
            "ada@shop.example",
            "0f0e0d0c-0b0a-4900-8800-070605040302",
            "ord_8f3a61c07d",
            "8F3A61C07D",
            "dGhlIHNlY3JldCBvZiBUd2ludGFw",
            "YWRhOnNlc2FtZS1vcGVu",
            "+49 30 1234567",
            "-12.50e3",
            "0.5",
            "007",
            "true",
            "null",
            "!!!!",
        ],
        expect![[r#"
            ada.0017 -> bdp.7853 | xxx.0000
            Zoë Ångström -> Xzþ Âytfjcík | Xxß Àxxxxxßx
            Ольга Иванова -> Днэње Отмьбѓп | Ѐаааа Ѐаааааа
            佐藤 美咲 -> 泼绳 釷糫 | 一一 一一
            O'Brien -> L'Ttkji | X'Xxxxx
            4111 1111 1111 1111 -> 2535 6807 4313 7514 | 1000 0000 0000 0008
            DE89370400440532013000 -> DE24637638020199934153 | DE36000000000000000000
            2024-05-01T12:00:00.250Z -> 1928-11-02T23:51:16.711Z | 1900-01-01T00:00:00.000Z
            1990-02-28 -> 1983-09-14 | 1900-01-01
            192.0.2.7 -> 10.95.166.2 | 10.0.0.0
            2001:db8::7 -> fd8f:ab21:14f3:142a:6c07:3b7c:9721:5dfe | fd00::
            ada@shop.example -> jkl@uuye-zezompi.example.com | xxx@xxxx-xxxxxxx.example.com
            0f0e0d0c-0b0a-4900-8800-070605040302 -> 16d40d6e-5230-4a2f-82fc-1cc788ebccb4 | 00000000-0000-4000-8000-000000000000
            ord_8f3a61c07d -> ord_d041f05386 | ord_0000000000
            8F3A61C07D -> A6FE446BF3 | 0000000000
            dGhlIHNlY3JldCBvZiBUd2ludGFw -> e89S09ltl-VxFCM-L78DQ3plfnTC | AAAAAAAAAAAAAAAAAAAAAAAAAAAA
            YWRhOnNlc2FtZS1vcGVu -> amtsOmV3bnByeS1qdmtv | eHh4Onh4eHh4eC14eHh4
            +49 30 1234567 -> +04 95 3544737 | +00 00 0000000
            -12.50e3 -> -44.23e3 | -10.00e3
            0.5 -> 0.8 | 0.0
            007 -> 324 | 000
            true -> true | false
            null -> null | null
            !!!! -> @:*~ | !!!!
        "#]],
    );
}

#[test]
fn short_values_never_become_one() {
    let images: BTreeSet<String> = (0..1000).map(|value| of(&value.to_string())).collect();
    assert_eq!(images.len(), 1000);
    let images: BTreeSet<String> = ('a'..='z')
        .flat_map(|a| ('a'..='z').map(move |b| of(&format!("{a}{b}"))))
        .collect();
    assert_eq!(images.len(), 26 * 26);
}

#[test]
fn the_key_decides() {
    let other = Pseudonyms::new(Keys::derive(&Key::from_bytes([8; 32])), Vec::new(), None);
    assert_ne!(of("Ada Lovelace").into_bytes(), other.of(b"Ada Lovelace"));
}

proptest! {
    #[test]
    fn shape_survives(text in "\\PC{0,40}") {
        let made = of(&text);
        prop_assert_eq!(&made, &of(&text));
        // A link escapes what it may, whoever wrote it.
        let has_more_inside = inside::of(&pseudonyms(), text.as_bytes(), 0).is_some();
        let is_of_format = formats::email(&text).is_some() || text.parse::<IpAddr>().is_ok();
        if !is_of_format && !has_more_inside {
            prop_assert_eq!(made.chars().count(), text.chars().count());
            prop_assert_eq!(made.is_ascii(), text.is_ascii());
        }
    }

    #[test]
    fn a_literal_stays_a_literal(number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?") {
        prop_assert!(formats::number(&of(&number)).is_some());
        let filler = pseudonyms().filler(number.as_bytes());
        prop_assert!(formats::number(std::str::from_utf8(&filler).unwrap()).is_some());
    }

    #[test]
    fn check_digits_survive(digits in "[1-9][0-9]{11,17}", account in "[A-Z0-9]{11,30}") {
        let card = format!("{digits}{}", char::from(formats::luhn_digit(&digits)));
        prop_assert!(formats::is_luhn(&of(&card)));
        let iban = format!("DE{}{account}", formats::iban_digits("DE", &account));
        prop_assert!(formats::is_iban(&iban));
        prop_assert!(formats::is_iban(&of(&iban)));
    }

    #[test]
    fn base64_stays_decodable(bytes in proptest::collection::vec(any::<u8>(), 16..64)) {
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let text = engine.encode(&bytes);
        if formats::base64_bytes(&text).is_some() {
            let made = engine.decode(of(&text)).unwrap();
            prop_assert_ne!(&made, &bytes);
        }
    }

    #[test]
    fn any_bytes_have_one(bytes in any::<Vec<u8>>()) {
        let made = pseudonyms().of(&bytes);
        prop_assert_eq!(made, pseudonyms().of(&bytes));
        pseudonyms().filler(&bytes);
    }
}
