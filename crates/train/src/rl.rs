//! Reinforcement learning as a source of work: rollouts become optimizer steps.
//!
//! Axes: `_P` prompt, `_G` response in the prompt's group, `_T` token of the flat batch.

use std::path::PathBuf;

use problems::reward::step_credit;

use crate::{
    advantage::{advantages, mean_and_std},
    batches::{Piece, Source, SourceState, Step, Update},
    corpus::micro_batches,
    curriculum::Belief,
    error::RunError,
    files,
    kl::KlPlace,
    learner::{Batch, ForwardBackward, Learner, Objective, StopReason},
    metrics::Metrics,
    mixture::Mixture,
    policy::PolicyObjective,
    recipe::Policy,
    records::Response,
    rollout::{Group, Judged, Roller},
};

/// Samples, verifies, and turns the rewards into a policy gradient.
pub struct Reinforcement<'a> {
    roller: Roller<'a>,
    policy: Policy,
    mixture: Mixture,
    /// The recipe's shares: the curriculum starts from them.
    shares: Vec<f64>,
    beliefs: Vec<Belief>,
    /// The model the stage began with, for the KL term.
    reference: Option<Box<dyn Learner>>,
    micro_tokens: usize,
    /// L of the nominal token count.
    nominal_length: u64,
    /// Where some rollouts are stored.
    folder: PathBuf,
}

/// A response on its way into a batch.
struct Row<'g> {
    prompt: &'g [u32],
    response: &'g Judged,
    advantages_T: Vec<f64>,
    reference_T: Vec<f32>,
}

impl Row<'_> {
    fn tokens(&self) -> usize {
        self.prompt.len() + self.response.sample.tokens.len()
    }
}

impl<'a> Reinforcement<'a> {
    /// The source of a stage, at its beginning. `shares` are the recipe's, in the order of the mixture's
    /// cells; `reference` is needed if the policy's KL is active.
    pub fn new(
        roller: Roller<'a>,
        policy: Policy,
        mixture: Mixture,
        shares: Vec<f64>,
        reference: Option<Box<dyn Learner>>,
        micro_tokens: usize,
        nominal_length: u64,
        folder: PathBuf,
    ) -> Self {
        let beliefs = vec![Belief::default(); shares.len()];
        Self { roller, policy, mixture, shares, beliefs, reference, micro_tokens, nominal_length, folder }
    }

    /// Steers the mix by what is known, and logs where it points.
    fn steer(&mut self, metrics: &mut Metrics) {
        let Some(curriculum) = &self.roller.config.curriculum else { return };
        let weights = curriculum.weights(&self.shares, &self.beliefs);
        self.mixture.reweigh(&weights);
        for (cell, weight) in self.mixture.cells().iter().zip(weights) {
            metrics.sum(&format!("curriculum/op{}", cell.op), weight);
        }
    }

    fn learn_beliefs(&mut self, groups_P: &[Group]) {
        let Some(curriculum) = &self.roller.config.curriculum else { return };
        for group in groups_P {
            let right = group.responses_G.iter().filter(|response| response.verified()).count();
            curriculum.observe(&mut self.beliefs[group.cell], right as u64, group.responses_G.len() as u64);
        }
    }

