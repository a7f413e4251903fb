//! Values of kinds that the corpus has few of, and look-alikes; drawn with a fixed seed.
//!
//! Check digits are computed here from each number's own rule, and not by the
//! detectors that are measured.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::draw::{
    aadhaar, address, ahv, belgian, cpf, digits, finnish, french, german, iban, italian, luhn, nhs,
    norwegian, number, pesel, routing, spaced, spanish, swedish, text, weighted,
};
use super::{Case, Span};

const SEED: u64 = 0x7717_7A90;
/// Of each sort of look-alike.
const LOOK_ALIKES: usize = 40;

/// A kind, the words that people call it by, its field's name, and how to draw one.
type Maker = (
    &'static str,
    &'static str,
    &'static str,
    fn(&mut StdRng) -> String,
);

const MAKERS: &[Maker] = &[
    ("au-tfn", "tax file number", "tfn", |r| {
        spaced(
            &weighted(r, 8, &[1, 4, 3, 7, 5, 8, 6, 9, 10], 11),
            &[3, 3, 3],
            " ",
            r,
        )
    }),
    ("bank-routing", "routing number", "routing_number", routing),
    (
        "be-national-number",
        "rijksregisternummer",
        "national_number",
        belgian,
    ),
    ("birth-date", "date of birth", "date_of_birth", |r| {
        format!(
            "{:02}/{:02}/{}",
            number(r, 1, 12),
            number(r, 1, 28),
            number(r, 1930, 2010)
        )
    }),
    ("br-cpf", "CPF", "cpf", cpf),
    ("ca-sin", "social insurance number", "sin", |r| {
        spaced(&luhn(r, "1", 8), &[3, 3, 3], " ", r)
    }),
    ("card", "card number", "card_number", |r| luhn(r, "4", 15)),
    ("ch-ahv", "AHV number", "ahv_number", ahv),
    ("cloud-key", "access key", "aws_access_key", |r| {
        format!("AKIA{}", text(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))
    }),
    ("coordinates", "GPS position", "gps", |r| {
        format!(
            "{}.{}, {}.{}",
            number(r, 1, 80),
            number(r, 10_000, 99_999),
            number(r, 1, 170),
            number(r, 10_000, 99_999)
        )
    }),
    ("crypto-address", "bitcoin wallet", "wallet", |r| {
        (*CRYPTO.choose(r).unwrap_or(&"")).to_owned()
    }),
    ("de-tax-id", "Steuer-ID", "steuer_id", german),
    ("dk-cpr", "CPR number", "cpr", |r| {
        format!(
            "{:02}{:02}{:02}-{}",
            number(r, 1, 28),
            number(r, 1, 12),
            number(r, 50, 99),
            digits(r, 4)
        )
    }),
    ("email", "e-mail", "email", |r| {
        format!(
            "{}.{}@{}.example.{}",
            text(r, LOWER, 5),
            text(r, LOWER, 7),
            text(r, LOWER, 6),
            ["com", "org", "net"].choose(r).unwrap_or(&"com")
        )
    }),
    ("es-dni", "DNI", "dni", spanish),
    ("fi-identity-code", "henkilotunnus", "hetu", finnish),
    ("fr-nir", "numero de securite sociale NIR", "nir", french),
    ("iban", "IBAN", "iban", iban),
    ("in-aadhaar", "Aadhaar", "aadhaar", aadhaar),
    ("ip-address", "IP address", "client_ip", address),
    (
        "it-fiscal-code",
        "codice fiscale",
        "codice_fiscale",
        italian,
    ),
    ("jwt", "session", "session", |r| {
        format!(
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{}.{}",
            text(r, MIXED, 40),
            text(r, MIXED, 43)
        )
    }),
    ("mac-address", "MAC address", "mac", |r| {
        (0..6)
            .map(|_| format!("{:02x}", number(r, 1, 255)))
            .collect::<Vec<_>>()
            .join([":", "-"].choose(r).unwrap_or(&":"))
    }),
    ("nl-bsn", "BSN", "bsn", |r| {
        weighted(r, 8, &[9, 8, 7, 6, 5, 4, 3, 2, -1], 11)
    }),
    (
        "no-birth-number",
        "fodselsnummer",
        "fodselsnummer",
        norwegian,
    ),
    ("password", "password", "password", |r| {
        format!("{}{}!", text(r, LOWER, 7), digits(r, 2))
    }),
    ("phone", "phone number", "phone", |r| {
        format!(
            "+{} {} {}",
            ["44 20", "49 30", "33 1", "1 212"]
                .choose(r)
                .unwrap_or(&"1 212"),
            number(r, 200, 999),
            digits(r, 4)
        )
    }),
    ("pl-pesel", "PESEL", "pesel", pesel),
    ("plate", "licence plate", "license_plate", |r| {
        format!("{} {}", text(r, "ABCDEFGHJKLMNPRSTUVWXYZ", 3), digits(r, 4))
    }),
    ("private-key", "deploy key", "deploy_key", |r| {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            text(r, MIXED, 64)
        )
    }),
    (
        "se-personal-number",
        "personnummer",
        "personnummer",
        swedish,
    ),
    ("secret", "client secret", "client_secret", |r| {
        text(r, MIXED, 32)
    }),
    ("token", "access", "github", |r| {
        format!("ghp_{}", text(r, MIXED, 36))
    }),
    ("uk-nhs", "NHS number", "nhs_number", |r| {
        spaced(&nhs(r), &[3, 3, 4], " ", r)
    }),
    ("uk-nino", "national insurance number", "nino", |r| {
        format!(
            "{}{}{}",
            text(r, "ABCEHJLMPRSW", 2).replace("BG", "AB"),
            digits(r, 6),
            text(r, "ABCD", 1)
        )
    }),
    ("url-credentials", "database", "database_url", |r| {
        format!("{}:{}", text(r, LOWER, 6), text(r, MIXED, 12))
    }),
    ("us-itin", "ITIN", "itin", |r| {
        format!("9{}-{}-{}", digits(r, 2), number(r, 70, 88), digits(r, 4))
    }),
    ("us-ssn", "social security number", "ssn", |r| {
        format!(
            "{:03}-{:02}-{:04}",
            number(r, 1, 665),
            number(r, 1, 99),
            number(r, 1, 9999)
        )
    }),
];

