//! Which twin is fired at first.

use twintap_verdict::observation::Twin;

use super::control::TWINS;

/// Both twins, either first as often as the other. That one is always second must go
/// with nothing that repeats in the traffic, such as every other request being a
/// login, so it goes by a hash of the position (the finalizer of MurmurHash3).
pub(crate) fn in_turn(position: u32) -> [Twin; 2] {
    let [first, second] = TWINS;
    let mut hash = position ^ 0x7477_696e;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    if (hash ^ hash >> 16) & 1 == 0 {
        [first, second]
    } else {
        [second, first]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_repetition_in_the_traffic_makes_one_twin_the_second() {
        for stride in 1..=16u32 {
            for offset in 0..stride {
                let positions = (0..1000).map(|index| offset + index * stride);
                let first = positions.filter(|position| in_turn(*position)[0] == Twin::Candidate);
                let count = first.count();
                assert!(
                    (400..=600).contains(&count),
                    "{count} of 1000 at every {stride} from {offset}"
                );
            }
        }
    }
}
