//! Reinforcement learning as a source of work: rollouts become optimizer steps.

use std::{cell::RefCell, path::PathBuf, rc::Rc};

use learner::{Batch, Learner};
use problems::verify::Policy;
use runs::{files, lines, records::Response};

use super::{
    advantage::{advantages, focus},
    credit::StepCredit,
    curriculum::Belief,
    kl::{Kl, KlPlace},
    micro_batch::{PolicyMicroBatch, Reference},
    policy::PolicyObjective,
    row::Row,
    sampler::{Group, RolloutSampler, Rollouts, Tried},
};
use crate::{
    data::{Mixture, micro_batches},
    error::RunError,
    ledger::Ledger,
    metrics::Metrics,
    recipe::PolicyConfig,
    stopwatch,
    work::{BatchSource, SourceState, Step, Update},
};

/// Samples, verifies, and turns the rewards into a policy gradient.
pub struct Reinforcement<'a> {
    sampler: RolloutSampler<'a>,
    policy: PolicyConfig,
    mixture: Mixture,
    /// The recipe's shares, which the curriculum starts from.
    shares: Vec<f64>,
    beliefs: Vec<Belief>,
    /// The model that the stage began with, for the KL term.
    reference: Option<Reference>,
    micro_tokens: usize,
    /// Where some rollouts are stored.
    folder: PathBuf,
}

impl<'a> Reinforcement<'a> {
    /// The source of a stage, at its beginning. `reference` is needed if the policy's KL term is active. A micro-batch
    /// has at most `micro_tokens` tokens. Some rollouts are stored in `folder`.
    pub fn new(
        sampler: RolloutSampler<'a>,
        policy: PolicyConfig,
        mixture: Mixture,
        reference: Option<Box<dyn Learner>>,
        micro_tokens: usize,
        folder: PathBuf,
    ) -> Self {
        let shares = mixture.weights().to_vec();
        let beliefs = vec![Belief::default(); shares.len()];
        let reference = reference.map(|model| Rc::new(RefCell::new(model)));
        Self { sampler, policy, mixture, shares, beliefs, reference, micro_tokens, folder }
    }

    /// Sets the shares of the cells by the curriculum's beliefs, and logs them.
    fn steer(&mut self, metrics: &mut Metrics) {
        let Some(curriculum) = &self.sampler.config.curriculum else { return };
        let weights = curriculum.weights(&self.shares, &self.beliefs);
        self.mixture.reweigh(&weights);
        for ((cell, belief), weight) in self.mixture.cells().iter().zip(&self.beliefs).zip(weights) {
            metrics.sum(&format!("curriculum/op{}", cell.op), weight);
            metrics.sum("curriculum/at_edge", weight * curriculum.at_edge(*belief));
        }
    }

    fn update_beliefs(&mut self, tried: &[Tried]) {
        let Some(curriculum) = &self.sampler.config.curriculum else { return };
        for tried in tried {
            curriculum.observe(&mut self.beliefs[tried.cell], tried.verified, tried.responses);
        }
    }