/// Addresses that were published with the standards, and the first ones of the chain.
const CRYPTO: &[&str] = &[
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "12c6DSiU4Rq3P4ZxziKxzrL5LmMBrzjrJX",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
];

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// As many values of each kind as `wanted` says, and look-alikes.
pub fn cases(wanted: impl Fn(&str) -> usize) -> Vec<Case> {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut cases = Vec::new();
    for (kind, words, field, make) in MAKERS {
        for number in 0..wanted(kind) {
            let value = make(&mut random);
            cases.push(case(kind, words, field, &value, number));
        }
    }
    for make in LOOK_ALIKE_MAKERS {
        for _ in 0..LOOK_ALIKES {
            let (name, text) = make(&mut random);
            cases.push(Case {
                name: name.to_owned(),
                text,
                truth: Vec::new(),
            });
        }
    }
    cases
}

/// A value by itself under its field's name, or in a sentence.
fn case(kind: &str, words: &str, field: &str, value: &str, number: usize) -> Case {
    let sentences = [
        ("", ""),
        ("My {} is ", ""),
        ("{}: ", "\nThank you"),
        ("Please change the {} to ", " today, it is urgent."),
    ];
    // What only a field's name tells has no sentence, and a URL's credentials have no field.
    let (before, after) = match kind {
        "plate" | "secret" => sentences[0],
        "password" => [sentences[0], sentences[2]][number % 2],
        "url-credentials" => ("connect to postgres://", "@db.internal:5432/shop"),
        _ => sentences[number % sentences.len()],
    };
    let before = before.replace("{}", words);
    let name = if before.is_empty() { field } else { "" };
    let (start, end) = (before.len(), before.len() + value.len());
    let truth = vec![Span {
        start,
        end,
        kind: kind.to_owned(),
    }];
    Case {
        name: name.to_owned(),
        text: format!("{before}{value}{after}"),
        truth,
    }
}

/// Draws a field's name and a text.
type LookAlike = fn(&mut StdRng) -> (&'static str, String);

/// What traffic is full of and nobody's.
const LOOK_ALIKE_MAKERS: &[LookAlike] = &[
    |r| ("order_id", digits(r, 11)),
    |r| {
        (
            "",
            format!(
                "Order {} has shipped, parcel {}",
                digits(r, 9),
                digits(r, 12)
            ),
        )
    },
    |r| ("created_at", format!("17{}", digits(r, 11))),
    |r| ("trace_id", text(r, "0123456789abcdef", 32)),
    |r| {
        (
            "id",
            format!(
                "{}-{}-4{}-a{}-{}",
                text(r, "0123456789abcdef", 8),
                digits(r, 4),
                digits(r, 3),
                digits(r, 3),
                digits(r, 12)
            ),
        )
    },
    |r| ("sku", format!("SKU-{}-{}", digits(r, 6), digits(r, 3))),
    |r| ("price", format!("{}.{}", number(r, 1, 9999), digits(r, 2))),
    |r| {
        (
            "version",
            format!(
                "{}.{}.{}.{}",
                number(r, 0, 20),
                number(r, 0, 20),
                number(r, 0, 99),
                number(r, 0, 99)
            ),
        )
    },
    |r| {
        (
            "updated_at",
            format!(
                "20{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                number(r, 10, 26),
                number(r, 1, 12),
                number(r, 1, 28),
                number(r, 0, 23),
                number(r, 0, 59),
                number(r, 0, 59)
            ),
        )
    },
    // A card number with a digit mistaken.
    |r| {
        let mut card = luhn(r, "4", 15);
        let last = card.pop().and_then(|digit| digit.to_digit(10)).unwrap_or(0);
        ("number", format!("{card}{}", (last + 1) % 10))
    },
];
