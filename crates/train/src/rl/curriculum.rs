//! A curriculum at the edge of competence (paper, Section 6): prompts that the model fails at its first try and solves at
//! one of k. The paper gives the advice; the curriculum follows it and measures the model as it trains.

use serde::{Deserialize, Serialize};

/// Steers the share of each cell by how likely its success rate lies at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// The tries of "succeeds at pass@k".
    #[serde(default = "default_k")]
    pub k: u32,
    /// The edge begins where pass@k is at least this.
    #[serde(default = "half")]
    pub succeeds_from: f64,
    /// The edge ends where pass@1 is more than this.
    #[serde(default = "half")]
    pub fails_to: f64,
    /// The share a cell off the edge keeps, relative to one at it: without it no cell could come back.
    #[serde(default = "default_floor")]
    pub floor: f64,
    /// Responses of a cell that are remembered, about: older ones count half each time it is reached.
    #[serde(default = "default_window")]
    pub window: u64,
}

fn default_k() -> u32 {
    16
}
fn half() -> f64 {
    0.5
}
fn default_floor() -> f64 {
    0.05
}
fn default_window() -> u64 {
    256
}

/// What the curriculum remembers of a cell. Part of a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    /// Verified responses.
    #[serde(rename = "right")]
    pub verified: u64,
    /// All responses.
    pub all: u64,
}

impl Curriculum {
    /// Whether the numbers are possible.
    ///
    /// # Errors
    /// A sentence about the number that is impossible.
    pub fn check(&self) -> Result<(), String> {
        let shares = [self.succeeds_from, self.fails_to, self.floor];
        if self.k == 0 || self.window == 0 || shares.iter().any(|s| !(0.0..=1.0).contains(s)) {
            return Err("`k` and `window` must be at least 1, the rest between 0 and 1".to_owned());
        }
        if self.edge().0 >= self.edge().1 {
            return Err(format!(
                "no success rate reaches pass@{} of `succeeds_from` below `fails_to`",
                self.k
            ));
        }
        Ok(())
    }

    /// The success rates at the edge: from where pass@k reaches `succeeds_from` to `fails_to`.
    pub fn edge(&self) -> (f64, f64) {
        (1.0 - (1.0 - self.succeeds_from).powf(1.0 / f64::from(self.k)), self.fails_to)
    }

    /// Remembers the responses of one group.
    pub fn observe(&self, belief: &mut Belief, verified: u64, all: u64) {
        belief.verified += verified;
        belief.all += all;
        while belief.all > self.window {
            belief.verified /= 2;
            belief.all /= 2;
        }
    }

