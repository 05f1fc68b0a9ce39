//! Reinforcement learning as a source of work: rollouts become optimizer steps.
//!
//! Axes: `_P` prompt, `_G` response in the prompt's group, `_T` token of the flat batch.

use runs::lines;
use std::{cell::RefCell, ops::Range, path::PathBuf, rc::Rc};

use problems::{
    gold::Mode,
    reward::{ending_credit, step_credit},
};

use learner::{Batch, ForwardBackward, Learner, Objective, StopReason};
use runs::files;
use runs::records::Response;

use crate::{
    advantage::{advantages, focus, mean_and_std},
    batches::{Piece, Source, SourceState, Step, Update},
    corpus::micro_batches,
    curriculum::Belief,
    error::RunError,
    kl::{Kl, KlKind, KlPlace},
    ledger::Ledger,
    metrics::Metrics,
    mixture::Mixture,
    policy::PolicyObjective,
    recipe::Policy,
    rollout::{Group, Judged, Roller, Rollouts},
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
    reference: Option<Reference>,
    micro_tokens: usize,
    /// L of the nominal token count.
    nominal_length: u64,
    /// Where some rollouts are stored.
    folder: PathBuf,
}

/// Shared with the pieces of a step, which ask it for distributions when their turn comes.
type Reference = Rc<RefCell<Box<dyn Learner>>>;

/// A response on its way into a batch.
struct Row<'g> {
    prompt: &'g [u32],
    response: &'g Judged,
    advantages_T: Vec<f64>,
    reference_T: Vec<f32>,
    /// KL in the reward: its sum over the response.
    divergence: f64,
}

impl<'g> Row<'g> {
    fn new(group: &'g Group, response: &'g Judged) -> Self {
        let (advantages_T, reference_T) = (Vec::new(), Vec::new());
        Self { prompt: &group.prompt, response, advantages_T, reference_T, divergence: 0.0 }
    }

