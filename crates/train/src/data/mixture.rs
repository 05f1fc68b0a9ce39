//! Decides which cell the next problem comes from. Nothing is drawn at random, so the shares are exact.
//!
//! Every cell is owed its share of what was taken so far, and the cell that is owed most is next. At any time each cell
//! is within about one problem of its share.

use std::collections::BTreeMap;

use problems::Cell;
use serde::{Deserialize, Serialize};

use crate::recipe::ShareOf;

/// A stream of cells with given shares.
#[derive(Debug, Clone)]
pub struct Mixture {
    cells: Vec<Cell>,
    weights: Vec<f64>,
    share_of: ShareOf,
    counts: Vec<CellCount>,
}

/// How far a mixture is in one cell. Part of a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CellCount {
    /// Problems taken: the next one's number in the generator's stream.
    pub problems: u64,
    /// Tokens taken.
    pub tokens: u64,
    /// What the cell is owed, in tokens or problems.
    pub owed: f64,
}

impl Mixture {
    /// A mixture at its beginning.
    pub fn new(shares: &BTreeMap<Cell, f64>, share_of: ShareOf) -> Self {
        Self {
            cells: shares.keys().cloned().collect(),
            weights: shares.values().copied().collect(),
            share_of,
            counts: vec![CellCount::default(); shares.len()],
        }
    }

    /// The cells.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The share of each cell.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// How far each cell is.
    pub fn counts(&self) -> &[CellCount] {
        &self.counts
    }

    /// Goes to where another mixture of the same cells was. `false` if the cells are not as many.
    pub fn restore(&mut self, counts: &[CellCount]) -> bool {
        let fits = counts.len() == self.counts.len();
        if fits {
            self.counts = counts.to_vec();
        }
        fits
    }

    /// Changes the shares from here on (a curriculum does); they must sum to 1.
    pub fn reweigh(&mut self, weights: &[f64]) {
        debug_assert_eq!(weights.len(), self.weights.len());
        self.weights.copy_from_slice(weights);
    }

    /// The cell that is owed most; of equals, the heavier, then the first.
    pub fn next(&self) -> usize {
        let key = |i: usize| (self.counts[i].owed, self.weights[i]);
        (1..self.cells.len()).fold(0, |best, i| if key(i) > key(best) { i } else { best })
    }

    /// Takes a problem of `tokens` tokens from the `i`-th cell.
    pub fn take(&mut self, i: usize, tokens: usize) {
        let size = match self.share_of {
            ShareOf::Tokens => tokens as f64,
            ShareOf::Problems => 1.0,
        };
        for (count, weight) in self.counts.iter_mut().zip(&self.weights) {
            count.owed += weight * size;
        }
        let taken = &mut self.counts[i];
        taken.owed -= size;
        taken.problems += 1;
        taken.tokens += tokens as u64;
    }
}

#[cfg(test)]
mod tests {
    use problems::gold::Mode;

    use super::*;

    fn shares(weights: &[f64]) -> BTreeMap<Cell, f64> {
        let cell = |op| Cell { op, context: "terse".to_owned(), mode: Mode::Forward };
        weights.iter().enumerate().map(|(i, w)| (cell(i as u32 + 2), *w)).collect()
    }

    #[test]
    fn shares_are_exact_to_one_row_at_any_time() {
        let weights = [0.7, 0.2, 0.099, 0.001];
        let mut mixture = Mixture::new(&shares(&weights), ShareOf::Tokens);
        let (mut total, longest) = (0, 80);
        for step in 0..20_000_u64 {
            let i = mixture.next();
            // Longer problems in the later cells, and none of a round length.
            let tokens = 20 + 15 * i + (step % 16) as usize;
            mixture.take(i, tokens);
            total += tokens;
            for (count, weight) in mixture.counts().iter().zip(weights) {
                let off = count.tokens as f64 - weight * total as f64;
                assert!(off.abs() <= longest as f64, "cell off by {off} tokens at step {step}");
            }
        }
    }

    #[test]
    fn shares_of_problems_ignore_length() {
        let mut mixture = Mixture::new(&shares(&[0.75, 0.25]), ShareOf::Problems);
        for _ in 0..400 {
            let i = mixture.next();
            mixture.take(i, if i == 0 { 1 } else { 1000 });
        }
        let problems: Vec<u64> = mixture.counts().iter().map(|count| count.problems).collect();
        assert_eq!(problems, [300, 100]);
    }

    #[test]
    fn restored_mixtures_go_on_as_if_nothing_had_happened() {
        let mut one = Mixture::new(&shares(&[0.5, 0.3, 0.2]), ShareOf::Tokens);
        let run = |mixture: &mut Mixture, n: usize| -> Vec<usize> {
            let step = |i: usize, m: &mut Mixture| {
                let cell = m.next();
                m.take(cell, 30 + i % 7);
                cell
            };
            (0..n).map(|i| step(i, mixture)).collect()
        };
        run(&mut one, 50);
        let saved = serde_json::to_string(one.counts()).expect("counts are plain data");
        let mut two = Mixture::new(&shares(&[0.5, 0.3, 0.2]), ShareOf::Tokens);
        assert!(two.restore(&serde_json::from_str::<Vec<CellCount>>(&saved).expect("as written")));
        assert_eq!(run(&mut one, 300), run(&mut two, 300));
    }
}
