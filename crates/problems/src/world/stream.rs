//! Named random streams: every random choice has an address, so none depends on any other.
//!
//! A stream is a 32-byte key, the blake3 hash of its path (`root(7) / "problems" / … / 41`). Its draws come from
//! a counter-based generator (Philox 4×64, ten rounds: Salmon et al. 2011) under that key. Nothing here depends on
//! the platform, on the number of threads or on how many draws another stream has made.

/// A node in the tree of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u8; 32],
}

impl Stream {
    /// The stream at the top of a run.
    ///
    /// ```
    /// use tercet_problems::stream::Stream;
    /// let problem = Stream::root(7).fork("problems").index(41);
    /// assert_eq!(problem.draws().below(1000), problem.draws().below(1000));
    /// ```
    pub fn root(seed: u64) -> Self {
        Self { key: blake3::derive_key("tercet named streams, version 1", &seed.to_le_bytes()) }
    }

    /// The child with that name.
    #[must_use]
    pub fn fork(&self, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"n");
        hasher.update(name.as_bytes());
        Self { key: *hasher.finalize().as_bytes() }
    }

    /// The child with that number.
    #[must_use]
    pub fn index(&self, i: u64) -> Self {
        let mut message = [b'i'; 9];
        message[1..].copy_from_slice(&i.to_le_bytes());
        Self { key: *blake3::keyed_hash(&self.key, &message).as_bytes() }
    }

    /// The key: 32 bytes that name the stream.
    pub fn key(&self) -> [u8; 32] {
        self.key
    }

    /// The stream's draws, from the first one on.
    pub fn draws(&self) -> Draws {
        let word = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.key[8 * i..8 * i + 8]);
            u64::from_le_bytes(bytes)
        };
        Draws { key: [word(0), word(1)], counter: [0, 0, word(2), word(3)], block: [0; 4], used: 4 }
    }
}

/// A sequence of random draws.
#[derive(Debug, Clone)]
pub struct Draws {
    key: [u64; 2],
    counter: [u64; 4],
    block: [u64; 4],
    used: usize,
}

impl Draws {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number below `n`, each equally likely. `n = 0` gives 0.
    pub fn below(&mut self, n: usize) -> usize {
        // Lemire's multiplication, with the rejection that makes it exact.
        let n = n as u64;
        let mut product = u128::from(self.bits()) * u128::from(n);
        if (product as u64) < n {
            let threshold = n.wrapping_neg().checked_rem(n).unwrap_or(0);
            while (product as u64) < threshold {
                product = u128::from(self.bits()) * u128::from(n);
            }
        }
        (product >> 64) as usize
    }

    /// A number from `lo` to `hi`, both included; `lo` if the range is empty.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        if hi <= lo { lo } else { lo + self.below((hi - lo) as usize + 1) as i64 }
    }

    /// A number in [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of the items, each equally likely; `None` if there are none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    /// Puts the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// An index, each as likely as its weight; `None` unless the weights are finite, not negative and not all 0.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) {
            return None;
        }
        let total: f64 = weights.iter().sum();
        let mut left = self.unit() * total;
        let mut last = None;
        for (i, &w) in weights.iter().enumerate() {
            if w > 0.0 {
                last = Some(i);
                if left < w {
                    break;
                }
                left -= w;
            }
        }
        last
    }
}

/// Philox 4×64 with ten rounds.
fn philox(mut c: [u64; 4], mut key: [u64; 2]) -> [u64; 4] {
    for _ in 0..10 {
        let p0 = u128::from(c[0]) * 0xD2E7_470E_E14C_6C93;
        let p1 = u128::from(c[2]) * 0xCA5A_8263_9512_1157;
        c = [(p1 >> 64) as u64 ^ c[1] ^ key[0], p1 as u64, (p0 >> 64) as u64 ^ c[3] ^ key[1], p0 as u64];
        key = [key[0].wrapping_add(0x9E37_79B9_7F4A_7C15), key[1].wrapping_add(0xBB67_AE85_84CA_A73B)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_agrees_with_its_published_vectors() {
        // Known answers of Random123: counter and key all zero, and all ones.
        let zero = philox([0; 4], [0; 2]);
        assert_eq!(zero, [0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b]);
        let ones = philox([u64::MAX; 4], [u64::MAX; 2]);
        assert_eq!(ones, [0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0]);
    }

    #[test]
    fn streams_are_named_and_do_not_meet() {
        let root = Stream::root(0);
        let keys = [
            root,
            root.fork("a"),
            root.fork("b"),
            root.index(0),
            root.index(1),
            Stream::root(1),
            root.fork("a").fork("b"),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[..i] {
                assert_ne!(a.key(), b.key());
            }
        }
        assert_eq!(root.fork("a").key(), Stream::root(0).fork("a").key());
    }

    #[test]
    fn draws_are_within_bounds_and_even() {
        let mut draws = Stream::root(3).draws();
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[draws.below(7)] += 1;
        }
        assert!(counts.iter().all(|&n| (9_500..10_500).contains(&n)), "{counts:?}");
        assert!((0..1000).all(|_| (-3..=4).contains(&draws.range(-3, 4))));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&draws.unit())));
        assert_eq!(draws.weighted(&[0.0, 2.0, 0.0]), Some(1));
        assert_eq!(draws.weighted(&[0.0, 0.0]), None);
        assert_eq!(draws.weighted(&[1.0, f64::NAN]), None);
        assert_eq!(draws.choose::<u8>(&[]), None);
        let mut items: Vec<u32> = (0..50).collect();
        draws.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
