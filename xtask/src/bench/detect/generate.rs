//! Values of kinds that the corpus has few of, and look-alikes; drawn with a fixed seed.
//!
//! Check digits are computed here from each number's own rule, and not by the
//! detectors that are measured.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

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

fn number(random: &mut StdRng, least: u32, most: u32) -> u32 {
    random.random_range(least..=most)
}

fn text(random: &mut StdRng, alphabet: &str, length: usize) -> String {
    (0..length)
        .filter_map(|_| alphabet.as_bytes().choose(random))
        .map(|&byte| char::from(byte))
        .collect()
}

fn digits(random: &mut StdRng, length: usize) -> String {
    text(random, "0123456789", length)
}

fn values(digits: &str) -> impl DoubleEndedIterator<Item = i64> {
    digits.bytes().map(|digit| i64::from(digit - b'0'))
}

fn sum(digits: &str, weights: &[i64]) -> i64 {
    values(digits)
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

/// With or without what stands between groups.
fn spaced(digits: &str, groups: &[usize], mark: &str, random: &mut StdRng) -> String {
    if random.random() {
        return digits.to_owned();
    }
    let mut rest = digits;
    let mut parts = Vec::new();
    for &group in groups {
        let (head, tail) = rest.split_at(group);
        parts.push(head);
        rest = tail;
    }
    parts.join(mark)
}

/// Draws until one last digit makes the weighted sum a multiple.
fn weighted(random: &mut StdRng, length: usize, weights: &[i64], modulus: i64) -> String {
    loop {
        let head = digits(random, length);
        for check in 0..10 {
            let all = format!("{head}{check}");
            if sum(&all, weights) % modulus == 0 && !all.starts_with('0') {
                return all;
            }
        }
    }
}

fn luhn(random: &mut StdRng, head: &str, length: usize) -> String {
    let all = format!("{head}{}", digits(random, length - head.len()));
    format!("{all}{}", luhn_check(&all))
}

fn luhn_check(digits: &str) -> i64 {
    let doubled = values(digits)
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit * 2 / 10 + digit * 2 % 10,
            _ => digit,
        });
    (10 - doubled.sum::<i64>() % 10) % 10
}

fn nhs(random: &mut StdRng) -> String {
    weighted(random, 9, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 11)
}

fn routing(random: &mut StdRng) -> String {
    let head = format!("{:02}{}", number(random, 1, 12), digits(random, 6));
    let rest = sum(&head, &[3, 7, 1, 3, 7, 1, 3, 7]) % 10;
    format!("{head}{}", (10 - rest) % 10)
}

fn born(random: &mut StdRng) -> (u32, u32, u32) {
    (
        number(random, 40, 99),
        number(random, 1, 12),
        number(random, 1, 28),
    )
}

fn belgian(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let serial = number(random, 1, 997);
    let check = 97 - (year * 10_000_000 + month * 100_000 + day * 1000 + serial) % 97;
    format!("{year:02}.{month:02}.{day:02}-{serial:03}.{check:02}")
}

fn cpf(random: &mut StdRng) -> String {
    let mut all = digits(random, 9);
    for start in [10, 11] {
        let weights: Vec<_> = (2..=start).rev().collect();
        let rest = sum(&all, &weights) % 11;
        all += &(if rest < 2 { 0 } else { 11 - rest }).to_string();
    }
    match random.random() {
        true => all,
        false => format!("{}.{}.{}-{}", &all[..3], &all[3..6], &all[6..9], &all[9..]),
    }
}

fn ahv(random: &mut StdRng) -> String {
    let head = format!("756{}", digits(random, 9));
    let check = (10 - sum(&head, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10) % 10;
    format!(
        "756.{}.{}.{}{check}",
        &head[3..7],
        &head[7..11],
        &head[11..]
    )
}

/// Ten digits of which one is there twice, and one is missing.
fn german(random: &mut StdRng) -> String {
    let mut pool: Vec<i64> = (0..10).collect();
    let missing = random.random_range(0..10);
    let doubled = (missing + random.random_range(1..10)) % 10;
    pool[missing] = doubled as i64;
    loop {
        rand::seq::SliceRandom::shuffle(pool.as_mut_slice(), random);
        let is_apart = pool.windows(2).all(|pair| pair[0] != pair[1]);
        if pool[0] != 0 && is_apart {
            break;
        }
    }
    let product = pool.iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    let head: String = pool.iter().map(i64::to_string).collect();
    format!("{head}{}", if product == 1 { 0 } else { 11 - product })
}

fn spanish(random: &mut StdRng) -> String {
    let letter = |number: u32| char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[number as usize % 23]);
    let number = number(random, 1_000_000, 9_999_999);
    match random.random_range(0..3) {
        0 => format!("X{number:07}{}", letter(number)),
        1 => format!("Y{number:07}{}", letter(10_000_000 + number)),
        _ => format!("{:08}{}", number * 7, letter(number * 7)),
    }
}

