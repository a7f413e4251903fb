//! The values that the shop makes up itself: opaque, and too long to be equal by chance.
//!
//! Each kind has a shape of its own, as in services that grew over years, so that whoever
//! correlates them can't lean on one format.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's cookie value: 128 random bits in hexadecimal.
#[must_use]
pub fn session() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// A CSRF token: 256 random bits in URL-safe base64.
#[must_use]
pub fn csrf_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// An order's id: `ord_` and 128 random bits in hexadecimal.
#[must_use]
pub fn order() -> String {
    format!("ord_{}", hex(&rand::random::<[u8; 16]>()))
}

/// A random UUID (RFC 9562, version 4): accounts, cart items, reviews.
#[must_use]
pub fn uuid() -> String {
    uuid_of(rand::random())
}

/// The version 4 UUID that has the given bits, but for the six that are fixed.
#[must_use]
pub fn uuid_of(mut bits: [u8; 16]) -> String {
    bits[6] = bits[6] & 0x0f | 0x40;
    bits[8] = bits[8] & 0x3f | 0x80;
    let digits = hex(&bits);
    format!(
        "{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

/// The bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_version_and_variant() {
        assert_eq!(uuid_of([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid_of([0x00; 16]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn values_differ_each_time() {
        assert_ne!(session(), session());
        assert_ne!(csrf_token(), csrf_token());
        assert_ne!(order(), order());
    }
}