    /// The weight of each cell: its share in the recipe times the chance that it is at the edge.
    pub fn weights(&self, shares: &[f64], beliefs: &[Belief]) -> Vec<f64> {
        let raw = |(share, belief): (&f64, &Belief)| share * self.at_edge(*belief).max(self.floor);
        let weights: Vec<f64> = shares.iter().zip(beliefs).map(raw).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    /// The probability that the success rate lies at the edge, under a Beta posterior with a uniform prior.
    pub fn at_edge(&self, belief: Belief) -> f64 {
        const POINTS: u32 = 400;
        let (low, high) = self.edge();
        let (verified, failed) = (belief.verified as f64, (belief.all - belief.verified) as f64);
        // Logarithms relative to the mode, so that nothing underflows.
        let log_density = |p: f64| verified * p.ln() + failed * (1.0 - p).ln();
        let mode = ((verified + 0.5) / (verified + failed + 1.0)).clamp(1e-9, 1.0 - 1e-9);
        let (mut inside, mut all) = (0.0, 0.0);
        for i in 0..POINTS {
            let p = (f64::from(i) + 0.5) / f64::from(POINTS);
            let density = (log_density(p) - log_density(mode)).exp();
            all += density;
            if (low..=high).contains(&p) {
                inside += density;
            }
        }
        inside / all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use problems::{Cell, gold::Mode};

    use super::*;
    use crate::{data::Mixture, recipe::ShareOf};

    fn curriculum() -> Curriculum {
        Curriculum { k: 16, succeeds_from: 0.5, fails_to: 0.5, floor: 0.05, window: 256 }
    }

    #[test]
    fn the_edge_gets_the_prompts() {
        let (low, high) = curriculum().edge();
        assert!((low - 0.0424).abs() < 1e-3 && high == 0.5);
        // Mastered, at the edge, hopeless, never tried.
        let beliefs =
            [(250, 256), (40, 256), (0, 256), (0, 0)].map(|(verified, all)| Belief { verified, all });
        let weights = curriculum().weights(&[0.25; 4], &beliefs);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(weights[1] > 10.0 * weights[0] && weights[1] > 10.0 * weights[2], "{weights:?}");
        assert!(weights[3] > 5.0 * weights[0], "what was never tried is tried: {weights:?}");
        assert!(weights[0] > 0.0 && weights[2] > 0.0);
    }

    #[test]
    fn a_growing_model_moves_the_edge() {
        let mut belief = Belief::default();
        let curriculum = curriculum();
        curriculum.observe(&mut belief, 0, 256);
        assert!(curriculum.at_edge(belief) < 0.2);
        for _ in 0..8 {
            curriculum.observe(&mut belief, 8, 32);
        }
        assert!(curriculum.at_edge(belief) > 0.9);
        for _ in 0..40 {
            curriculum.observe(&mut belief, 31, 32);
        }
        assert!(curriculum.at_edge(belief) < 0.05);
    }

    /// Success rates that grow with training, lower for each harder cell: the prompts follow the edge upwards.
    #[test]
    fn the_mix_follows_the_edge() {
        let cells: BTreeMap<Cell, f64> = (3..=10)
            .map(|op| (Cell { op, context: "terse".to_owned(), mode: Mode::Forward }, 0.125))
            .collect();
        let shares: Vec<f64> = cells.values().copied().collect();
        let (curriculum, mut beliefs) = (curriculum(), [Belief::default(); 8]);
        let mut mixture = Mixture::new(&cells, ShareOf::Problems);
        // Cell 0 is at the edge in the beginning, each next one 200 steps later.
        let rate =
            |cell: usize, step: u64| 1.0 / (1.0 + (1.5 * (cell as f64 - step as f64 / 200.0) + 1.5).exp());
        let mut at = |step: u64| -> (f64, f64) {
            mixture.reweigh(&curriculum.weights(&shares, &beliefs));
            let (mut inside, mut op) = (0.0, 0.0);
            for prompt in 0..32 {
                let cell = mixture.next();
                mixture.take(cell, 1);
                // 16 tries, as near to the rate as whole numbers come, one way or the other.
                let verified = (16.0 * rate(cell, step) + if prompt % 2 == 0 { 0.25 } else { 0.75 }) as u64;
                curriculum.observe(&mut beliefs[cell], verified.min(16), 16);
                let (low, high) = curriculum.edge();
                inside += f64::from(u8::from((low..=high).contains(&rate(cell, step)))) / 32.0;
                op += (cell + 3) as f64 / 32.0;
            }
            (inside, op)
        };
        let mut mean = |steps: std::ops::Range<u64>| {
            let n = (steps.end - steps.start) as f64;
            steps.map(&mut at).fold((0.0, 0.0), |a, b| (a.0 + b.0 / n, a.1 + b.1 / n))
        };
        let (_, early, _, late) = (mean(0..50), mean(50..150), mean(150..850), mean(850..950));
        assert!(early.0 > 0.8 && late.0 > 0.8, "share of prompts at the edge: {early:?}, {late:?}");
        assert!(late.1 > early.1 + 2.5, "mean op: {early:?}, {late:?}");
    }

    #[test]
    fn an_empty_edge_is_refused() {
        let curriculum = Curriculum { k: 1, succeeds_from: 0.9, ..curriculum() };
        assert!(curriculum.check().is_err());
    }
}
