//! The 64-bit hash that colour refinement mixes colours with.

/// Mixes 64 bits well (one step of splitmix64: Steele et al. 2014).
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The colour of an ordered pair of colours.
pub(crate) fn pair(a: u64, b: u64) -> u64 {
    mix(mix(a) ^ b.rotate_left(32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Structure hashes decide the splits, so these numbers may never change.
    #[test]
    fn colours_are_pinned() {
        // The first number of splitmix64 with seed 0, as published.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_ne!(pair(1, 2), pair(2, 1));
    }
}
