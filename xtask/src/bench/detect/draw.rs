//! Numbers of persons and accounts, drawn and completed by the rules of each.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

pub fn number(random: &mut StdRng, least: u32, most: u32) -> u32 {
    random.random_range(least..=most)
}

pub fn text(random: &mut StdRng, alphabet: &str, length: usize) -> String {
    (0..length)
        .filter_map(|_| alphabet.as_bytes().choose(random))
        .map(|&byte| char::from(byte))
        .collect()
}

pub fn digits(random: &mut StdRng, length: usize) -> String {
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
pub fn spaced(digits: &str, groups: &[usize], mark: &str, random: &mut StdRng) -> String {
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
pub fn weighted(random: &mut StdRng, length: usize, weights: &[i64], modulus: i64) -> String {
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

pub fn luhn(random: &mut StdRng, head: &str, length: usize) -> String {
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

pub fn nhs(random: &mut StdRng) -> String {
    weighted(random, 9, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], 11)
}

pub fn routing(random: &mut StdRng) -> String {
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

pub fn belgian(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let serial = number(random, 1, 997);
    let check = 97 - (year * 10_000_000 + month * 100_000 + day * 1000 + serial) % 97;
    format!("{year:02}.{month:02}.{day:02}-{serial:03}.{check:02}")
}

pub fn cpf(random: &mut StdRng) -> String {
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

pub fn ahv(random: &mut StdRng) -> String {
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
pub fn german(random: &mut StdRng) -> String {
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

pub fn spanish(random: &mut StdRng) -> String {
    let letter = |number: u32| char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[number as usize % 23]);
    let number = number(random, 1_000_000, 9_999_999);
    match random.random_range(0..3) {
        0 => format!("X{number:07}{}", letter(number)),
        1 => format!("Y{number:07}{}", letter(10_000_000 + number)),
        _ => format!("{:08}{}", number * 7, letter(number * 7)),
    }
}

pub fn finnish(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let serial = number(random, 2, 899);
    let rest = (day * 10_000_000 + month * 100_000 + year * 1000 + serial) % 31;
    let check = char::from(b"0123456789ABCDEFHJKLMNPRSTUVWXY"[rest as usize]);
    format!("{day:02}{month:02}{year:02}-{serial:03}{check}")
}

pub fn french(random: &mut StdRng) -> String {
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

pub fn iban(random: &mut StdRng) -> String {
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
pub fn aadhaar(random: &mut StdRng) -> String {
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

pub fn address(random: &mut StdRng) -> String {
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

pub fn italian(random: &mut StdRng) -> String {
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

pub fn norwegian(random: &mut StdRng) -> String {
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

pub fn pesel(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let head = format!("{year:02}{month:02}{day:02}{}", digits(random, 4));
    let check = (10 - sum(&head, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    format!("{head}{check}")
}

pub fn swedish(random: &mut StdRng) -> String {
    let (year, month, day) = born(random);
    let head = format!("{year:02}{month:02}{day:02}{}", digits(random, 3));
    format!("{}-{}{}", &head[..6], &head[6..], luhn_check(&head))
}
