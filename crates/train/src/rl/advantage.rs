//! The advantage of a response: how much better it was than the others of its group.

use runs::draws;
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
    /// (r − mean) / mean: in expectation the gradient of Σ −(1 − p)ᵏ/k over k below the group's size, which tends to
    /// log p, where p is the chance of a success (maximum-likelihood RL, MaxRL). Hard prompts weigh more than in GRPO.
    #[serde(rename = "max-rl")]
    MaxRl,
    /// 0.1·r − (1 − r), without a baseline: failures push ten times as hard as successes pull (weighted
    /// REINFORCE, negative-sample reinforcement; arXiv 2506.01347).
    WReinforce,
    /// The advantage of a response when a random subset of k of its group is rewarded by its best (pass@k
    /// training, arXiv 2508.10751), in closed form.
    #[serde(rename = "pass-at-k")]
    PassAtK {
        /// The size of the subsets.
        k: u32,
    },
}

impl Advantage {
    /// Whether it is defined for rewards between 0 and 1 only.
    pub fn needs_shares(self) -> bool {
        matches!(self, Self::MaxRl | Self::WReinforce | Self::PassAtK { .. })
    }
}

/// How hard a success pulls where a failure pushes by 1 (arXiv 2506.01347, W-REINFORCE's λ).
const SUCCESS_WEIGHT: f64 = 0.1;

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
    let centred = |scale: f64| rewards_G.iter().map(|reward| (reward - mean) * scale).collect();
    match kind {
        Advantage::Grpo => centred(1.0 / (std + STD_EPSILON)),
        Advantage::GrpoNoStd | Advantage::ReinforcePlusPlus => centred(1.0),
        Advantage::Rloo => centred(n / (n - 1.0)),
        // The rewards differ and none is negative, so the mean is above 0.
        Advantage::MaxRl => centred(1.0 / mean),
        Advantage::WReinforce => rewards_G.iter().map(|r| SUCCESS_WEIGHT * r - (1.0 - r)).collect(),
        Advantage::PassAtK { k } => pass_at_k(rewards_G, k),
    }
}

/// Every subset of k responses is worth its best one. A response's advantage is the mean, over the subsets that hold it,
/// of their worth less the mean worth of all, over the standard deviation of all (population): GRPO among subsets.
fn pass_at_k(rewards_G: &[f64], k: u32) -> Vec<f64> {
    let n = rewards_G.len() as u32;
    let mut order: Vec<usize> = (0..rewards_G.len()).collect();
    order.sort_by(|&a, &b| rewards_G[a].total_cmp(&rewards_G[b]));
    // Of all subsets, how many have their best at a place of the order; of those that hold a response at a lower place, too.
    let best_at = |place: usize| draws(place as u32, k - 1) / draws(n, k);
    let both_at = |place: usize| draws(place as u32 - 1, k - 2) / draws(n - 1, k - 1);
    let worth = |place: usize| rewards_G[order[place]];
    let mean: f64 = (0..order.len()).map(|place| best_at(place) * worth(place)).sum();
    let square: f64 = (0..order.len()).map(|place| best_at(place) * (worth(place) - mean).powi(2)).sum();
    let std = square.sqrt() + STD_EPSILON;
    let mut advantages_G = vec![0.0; order.len()];
    for (place, &i) in order.iter().enumerate() {
        let own = draws(place as u32, k - 1) / draws(n - 1, k - 1) * worth(place);
        let above =
            if k > 1 { (place + 1..order.len()).map(|at| both_at(at) * worth(at)).sum() } else { 0.0 };
        advantages_G[i] = (own + above - mean) / std;
    }
    advantages_G
}

