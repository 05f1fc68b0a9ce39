//! The losses of reinforcement learning as data: how each changes with the log-probability of each token. A learner
//! applies them through [`Objective`].

use std::ops::Range;

use learner::{Distributions, Objective, ReferenceKl};
use serde::{Deserialize, Serialize};

use super::kl::Kl;

/// Which surrogate is minimised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surrogate {
    /// max(−A·ρ, −A·clip(ρ, 1 − low, 1 + high)); for A < 0 not above −A·`dual_clip` (PPO, GRPO, DAPO).
    #[default]
    PpoClip,
    /// The same with the ratio of the whole sequence, exp(mean log ρ) (GSPO).
    Gspo,
    /// −sg(clip(ρ, 1 − low, 1 + high))·A·log π: the ratio is a weight, every token keeps its gradient (CISPO).
    Cispo,
}

/// How the losses of tokens become one number. The mean is over a whole optimizer step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// Mean over all response tokens (DAPO, verl's default).
    #[default]
    TokenMean,
    /// Sum over a response's tokens, mean over responses.
    SeqMeanTokenSum,
    /// Mean over a response's tokens, mean over responses (GRPO as published).
    SeqMeanTokenMean,
    /// Sum over a response's tokens divided by the length limit, mean over responses (Dr. GRPO).
    SeqMeanTokenSumNorm,
}

impl Aggregation {
    /// The weight of each token of a response of `length` tokens, when the step has `responses` responses
    /// with `tokens` tokens together and responses may be `limit` tokens long.
    pub fn weight(self, length: usize, responses: usize, tokens: usize, limit: usize) -> f64 {
        match self {
            Self::TokenMean => 1.0 / tokens as f64,
            Self::SeqMeanTokenSum => 1.0 / responses as f64,
            Self::SeqMeanTokenMean => 1.0 / (responses as f64 * length as f64),
            Self::SeqMeanTokenSumNorm => 1.0 / (responses as f64 * limit as f64),
        }
    }
}

/// The numbers of the clipped surrogate and its KL term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// The surrogate.
    pub surrogate: Surrogate,
    /// The ratio is clipped below at 1 − `low`.
    pub low: f64,
    /// The ratio is clipped above at 1 + `high`.
    pub high: f64,
    /// For negative advantages the loss is at most −A times this; 0 is off.
    pub dual: f64,
    /// The KL term.
    pub kl: Kl,
}

/// The loss of one micro-batch of responses. All lists of tokens are as long as the flat batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PolicyObjective {
    /// The surrogate's numbers.
    pub clip: Clip,
    /// The token range of each sequence's response in the flat batch.
    pub responses: Vec<Range<usize>>,
    /// Log-probability of each token when it was sampled.
    pub old_T: Vec<f32>,
    /// Log-probability of each token under the reference model, if the KL term of the loss is an estimate.
    pub reference_T: Vec<f32>,
    /// The distributions of the reference model, if the term is exact ([`learner::Learner::distributions`]).
    pub reference: Distributions,
    /// The weight of each token's distribution in an exact term: its weight times the coefficient.
    pub kl_weights_T: Vec<f32>,
    /// Advantage of each token (0 outside responses).
    pub advantages_T: Vec<f64>,
    /// Weight of each token in the loss ([`Aggregation::weight`]; 0 outside responses).
    pub weights_T: Vec<f64>,
}

/// A response as the loss needs it, one entry a token.
#[derive(Debug, Clone, Copy)]
pub struct ResponseTokens<'a> {
    /// How many tokens the prompt before it has.
    pub prompt: usize,
    /// Log-probability of each token when it was sampled.
    pub old_T: &'a [f32],
    /// Log-probability of each token under the reference model; empty if the loss needs none.
    pub reference_T: &'a [f32],
    /// Advantage of each token.
    pub advantages_T: &'a [f64],
    /// Weight of each token in the loss ([`Aggregation::weight`]).
    pub weight: f64,
}

/// What a batch's losses looked like, summed over its response tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PolicyStatistics {
    /// Response tokens.
    pub tokens: f64,
    /// The surrogate's loss, weighted as in the objective.
    pub surrogate_loss: f64,
    /// The estimated KL term of the loss, weighted as in the objective, before its coefficient.
    pub kl_loss: f64,
    /// Tokens whose ratio was clipped (verl's `pg_clipfrac`).
    pub clipped: f64,
    /// Those clipped at the upper edge.
    pub clipped_high: f64,
    /// Those clipped at the lower edge.
    pub clipped_low: f64,
    /// Tokens where the dual clip acted (verl's `pg_clipfrac_lower`).
    pub dual_clipped: f64,
    /// Sum of log π_old − log π: approximates the KL of the old policy from the new one.
    pub ppo_kl: f64,
    /// Sum of |log π − log π_old|.
    pub logp_difference: f64,
    /// The largest |log π − log π_old|.
    pub logp_difference_max: f64,
}

