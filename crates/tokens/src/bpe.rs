//! Learning the merges.
//!
//! The most frequent neighbouring pair becomes a token until the vocabulary is full or no pair occurs
//! twice. Ties go to the smaller pair of ids, counts are 64-bit and every collection is ordered, so the
//! result is a function of the word counts alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// Two neighbouring tokens.
pub(crate) type Pair = (u32, u32);

/// What training found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merges {
    /// The pairs in the order in which they are applied.
    pub pairs: Vec<Pair>,
    /// The bytes of each new token; their ids follow the given ones.
    pub tokens: Vec<Vec<u8>>,
}

/// Learns merges from how often each word occurs. `bytes_of` holds the bytes of the tokens that exist
/// already, `byte_id` the id of each single byte; the vocabulary grows to at most `vocabulary` tokens.
pub(crate) fn learn(
    words: &BTreeMap<Vec<u8>, u64>,
    byte_id: &[u32; 256],
    bytes_of: &[Vec<u8>],
    vocabulary: usize,
) -> Merges {
    let mut learner = Learner::new(words, byte_id, bytes_of);
    let given = bytes_of.len();
    // Each turn adds a merge, or drops an outdated entry of the queue; both are finite.
    while let Some(entry) = learner.queue.pop() {
        let pair = entry.pair.0;
        let count = learner.pairs.get(&pair).map_or(0, |p| p.count);
        if entry.count != count || count < 2 {
            continue;
        }
        if !entry.known && learner.bytes_of.len() >= vocabulary {
            break;
        }
        learner.apply(pair);
    }
    Merges { pairs: learner.merges, tokens: learner.bytes_of.split_off(given) }
}

/// A pair waiting to be merged; entries whose count is out of date are skipped.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    /// A pair that is merged already occurs again (its second token arose in another way): the encoder
    /// would join it first, so do we.
    known: bool,
    count: u64,
    pair: Reverse<Pair>,
}

#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Words it may be in.
    words: BTreeSet<usize>,
}

struct Learner {
    /// Token ids of each word, and how often the word occurs.
    words: Vec<(Vec<u32>, u64)>,
    pairs: BTreeMap<Pair, Occurrences>,
    queue: BinaryHeap<Waiting>,
    merges: Vec<Pair>,
    merged: BTreeMap<Pair, u32>,
    bytes_of: Vec<Vec<u8>>,
    id_of: BTreeMap<Vec<u8>, u32>,
}

impl Learner {
    fn new(words: &BTreeMap<Vec<u8>, u64>, byte_id: &[u32; 256], bytes_of: &[Vec<u8>]) -> Self {
        let mut learner = Learner {
            words: words
                .iter()
                .map(|(word, &n)| (word.iter().map(|&b| byte_id[b as usize]).collect(), n))
                .collect(),
            pairs: BTreeMap::new(),
            queue: BinaryHeap::new(),
            merges: Vec::new(),
            merged: BTreeMap::new(),
            bytes_of: bytes_of.to_vec(),
            // Only single bytes can arise by merging among the given tokens, and they do not.
            id_of: BTreeMap::new(),
        };
        let mut changed = BTreeSet::new();
        for at in 0..learner.words.len() {
            learner.count(at, true, &mut changed);
        }
        learner.enqueue(&changed);
        learner
    }

    /// Adds or takes away the pairs of a word.
    fn count(&mut self, at: usize, add: bool, changed: &mut BTreeSet<Pair>) {
        let (tokens, n) = &self.words[at];
        for pair in tokens.windows(2).map(|w| (w[0], w[1])) {
            let occurrences = self.pairs.entry(pair).or_default();
            if add {
                occurrences.count += n;
                occurrences.words.insert(at);
            } else {
                occurrences.count -= n;
            }
            changed.insert(pair);
        }
    }

    fn enqueue(&mut self, changed: &BTreeSet<Pair>) {
        for &pair in changed {
            let count = self.pairs.get(&pair).map_or(0, |p| p.count);
            if count == 0 {
                self.pairs.remove(&pair);
            } else {
                self.queue.push(Waiting {
                    known: self.merged.contains_key(&pair),
                    count,
                    pair: Reverse(pair),
                });
            }
        }
    }

    fn token_of(&mut self, pair: Pair) -> u32 {
        if let Some(&id) = self.merged.get(&pair) {
            return id;
        }
        let mut bytes = self.bytes_of[pair.0 as usize].clone();
        bytes.extend_from_slice(&self.bytes_of[pair.1 as usize]);
        let id = *self.id_of.entry(bytes.clone()).or_insert(self.bytes_of.len() as u32);
        if id as usize == self.bytes_of.len() {
            self.bytes_of.push(bytes);
        }
        self.merged.insert(pair, id);
        self.merges.push(pair);
        id
    }

    /// Joins the pair wherever it occurs, from left to right.
    fn apply(&mut self, pair: Pair) {
        let id = self.token_of(pair);
        let words = self.pairs.get(&pair).map(|p| p.words.clone()).unwrap_or_default();
        let mut changed = BTreeSet::new();
        for at in words {
            self.count(at, false, &mut changed);
            join(&mut self.words[at].0, pair, id);
            self.count(at, true, &mut changed);
        }
        self.enqueue(&changed);
    }
}

/// Replaces each occurrence of the pair by the token, from left to right.
fn join(tokens: &mut Vec<u32>, pair: Pair, id: u32) {
    let mut kept = 0;
    let mut at = 0;
    while at < tokens.len() {
        if at + 1 < tokens.len() && (tokens[at], tokens[at + 1]) == pair {
            tokens[kept] = id;
            at += 2;
        } else {
            tokens[kept] = tokens[at];
            at += 1;
        }
        kept += 1;
    }
    tokens.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[(&str, u64)], vocabulary: usize) -> Vec<String> {
        let words = words.iter().map(|(w, n)| (w.as_bytes().to_vec(), *n)).collect();
        let bytes_of: Vec<Vec<u8>> = (0..=255u8).map(|b| vec![b]).collect();
        let byte_id = std::array::from_fn(|i| i as u32);
        let merges = learn(&words, &byte_id, &bytes_of, vocabulary);
        merges.tokens.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect()
    }

    #[test]
    fn the_most_frequent_pair_comes_first_and_ties_go_to_the_smaller() {
        assert_eq!(check(&[("low", 5), ("lower", 2)], 300), ["lo", "low", "er", "lower"]);
        assert_eq!(check(&[("ab", 3), ("cd", 3)], 300), ["ab", "cd"]);
    }

    #[test]
    fn it_stops_at_the_vocabulary_and_never_merges_what_occurs_once() {
        assert_eq!(check(&[("low", 5), ("lower", 2)], 257), ["lo"]);
        assert_eq!(check(&[("once", 1)], 300), Vec::<String>::new());
    }

    #[test]
    fn counts_beyond_32_bits_stay_the_most_frequent() {
        assert_eq!(check(&[("the", 3 << 32), ("of", 9)], 300), ["he", "the", "of"]);
    }

    #[test]
    fn repeated_letters_are_joined_from_the_left() {
        let mut tokens = vec![1, 1, 1, 2, 1, 1];
        join(&mut tokens, (1, 1), 9);
        assert_eq!(tokens, [9, 1, 2, 9]);
    }
}