    fn sequence(&self) -> Vec<u32> {
        [self.prompt, &self.response.sample.tokens[..]].concat()
    }

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
        let reference = reference.map(|model| Rc::new(RefCell::new(model)));
        Self { roller, policy, mixture, shares, beliefs, reference, micro_tokens, nominal_length, folder }
    }

    /// Steers the mix by what is known, and logs where it points.
    fn steer(&mut self, metrics: &mut Metrics) {
        let Some(curriculum) = &self.roller.config.curriculum else { return };
        let weights = curriculum.weights(&self.shares, &self.beliefs);
        self.mixture.reweigh(&weights);
        for ((cell, belief), weight) in self.mixture.cells().iter().zip(&self.beliefs).zip(weights) {
            metrics.sum(&format!("curriculum/op{}", cell.op), weight);
            metrics.sum("curriculum/at_edge", weight * curriculum.at_edge(*belief));
        }
    }

    fn learn_beliefs(&mut self, tries: &[(usize, u64, u64)]) {
        let Some(curriculum) = &self.roller.config.curriculum else { return };
        for &(cell, right, all) in tries {
            curriculum.observe(&mut self.beliefs[cell], right, all);
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
        lines::write(&self.folder.join(format!("step-{step:06}.jsonl.gz")), &lines)?;
        Ok(())
    }

    /// Asks the reference for what the KL term needs of every row.
    fn score(&self, rows: &mut [Row<'_>], step: &mut Step<'_>) -> Result<(), RunError> {
        let Some(reference) = &self.reference else { return Ok(()) };
        let kl = &self.policy.kl;
        // Distributions are too large to keep: the pieces ask for them.
        if kl.exact_in_loss() {
            return Ok(());
        }
        let mut reference = reference.borrow_mut();
        for range in micro_batches(rows.iter().map(Row::tokens), self.micro_tokens) {
            let mut batch = Batch::default();
            rows[range.clone()].iter().for_each(|row| batch.push(&row.sequence()));
            step.ledger.scored_tokens += batch.len() as u64;
            let logprobs_T = reference.logprobs(&batch, self.roller.config.temperature)?;
            for (row, sequence) in rows[range].iter_mut().zip(batch.sequences()) {
                row.reference_T = logprobs_T[sequence.start + row.prompt.len()..sequence.end].to_vec();
                row.divergence = estimated(kl.kind, &row.response.sample.logprobs, &row.reference_T);
            }
        }
        Ok(())
    }

    /// The optimizer steps of one pass over the rollouts.
    fn updates(&self, rows: &[Row<'_>], first_pass: bool, ledger: &mut Ledger) -> Vec<Update> {
        // Rows stand group by group: a mini-batch is a run of whole groups.
        let group = self.roller.config.samples as usize;
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
        let limit = self.roller.config.max_tokens as usize;
        let tokens: usize = rows.iter().map(|row| row.response.sample.tokens.len()).sum();
        // A row whose advantage is 0 everywhere has no gradient without a KL term: it need not be computed.
        let kl_in_loss = self.policy.kl.active() && self.policy.kl.place == KlPlace::Loss;
        let kept: Vec<&Row<'_>> =
            rows.iter().filter(|row| kl_in_loss || row.advantages_T.iter().any(|a| *a != 0.0)).collect();
        let mut update: Update = Vec::new();
        for range in micro_batches(kept.iter().map(|row| row.tokens()), self.micro_tokens) {
            let reference = self.reference.as_ref().filter(|_| self.policy.kl.exact_in_loss());
            let mut piece =
                PolicyPiece::new(&self.policy, reference.cloned(), self.roller.config.temperature, on_policy);
            for row in &kept[range] {
                let length = row.response.sample.tokens.len();
                piece.push(row, self.policy.aggregation.weight(length, rows.len(), tokens, limit));
            }
            ledger.scored_tokens += if piece.reference.is_some() { piece.batch.len() as u64 } else { 0 };
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
        let Rollouts { groups_P, tries } = self.roller.roll(learner, &mut self.mixture, step)?;
        let seconds = watch.seconds();
        step.timings.set("timing_s/gen", seconds);
        let sampled = step.ledger.sampled_tokens - sampled_before;
        step.timings.set("tokens_per_second/sample", sampled as f64 / seconds);
        self.learn_beliefs(&tries);
        self.store(&groups_P, step.number)?;
        let config = &self.roller.config;
        step.ledger.with_reference = self.policy.kl.active();
        step.ledger.nominal_rollout_tokens +=
            u64::from(config.prompts) * u64::from(config.samples) * self.nominal_length;
        let mut rows: Vec<Row<'_>> = Vec::new();
        for group in &groups_P {
            let tokens: usize = group.responses_G.iter().map(|r| r.sample.tokens.len()).sum();
            step.ledger.see(&group.problem, tokens as u64);
            rows.extend(group.responses_G.iter().map(|response| Row::new(group, response)));
        }
        let watch = crate::stopwatch::start();
        self.score(&mut rows, step)?;
        step.timings.set("timing_s/ref", watch.seconds());
        let rewards_PG = rewards(&self.policy.kl, &groups_P, &rows, step.metrics);
        let mut advantages_PG = advantages(self.policy.advantage, &rewards_PG);
        if self.policy.focal > 0.0 {
            focus(self.policy.focal, &rewards_PG, &mut advantages_PG);
        }
        let credits = step_credits(&groups_P, &self.policy, self.roller.tokenizer);
        for (i, (row, advantage)) in rows.iter_mut().zip(advantages_PG.into_iter().flatten()).enumerate() {
            row.advantages_T = vec![advantage; row.response.sample.tokens.len()];
            if let Some(credits) = &credits {
                row.advantages_T.iter_mut().zip(&credits[i]).for_each(|(a, credit)| *a += credit);
            }
        }
        advantage_metrics(&rows, step.metrics);
        let mut updates = Vec::new();
        for epoch in 0..self.policy.epochs {
            updates.extend(self.updates(&rows, epoch == 0, step.ledger));
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

/// The rewards; with KL in the reward, each response's divergence is taken from its own.
fn rewards(kl: &Kl, groups_P: &[Group], rows: &[Row<'_>], metrics: &mut Metrics) -> Vec<Vec<f64>> {
    let mut rewards_PG: Vec<Vec<f64>> = groups_P.iter().map(Group::rewards_G).collect();
    if !kl.active() || kl.place != KlPlace::Reward {
        return rewards_PG;
    }
    for (reward, row) in rewards_PG.iter_mut().flatten().zip(rows) {
        *reward -= kl.coefficient * row.divergence;
        let tokens = row.response.sample.tokens.len() as f64;
        metrics.mean_sum("actor/reward_kl_penalty", row.divergence, tokens);
    }
    rewards_PG
}

fn advantage_metrics(rows: &[Row<'_>], metrics: &mut Metrics) {
    for row in rows {
        let sum: f64 = row.advantages_T.iter().map(|a| a.abs()).sum();
        metrics.mean_sum("critic/advantages/abs_mean", sum, row.advantages_T.len() as f64);
    }
}

/// Step-level credit: every token of a step gets the step's judgement, normalised over all steps of the
/// group, times the policy's weight. If the policy says so, endings are judged like steps, and the tokens that end a
/// solution get theirs. A token belongs to the last step that it has a byte of: the blank before a name is a part
/// of the name's token, and that token chooses the step. Tokens outside steps get none. In a response that was cut
/// off no step counts as right. One list a row; `None` if it is off.
fn step_credits(groups_P: &[Group], policy: &Policy, tokenizer: &tokens::Tokenizer) -> Option<Vec<Vec<f64>>> {
    let weight = policy.step_credit;
    if weight == 0.0 {
        return None;
    }
    let mut credits = Vec::new();
    for group in groups_P {
        let judged =
            |response| judged_steps(response, policy.ending_credit.then_some(group.problem.cell.mode));
        let steps_G: Vec<Vec<(Range<usize>, f64)>> = group.responses_G.iter().map(judged).collect();
        let judgements: Vec<f64> = steps_G.iter().flatten().map(|(_, right)| *right).collect();
        let (mean, std) = mean_and_std(&judgements);
        for (response, steps) in group.responses_G.iter().zip(steps_G) {
            let (_, bytes_T) = tokenizer.decode_with_offsets(&response.sample.tokens);
            // The end token has no byte. It ends a solution where there was no tag to do it.
            let end = response.text.len();
            let unclosed = |(step, right): &&(Range<usize>, f64)| step.end == end && *right == 0.0;
            let last = steps.last().filter(|_| policy.ending_credit).filter(unclosed);
            let credit = |bytes: Range<usize>| {
                let mut within =
                    steps.iter().rev().filter(|(step, _)| bytes.start < step.end && step.start < bytes.end);
                let judged = if bytes.is_empty() && bytes.end == end { last } else { within.next() };
                let right = judged.filter(|_| std > 0.0).map(|(_, right)| right);
                right.map_or(0.0, |right| weight * (right - mean) / (std + 1e-6))
            };
            credits.push(bytes_T.into_iter().map(credit).collect());
        }
    }
    Some(credits)
}

/// The bytes of each step of a response and, if the problem's mode is given, of its ending, with 1 if it is right and 0
/// if not.
fn judged_steps(response: &Judged, ending_in: Option<Mode>) -> Vec<(Range<usize>, f64)> {
    let mut steps = step_credit(&response.verdict);
    steps.extend(ending_in.map(|mode| ending_credit(&response.verdict, &response.text, mode)));
    let right = |right: bool| f64::from(u8::from(right && !response.truncated));
    steps.into_iter().map(|(bytes, step)| (bytes, right(step))).collect()
}

/// The estimated divergence of a response, summed over its tokens.
fn estimated(kind: KlKind, logprobs_T: &[f32], reference_T: &[f32]) -> f64 {
    let pairs = logprobs_T.iter().zip(reference_T);
    pairs.map(|(own, reference)| kind.at(f64::from(*own), f64::from(*reference)).value).sum()
}

struct PolicyPiece {
    batch: Batch,
    objective: PolicyObjective,
    /// Whose distributions an exact KL term needs.
    reference: Option<Reference>,
    /// What the rollouts' logits were divided by.
    temperature: f32,
    /// Whether this is the first update since sampling: the log-probabilities should be the sampler's.
    on_policy: bool,
}

impl PolicyPiece {
    fn new(policy: &Policy, reference: Option<Reference>, temperature: f32, on_policy: bool) -> Self {
        let objective = PolicyObjective {
            clip: policy.clip(),
            responses: Vec::new(),
            old_T: Vec::new(),
            reference_T: Vec::new(),
            reference_TV: Vec::new(),
            pull_T: Vec::new(),
            advantages_T: Vec::new(),
            weights_T: Vec::new(),
        };
        Self { batch: Batch::default(), objective, reference, temperature, on_policy }
    }

    fn push(&mut self, row: &Row<'_>, weight: f64) {
        let (prompt, sample) = (row.prompt.len(), &row.response.sample);
        let start = self.batch.len() + prompt;
        self.batch.push(&row.sequence());
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
        objective.pull_T.resize(start, 0.0);
        objective.pull_T.resize(end, (weight * objective.clip.kl.coefficient) as f32);
    }
}

impl Piece for PolicyPiece {
    fn prepare(&mut self) -> Result<(), RunError> {
        if let Some(reference) = &self.reference {
            self.objective.reference_TV =
                reference.borrow_mut().distributions(&self.batch, self.temperature)?;
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

#[cfg(test)]
mod tests {
    use problems::{
        Cell, Contexts, Generator, World,
        reward::{Reward, RewardParts},
        verify::{Policy as VerdictPolicy, verify},
    };

    use super::*;
    use learner::{Sample, StopReason};

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

    /// One problem with its right response and one whose last step has a wrong value.
    fn group() -> (Group, tokens::Tokenizer) {
        let world = World { distractors: 0.0, max_value: 20, ..World::default() };
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let right = problem.response();
        let tokenizer = tokens::Tokenizer::train([right.clone()].into_iter(), 300).expect("a vocabulary");
        let end = right.find(". </solution>").expect("the end of the last step");
        let value = right[..end].rfind('=').expect("a value") + 1;
        let wrong = format!("{}{}{}", &right[..value], 19 - problem.answer, &right[end..]);
        let responses_G = vec![judged(&right, &problem, &tokenizer), judged(&wrong, &problem, &tokenizer)];
        (Group { cell: 0, prompt: tokenizer.encode(&problem.prompt()), problem, responses_G }, tokenizer)
    }

    #[test]
    fn kl_in_the_reward_is_taken_from_each_response() {
        // d = ln 2 at the first token and 0 at the second.
        let (own, reference) = ([0.5_f32.ln(), 0.25_f32.ln()], [0.25_f32.ln(), 0.25_f32.ln()]);
        let two = std::f64::consts::LN_2;
        for (kind, by_hand) in [(KlKind::K1, two), (KlKind::K2, two * two / 2.0), (KlKind::K3, two - 0.5)] {
            assert!((estimated(kind, &own, &reference) - by_hand).abs() < 1e-6, "{kind:?}");
        }
        let (group, _) = group();
        let groups = [group];
        let mut rows: Vec<Row<'_>> =
            groups[0].responses_G.iter().map(|response| Row::new(&groups[0], response)).collect();
        (rows[0].divergence, rows[1].divergence) = (0.5, 2.0);
        let with = |place| {
            let kl = Kl { kind: KlKind::K3, coefficient: 0.1, place };
            rewards(&kl, &groups, &rows, &mut Metrics::default())
        };
        assert_eq!(with(KlPlace::Loss), [[1.0, 0.0]]);
        assert_eq!(with(KlPlace::Reward), [[1.0 - 0.1 * 0.5, -0.1 * 2.0]]);
    }

    fn credit(weight: f64) -> Policy {
        Policy { step_credit: weight, ..toml::from_str("").expect("defaults") }
    }

    #[test]
    fn credit_goes_to_every_word_of_the_steps_that_earned_it() {
        let (group, tokenizer) = group();
        let mut groups = [group];
        assert_eq!(step_credits(&groups, &credit(0.0), &tokenizer), None);
        let credits = step_credits(&groups, &credit(0.5), &tokenizer).expect("it is on");
        for (is_wrong, (response, credit_T)) in
            [false, true].into_iter().zip(groups[0].responses_G.iter().zip(&credits))
        {
            let solution = response.text.find("</solution>").expect("a tag");
            let last_step =
                response.text[..solution].trim_end_matches([' ', '.']).rfind('.').expect("steps") + 1;
            let (_, bytes_T) = tokenizer.decode_with_offsets(&response.sample.tokens);
            for (bytes, credit) in bytes_T.into_iter().zip(credit_T) {
                let (start, word) = (bytes.start, &response.text[bytes]);
                match word.trim() {
                    "" => {}
                    _ if start >= solution => assert_eq!(*credit, 0.0, "{word:?}"),
                    _ if is_wrong && start >= last_step => assert!(*credit < -0.5, "{word:?}"),
                    _ => assert!(*credit > 0.0 && *credit < 0.5, "{word:?}: {credit}"),
                }
            }
        }
        // Cut off, the right response is as wrong as the other: nothing is left to tell steps apart by.
        groups[0].responses_G.iter_mut().for_each(|response| response.truncated = true);
        let credits = step_credits(&groups, &credit(0.5), &tokenizer).expect("it is on");
        assert!(credits.iter().flatten().all(|credit| *credit == 0.0));
    }

    #[test]
    fn ending_too_early_is_charged_where_it_is_chosen() {
        let (mut group, tokenizer) = group();
        let right = group.responses_G[0].text.clone();
        let ending = right.find(" </solution>").expect("a tag");
        let last_step = right[..ending - 1].rfind(". ").expect("steps") + 1;
        let early = format!("{}{}", &right[..last_step], &right[ending..]);
        let bare = right[..last_step].trim_end().to_owned();
        group.responses_G = [right, early, bare].map(|text| judged(&text, &group.problem, &tokenizer)).into();
        let group = [group];
        let policy = Policy { ending_credit: true, ..credit(0.5) };
        let credits = step_credits(&group, &policy, &tokenizer).expect("it is on");
        let (bare, bare_T) = (&group[0].responses_G[2], &credits[2]);
        assert!(
            !bare.text.contains("</solution>") && *bare_T.last().expect("the end token") < -0.5,
            "{bare_T:?}"
        );
        assert!(bare_T[..bare_T.len() - 1].iter().all(|credit| *credit >= 0.0), "{bare_T:?}");
        for (is_early, (response, credit_T)) in
            [false, true].into_iter().zip(group[0].responses_G.iter().zip(credits))
        {
            let ending = response.text.find(" </solution>").expect("a tag");
            let (_, bytes_T) = tokenizer.decode_with_offsets(&response.sample.tokens);
            for (bytes, credit) in bytes_T.into_iter().zip(credit_T) {
                let (start, word) = (bytes.start, &response.text[bytes]);
                let chosen = start >= ending && start < ending + " </solution>".len();
                let as_it_should = match (chosen, is_early) {
                    (true, true) => credit < -0.5,
                    (true, false) => credit > 0.0,
                    (false, _) => credit == 0.0 || start < ending && credit > 0.0,
                };
                assert!(as_it_should, "{word:?}: {credit}");
            }
        }
        let without = step_credits(&group, &credit(0.5), &tokenizer).expect("it is on");
        assert!(without.iter().flatten().all(|credit| *credit == 0.0), "every step written is right");
    }
}