    /// Samples the rollouts of a step, times that, and counts what it cost.
    fn roll(&mut self, learner: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Group>, RunError> {
        let (timer, sampled_before) = (stopwatch::start(), step.ledger.sampled_tokens);
        let Rollouts { groups_P, tried } = self.sampler.roll(learner, &mut self.mixture, step)?;
        let seconds = timer.seconds();
        step.timings.set("timing_s/gen", seconds);
        let sampled = step.ledger.sampled_tokens - sampled_before;
        step.timings.set("tokens_per_second/sample", sampled as f64 / seconds);
        self.update_beliefs(&tried);
        let config = &self.sampler.config;
        step.ledger.with_reference = self.policy.kl.active();
        step.ledger.nominal_rollout_tokens +=
            u64::from(config.prompts) * u64::from(config.samples) * config.nominal_length;
        for group in &groups_P {
            step.ledger.see(&group.problem, group.response_tokens() as u64);
        }
        Ok(groups_P)
    }

    /// Stores the first rollouts of the step for people to read.
    fn store(&self, groups_P: &[Group], step: u64) -> Result<(), RunError> {
        let config = &self.sampler.config;
        if config.store_every == 0 || !(step == 1 || step.is_multiple_of(config.store_every)) {
            return Ok(());
        }
        let mut lines = Vec::new();
        for (p, group) in groups_P.iter().take(config.store_prompts as usize).enumerate() {
            for (g, response) in group.responses_G.iter().enumerate() {
                let record = (g == 0).then(|| serde_json::to_value(group.problem.record()));
                lines.push(Response {
                    problem: p as u64,
                    sample: g as u32,
                    text: response.text.clone(),
                    verified: response.judgement.verified(),
                    tokens: response.tokens() as u32,
                    cut: response.judgement.truncated(),
                    reward: Some(response.reward),
                    policy: Some(config.policy).filter(|policy| *policy != Policy::Paper),
                    record: record.transpose()?,
                });
            }
        }
        files::make_folder(&self.folder)?;
        lines::write(&self.folder.join(format!("step-{step:06}.jsonl.gz")), &lines)?;
        Ok(())
    }

    /// Asks a policy whose sampler is not exact for the log-probabilities of its responses, and logs how far off the sampler
    /// was. The batches are those in which the reference scores: while policy and reference are equal, their divergence is
    /// exactly 0, and a KL term in the reward cannot make a difference between responses out of rounding.
    fn rescore(
        &self,
        learner: &mut dyn Learner,
        groups_P: &mut [Group],
        step: &mut Step<'_>,
    ) -> Result<(), RunError> {
        if learner.samples_exactly() {
            return Ok(());
        }
        let timer = stopwatch::start();
        let rows: Vec<Row<'_>> = groups_P.iter().flat_map(Row::of_group).collect();
        let scores = self.scores(learner, &rows, step)?;
        let responses = groups_P.iter_mut().flat_map(|group| &mut group.responses_G);
        for (response, logprobs_T) in responses.zip(scores) {
            let sampled_T = std::mem::replace(&mut response.sample.logprobs, logprobs_T);
            for (sampled, logprob) in sampled_T.iter().zip(&response.sample.logprobs) {
                let gap = f64::from((logprob - sampled).abs());
                step.metrics.mean_sum("sampling/sampling_logp_difference/mean", gap, 1.0);
                step.metrics.max("sampling/sampling_logp_difference/max", gap);
            }
        }
        step.timings.set("timing_s/old_log_prob", timer.seconds());
        Ok(())
    }

    /// Asks the reference model for the log-probabilities that an estimated KL term needs.
    fn score(&self, rows: &mut [Row<'_>], step: &mut Step<'_>) -> Result<(), RunError> {
        let Some(reference) = &self.reference else { return Ok(()) };
        let kl = &self.policy.kl;
        // Distributions are too large to keep: the micro-batches ask for them.
        if kl.exact_in_loss() {
            return Ok(());
        }
        let scores = self.scores(&mut **reference.borrow_mut(), rows, step)?;
        for (row, reference_T) in rows.iter_mut().zip(scores) {
            row.set_reference(kl.kind, reference_T);
        }
        Ok(())
    }

    /// A model's log-probabilities of the tokens of each response.
    fn scores(
        &self,
        model: &mut dyn Learner,
        rows: &[Row<'_>],
        step: &mut Step<'_>,
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let mut scores = Vec::new();
        for range in micro_batches(rows.iter().map(Row::tokens), self.micro_tokens) {
            let mut batch = Batch::default();
            rows[range.clone()].iter().for_each(|row| batch.push(&row.sequence()));
            step.ledger.scored_tokens += batch.len() as u64;
            let logprobs_T = model.logprobs(&batch, self.sampler.config.temperature)?;
            for (row, sequence) in rows[range].iter().zip(batch.sequences()) {
                scores.push(logprobs_T[sequence.start + row.prompt.len()..sequence.end].to_vec());
            }
        }
        Ok(scores)
    }

    /// Gives every token its advantage: its response's, and the credit of its step.
    fn assign_advantages(&self, groups_P: &[Group], rows: &mut [Row<'_>], metrics: &mut Metrics) {
        let rewards_PG = rewards(&self.policy.kl, groups_P, rows, metrics);
        let mut advantages_PG = advantages(self.policy.advantage, &rewards_PG);
        if self.policy.focal > 0.0 {
            focus(self.policy.focal, &rewards_PG, &mut advantages_PG);
        }
        for (row, advantage) in rows.iter_mut().zip(advantages_PG.into_iter().flatten()) {
            row.advantages_T = vec![advantage; row.response.tokens()];
        }
        if let Some(credit) = StepCredit::of(&self.policy, self.sampler.tokenizer) {
            let credits = groups_P.iter().flat_map(|group| credit.of_group(group));
            for (row, credit_T) in rows.iter_mut().zip(credits) {
                row.advantages_T
                    .iter_mut()
                    .zip(credit_T)
                    .for_each(|(advantage, credit)| *advantage += credit);
            }
        }
        for row in rows {
            let sum: f64 = row.advantages_T.iter().map(|a| a.abs()).sum();
            metrics.mean_sum("critic/advantages/abs_mean", sum, row.advantages_T.len() as f64);
        }
    }

    /// The optimizer steps of one pass over the rollouts.
    fn updates(&self, rows: &[Row<'_>], first_pass: bool, ledger: &mut Ledger) -> Vec<Update> {
        // Rows stand group by group: a mini-batch is a run of whole groups.
        let group = self.sampler.config.samples as usize;
        let groups = rows.len() / group.max(1);
        let parts = (self.policy.mini_batches as usize).min(groups.max(1));
        let bounds: Vec<usize> = (0..=parts).map(|i| i * groups / parts * group).collect();
        let mut updates: Vec<Update> = Vec::new();
        for (i, part) in bounds.windows(2).enumerate() {
            updates.push(self.update(&rows[part[0]..part[1]], first_pass && i == 0, ledger));
        }
        updates.retain(|update| !update.is_empty());
        updates
    }

    fn update(&self, rows: &[Row<'_>], on_policy: bool, ledger: &mut Ledger) -> Update {
        let config = &self.sampler.config;
        let tokens: usize = rows.iter().map(|row| row.response.tokens()).sum();
        // Without a KL term, a row whose advantages are all 0 has no gradient and need not be computed.
        let kl_in_loss = self.policy.kl.active() && self.policy.kl.place == KlPlace::Loss;
        let kept: Vec<&Row<'_>> = rows.iter().filter(|row| kl_in_loss || row.has_advantage()).collect();
        let reference = self.reference.as_ref().filter(|_| self.policy.kl.exact_in_loss());
        let mut update: Update = Vec::new();
        for range in micro_batches(kept.iter().map(|row| row.tokens()), self.micro_tokens) {
            let objective = PolicyObjective::new(self.policy.clip());
            let mut part =
                PolicyMicroBatch::new(objective, reference.cloned(), config.temperature, on_policy);
            for row in &kept[range] {
                let (length, limit) = (row.response.tokens(), config.max_tokens as usize);
                part.push(row, self.policy.aggregation.weight(length, rows.len(), tokens, limit));
            }
            ledger.scored_tokens += part.tokens_to_score();
            update.push(Box::new(part));
        }
        update
    }
}

impl BatchSource for Reinforcement<'_> {
    fn work(&mut self, learner: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError> {
        self.steer(step.metrics);
        let mut groups_P = self.roll(learner, step)?;
        self.rescore(learner, &mut groups_P, step)?;
        self.store(&groups_P, step.number)?;
        let mut rows: Vec<Row<'_>> = groups_P.iter().flat_map(Row::of_group).collect();
        let timer = stopwatch::start();
        self.score(&mut rows, step)?;
        step.timings.set("timing_s/ref", timer.seconds());
        self.assign_advantages(&groups_P, &mut rows, step.metrics);
        let mut updates = Vec::new();
        for epoch in 0..self.policy.epochs {
            // Elsewhere the gap between sampler and trainer is known already.
            let compare = epoch == 0 && learner.samples_exactly();
            updates.extend(self.updates(&rows, compare, step.ledger));
        }
        Ok(updates)
    }

    fn state(&self) -> SourceState {
        SourceState { cells: self.mixture.counts().to_vec(), beliefs: self.beliefs.clone() }
    }

    fn restore(&mut self, state: &SourceState) -> bool {
        if state.beliefs.len() != self.beliefs.len() {
            return false;
        }
        self.beliefs.clone_from(&state.beliefs);
        self.mixture.restore(&state.cells)
    }
}

/// The rewards. With KL in the reward, the divergence of each response is subtracted from its reward.
fn rewards(kl: &Kl, groups_P: &[Group], rows: &[Row<'_>], metrics: &mut Metrics) -> Vec<Vec<f64>> {
    let mut rewards_PG: Vec<Vec<f64>> = groups_P.iter().map(Group::rewards_G).collect();
    if !kl.active() || kl.place != KlPlace::Reward {
        return rewards_PG;
    }
    for (reward, row) in rewards_PG.iter_mut().flatten().zip(rows) {
        *reward -= kl.coefficient * row.divergence;
        metrics.mean_sum("actor/reward_kl_penalty", row.divergence, row.response.tokens() as f64);
    }
    rewards_PG
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::{KlKind, row::tests::pair};

    #[test]
    fn kl_in_the_reward_is_subtracted_from_each_response() {
        let (group, _) = pair();
        let groups = [group];
        let mut rows: Vec<Row<'_>> = Row::of_group(&groups[0]).collect();
        (rows[0].divergence, rows[1].divergence) = (0.5, 2.0);
        let with = |place| {
            let kl = Kl { kind: KlKind::K3, coefficient: 0.1, place };
            rewards(&kl, &groups, &rows, &mut Metrics::default())
        };
        assert_eq!(with(KlPlace::Loss), [[1.0, 0.0]]);
        assert_eq!(with(KlPlace::Reward), [[1.0 - 0.1 * 0.5, -0.1 * 2.0]]);
    }
}
