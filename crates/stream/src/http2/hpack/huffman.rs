//! The Huffman code of string literals (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: the lengths alone give it.

use super::Fault;

/// The length in bits of each octet's code.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The code, made for decoding.
struct Code {
    /// Octets in the order of their codes.
    symbols: [u8; 256],
    /// For each length the first code of it, at the top of 32 bits.
    first: [u32; LONGEST + 1],
    /// For each length one past the last code of it, at the top of 32 bits.
    limit: [u64; LONGEST + 1],
    /// For each length where its first code is in `symbols`.
    start: [u16; LONGEST + 1],
    /// By the first eight bits: octet and length of codes that are no longer; length 0 for others.
    short: [(u8, u8); 256],
}

static CODE: Code = make();

const fn make() -> Code {
    let mut code = Code {
        symbols: [0; 256],
        first: [0; LONGEST + 1],
        limit: [0; LONGEST + 1],
        start: [0; LONGEST + 1],
        short: [(0, 0); 256],
    };
    let mut next: u64 = 0;
    let mut count = 0;
    let mut length = SHORTEST;
    while length <= LONGEST {
        let step = 1 << (32 - length);
        code.first[length] = next as u32;
        code.start[length] = count as u16;
        let mut octet = 0;
        while octet < 256 {
            if LENGTHS[octet] as usize == length {
                code.symbols[count] = octet as u8;
                let mut prefix = (next >> 24) as usize;
                while length <= 8 && prefix < ((next + step) >> 24) as usize {
                    code.short[prefix] = (octet as u8, length as u8);
                    prefix += 1;
                }
                next += step;
                count += 1;
            }
            octet += 1;
        }
        code.limit[length] = next;
        length += 1;
    }
    code
}

/// The octet whose code is at the top of `bits`, with the code's length. None for the code that
/// means the end of a string.
fn symbol(bits: u32) -> Option<(u8, u32)> {
    let (octet, length) = CODE.short[(bits >> 24) as usize];
    if length > 0 {
        return Some((octet, u32::from(length)));
    }
    let length = (9..=LONGEST).find(|length| u64::from(bits) < CODE.limit[*length])?;
    let place = (bits - CODE.first[length]) >> (32 - length);
    let octet = CODE
        .symbols
        .get(usize::from(CODE.start[length]) + place as usize)?;
    Some((*octet, length as u32))
}

/// Appends the decoded octets to `out`.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut bits: u64 = 0;
    let mut count = 0;
    let window = |bits: u64, count: u32| match count {
        32.. => (bits >> (count - 32)) as u32,
        _ => (bits << (32 - count)) as u32,
    };
    for byte in input {
        bits = bits << 8 | u64::from(*byte);
        count += 8;
        while count >= SHORTEST as u32 {
            match symbol(window(bits, count)) {
                Some((octet, length)) if length <= count => {
                    out.push(octet);
                    count -= length;
                }
                // Below 30 bits it is still the padding, or a part of a longer code.
                None if count >= LONGEST as u32 => return Err(Fault::Huffman),
                _ => break,
            }
        }
    }
    // The padding is shorter than an octet, and the begin of the end's code: ones.
    let padding = (1 << count.min(8)) - 1;
    match count < 8 && bits & padding == padding {
        true => Ok(()),
        false => Err(Fault::Padding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: Result<&str, Fault>) {
        let mut out = Vec::new();
        let result = decode(input, &mut out);
        assert_eq!(
            result.map(|()| String::from_utf8_lossy(&out).into_owned()),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn strings_of_the_specification() {
        check(
            &[
                0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
            ],
            Ok("www.example.com"),
        );
        check(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], Ok("no-cache"));
        check(&[], Ok(""));
    }

    #[test]
    fn padding_is_of_ones_and_short() {
        // `0` is five zero bits.
        check(&[0b0000_0111], Ok("0"));
        check(&[0b0000_0110], Err(Fault::Padding));
        check(&[0b0000_0000], Err(Fault::Padding));
        check(&[0b0000_0111, 0xff], Err(Fault::Padding));
        check(&[0xff], Err(Fault::Padding));
        check(&[0xff, 0xff, 0xff, 0xff], Err(Fault::Huffman));
    }

    #[test]
    fn every_octet_comes_back() {
        let mut code = 0u64;
        let mut last = SHORTEST;
        for (length, octet) in (0..=255u8)
            .map(|octet| (usize::from(LENGTHS[usize::from(octet)]), octet))
            .collect::<std::collections::BTreeSet<_>>()
        {
            code <<= length - last;
            last = length;
            let filled = code << (32 - length) | ((1 << (32 - length)) - 1);
            let bytes = (filled as u32).to_be_bytes();
            let mut out = Vec::new();
            decode(&bytes[..length.div_ceil(8)], &mut out).expect("a code and its padding");
            assert_eq!(out, [octet]);
            code += 1;
        }
        assert_eq!(
            code,
            (1 << LONGEST) - 1,
            "the end's code is all that is left"
        );
    }
}
