//! Estimators of the divergence from the reference policy, one token at a time.

use serde::{Deserialize, Serialize};

/// Which estimator of KL(π ‖ π_ref), with d = log π − log π_ref at the sampled token.
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

/// The pull towards the reference policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kl {
    /// The estimator.
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
    /// The estimate at a token with these log-probabilities.
    pub fn at(self, logprob: f64, reference: f64) -> KlAt {
        let d = logprob - reference;
        match self {
            Self::None => KlAt { value: 0.0, slope: 0.0 },
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
