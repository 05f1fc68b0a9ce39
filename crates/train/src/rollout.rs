//! Rollouts: prompts are sampled, the responses verified and rewarded.
//!
//! Axes: `_P` prompt, `_G` response in the prompt's group, `_T` token.

use std::collections::BTreeMap;

use problems::{
    Problem,
    reward::RewardParts,
    stream::Stream,
    verify::{Policy as VerdictPolicy, Verdict, verify},
};
use tokens::Tokenizer;

use learner::{Learner, Prompt, Sample, StopReason};

use crate::{
    advantage::{GroupKind, group_kind, mean_and_std},
    batches::Step,
    error::RunError,
    metrics::Metrics,
    mixture::Mixture,
    recipe::Rollout,
    supply::Supply,
    watch::Event,
};

/// A prompt with its verified responses.
#[derive(Debug, Clone)]
pub struct Group {
    /// Which cell of the mix it came from.
    pub cell: usize,
    /// The problem.
    pub problem: Problem,
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The responses.
    pub responses_G: Vec<Judged>,
}

/// A response and what it is worth.
#[derive(Debug, Clone)]
pub struct Judged {
    /// As sampled.
    pub sample: Sample,
    /// The text, end token not included.
    pub text: String,
    /// The verifier's verdict.
    pub verdict: Verdict,
    /// The parts of the reward.
    pub parts: RewardParts,
    /// The reward that counts: shaped for length, and 0 for a truncated response.
    pub reward: f64,
    /// Whether it hit the length limit. Such a response is a failure, whatever it says.
    pub truncated: bool,
}

impl Judged {
    /// Right in process and answer, and ended.
    pub fn verified(&self) -> bool {
        self.verdict.verified && !self.truncated
    }

    /// Right in the answer, and ended.
    pub fn right(&self) -> bool {
        self.verdict.answer_correct && !self.truncated
    }
}

impl Group {
    /// The rewards.
    pub fn rewards_G(&self) -> Vec<f64> {
        self.responses_G.iter().map(|response| response.reward).collect()
    }

    /// The cell, how many responses are verified, and how many there are.
    fn tried(&self) -> (usize, u64, u64) {
        let right = self.responses_G.iter().filter(|response| response.verified()).count();
        (self.cell, right as u64, self.responses_G.len() as u64)
    }
}

/// The rollouts of a step.
#[derive(Debug, Clone)]
pub struct Rollouts {
    /// What is learned from.
    pub groups_P: Vec<Group>,
    /// How every prompt fared, those included that were replaced: a cell, its verified responses and all.
    pub tries: Vec<(usize, u64, u64)>,
}

/// Makes rollouts.
pub struct Roller<'a> {
    /// Gives the problems.
    pub supply: Supply,
    /// Turns them into tokens and back.
    pub tokenizer: &'a Tokenizer,
    /// Names the samples: (stream, step, prompt).
    pub stream: Stream,
    /// How.
    pub config: Rollout,
}

