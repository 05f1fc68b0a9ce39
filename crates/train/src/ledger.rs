//! What was spent and what was seen, counted in whole numbers so that a resumed run counts the same.

use std::{cmp::Ordering, collections::BTreeMap, fmt, str::FromStr};

use problems::{Problem, class::class, gold::Mode};
use runs::records::{Cost, Exposure, ExposureCell, FORMAT};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The counts of a stage so far. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Tokens through forward and backward.
    pub trained_tokens: u64,
    /// Tokens sampled.
    pub sampled_tokens: u64,
    /// Prompt tokens processed for sampling.
    pub prompt_tokens: u64,
    /// Tokens scored without a gradient: by the reference, and by the policy where its sampler is not exact.
    pub scored_tokens: u64,
    /// The paper's N·r·L of reinforcement learning.
    pub nominal_rollout_tokens: u64,
    /// Whether rollouts were scored by a reference (γ of the paper).
    pub with_reference: bool,
    /// Optimizer steps that were left out because the gradient was not finite.
    pub skipped_updates: u64,
    /// How many of them were the latest updates, one after the other.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_in_a_row: u64,
    seen: BTreeMap<Kind, Seen>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    problems: u64,
    tokens: u64,
}

/// A kind of problem. In files it is `OP/CONTEXT/MODE/DEPTH/STRUCTURE`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    op: u32,
    context: String,
    mode: Mode,
    depth: u32,
    /// The class of the graph's structure.
    structure: String,
}

impl Kind {
    fn of(problem: &Problem) -> Self {
        let (cell, structure) = (&problem.cell, class(&problem.graph).to_string());
        let (context, depth) = (cell.context.clone(), problem.stats().depth);
        Self { op: cell.op, context, mode: cell.mode, depth, structure }
    }
}

/// The order of the text form, which is the order of the rows of `exposure.json`.
impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        // In the text the context is followed by a slash.
        let context = |kind: &Self| kind.context.clone() + "/";
        (self.op.cmp(&other.op))
            .then_with(|| context(self).cmp(&context(other)))
            .then_with(|| self.mode.cmp(&other.mode))
            .then_with(|| self.depth.cmp(&other.depth))
            .then_with(|| self.structure.cmp(&other.structure))
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, context, mode, depth, structure } = self;
        // Numbers of fixed width sort as numbers.
        write!(f, "{op:04}/{context}/{}/{depth:04}/{structure}", mode.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let [op, context, mode, depth, structure] =
                text.split('/').collect::<Vec<_>>().try_into().ok()?;
            Some(Self {
                op: op.parse().ok()?,
                context: context.to_owned(),
                mode: mode.parse().ok()?,
                depth: depth.parse().ok()?,
                structure: structure.to_owned(),
            })
        };
        parse().ok_or_else(|| format!("`{text}` is no kind of problem"))
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Ledger {
    /// Counts an update that was left out because the gradient was not finite, or one that was applied.
    pub(crate) fn count_update(&mut self, applied: bool) {
        self.skipped_updates += u64::from(!applied);
        self.skipped_in_a_row = if applied { 0 } else { self.skipped_in_a_row + 1 };
    }

    /// Counts a problem that was trained on with so many tokens.
    pub fn see(&mut self, problem: &Problem, tokens: u64) {
        let seen = self.seen.entry(Kind::of(problem)).or_default();
        seen.problems += 1;
        seen.tokens += tokens;
    }

    /// What was trained on so far, for `exposure.json`.
    pub fn exposure(&self) -> Exposure {
        let cells = self.seen.iter().map(|(kind, seen)| {
            let Kind { op, context, mode, depth, structure } = kind.clone();
            ExposureCell { op, context, mode, depth, structure, problems: seen.problems, tokens: seen.tokens }
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
            skipped_updates: self.skipped_updates,
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

    /// Checkpoints hold these texts, and the rows of `exposure.json` are in their order.
    #[test]
    fn kinds_have_the_order_of_their_texts() {
        let mut texts = [
            "0003/terse/forward/0002/chain",
            "0003/terse/forward/0010/chain",
            "0003/terse/forward/0010/tree+totals",
            "0003/terse/reverse/0002/chain",
            "0003/terse-wide/forward/0002/chain",
            "0010/a/forward/0001/chain",
        ];
        let mut kinds: Vec<Kind> = texts.iter().map(|text| text.parse().expect("a kind")).collect();
        kinds.sort();
        texts.sort_unstable();
        assert_eq!(kinds.iter().map(Kind::to_string).collect::<Vec<_>>(), texts);
        assert!("0003/terse/sideways/0002/chain".parse::<Kind>().is_err());
    }

    #[test]
    fn flops_are_six_and_two_a_parameter() {
        let ledger = Ledger { trained_tokens: 10, sampled_tokens: 4, prompt_tokens: 2, ..Ledger::default() };
        let cost = ledger.cost(100);
        assert_eq!(cost.flops, 100.0 * (60.0 + 12.0));
        assert_eq!((cost.nominal_tokens, cost.real_tokens), (10.0, 12.0));
    }
}
