//! The KL divergence from the reference model: exact, or estimated at the sampled tokens.

use serde::{Deserialize, Serialize};

/// How KL(π ‖ π_ref) is measured; estimators with d = log π − log π_ref at the sampled token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlKind {
    /// No KL term, no reference model.
    #[default]
    None,
    /// d: unbiased, can be negative.
    K1,
    /// d² / 2: never negative, biased, an unbiased gradient.
    K2,
    /// exp(−d) + d − 1: unbiased and never negative (verl's `low_var_kl`).
    K3,
    /// The divergence itself, summed over the whole vocabulary at every token, in the loss. It has no noise, and costs
    /// a forward pass of the reference model for each pass over the rollouts.
    Exact,
}

/// Where the KL term acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KlPlace {
    /// Added to the loss of each token.
    #[default]
    Loss,
    /// Its sum over the response is taken from the reward, before advantages.
    Reward,
}

/// The KL term: what keeps the policy close to the reference model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kl {
    /// How it is measured.
    #[serde(default)]
    pub kind: KlKind,
    /// Its weight.
    #[serde(default)]
    pub coefficient: f64,
    /// In the loss or in the reward.
    #[serde(default)]
    pub place: KlPlace,
}

impl Kl {
    /// Whether a reference model is needed.
    pub fn active(&self) -> bool {
        self.kind != KlKind::None && self.coefficient != 0.0
    }

    /// Whether the loss has a term at every sampled token.
    pub fn estimated_in_loss(&self) -> bool {
        self.active() && self.place == KlPlace::Loss && self.kind != KlKind::Exact
    }

    /// Whether the loss has the divergence of whole distributions.
    pub fn exact_in_loss(&self) -> bool {
        self.active() && self.kind == KlKind::Exact
    }
}

/// An estimate and its derivative in log π.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KlAt {
    /// The estimate.
    pub value: f64,
    /// d value / d log π.
    pub slope: f64,
}

/// Log-ratios and `k3` are cut off this far out, where exp would drown everything else (as in verl).
const LOG_RATIO_LIMIT: f64 = 20.0;
const K3_LIMIT: f64 = 10.0;

impl KlKind {
    /// The estimated divergence of a response, summed over its tokens.
    pub fn sum(self, logprobs_T: &[f32], reference_T: &[f32]) -> f64 {
        let pairs = logprobs_T.iter().zip(reference_T);
        pairs.map(|(own, reference)| self.at(f64::from(*own), f64::from(*reference)).value).sum()
    }

    /// The estimate at a token with these log-probabilities; 0 for the kinds `none` and `exact`.
    pub fn at(self, logprob: f64, reference: f64) -> KlAt {
        let d = logprob - reference;
        match self {
            Self::None | Self::Exact => KlAt { value: 0.0, slope: 0.0 },
            Self::K1 => KlAt { value: d, slope: 1.0 },
            Self::K2 => KlAt { value: 0.5 * d * d, slope: d },
            Self::K3 => {
                let inside = d.abs() <= LOG_RATIO_LIMIT;
                let d = d.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
                let value = (-d).exp() + d - 1.0;
                if value > K3_LIMIT {
                    return KlAt { value: K3_LIMIT, slope: 0.0 };
                }
                KlAt { value, slope: if inside { 1.0 - (-d).exp() } else { 0.0 } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_of_a_response_is_the_sum_over_its_tokens() {
        // d = ln 2 at the first token and 0 at the second.
        let (own, reference) = ([0.5_f32.ln(), 0.25_f32.ln()], [0.25_f32.ln(), 0.25_f32.ln()]);
        let two = std::f64::consts::LN_2;
        for (kind, by_hand) in [(KlKind::K1, two), (KlKind::K2, two * two / 2.0), (KlKind::K3, two - 0.5)] {
            assert!((kind.sum(&own, &reference) - by_hand).abs() < 1e-6, "{kind:?}");
        }
    }

    /// Over the whole vocabulary the estimators are the divergence in expectation: k1 and k3 in value, k2 in slope.
    #[test]
    fn expectations_over_the_vocabulary_are_the_divergence() {
        let (p, q): ([f64; 4], [f64; 4]) = ([0.1, 0.2, 0.3, 0.4], [0.25, 0.05, 0.5, 0.2]);
        let kl: f64 = p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum();
        let mean = |at: &dyn Fn(usize) -> f64| (0..4).map(|v| p[v] * at(v)).sum::<f64>();
        for kind in [KlKind::K1, KlKind::K3] {
            let value = mean(&|v| kind.at(p[v].ln(), q[v].ln()).value);
            assert!((value - kl).abs() < 1e-12, "{kind:?}: {value}, not {kl}");
        }
        for j in 0..4 {
            // d log p_v / d logit_j = 1[v = j] − p_j, and d KL / d logit_j = p_j (log p_j − log q_j − KL).
            let step = |v: usize| f64::from(u8::from(v == j)) - p[j];
            let slope = mean(&|v| KlKind::K2.at(p[v].ln(), q[v].ln()).slope * step(v));
            assert!((slope - p[j] * ((p[j] / q[j]).ln() - kl)).abs() < 1e-12);
        }
    }
}
