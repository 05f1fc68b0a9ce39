//! Token sequences without padding.

/// Token sequences laid end to end, without padding. Attention never crosses a sequence boundary and
/// positions restart at it. Example: two sequences `[5, 6, 7]` and `[8, 9]` are
/// `tokens_T = [5, 6, 7, 8, 9]`, `starts_S = [0, 3, 5]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All tokens.
    pub tokens_T: Vec<u32>,
    /// Where each sequence starts, and the total length as the last entry.
    pub starts_S: Vec<u32>,
}

impl Batch {
    /// Appends one sequence.
    pub fn push(&mut self, tokens: &[u32]) {
        if self.starts_S.is_empty() {
            self.starts_S.push(0);
        }
        self.tokens_T.extend_from_slice(tokens);
        self.starts_S.push(self.tokens_T.len() as u32);
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens_T.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens_T.is_empty()
    }

    /// The token ranges of the sequences.
    pub fn sequences(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts_S.windows(2).map(|w| w[0] as usize..w[1] as usize)
    }
}
