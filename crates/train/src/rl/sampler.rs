//! Rollouts: prompts are sampled, and the responses are verified and rewarded.

use learner::{Learner, Prompt};
use problems::{Problem, stream::Stream};
use tokens::Tokenizer;

use super::{
    advantage::{GroupKind, group_kind},
    rollout_metrics::rollout_metrics,
    scored::ScoredResponse,
};
use crate::{
    data::{Mixture, Supply},
    error::RunError,
    observer::Event,
    recipe::RolloutConfig,
    work::Step,
};

/// A prompt with its responses.
#[derive(Debug, Clone)]
pub struct Group {
    /// The cell of the mix that it came from.
    pub cell: usize,
    /// The problem.
    pub problem: Problem,
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The responses.
    pub responses_G: Vec<ScoredResponse>,
}

impl Group {
    /// The rewards.
    pub fn rewards_G(&self) -> Vec<f64> {
        self.responses_G.iter().map(|response| response.reward).collect()
    }

    /// How many tokens the responses have together.
    pub fn response_tokens(&self) -> usize {
        self.responses_G.iter().map(ScoredResponse::tokens).sum()
    }

    fn tried(&self) -> Tried {
        let verified = self.responses_G.iter().filter(|response| response.judgement.verified()).count();
        Tried { cell: self.cell, verified: verified as u64, responses: self.responses_G.len() as u64 }
    }
}

/// How the responses to one prompt fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The cell of the mix.
    pub cell: usize,
    /// Verified responses.
    pub verified: u64,
    /// All responses.
    pub responses: u64,
}

/// The rollouts of a step.
#[derive(Debug, Clone)]
pub struct Rollouts {
    /// The groups that are trained on.
    pub groups_P: Vec<Group>,
    /// How every prompt fared, with those that were replaced.
    pub tried: Vec<Tried>,
}

/// Samples and scores rollouts.
pub struct RolloutSampler<'a> {
    /// Gives the problems.
    pub supply: Supply,
    /// Encodes prompts and decodes responses.
    pub tokenizer: &'a Tokenizer,
    /// Names the samples: (stream, step, prompt).
    pub stream: Stream,
    /// Prompts, samples, reward.
    pub config: RolloutConfig,
}

impl RolloutSampler<'_> {
    /// The rollouts of a step. Groups with equal rewards are replaced by fresh prompts, at most `refills` times
    /// (dynamic sampling).
    ///
    /// # Errors
    /// If the model cannot serve the prompts.
    pub fn roll(
        &self,
        learner: &mut dyn Learner,
        mixture: &mut Mixture,
        step: &mut Step<'_>,
    ) -> Result<Rollouts, RunError> {
        let wanted = self.config.prompts as usize;
        let mut groups_P = self.sample(learner, mixture, step, 0..wanted)?;
        let mut tried: Vec<Tried> = groups_P.iter().map(Group::tried).collect();
        rollout_metrics(&groups_P, &self.config, step.metrics);
        let mut drawn = wanted;
        for _ in 0..self.config.refills {
            // Uniform groups are kept only where no refill is left to replace them.
            groups_P.retain(|group| group_kind(&group.rewards_G()) == GroupKind::Mixed);
            let missing = wanted - groups_P.len();
            if missing == 0 {
                break;
            }
            let fresh = self.sample(learner, mixture, step, drawn..drawn + missing)?;
            drawn += missing;
            tried.extend(fresh.iter().map(Group::tried));
            groups_P.extend(fresh);
        }
        step.metrics.set("rollout/prompts_drawn", drawn as f64);
        Ok(Rollouts { groups_P, tried })
    }

    /// Samples fresh prompts; `numbers` are their places among all prompts of the step.
    fn sample(
        &self,
        learner: &mut dyn Learner,
        mixture: &mut Mixture,
        step: &mut Step<'_>,
        numbers: std::ops::Range<usize>,
    ) -> Result<Vec<Group>, RunError> {
        let keys = self.stream.index(step.number);
        let total = numbers.len() * self.config.samples as usize;
        let (mut groups, mut prompts) = (Vec::new(), Vec::new());
        for number in numbers {
            let cell = mixture.next();
            let problem = self.supply.problem(&mixture.cells()[cell], mixture.counts()[cell].problems)?;
            let tokens = self.tokenizer.encode(&problem.prompt());
            mixture.take(cell, tokens.len());
            let key = keys.index(number as u64).key();
            prompts.push(Prompt { tokens: tokens.clone(), key, first: 0, n: self.config.samples });
            groups.push(Group { cell, problem, prompt: tokens, responses_G: Vec::new() });
        }
        let (mut done, mut tokens) = (0, 0);
        let observer = &mut *step.observer;
        let samples_PG = learner.sample(&prompts, &self.config.sampling(), &mut |length| {
            done += 1;
            tokens += length as u64;
            observer.on(Event::Sampling { done, total, tokens });
        })?;
        for (group, samples) in groups.iter_mut().zip(samples_PG) {
            let gold = group.problem.gold();
            let scored = samples.into_iter().map(|sample| {
                let text = self.tokenizer.decode(&sample.tokens);
                ScoredResponse::new(sample, text, &gold, &self.config)
            });
            group.responses_G = scored.collect();
            step.ledger.sampled_tokens += group.response_tokens() as u64;
            step.ledger.prompt_tokens += group.prompt.len() as u64;
        }
        Ok(groups)
    }
}