impl Roller<'_> {
    /// The rollouts of a step: groups with equal rewards are replaced by fresh prompts, up to the bound.
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
        let mut groups_P = self.sample(learner, mixture, step, wanted, 0)?;
        let mut tries: Vec<_> = groups_P.iter().map(Group::tried).collect();
        judge_metrics(&groups_P, &self.config, step.metrics);
        let mut drawn = wanted;
        for _ in 0..self.config.refills {
            // Uniform groups are kept only where no refill is left to take their place.
            groups_P.retain(|group| group_kind(&group.rewards_G()) == GroupKind::Mixed);
            let missing = wanted - groups_P.len();
            if missing == 0 {
                break;
            }
            let fresh = self.sample(learner, mixture, step, missing, drawn)?;
            drawn += missing;
            tries.extend(fresh.iter().map(Group::tried));
            groups_P.extend(fresh);
        }
        step.metrics.set("rollout/prompts_drawn", drawn as f64);
        Ok(Rollouts { groups_P, tries })
    }

    fn sample(
        &self,
        learner: &mut dyn Learner,
        mixture: &mut Mixture,
        step: &mut Step<'_>,
        n: usize,
        first: usize,
    ) -> Result<Vec<Group>, RunError> {
        let keys = self.stream.index(step.number);
        let mut groups = Vec::with_capacity(n);
        let mut prompts = Vec::with_capacity(n);
        for p in 0..n {
            let cell = mixture.next();
            let problem = self.supply.problem(&mixture.cells()[cell], mixture.counts()[cell].problems)?;
            let tokens = self.tokenizer.encode(&problem.prompt());
            mixture.take(cell, tokens.len());
            let key = keys.index((first + p) as u64).key();
            prompts.push(Prompt { tokens: tokens.clone(), key, first: 0, n: self.config.samples });
            groups.push(Group { cell, problem, prompt: tokens, responses_G: Vec::new() });
        }
        let total = n * self.config.samples as usize;
        let (mut done, mut tokens) = (0, 0);
        let watch = &mut *step.watch;
        let samples_PG = learner.sample(&prompts, &self.config.sampling(), &mut |length| {
            done += 1;
            tokens += length as u64;
            watch.on(Event::Sampling { done, total, tokens });
        })?;
        for (group, samples) in groups.iter_mut().zip(samples_PG) {
            let sampled: usize = samples.iter().map(|sample| sample.tokens.len()).sum();
            step.ledger.sampled_tokens += sampled as u64;
            step.ledger.prompt_tokens += group.prompt.len() as u64;
            let gold = group.problem.gold();
            group.responses_G = samples.into_iter().map(|sample| self.judge(&gold, sample)).collect();
        }
        Ok(groups)
    }

    fn judge(&self, gold: &problems::gold::Gold, sample: Sample) -> Judged {
        let text = self.tokenizer.decode(&sample.tokens);
        let verdict = verify(gold, &text, VerdictPolicy::Paper);
        let parts = self.config.reward.score(&verdict);
        let truncated = sample.stop == StopReason::Length;
        let reward = worth(&self.config, &parts, truncated) - overlong(&self.config, sample.tokens.len());
        Judged { sample, text, verdict, parts, reward, truncated }
    }
}

/// The reward before it is shaped for length. A bonus for tags as they should be is off unless a recipe names one.
fn worth(config: &Rollout, parts: &RewardParts, truncated: bool) -> f64 {
    if truncated { 0.0 } else { parts.reward + config.format_bonus * parts.format }
}

/// Soft punishment of long responses (DAPO): from 0 at `max − buffer` to the penalty at `max`.
fn overlong(config: &Rollout, length: usize) -> f64 {
    let Rollout { max_tokens, overlong_buffer, overlong_penalty, .. } = *config;
    if overlong_buffer == 0 {
        return 0.0;
    }
    let over = (length as f64 - f64::from(max_tokens - overlong_buffer)).max(0.0);
    overlong_penalty * (over / f64::from(overlong_buffer)).min(1.0)
}

/// The metrics of a step's first rollouts, before any refill: what the policy is, not what was selected.
fn judge_metrics(groups_P: &[Group], config: &Rollout, metrics: &mut Metrics) {
    let mut uniform_wrong = 0.0;
    let mut uniform_right = 0.0;
    let mut mixed = 0.0;
    let mut faults: BTreeMap<&'static str, f64> = BTreeMap::new();
    for group in groups_P {
        let rewards_G = group.rewards_G();
        metrics.mean("reward_std", mean_and_std(&rewards_G).1, 1.0);
        match group_kind(&rewards_G) {
            GroupKind::Mixed => mixed += 1.0,
            GroupKind::Uniform if group.responses_G.iter().all(Judged::verified) => uniform_right += 1.0,
            GroupKind::Uniform => uniform_wrong += 1.0,
        }
        for response in &group.responses_G {
            response_metrics(group, response, config, metrics);
            if let Some((kind, _)) = &response.verdict.first_fault {
                *faults.entry(kind.name()).or_default() += 1.0;
            }
        }
    }
    let n = groups_P.len() as f64;
    metrics.set("groups/all_right", uniform_right / n);
    metrics.set("groups/mixed", mixed / n);
    metrics.set("groups/all_equal_not_right", uniform_wrong / n);
    metrics.set("frac_reward_zero_std", (uniform_right + uniform_wrong) / n);
    reward_metrics(groups_P, metrics);
    let responses = n * f64::from(config.samples);
    for (name, count) in faults {
        metrics.set(&format!("first_fault/{name}"), count / responses);
    }
}

