//! Responses of an optimizer step that go through the model at once.

use std::{cell::RefCell, rc::Rc};

use learner::{Batch, ForwardBackward, Learner, Objective};

use super::{
    policy::{PolicyObjective, ResponseTokens},
    row::Row,
};
use crate::{error::RunError, metrics::Metrics, work::MicroBatch};

/// The reference model. The micro-batches of a step share it and ask it for distributions when their turn comes.
pub(super) type Reference = Rc<RefCell<Box<dyn Learner>>>;

pub(super) struct PolicyMicroBatch {
    batch: Batch,
    objective: PolicyObjective,
    /// The model whose distributions an exact KL term needs.
    reference: Option<Reference>,
    /// What the rollouts' logits were divided by.
    temperature: f32,
    /// Whether it belongs to the first update since sampling: then the log-probabilities should be the sampler's.
    on_policy: bool,
}

impl PolicyMicroBatch {
    pub(super) fn new(
        objective: PolicyObjective,
        reference: Option<Reference>,
        temperature: f32,
        on_policy: bool,
    ) -> Self {
        Self { batch: Batch::default(), objective, reference, temperature, on_policy }
    }

    /// Adds a response whose tokens have this weight in the loss.
    pub(super) fn push(&mut self, row: &Row<'_>, weight: f64) {
        self.batch.push(&row.sequence());
        self.objective.push(&ResponseTokens {
            prompt: row.prompt.len(),
            old_T: &row.response.sample.logprobs,
            reference_T: &row.reference_T,
            advantages_T: &row.advantages_T,
            weight,
        });
    }

    /// Tokens that the reference model will score for it.
    pub(super) fn tokens_to_score(&self) -> u64 {
        if self.reference.is_some() { self.batch.len() as u64 } else { 0 }
    }
}

impl MicroBatch for PolicyMicroBatch {
    fn prepare(&mut self) -> Result<(), RunError> {
        if let Some(reference) = &self.reference {
            self.objective.reference = reference.borrow_mut().distributions(&self.batch, self.temperature)?;
        }
        Ok(())
    }

    fn temperature(&self) -> f32 {
        self.temperature
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn objective(&self) -> &dyn Objective {
        &self.objective
    }

    fn observe(&self, pass: &ForwardBackward, metrics: &mut Metrics) {
        let s = self.objective.statistics(&pass.logprobs_T);
        metrics.sum("loss", pass.loss);
        metrics.sum("actor/pg_loss", s.surrogate_loss);
        let kl = &self.objective.clip.kl;
        if kl.estimated_in_loss() {
            metrics.sum("actor/kl_loss", s.kl_loss);
        } else if kl.exact_in_loss() {
            let terms = self.objective.weights_T.iter().zip(&pass.divergence_T);
            metrics.sum("actor/kl_loss", terms.map(|(weight, kl)| weight * f64::from(*kl)).sum());
        }
        metrics.mean_sum("actor/pg_clipfrac", s.clipped, s.tokens);
        metrics.mean_sum("actor/pg_clipfrac_lower", s.dual_clipped, s.tokens);
        metrics.mean_sum("clip_ratio/high_mean", s.clipped_high, s.tokens);
        metrics.mean_sum("clip_ratio/low_mean", s.clipped_low, s.tokens);
        metrics.mean_sum("actor/ppo_kl", s.ppo_kl, s.tokens);
        let response_T = self.objective.responses.iter().flat_map(Clone::clone);
        let entropy: f64 = response_T.map(|t| f64::from(pass.entropy_T[t])).sum();
        metrics.mean_sum("actor/entropy", entropy, s.tokens);
        if self.on_policy {
            metrics.mean_sum("sampling/sampling_logp_difference/mean", s.logp_difference, s.tokens);
            metrics.max("sampling/sampling_logp_difference/max", s.logp_difference_max);
        }
    }
}