    /// Stores the first rollouts of the step for people to read.
    fn store(&self, groups_P: &[Group], step: u64) -> Result<(), RunError> {
        let config = &self.roller.config;
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
                    verified: response.verified(),
                    tokens: response.sample.tokens.len() as u32,
                    cut: response.sample.stop != StopReason::End,
                    reward: Some(response.reward),
                    record: record.transpose().map_err(|e| RunError::Data(e.to_string()))?,
                });
            }
        }
        files::make_folder(&self.folder)?;
        files::write_lines_gz(&self.folder.join(format!("step-{step:06}.jsonl.gz")), &lines)?;
        Ok(())
    }

    /// Log-probabilities of every row's response under the reference.
    fn score(&mut self, rows: &mut [Row<'_>], step: &mut Step<'_>) -> Result<(), RunError> {
        let Some(reference) = &mut self.reference else { return Ok(()) };
        for range in micro_batches(rows.iter().map(Row::tokens), self.micro_tokens) {
            let mut batch = Batch::default();
            for row in &rows[range.clone()] {
                batch.push(&[row.prompt, &row.response.sample.tokens[..]].concat());
            }
            step.ledger.scored_tokens += batch.len() as u64;
            let logprobs_T = reference.logprobs(&batch)?;
            for (row, sequence) in rows[range].iter_mut().zip(batch.sequences()) {
                row.reference_T = logprobs_T[sequence.start + row.prompt.len()..sequence.end].to_vec();
            }
        }
        Ok(())
    }

    /// KL in the reward: each response's sum over tokens is taken from its reward.
    fn rewards(&self, groups_P: &[Group], rows: &[Row<'_>], metrics: &mut Metrics) -> Vec<Vec<f64>> {
        let mut rewards_PG: Vec<Vec<f64>> = groups_P.iter().map(Group::rewards_G).collect();
        let kl = &self.policy.kl;
        if !kl.active() || kl.place != KlPlace::Reward {
            return rewards_PG;
        }
        for (reward, row) in rewards_PG.iter_mut().flatten().zip(rows) {
            let old = &row.response.sample.logprobs;
            let pairs = old.iter().zip(&row.reference_T);
            let sum: f64 = pairs.map(|(o, r)| kl.kind.at(f64::from(*o), f64::from(*r)).value).sum();
            *reward -= kl.coefficient * sum;
            metrics.mean_sum("actor/reward_kl_penalty", sum, old.len() as f64);
        }
        rewards_PG
    }

    /// The optimizer steps of one pass over the rollouts.
    fn updates(&self, rows: &[Row<'_>], first_pass: bool) -> Vec<Update> {
        // Rows stand group by group: a mini-batch is a run of whole groups.
        let group = self.roller.config.samples as usize;
        let groups = rows.len() / group.max(1);
        let parts = (self.policy.mini_batches as usize).min(groups.max(1));
        let bounds: Vec<usize> = (0..=parts).map(|i| i * groups / parts * group).collect();
        let mut updates: Vec<Update> = Vec::new();
        for (i, part) in bounds.windows(2).enumerate() {
            updates.push(self.update(&rows[part[0]..part[1]], first_pass && i == 0));
        }
        updates.retain(|update| !update.is_empty());
        updates
    }

    fn update(&self, rows: &[Row<'_>], on_policy: bool) -> Update {
        let limit = self.roller.config.max_tokens as usize;
        let tokens: usize = rows.iter().map(|row| row.response.sample.tokens.len()).sum();
        // A row whose advantage is 0 everywhere has no gradient without a KL term: it need not be computed.
        let kl_in_loss = self.policy.kl.active() && self.policy.kl.place == KlPlace::Loss;
        let kept: Vec<&Row<'_>> =
            rows.iter().filter(|row| kl_in_loss || row.advantages_T.iter().any(|a| *a != 0.0)).collect();
        let mut update: Update = Vec::new();
        for range in micro_batches(kept.iter().map(|row| row.tokens()), self.micro_tokens) {
            let mut piece = PolicyPiece::new(&self.policy, on_policy);
            for row in &kept[range] {
                let length = row.response.sample.tokens.len();
                piece.push(row, self.policy.aggregation.weight(length, rows.len(), tokens, limit));
            }
            update.push(Box::new(piece));
        }
        update
    }
}

impl Source for Reinforcement<'_> {
    fn work(&mut self, learner: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError> {
        self.steer(step.metrics);
        let watch = crate::stopwatch::start();
        let sampled_before = step.ledger.sampled_tokens;
        let groups_P = self.roller.roll(learner, &mut self.mixture, step)?;
        let seconds = watch.seconds();
        step.timings.set("timing_s/gen", seconds);
        let sampled = step.ledger.sampled_tokens - sampled_before;
        step.timings.set("tokens_per_second/sample", sampled as f64 / seconds);
        self.learn_beliefs(&groups_P);
        self.store(&groups_P, step.number)?;
        let config = &self.roller.config;
        step.ledger.with_reference = self.policy.kl.active();
        step.ledger.nominal_rollout_tokens +=
            u64::from(config.prompts) * u64::from(config.samples) * self.nominal_length;
        let mut rows: Vec<Row<'_>> = Vec::new();
        for group in &groups_P {
            let tokens: usize = group.responses_G.iter().map(|r| r.sample.tokens.len()).sum();
            step.ledger.see(&group.problem, tokens as u64);
            for response in &group.responses_G {
                let (advantages_T, reference_T) = (Vec::new(), Vec::new());
                rows.push(Row { prompt: &group.prompt, response, advantages_T, reference_T });
            }
        }
        let watch = crate::stopwatch::start();
        self.score(&mut rows, step)?;
        step.timings.set("timing_s/ref", watch.seconds());
        let rewards_PG = self.rewards(&groups_P, &rows, step.metrics);
        let advantages_PG = advantages(self.policy.advantage, &rewards_PG);
        let credits = step_credits(&groups_P, self.policy.step_credit, self.roller.tokenizer);
        for (i, (row, advantage)) in rows.iter_mut().zip(advantages_PG.into_iter().flatten()).enumerate() {
            row.advantages_T = vec![advantage; row.response.sample.tokens.len()];
            if let Some(credits) = &credits {
                row.advantages_T.iter_mut().zip(&credits[i]).for_each(|(a, credit)| *a += credit);
            }
        }
        advantage_metrics(&rows, step.metrics);
        let mut updates = Vec::new();
        for epoch in 0..self.policy.epochs {
            updates.extend(self.updates(&rows, epoch == 0));
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

fn advantage_metrics(rows: &[Row<'_>], metrics: &mut Metrics) {
    for row in rows {
        let sum: f64 = row.advantages_T.iter().map(|a| a.abs()).sum();
        metrics.mean_sum("critic/advantages/abs_mean", sum, row.advantages_T.len() as f64);
    }
}

/// Step-level credit: every token of a step gets the step's judgement, normalised over all steps of the
/// group, times `weight`. Tokens outside steps get none. One list a row; `None` if it is off.
fn step_credits(groups_P: &[Group], weight: f64, tokenizer: &tokens::Tokenizer) -> Option<Vec<Vec<f64>>> {
    if weight == 0.0 {
        return None;
    }
    let mut credits = Vec::new();
    for group in groups_P {
        let steps_G: Vec<Vec<(std::ops::Range<usize>, bool)>> =
            group.responses_G.iter().map(|response| step_credit(&response.verdict)).collect();
        let judgements: Vec<f64> =
            steps_G.iter().flatten().map(|(_, right)| f64::from(u8::from(*right))).collect();
        let (mean, std) = mean_and_std(&judgements);
        for (response, steps) in group.responses_G.iter().zip(steps_G) {
            let mut credit_T = vec![0.0; response.sample.tokens.len()];
            let mut byte = 0;
            for (t, token) in response.sample.tokens.iter().enumerate() {
                let length = tokenizer.decode(&[*token]).len();
                let within = |range: &std::ops::Range<usize>| range.contains(&byte) && length > 0;
                if std > 0.0
                    && let Some((_, right)) = steps.iter().find(|(range, _)| within(range))
                {
                    credit_T[t] = weight * (f64::from(u8::from(*right)) - mean) / (std + 1e-6);
                }
                byte += length;
            }
            credits.push(credit_T);
        }
    }
    Some(credits)
}

struct PolicyPiece {
    batch: Batch,
    objective: PolicyObjective,
    /// Whether this is the first update since sampling: the log-probabilities should be the sampler's.
    on_policy: bool,
}

impl PolicyPiece {
    fn new(policy: &Policy, on_policy: bool) -> Self {
        let objective = PolicyObjective {
            clip: policy.clip(),
            responses: Vec::new(),
            old_T: Vec::new(),
            reference_T: Vec::new(),
            advantages_T: Vec::new(),
            weights_T: Vec::new(),
        };
        Self { batch: Batch::default(), objective, on_policy }
    }

    fn push(&mut self, row: &Row<'_>, weight: f64) {
        let (prompt, sample) = (row.prompt.len(), &row.response.sample);
        let start = self.batch.len() + prompt;
        self.batch.push(&[row.prompt, &sample.tokens[..]].concat());
        let end = self.batch.len();
        let objective = &mut self.objective;
        objective.responses.push(start..end);
        objective.old_T.resize(start, 0.0);
        objective.old_T.extend_from_slice(&sample.logprobs);
        objective.reference_T.resize(start, 0.0);
        objective.reference_T.extend_from_slice(&row.reference_T);
        objective.reference_T.resize(end, 0.0);
        objective.advantages_T.resize(start, 0.0);
        objective.advantages_T.extend_from_slice(&row.advantages_T);
        objective.weights_T.resize(start, 0.0);
        objective.weights_T.resize(end, weight);
    }
}

impl Piece for PolicyPiece {
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
        if self.objective.clip.kl.active() {
            metrics.sum("actor/kl_loss", s.kl_loss);
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

#[cfg(test)]
mod tests {
    use problems::{
        Cell, Contexts, Generator, World,
        gold::Mode,
        reward::{Reward, RewardParts},
        verify::{Policy as VerdictPolicy, verify},
    };

    use super::*;
    use crate::learner::{Sample, StopReason};

    fn judged(text: &str, problem: &problems::Problem, tokenizer: &tokens::Tokenizer) -> Judged {
        let mut tokens = tokenizer.encode(text);
        tokens.push(tokenizer.eos());
        let logprobs = vec![0.0; tokens.len()];
        let verdict = verify(&problem.gold(), text, VerdictPolicy::Paper);
        let parts: RewardParts = Reward::Strict {}.score(&verdict);
        let sample = Sample { tokens, logprobs, stop: StopReason::End };
        let (text, reward) = (text.to_owned(), parts.reward);
        Judged { sample, text, verdict, parts, reward, truncated: false }
    }

    /// One right response and one whose last step has a wrong value.
    #[test]
    fn credit_goes_to_the_tokens_of_the_steps_that_earned_it() {
        let world = World { distractors: 0.0, max_value: 20, ..World::default() };
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.problem(&cell, 0);
        let right = problem.response();
        let tokenizer = tokens::Tokenizer::train([right.clone()].into_iter(), 300).expect("a vocabulary");
        let end = right.find(". </solution>").expect("the end of the last step");
        let value = right[..end].rfind('=').expect("a value") + 1;
        let wrong = format!("{}{}{}", &right[..value], 19 - problem.answer, &right[end..]);
        let responses_G = vec![judged(&right, &problem, &tokenizer), judged(&wrong, &problem, &tokenizer)];
        let steps = step_credit(&responses_G[1].verdict);
        let faulty: Vec<bool> = steps.iter().map(|(_, right)| !right).collect();
        assert_eq!(faulty.iter().filter(|f| **f).count(), 1, "{wrong}");
        let group = Group { cell: 0, prompt: tokenizer.encode(&problem.prompt()), problem, responses_G };
        let groups = [group];
        assert_eq!(step_credits(&groups, 0.0, &tokenizer), None);
        let credits = step_credits(&groups, 0.5, &tokenizer).expect("it is on");
        for (response, credit_T) in groups[0].responses_G.iter().zip(&credits) {
            let mut byte = 0;
            for (token, credit) in response.sample.tokens.iter().zip(credit_T) {
                let step =
                    step_credit(&response.verdict).into_iter().find(|(range, _)| range.contains(&byte));
                match step {
                    Some((_, true)) => assert!(*credit > 0.0 && *credit < 0.5),
                    Some((_, false)) => assert!(*credit < -0.5),
                    None => assert_eq!(*credit, 0.0),
                }
                byte += tokenizer.decode(&[*token]).len();
            }
            assert_eq!(byte, response.text.len(), "tokens and text agree");
        }
    }
}