/// The reward and its parts over all responses.
fn reward_metrics(groups_P: &[Group], metrics: &mut Metrics) {
    let all = |part: fn(&Judged) -> f64| -> Vec<f64> {
        groups_P.iter().flat_map(|group| &group.responses_G).map(part).collect()
    };
    let rewards = all(|response| response.reward);
    metrics.set("critic/rewards/mean", mean_and_std(&rewards).0);
    metrics.set("critic/rewards/max", rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    metrics.set("critic/rewards/min", rewards.iter().copied().fold(f64::INFINITY, f64::min));
    let (outcomes, processes) = (all(|r| r.parts.outcome), all(|r| r.parts.process));
    for (name, values) in [("outcome", outcomes), ("process", processes)] {
        let (mean, std) = mean_and_std(&values);
        metrics.set(&format!("rewards/{name}/mean"), mean);
        metrics.set(&format!("rewards/{name}/std"), std);
    }
}

fn response_metrics(group: &Group, response: &Judged, config: &Rollout, metrics: &mut Metrics) {
    let one = |yes: bool| f64::from(u8::from(yes));
    let length = response.sample.tokens.len() as f64;
    metrics.mean(&format!("reward/op{}", group.problem.cell.op), response.reward, 1.0);
    metrics.mean(&format!("verified/op{}", group.problem.cell.op), one(response.verified()), 1.0);
    metrics.mean("verified/mean", one(response.verified()), 1.0);
    metrics.mean("verified/right_answer", one(response.right()), 1.0);
    metrics.mean("verified/right_answer_wrong_process", one(response.right() && !response.verified()), 1.0);
    metrics.mean("response_length/mean", length, 1.0);
    metrics.max("response_length/max", length);
    metrics.mean("response_length/clip_ratio", one(response.truncated), 1.0);
    metrics.mean("prompt_length/mean", group.prompt.len() as f64, 1.0);
    if config.overlong_buffer > 0 {
        let whole = worth(config, &response.parts, false);
        metrics.mean("rewards/overlong/mean", response.reward - whole, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use problems::{Cell, Contexts, Generator, World, gold::Mode};

    use super::*;

    fn config(buffer: u32) -> Rollout {
        let reward = serde_json::json!({ "kind": "strict" });
        let fields = serde_json::json!({
            "prompts": 1, "samples": 1, "reward": reward, "max_tokens": 100,
            "overlong_buffer": buffer, "overlong_penalty": 0.5,
        });
        serde_json::from_value(fields).expect("a rollout")
    }

    #[test]
    fn looks_are_worth_nothing_unless_a_recipe_says_so() {
        let config = |bonus: serde_json::Value| -> Rollout {
            let mut fields = serde_json::json!({
                "prompts": 1, "samples": 1, "reward": { "kind": "strict" }, "max_tokens": 100,
            });
            fields.as_object_mut().expect("an object").extend(bonus.as_object().expect("an object").clone());
            serde_json::from_value(fields).expect("a rollout")
        };
        let (off, on) = (config(serde_json::json!({})), config(serde_json::json!({ "format_bonus": 0.25 })));
        let parts = RewardParts { reward: 1.0, format: 1.0, ..RewardParts::default() };
        assert_eq!(
            [worth(&off, &parts, false), worth(&on, &parts, false), worth(&on, &parts, true)],
            [1.0, 1.25, 0.0]
        );
        // A recipe without one has the key it had before there was such a thing.
        assert!(!serde_json::to_string(&off).expect("JSON").contains("format_bonus"));
    }

    #[test]
    fn long_responses_lose_reward_gradually() {
        let penalties = [10, 80, 90, 100].map(|length| overlong(&config(20), length));
        assert_eq!(penalties, [0.0, 0.0, 0.25, 0.5]);
        assert_eq!(overlong(&config(0), 100), 0.0);
    }

    #[test]
    fn a_response_that_was_cut_off_is_a_failure_whatever_it_says() {
        let world = World { distractors: 0.0, max_value: 20, ..World::default() };
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let right = problem.response();
        let tokenizer = Tokenizer::train([right.clone()].into_iter(), 300).expect("a vocabulary");
        let (supply, stream) = (Supply::Files(Vec::new()), Stream::root(1));
        let roller = Roller { supply, tokenizer: &tokenizer, stream, config: config(0) };
        let judged = |stop| {
            let tokens = tokenizer.encode(&right);
            let logprobs = vec![0.0; tokens.len()];
            let judged = roller.judge(&problem.gold(), Sample { tokens, logprobs, stop });
            (judged.reward, judged.verified(), judged.right())
        };
        assert_eq!(judged(StopReason::End), (1.0, true, true));
        assert_eq!(judged(StopReason::Length), (0.0, false, false));
    }
}
