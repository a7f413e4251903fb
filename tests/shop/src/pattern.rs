//! Bytes that look random, don't compress, and are the same for the same name.

/// Fills `out` with the bytes of the endless sequence `name` that start at `offset_bytes`.
///
/// This is what `GET /downloads/{name}` sends from offset 0.
pub fn pattern(name: &str, offset_bytes: u64, out: &mut [u8]) {
    // FNV-1a gives the name its own place in the generator's period.
    let key = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut word_index = offset_bytes / 8;
    let mut skip = (offset_bytes % 8) as usize;
    let mut rest = out;
    while !rest.is_empty() {
        let word = split_mix(key, word_index).to_le_bytes();
        let taken = rest.len().min(8 - skip);
        let (now, later) = rest.split_at_mut(taken);
        now.copy_from_slice(&word[skip..skip + taken]);
        rest = later;
        skip = 0;
        word_index += 1;
    }
}

/// Output `index` of Steele, Lea and Flood's SplitMix64 seeded with `key`.
pub(crate) fn split_mix(key: u64, index: u64) -> u64 {
    let mut z = key.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let mut whole = [0; 100];
        pattern("manual", 0, &mut whole);
        for cut in 0..whole.len() {
            let mut tail = vec![0; whole.len() - cut];
            pattern("manual", cut as u64, &mut tail);
            assert_eq!(tail, whole[cut..]);
        }
        let mut other = [0; 100];
        pattern("invoice", 0, &mut other);
        assert_ne!(whole, other);
    }
}
