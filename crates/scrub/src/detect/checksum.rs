//! Sums that tell a number from a look-alike.

use sha2::{Digest, Sha256};

/// Luhn (ISO/IEC 7812-1, annex B), over digits as values.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let digit = u32::from(digit);
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Verhoeff's scheme over the dihedral group of ten elements.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    /// How the first place permutes; the others repeat it.
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut check = 0;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let permuted = (0..place % 8).fold(digit, |digit, _| PERMUTATION[usize::from(digit)]);
        check = dihedral(check, permuted);
    }
    check == 0
}

/// The product of two elements of the dihedral group: five turns, and five mirrored ones.
fn dihedral(left: u8, right: u8) -> u8 {
    match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => (left + right - 5) % 5 + 5,
        (false, true) => (left + 5 - right) % 5 + 5,
        (false, false) => (left + 5 - right) % 5,
    }
}

/// The weighted sum of digits; weights beyond the digits count for nothing.
pub(super) fn weighted(digits: &[u8], weights: &[i32]) -> i32 {
    digits
        .iter()
        .zip(weights)
        .map(|(&digit, weight)| i32::from(digit) * weight)
        .sum()
}

/// The number that digits spell. Callers give at most 18.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value, &digit| value * 10 + u64::from(digit))
}

/// ISO/IEC 7064, MOD 11,10: all digits, the last being the check.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((&check, digits)) = digits.split_last() else {
        return false;
    };
    let product = digits.iter().fold(10, |product, &digit| {
        let sum = match (product + u32::from(digit)) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(check)
}

/// ISO/IEC 7064, MOD 97-10, as IBANs have it: letters count as 10 to 35, and the first four
/// characters go last.
pub(super) fn iban(characters: &[u8]) -> bool {
    let (head, tail) = characters.split_at(characters.len().min(4));
    let rest = tail
        .iter()
        .chain(head)
        .fold(0, |rest, &character| match character {
            b'0'..=b'9' => (rest * 10 + u32::from(character - b'0')) % 97,
            _ => (rest * 100 + u32::from(character.to_ascii_uppercase() - b'A') + 10) % 97,
        });
    rest == 1
}

/// Base58Check: 21 bytes and the first four of their double SHA-256.
pub(super) fn base58(text: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0_u8; 25];
    for character in text {
        let Some(digit) = ALPHABET.iter().position(|known| known == character) else {
            return false;
        };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (payload, check) = bytes.split_at(21);
    Sha256::digest(Sha256::digest(payload))[..4] == *check
}

/// Bech32 (BIP 173) and Bech32m (BIP 350): prefix, `1`, data with six check characters.
pub(super) fn bech32(text: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let Some(mark) = text.iter().rposition(|&byte| byte == b'1') else {
        return false;
    };
    let (prefix, data) = (&text[..mark], &text[mark + 1..]);
    let mut sum = 1;
    for &byte in prefix {
        sum = bech32_step(sum, u32::from(byte.to_ascii_lowercase() >> 5));
    }
    sum = bech32_step(sum, 0);
    for &byte in prefix {
        sum = bech32_step(sum, u32::from(byte.to_ascii_lowercase() & 31));
    }
    for byte in data {
        let byte = byte.to_ascii_lowercase();
        let Some(digit) = ALPHABET.iter().position(|&known| known == byte) else {
            return false;
        };
        sum = bech32_step(sum, digit as u32);
    }
    data.len() >= 6 && (sum == 1 || sum == 0x2bc8_30a3)
}

fn bech32_step(sum: u32, digit: u32) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let top = sum >> 25;
    let next = ((sum & 0x1ff_ffff) << 5) ^ digit;
    GENERATOR
        .iter()
        .enumerate()
        .fold(next, |next, (bit, generator)| {
            if top >> bit & 1 == 1 {
                next ^ generator
            } else {
                next
            }
        })
}
