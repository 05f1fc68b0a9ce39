//! Responses with their verdicts and rewards.

use learner::{Sample, StopReason};
use problems::{gold::Gold, reward::RewardParts};
use runs::Judgement;

use crate::recipe::RolloutConfig;

/// A sampled response with its verdict and its reward.
#[derive(Debug, Clone)]
pub struct ScoredResponse {
    /// The tokens as sampled.
    pub sample: Sample,
    /// The text, without the end token.
    pub text: String,
    /// The verdict. A response that reached the length limit is a failure.
    pub judgement: Judgement,
    /// The parts of the reward, scored on the text alone.
    pub parts: RewardParts,
    /// The reward that counts: 0 for a truncated response, and shaped for length.
    pub reward: f64,
}

impl ScoredResponse {
    /// Judges a sample and computes its reward.
    pub(super) fn new(sample: Sample, text: String, gold: &Gold, config: &RolloutConfig) -> Self {
        let truncated = sample.stop == StopReason::Length;
        let judgement = Judgement::of(gold, &text, config.policy, truncated);
        let parts = config.reward.score(judgement.verdict());
        let reward = unshaped(config, &parts, truncated) - overlong_penalty(config, sample.tokens.len());
        Self { sample, text, judgement, parts, reward }
    }

    /// How many tokens it has, with its end token.
    pub fn tokens(&self) -> usize {
        self.sample.tokens.len()
    }

    /// What the shaping for length added to the reward; at most 0.
    pub(super) fn shaping(&self, config: &RolloutConfig) -> f64 {
        self.reward - unshaped(config, &self.parts, false)
    }
}

/// The reward before it is shaped for length. The bonus for well-formed tags is 0 unless a recipe gives one.
fn unshaped(config: &RolloutConfig, parts: &RewardParts, truncated: bool) -> f64 {
    if truncated { 0.0 } else { parts.reward + config.format_bonus * parts.format }
}

/// The soft overlong punishment of DAPO: it grows from 0 at `max_tokens − overlong_buffer` tokens to the whole penalty
/// at `max_tokens`.
fn overlong_penalty(config: &RolloutConfig, length: usize) -> f64 {
    let RolloutConfig { max_tokens, overlong_buffer, overlong_penalty, .. } = *config;
    if overlong_buffer == 0 {
        return 0.0;
    }
    let over = (length as f64 - f64::from(max_tokens - overlong_buffer)).max(0.0);
    overlong_penalty * (over / f64::from(overlong_buffer)).min(1.0)
}

#[cfg(test)]
mod tests {
    use problems::{Cell, Contexts, Generator, World, gold::Mode};
    use serde_json::{Value, json};

    use super::*;

    /// A configuration with the strict reward, and more keys.
    fn config(more: &Value) -> RolloutConfig {
        let mut keys =
            json!({ "prompts": 1, "samples": 1, "reward": { "kind": "strict" }, "max_tokens": 100 });
        keys.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(keys).expect("a rollout")
    }

    #[test]
    fn well_formed_tags_are_worth_nothing_unless_a_recipe_says_so() {
        let (off, on) = (config(&json!({})), config(&json!({ "format_bonus": 0.25 })));
        let parts = RewardParts { reward: 1.0, format: 1.0, ..RewardParts::default() };
        assert_eq!(
            [unshaped(&off, &parts, false), unshaped(&on, &parts, false), unshaped(&on, &parts, true)],
            [1.0, 1.25, 0.0]
        );
        // A recipe without one keeps the stage key that it had before the key existed.
        assert!(!serde_json::to_string(&off).expect("JSON").contains("format_bonus"));
    }

    /// One slip in the arithmetic: `paper` does not look at it, `strict` does.
    #[test]
    fn a_rollout_is_judged_by_its_own_policy() {
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 6, context: "zoo".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let reward = |text: String, policy: &str| {
            let sample = Sample { tokens: vec![0; 9], logprobs: vec![0.0; 9], stop: StopReason::End };
            ScoredResponse::new(sample, text, &problem.gold(), &config(&json!({ "policy": policy }))).reward
        };
        let text = problem.response();
        let digits = text.char_indices().filter_map(|(i, c)| Some((i, c.to_digit(10)?)));
        let slips = digits.map(|(i, d)| format!("{}{}{}", &text[..i], (d + 1) % 10, &text[i + 1..]));
        let rewards: Vec<[f64; 2]> =
            slips.map(|slip| ["paper", "strict"].map(|policy| reward(slip.clone(), policy))).collect();
        assert!(rewards.contains(&[1.0, 0.0]) && !rewards.contains(&[0.0, 1.0]), "{rewards:?}");
        // A recipe without the key keeps its stage key.
        let default = serde_json::to_string(&config(&json!({}))).expect("JSON");
        assert!(!default.contains("policy"), "{default}");
    }

    #[test]
    fn long_responses_lose_reward_gradually() {
        let buffer = |tokens: u32| config(&json!({ "overlong_buffer": tokens, "overlong_penalty": 0.5 }));
        let penalties = [10, 80, 90, 100].map(|length| overlong_penalty(&buffer(20), length));
        assert_eq!(penalties, [0.0, 0.0, 0.25, 0.5]);
        assert_eq!(overlong_penalty(&buffer(0), 100), 0.0);
    }

    #[test]
    fn a_truncated_response_is_a_failure_whatever_it_says() {
        let world = World { distractors: 0.0, max_value: 20, ..World::default() };
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let scored = |stop| {
            let sample = Sample { tokens: vec![0; 9], logprobs: vec![0.0; 9], stop };
            let scored =
                ScoredResponse::new(sample, problem.response(), &problem.gold(), &config(&json!({})));
            (scored.reward, scored.judgement.verified(), scored.judgement.correct())
        };
        assert_eq!(scored(StopReason::End), (1.0, true, true));
        assert_eq!(scored(StopReason::Length), (0.0, false, false));
    }
}