/// Weighs each group by (1 − mean reward)^γ: groups that are nearly solved count little (the focal weights of F-GRPO).
pub fn focus(gamma: f64, rewards_PG: &[Vec<f64>], advantages_PG: &mut [Vec<f64>]) {
    for (rewards_G, advantages_G) in rewards_PG.iter().zip(advantages_PG) {
        let weight = (1.0 - Moments::of(rewards_G).mean).max(0.0).powf(gamma);
        for advantage in advantages_G {
            *advantage *= weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_groups_get_exact_zeros() {
        // 0.1 three times has a mean that is not 0.1 in floating point: the variance is not the test.
        use Advantage::{Grpo, GrpoNoStd, MaxRl, PassAtK, ReinforcePlusPlus, Rloo, WReinforce};
        for kind in [Grpo, GrpoNoStd, Rloo, ReinforcePlusPlus, MaxRl, WReinforce, PassAtK { k: 2 }] {
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

    /// A policy that succeeds with chance p = σ(θ): d log p / dθ is 1 − p for a success and −p for a failure. All groups
    /// of five, weighed by their chance, give the expected gradient.
    #[test]
    fn max_rl_climbs_the_log_of_the_success_rate() {
        for p in [0.02_f64, 0.3, 0.9] {
            let mut gradient = 0.0;
            for bits in 0..32_u32 {
                let rewards: Vec<f64> = (0..5).map(|i| f64::from(bits >> i & 1)).collect();
                let chance: f64 = rewards.iter().map(|r| if *r == 1.0 { p } else { 1.0 - p }).product();
                let advantages = advantages(Advantage::MaxRl, std::slice::from_ref(&rewards)).remove(0);
                let slopes = rewards.iter().map(|r| r - p);
                gradient +=
                    chance * advantages.iter().zip(slopes).map(|(a, slope)| a * slope).sum::<f64>() / 5.0;
            }
            // d/dθ Σ_{k<5} −(1 − p)ᵏ/k = Σ_{k<5} (1 − p)^(k − 1) · p(1 − p).
            let derived: f64 = (1..5).map(|k| (1.0 - p).powi(k - 1) * p * (1.0 - p)).sum();
            assert!((gradient - derived).abs() < 1e-12, "{p}: {gradient}, not {derived}");
        }
    }

    #[test]
    fn failures_push_ten_times_as_hard_as_successes_pull() {
        let advantages = advantages(Advantage::WReinforce, &[vec![1.0, 0.0, 0.0]]);
        assert_eq!(advantages, [[0.1, -1.0, -1.0]]);
    }

    /// Against every subset, counted.
    #[test]
    fn pass_at_k_is_grpo_among_subsets() {
        for (rewards, k) in [
            (vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 3),
            (vec![0.2, 1.0, 0.0, 0.2, 0.7], 2),
            (vec![0.0, 1.0, 0.5], 1),
        ] {
            let n = rewards.len();
            let subsets: Vec<u32> = (0..1_u32 << n).filter(|set| set.count_ones() == k).collect();
            let worth =
                |set: u32| (0..n).filter(|i| set >> i & 1 == 1).map(|i| rewards[i]).fold(0.0, f64::max);
            let mean_of = |sets: &[u32]| sets.iter().map(|set| worth(*set)).sum::<f64>() / sets.len() as f64;
            let mean = mean_of(&subsets);
            let square: f64 = subsets.iter().map(|set| (worth(*set) - mean).powi(2)).sum();
            let std = (square / subsets.len() as f64).sqrt();
            let advantages = advantages(Advantage::PassAtK { k }, std::slice::from_ref(&rewards)).remove(0);
            for (i, advantage) in advantages.into_iter().enumerate() {
                let with: Vec<u32> = subsets.iter().copied().filter(|set| set >> i & 1 == 1).collect();
                let counted = (mean_of(&with) - mean) / std;
                assert!(
                    (advantage - counted).abs() < 1e-4,
                    "{rewards:?}, {k}, {i}: {advantage}, not {counted}"
                );
            }
        }
    }

    #[test]
    fn focal_weights_quiet_what_is_nearly_solved() {
        let rewards = [vec![1.0, 1.0, 1.0, 0.0], vec![0.0, 0.0, 0.0, 1.0]];
        let mut advantages = vec![vec![1.0; 4]; 2];
        focus(2.0, &rewards, &mut advantages);
        assert_eq!(advantages, [[0.0625; 4], [0.5625; 4]]);
        // Recipes without the new variants have the keys they had.
        assert_eq!(serde_json::to_string(&Advantage::MaxRl).unwrap(), "\"max-rl\"");
        assert_eq!(serde_json::to_string(&Advantage::Grpo).unwrap(), "\"grpo\"");
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