/// The surrogate at one token: loss, derivative in log π, and which clip acted.
struct Token {
    loss: f64,
    slope: f64,
    clipped: bool,
    dual: bool,
}

impl Clip {
    fn token(&self, logprob: f64, log_ratio: f64, advantage: f64) -> Token {
        let ratio = log_ratio.clamp(-20.0, 20.0).exp();
        let bounded = ratio.clamp(1.0 - self.low, 1.0 + self.high);
        if self.surrogate == Surrogate::Cispo {
            let weight = -bounded * advantage;
            return Token { loss: weight * logprob, slope: weight, clipped: bounded != ratio, dual: false };
        }
        let (free, held) = (-advantage * ratio, -advantage * bounded);
        let clipped = held > free;
        let loss = free.max(held);
        let ceiling = -advantage * self.dual;
        let dual =
            self.surrogate == Surrogate::PpoClip && self.dual > 0.0 && advantage < 0.0 && ceiling < loss;
        match (dual, clipped) {
            (true, _) => Token { loss: ceiling, slope: 0.0, clipped, dual },
            (_, true) => Token { loss: held, slope: 0.0, clipped, dual },
            // d(−A·ρ)/d log π = −A·ρ.
            _ => Token { loss: free, slope: free, clipped, dual },
        }
    }
}

impl PolicyObjective {
    /// The loss of no responses.
    pub fn new(clip: Clip) -> Self {
        Self {
            clip,
            responses: Vec::new(),
            old_T: Vec::new(),
            reference_T: Vec::new(),
            reference: Distributions::default(),
            kl_weights_T: Vec::new(),
            advantages_T: Vec::new(),
            weights_T: Vec::new(),
        }
    }

    /// Adds a response. Its sequence follows the earlier ones in the flat batch.
    pub fn push(&mut self, response: &ResponseTokens<'_>) {
        let start = self.old_T.len() + response.prompt;
        let end = start + response.old_T.len();
        self.responses.push(start..end);
        append(&mut self.old_T, response.old_T, start..end);
        append(&mut self.reference_T, response.reference_T, start..end);
        append(&mut self.advantages_T, response.advantages_T, start..end);
        self.weights_T.resize(start, 0.0);
        self.weights_T.resize(end, response.weight);
        self.kl_weights_T.resize(start, 0.0);
        self.kl_weights_T.resize(end, (response.weight * self.clip.kl.coefficient) as f32);
    }

    /// Calls `visit` with each response token's index and the surrogate there.
    fn each_token(&self, logprobs_T: &[f32], mut visit: impl FnMut(usize, f64, &Token)) {
        for response in &self.responses {
            let difference = |t: usize| f64::from(logprobs_T[t]) - f64::from(self.old_T[t]);
            let mean = response.clone().map(difference).sum::<f64>() / response.len().max(1) as f64;
            for t in response.clone() {
                let log_ratio = if self.clip.surrogate == Surrogate::Gspo { mean } else { difference(t) };
                let token = self.clip.token(f64::from(logprobs_T[t]), log_ratio, self.advantages_T[t]);
                visit(t, log_ratio, &token);
            }
        }
    }

    /// The metrics of the batch under the log-probabilities that the forward pass gave.
    pub fn statistics(&self, logprobs_T: &[f32]) -> PolicyStatistics {
        let mut s = PolicyStatistics::default();
        self.each_token(logprobs_T, |t, log_ratio, token| {
            let difference = f64::from(logprobs_T[t]) - f64::from(self.old_T[t]);
            s.tokens += 1.0;
            s.surrogate_loss += self.weights_T[t] * token.loss;
            s.clipped += f64::from(u8::from(token.clipped));
            let high = log_ratio > 0.0;
            s.clipped_high += f64::from(u8::from(token.clipped && high));
            s.clipped_low += f64::from(u8::from(token.clipped && !high));
            s.dual_clipped += f64::from(u8::from(token.dual));
            s.ppo_kl -= difference;
            s.logp_difference += difference.abs();
            s.logp_difference_max = s.logp_difference_max.max(difference.abs());
            if self.clip.kl.estimated_in_loss() {
                let kl = self.clip.kl.kind.at(f64::from(logprobs_T[t]), f64::from(self.reference_T[t]));
                s.kl_loss += self.weights_T[t] * kl.value;
            }
        });
        s
    }
}