fn finnish(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let serial = number(random, 2, 899);
    let rest = (day * 10_000_000 + month * 100_000 + year * 1000 + serial) % 31;
    let check = char::from(b"0123456789ABCDEFHJKLMNPRSTUVWXY"[rest as usize]);
    format!("{day:02}{month:02}{year:02}-{serial:03}{check}")
}

fn french(random: &mut StdRng) -> String {
    let (year, month, _) = born(random);
    let head = format!(
        "{}{year:02}{month:02}{:02}{}",
        number(random, 1, 2),
        number(random, 21, 95),
        digits(random, 6)
    );
    let check = 97 - head.parse::<u64>().unwrap_or(0) % 97;
    format!("{head}{check:02}")
}

fn iban(random: &mut StdRng) -> String {
    let (country, account) = match random.random() {
        true => ("DE", digits(random, 18)),
        false => (
            "GB",
            format!(
                "{}{}",
                text(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 4),
                digits(random, 14)
            ),
        ),
    };
    let rest = format!("{account}{country}00")
        .chars()
        .filter_map(|c| c.to_digit(36))
        .fold(0, |rest, value| {
            (rest * if value < 10 { 10 } else { 100 } + value) % 97
        });
    format!("{country}{:02}{account}", 98 - rest)
}

/// By the tables of the dihedral group of order ten.
fn aadhaar(random: &mut StdRng) -> String {
    const PRODUCT: [&str; 10] = [
        "0123456789",
        "1234067895",
        "2340178956",
        "3401289567",
        "4012395678",
        "5987604321",
        "6598710432",
        "7659821043",
        "8765932104",
        "9876543210",
    ];
    const PLACES: [&str; 8] = [
        "0123456789",
        "1576283094",
        "5803796142",
        "8916043527",
        "9453126870",
        "4286573901",
        "2793806415",
        "7046913258",
    ];
    let at = |row: &str, place: usize| usize::from(row.as_bytes()[place] - b'0');
    let head = format!("{}{}", number(random, 2, 9), digits(random, 10));
    let is_sound = |all: &str| {
        values(all)
            .rev()
            .enumerate()
            .fold(0, |check, (place, digit)| {
                at(PRODUCT[check], at(PLACES[place % 8], digit as usize))
            })
            == 0
    };
    let all = (0..10)
        .map(|check| format!("{head}{check}"))
        .find(|all| is_sound(all))
        .unwrap_or_default();
    spaced(&all, &[4, 4, 4], " ", random)
}

fn address(random: &mut StdRng) -> String {
    match random.random() {
        true => format!(
            "{}.{}.{}.{}",
            number(random, 11, 200),
            number(random, 20, 255),
            number(random, 0, 255),
            number(random, 1, 254)
        ),
        false => format!(
            "2001:db8:{}::{}",
            text(random, "123456789abcdef", 4),
            text(random, "123456789abcdef", 3)
        ),
    }
}

fn italian(random: &mut StdRng) -> String {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let consonants = "BCDFGLMNPRSTVZ";
    let head = format!(
        "{}{:02}{}{:02}{}{}",
        text(random, consonants, 6),
        number(random, 40, 99),
        text(random, "ABCDEHLMPRST", 1),
        number(random, 1, 28),
        text(random, "ABCDEFGHIL", 1),
        number(random, 100, 999)
    );
    let total: u32 = head
        .bytes()
        .enumerate()
        .map(|(place, byte)| {
            let value = u32::from(if byte.is_ascii_digit() {
                byte - b'0'
            } else {
                byte - b'A'
            });
            if place % 2 == 0 {
                ODD[value as usize]
            } else {
                value
            }
        })
        .sum();
    format!("{head}{}", char::from(b'A' + (total % 26) as u8))
}

fn norwegian(random: &mut StdRng) -> String {
    loop {
        let (year, month, day) = born(random);
        let head = format!("{day:02}{month:02}{year:02}{}", digits(random, 3));
        let first = (11 - sum(&head, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
        let second =
            (11 - sum(&format!("{head}{first}"), &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        if first < 10 && second < 10 {
            return format!("{head}{first}{second}");
        }
    }
}

fn pesel(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let head = format!("{year:02}{month:02}{day:02}{}", digits(random, 4));
    let check = (10 - sum(&head, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    format!("{head}{check}")
}

fn swedish(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let head = format!("{year:02}{month:02}{day:02}{}", digits(random, 3));
    format!("{}-{}{}", &head[..6], &head[6..], luhn_check(&head))
}
