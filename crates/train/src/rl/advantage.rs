//! The advantage of a response: how much better it was than the others of its group.

use serde::{Deserialize, Serialize};

use super::moments::{Moments, STD_EPSILON};

/// The estimator of a response's advantage from the rewards of its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advantage {
    /// (r − mean) / (std + 1e-6) with the sample standard deviation of the group (GRPO).
    #[default]
    Grpo,
    /// r − mean (Dr. GRPO).
    GrpoNoStd,
    /// r minus the mean of the others of the group (RLOO).
    Rloo,
    /// r − mean of the group, then divided by the standard deviation over the whole batch
    /// (REINFORCE++ with a group baseline).
    ReinforcePlusPlus,
}

/// Whether the rewards of a group differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// All rewards are equal: the group says nothing about what to change.
    Uniform,
    /// The rewards differ.
    Mixed,
}

/// The kind of a group. The rewards are compared with each other: a computed variance could be off by a rounding error.
pub fn group_kind(rewards_G: &[f64]) -> GroupKind {
    if rewards_G.windows(2).all(|pair| pair[0] == pair[1]) { GroupKind::Uniform } else { GroupKind::Mixed }
}

/// The advantage of every response. A group with equal rewards gets exact zeros.
pub fn advantages(kind: Advantage, rewards_PG: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut advantages_PG: Vec<Vec<f64>> = rewards_PG.iter().map(|group| of_group(kind, group)).collect();
    if kind == Advantage::ReinforcePlusPlus {
        let all: Vec<f64> = advantages_PG.iter().flatten().copied().collect();
        let all = Moments::of(&all);
        for value in advantages_PG.iter_mut().flatten() {
            *value /= all.std + STD_EPSILON;
        }
    }
    advantages_PG
}

fn of_group(kind: Advantage, rewards_G: &[f64]) -> Vec<f64> {
    if group_kind(rewards_G) == GroupKind::Uniform {
        return vec![0.0; rewards_G.len()];
    }
    let Moments { mean, std } = Moments::of(rewards_G);
    let n = rewards_G.len() as f64;
    let scale = match kind {
        Advantage::Grpo => 1.0 / (std + STD_EPSILON),
        Advantage::GrpoNoStd | Advantage::ReinforcePlusPlus => 1.0,
        Advantage::Rloo => n / (n - 1.0),
    };
    rewards_G.iter().map(|reward| (reward - mean) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_groups_get_exact_zeros() {
        // 0.1 three times has a mean that is not 0.1 in floating point: the variance is not the test.
        for kind in [Advantage::Grpo, Advantage::GrpoNoStd, Advantage::Rloo, Advantage::ReinforcePlusPlus] {
            assert_eq!(advantages(kind, &[vec![0.1; 3]]), [[0.0; 3]]);
        }
    }

    #[test]
    fn rloo_is_the_reward_minus_the_mean_of_the_others() {
        let rewards = vec![1.0, 0.0, 0.5, 0.25];
        let advantages = advantages(Advantage::Rloo, std::slice::from_ref(&rewards)).remove(0);
        for (i, advantage) in advantages.iter().enumerate() {
            let others: f64 = (0..4).filter(|&j| j != i).map(|j| rewards[j]).sum();
            assert!((advantage - (rewards[i] - others / 3.0)).abs() < 1e-12);
        }
    }

    #[test]
    fn reinforce_plus_plus_has_unit_deviation_over_the_batch() {
        let rewards = [vec![1.0, 0.0, 0.0], vec![0.5, 0.5, 0.5], vec![0.0, 0.25, 1.0]];
        let all: Vec<f64> =
            advantages(Advantage::ReinforcePlusPlus, &rewards).into_iter().flatten().collect();
        let Moments { mean, std } = Moments::of(&all);
        assert!(mean.abs() < 1e-12 && (std - 1.0).abs() < 1e-4, "{mean} {std}");
    }
}