/// Puts values at a range after the end of a list, with zeros before them and where they are missing.
fn append<T: Copy + Default>(list: &mut Vec<T>, values: &[T], range: Range<usize>) {
    list.resize(range.start, T::default());
    list.extend_from_slice(values);
    list.resize(range.end, T::default());
}

impl Objective for PolicyObjective {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.fill(0.0);
        let mut loss = 0.0;
        self.each_token(logprobs_T, |t, _, token| {
            let (mut value, mut slope) = (token.loss, token.slope);
            if self.clip.kl.estimated_in_loss() {
                let kl = self.clip.kl.kind.at(f64::from(logprobs_T[t]), f64::from(self.reference_T[t]));
                value += self.clip.kl.coefficient * kl.value;
                slope += self.clip.kl.coefficient * kl.slope;
            }
            loss += self.weights_T[t] * value;
            gradient_T[t] = (self.weights_T[t] * slope) as f32;
        });
        loss
    }

    fn reference_kl(&self) -> Option<ReferenceKl<'_>> {
        let term = ReferenceKl { reference: &self.reference, weights_T: &self.kl_weights_T };
        self.clip.kl.exact_in_loss().then_some(term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One response of one token with this ratio to the policy that sampled it.
    fn one(advantage: f64, ratio: f64, dual: f64) -> (f64, f32, PolicyStatistics) {
        let clip = Clip { surrogate: Surrogate::PpoClip, low: 0.2, high: 0.2, dual, kl: Kl::default() };
        let mut objective = PolicyObjective::new(clip);
        objective.push(&ResponseTokens {
            prompt: 1,
            old_T: &[-3.0],
            reference_T: &[],
            advantages_T: &[advantage],
            weight: 1.0,
        });
        let logprobs_T = [0.0, (ratio.ln() - 3.0) as f32];
        let mut gradient_T = [f32::NAN; 2];
        let loss = objective.gradient(&logprobs_T, &mut gradient_T);
        assert_eq!(gradient_T[0], 0.0, "the prompt has no gradient");
        (loss, gradient_T[1], objective.statistics(&logprobs_T))
    }

    #[test]
    fn the_dual_clip_bounds_what_a_bad_response_can_cost() {
        // −A·ρ = 5 without it; with it no more than −A·3, and no slope.
        let (loss, slope, s) = one(-1.0, 5.0, 0.0);
        assert!((loss - 5.0).abs() < 1e-5 && (slope - 5.0).abs() < 1e-5 && s.dual_clipped == 0.0);
        let (loss, slope, s) = one(-1.0, 5.0, 3.0);
        assert!(loss == 3.0 && slope == 0.0 && s.dual_clipped == 1.0);
        // Good responses are bounded by the other clip, and small ratios by none.
        let (loss, slope, s) = one(1.0, 5.0, 3.0);
        assert!((loss + 1.2).abs() < 1e-12 && slope == 0.0 && s.dual_clipped == 0.0);
        let (loss, slope, s) = one(-1.0, 2.0, 3.0);
        assert!((loss - 2.0).abs() < 1e-6 && (slope - 2.0).abs() < 1e-6 && s.dual_clipped == 0.0);
    }

    #[test]
    fn what_a_token_weighs() {
        // Two responses of 3 and 5 tokens where 10 are allowed.
        let weights = |aggregation: Aggregation| [3, 5].map(|length| aggregation.weight(length, 2, 8, 10));
        assert_eq!(weights(Aggregation::TokenMean), [1.0 / 8.0; 2]);
        assert_eq!(weights(Aggregation::SeqMeanTokenSum), [1.0 / 2.0; 2]);
        assert_eq!(weights(Aggregation::SeqMeanTokenMean), [1.0 / 6.0, 1.0 / 10.0]);
        // Dr. GRPO: a constant, so that long responses weigh as much a token as short ones.
        assert_eq!(weights(Aggregation::SeqMeanTokenSumNorm), [1.0 / 20.0; 2]);
    }

    #[test]
    fn clip_fractions_say_at_which_edge() {
        let edges = |advantage, ratio| {
            let (_, _, s) = one(advantage, ratio, 0.0);
            (s.clipped_low, s.clipped_high, s.clipped)
        };
        assert_eq!(edges(1.0, 1.5), (0.0, 1.0, 1.0));
        assert_eq!(edges(-1.0, 0.5), (1.0, 0.0, 1.0));
        // Where the clip would make the loss smaller it does not act: the minimum is pessimistic.
        assert_eq!(edges(1.0, 0.5), (0.0, 0.0, 0.0));
        assert_eq!(edges(-1.0, 1.5), (0.0, 0.0, 0.0));
    }
}
