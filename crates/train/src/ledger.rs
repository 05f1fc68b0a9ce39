//! What was spent and what was seen, counted in whole numbers so that a resumed run counts the same.

use std::collections::BTreeMap;

use problems::{Problem, class::class, gold::Mode};
use serde::{Deserialize, Serialize};

use runs::records::{Cost, Exposure, ExposureCell, FORMAT};

/// The counts of a stage so far. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Tokens through forward and backward.
    pub trained_tokens: u64,
    /// Tokens sampled.
    pub sampled_tokens: u64,
    /// Prompt tokens processed for sampling.
    pub prompt_tokens: u64,
    /// Tokens scored by the reference.
    pub scored_tokens: u64,
    /// The paper's N·r·L of reinforcement learning.
    pub nominal_rollout_tokens: u64,
    /// Whether rollouts were scored by a reference (γ of the paper).
    pub with_reference: bool,
    /// Optimizer steps that were left out because the gradient was not finite.
    pub skipped_updates: u64,
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    problems: u64,
    tokens: u64,
}

impl Ledger {
    /// Counts a problem that was trained on with so many tokens.
    pub fn see(&mut self, problem: &Problem, tokens: u64) {
        let (cell, mode) = (&problem.cell, problem.cell.mode.name());
        let (depth, class) = (problem.stats().depth, class(&problem.graph));
        // Fixed-width numbers sort as numbers.
        let key = format!("{:04}/{}/{mode}/{depth:04}/{class}", cell.op, cell.context);
        let seen = self.seen.entry(key).or_default();
        seen.problems += 1;
        seen.tokens += tokens;
    }

    /// The exposure: what `exposure.json` says at the end of the stage, and any checkpoint's counts until then.
    pub fn exposure(&self) -> Exposure {
        let cells = self.seen.iter().map(|(key, seen)| {
            let mut parts = key.split('/');
            let mut text = || parts.next().unwrap_or_default().to_owned();
            let number = |text: String| text.parse().unwrap_or_default();
            ExposureCell {
                op: number(text()),
                context: text(),
                mode: text().parse().unwrap_or(Mode::Forward),
                depth: number(text()),
                structure: text(),
                problems: seen.problems,
                tokens: seen.tokens,
            }
        });
        Exposure { format: FORMAT, cells: cells.collect() }
    }

    /// The cost of a model with so many parameters.
    pub fn cost(&self, parameters: u64) -> Cost {
        let forward = self.sampled_tokens + self.prompt_tokens + self.scored_tokens;
        // A token that is only read costs a third of one that is trained on: 2P against 6P.
        let real_tokens = self.trained_tokens as f64 + forward as f64 / 3.0;
        let nominal_tokens = if self.nominal_rollout_tokens > 0 {
            nominal_rl_tokens(self.nominal_rollout_tokens, self.with_reference)
        } else {
            self.trained_tokens as f64
        };
        Cost {
            trained_tokens: self.trained_tokens,
            sampled_tokens: self.sampled_tokens,
            prompt_tokens: self.prompt_tokens,
            scored_tokens: self.scored_tokens,
            flops: 6.0 * parameters as f64 * real_tokens,
            nominal_tokens,
            real_tokens,
        }
    }
}

/// The paper's `T_RL = (4/3 + γ/3)·N·r·L` (Section 5): rollout 2P, reference 2P·γ and update 6P a token, in
/// units of a trained token's 6P.
pub fn nominal_rl_tokens(rollout_tokens: u64, with_reference: bool) -> f64 {
    let thirds = if with_reference { 5.0 } else { 4.0 };
    thirds * rollout_tokens as f64 / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_equivalence() {
        // 51,200 prompts × 6 rollouts × 2,048 tokens with a reference: 1.05 B (PAPER, Section 5).
        let tokens = nominal_rl_tokens(51_200 * 6 * 2048, true);
        assert!((tokens / 1e9 - 1.048).abs() < 1e-3, "{tokens}");
    }

    #[test]
    fn flops_are_six_and_two_a_parameter() {
        let ledger = Ledger { trained_tokens: 10, sampled_tokens: 4, prompt_tokens: 2, ..Ledger::default() };
        let cost = ledger.cost(100);
        assert_eq!(cost.flops, 100.0 * (60.0 + 12.0));
        assert_eq!((cost.nominal_tokens, cost.real_tokens), (10.0, 12.0));
    }
}
