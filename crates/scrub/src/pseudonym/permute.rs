//! A keyed permutation of the numbers below any bound.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Maps `value < bound` to a number below `bound`, one to one for each `tweak`.
///
/// A generalised Feistel network over two factors of about the bound's square
/// root, walked until it lands below the bound (Black and Rogaway, "Ciphers with
/// Arbitrary Finite Domains", 2002).
pub(crate) fn permute(prf: &SipHasher13, tweak: u64, bound: u64, value: u64) -> u64 {
    debug_assert!(value < bound && bound <= MOST);
    if bound < 2 {
        return value;
    }
    let left_bound = (bound - 1).isqrt() + 1;
    let right_bound = bound.div_ceil(left_bound);
    let mut prf = *prf;
    prf.write_u64(tweak);
    prf.write_u64(bound);
    let mut walked = value;
    loop {
        walked = rounds(&prf, left_bound, right_bound, walked);
        if walked < bound {
            return walked;
        }
    }
}

/// The largest bound: sums in it stay below 2^64.
pub(crate) const MOST: u64 = 1 << 62;

const PAIRS_OF_ROUNDS: u64 = 5;

fn rounds(prf: &SipHasher13, left_bound: u64, right_bound: u64, value: u64) -> u64 {
    let mut left = value / right_bound;
    let mut right = value % right_bound;
    let round = |round: u64, half: u64| {
        let mut prf = *prf;
        prf.write_u64(half << 4 | round);
        prf.finish()
    };
    for pair in 0..PAIRS_OF_ROUNDS {
        left = (left + round(2 * pair, right) % left_bound) % left_bound;
        right = (right + round(2 * pair + 1, left) % right_bound) % right_bound;
    }
    left * right_bound + right
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_one_to_one() {
        let prf = SipHasher13::new_with_key(&[7; 16]);
        for bound in [1, 2, 3, 10, 26, 100, 676, 1000, 17_576] {
            let images: BTreeSet<u64> = (0..bound)
                .map(|value| permute(&prf, 1, bound, value))
                .collect();
            assert_eq!(images.len() as u64, bound);
            assert!(images.iter().all(|&image| image < bound));
        }
    }

    #[test]
    fn large_bounds_stay_inside() {
        let prf = SipHasher13::new_with_key(&[7; 16]);
        for value in [0, 1, MOST / 2, MOST - 1] {
            assert!(permute(&prf, 1, MOST, value) < MOST);
        }
    }

    #[test]
    fn the_tweak_changes_it() {
        let prf = SipHasher13::new_with_key(&[7; 16]);
        let images = |tweak| -> Vec<u64> {
            (0..1000)
                .map(|value| permute(&prf, tweak, 1000, value))
                .collect()
        };
        assert_ne!(images(1), images(2));
    }
}
