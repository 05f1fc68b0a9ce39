//! A stage of training: what it reads, how long it takes, how it learns.

use learner::{AdamW, Sampling};
use problems::{reward::Reward, verify::Policy};
use runs::records::StageKind;
use serde::{Deserialize, Serialize};

use super::count;
use crate::{
    rl::{Advantage, Aggregation, Clip, Curriculum, Kl, Surrogate},
    schedule::Schedule,
};

/// One stage: pre-training, mid-training or reinforcement learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name; overrides address it by that (`stage.NAME.key`).
    pub name: String,
    /// What it does.
    pub kind: StageKind,
    /// The mix it is trained on.
    pub mix: String,
    /// Files of problems (JSON lines, as `tercet problems` writes them) that replace the generator, relative to the recipe.
    /// After their last problem comes their first again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Tokens to train on (pre- and mid-training: this or `steps`).
    #[serde(default, deserialize_with = "count::optional", skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Steps to take; for reinforcement learning, rounds of rollouts.
    #[serde(default, deserialize_with = "count::optional", skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// AdamW and its learning rate.
    pub optimizer: Optimizer,
    /// How the learning rate runs.
    #[serde(default)]
    pub schedule: Schedule,
    /// Tokens of an optimizer step (pre- and mid-training), at most.
    #[serde(default = "default_batch_tokens", deserialize_with = "count::number")]
    pub batch_tokens: usize,
    /// Tokens of a micro-batch, at most: bounds memory, not the result.
    #[serde(default = "default_micro_tokens", deserialize_with = "count::number")]
    pub micro_tokens: usize,
    /// Loss weight of a prompt's tokens, 0 to 1 (pre- and mid-training).
    #[serde(default = "one")]
    pub prompt_loss_weight: f64,
    /// What a mix's shares count: tokens, or problems.
    #[serde(default)]
    pub share_of: ShareOf,
    /// Steps between checkpoints; 0 for none but the last.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// How many of the latest checkpoints to keep.
    #[serde(default = "default_keep")]
    pub keep: usize,
    /// Steps whose checkpoints are kept for good, evaluated like the last if `evaluate_milestones` is set.
    #[serde(default)]
    pub milestones: Vec<u64>,
    /// Whether the suites are run on the milestones, too.
    #[serde(default)]
    pub evaluate_milestones: bool,
    /// Steps between measurements of the loss on held-out problems of every cell; 0 for never.
    #[serde(default)]
    pub validate_every: u64,
    /// How rollouts are made (reinforcement learning only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutConfig>,
    /// How rollouts become a gradient (reinforcement learning only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyConfig>,
}

impl Stage {
    /// Tokens to train on and steps to take (pre- and mid-training): tokens are divided evenly over as many
    /// steps as come closest to `batch_tokens` a step.
    pub fn budget(&self) -> (u64, u64) {
        let batch = self.batch_tokens as u64;
        match (self.tokens, self.steps) {
            (Some(tokens), _) => (tokens, ((tokens + batch / 2) / batch).max(1)),
            (None, steps) => (steps.unwrap_or(0) * batch, steps.unwrap_or(0)),
        }
    }

    /// Steps the stage takes.
    pub fn total_steps(&self) -> u64 {
        match self.kind {
            StageKind::PreTraining | StageKind::MidTraining => self.budget().1,
            StageKind::Rl => self.steps.unwrap_or(0),
            StageKind::Elsewhere => 0,
        }
    }
}

/// AdamW: the peak learning rate and the rest. Decay is on matrices only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// Peak learning rate.
    pub lr: f64,
    /// First-moment decay.
    #[serde(default = "default_beta1")]
    pub beta1: f64,
    /// Second-moment decay.
    #[serde(default = "default_beta2")]
    pub beta2: f64,
    /// Added to the denominator.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Weight decay of matrices.
    #[serde(default)]
    pub weight_decay: f64,
    /// Largest global gradient norm; 0 turns clipping off.
    #[serde(default = "one")]
    pub clip_norm: f64,
}

impl Optimizer {
    /// The optimizer at a share of the peak learning rate.
    pub fn at(&self, share: f64) -> AdamW {
        AdamW {
            lr: (self.lr * share) as f32,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            eps: self.eps as f32,
            weight_decay: self.weight_decay as f32,
            clip_norm: self.clip_norm as f32,
        }
    }
}

/// What the shares of a mix count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareOf {
    /// Tokens: longer problems are fewer.
    #[default]
    Tokens,
    /// Problems, whatever their length.
    Problems,
}

/// How rollouts are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutConfig {
    /// Prompts a step.
    pub prompts: u32,
    /// Samples a prompt: the group.
    pub samples: u32,
    /// The reward of a response.
    pub reward: Reward,
    /// The rules by which the verifier judges a response, as in a suite.
    #[serde(default = "paper", skip_serializing_if = "is_paper")]
    pub policy: Policy,
    /// Sampling temperature: the policy that is trained is the one at this temperature.
    #[serde(default = "one_f32")]
    pub temperature: f32,
    /// Nucleus: must be 1, off.
    #[serde(default = "one_f32")]
    pub top_p: f32,
    /// Only the k most likely tokens: must be 0, off.
    #[serde(default)]
    pub top_k: u32,
    /// Longest response, in tokens. A response that reaches it is a failure.
    pub max_tokens: u32,
    /// Dynamic sampling: how often, at most, groups with equal rewards are replaced by fresh prompts.
    #[serde(default)]
    pub refills: u32,
    /// Overlong shaping: the reward falls linearly over this many tokens before the length limit; 0 is off.
    #[serde(default)]
    pub overlong_buffer: u32,
    /// How much it falls by at the limit.
    #[serde(default = "one")]
    pub overlong_penalty: f64,
    /// Added to the reward of a response with well-formed tags; 0 is off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub format_bonus: f64,
    /// The length L of the paper's nominal token count (`T_RL = (4/3 + γ/3)·N·r·L`); 0 stands for the
    /// model's context.
    #[serde(default)]
    pub nominal_length: u64,
    /// Every how many steps some rollouts are stored; 0 for never.
    #[serde(default = "default_store_every")]
    pub store_every: u64,
    /// How many prompts' rollouts are stored then.
    #[serde(default = "default_store_prompts")]
    pub store_prompts: u32,
    /// Steers the prompts to the edge of competence; off if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<Curriculum>,
}

impl RolloutConfig {
    /// The length L of the nominal token count, for a model with this context.
    pub(crate) fn nominal_length_or(&self, context: usize) -> u64 {
        if self.nominal_length == 0 { context as u64 } else { self.nominal_length }
    }

    /// The sampling of the responses.
    pub fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, top_k, max_tokens, .. } = *self;
        Sampling { temperature, top_p, top_k, max_tokens }
    }
}

/// How rollouts become a gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// The estimator of advantages.
    #[serde(default)]
    pub advantage: Advantage,
    /// Each group is weighed by (1 − mean reward) to this power, so that groups nearly solved count little (F-GRPO); 0 is off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub focal: f64,
    /// The surrogate loss.
    #[serde(default)]
    pub surrogate: Surrogate,
    /// The ratio is clipped below at 1 minus this.
    #[serde(default = "default_clip")]
    pub clip_low: f64,
    /// The ratio is clipped above at 1 plus this.
    #[serde(default = "default_clip")]
    pub clip_high: f64,
    /// Bound for negative advantages; 0 is off.
    #[serde(default = "default_dual_clip")]
    pub dual_clip: f64,
    /// The KL term that keeps the policy close to the model that the stage began with.
    #[serde(default)]
    pub kl: Kl,
    /// How token losses become one.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// Optimizer steps each pass over the rollouts is cut into.
    #[serde(default = "one_u32")]
    pub mini_batches: u32,
    /// Passes over the rollouts.
    #[serde(default = "one_u32")]
    pub epochs: u32,
    /// Weight of step-level credit; 0 is off. On top of its response's advantage, a token of a step gets this times the
    /// verifier's judgement of the step against the group's other steps. A repeated quantity earns nothing more, and in a
    /// truncated response no step counts as correct.
    #[serde(default)]
    pub step_credit: f64,
    /// Whether the ending of a solution is judged like one of its steps. It is correct if nothing is missing. Without
    /// this, leaving out hard steps pays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ending_credit: bool,
}

impl PolicyConfig {
    /// The numbers of the surrogate.
    pub fn clip(&self) -> Clip {
        Clip {
            surrogate: self.surrogate,
            low: self.clip_low,
            high: self.clip_high,
            dual: self.dual_clip,
            kl: self.kl,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_paper(policy: &Policy) -> bool {
    *policy == Policy::Paper
}
fn paper() -> Policy {
    Policy::Paper
}

fn one() -> f64 {
    1.0
}
fn one_f32() -> f32 {
    1.0
}
fn one_u32() -> u32 {
    1
}
fn default_batch_tokens() -> usize {
    4096
}
fn default_micro_tokens() -> usize {
    16384
}
fn default_checkpoint_every() -> u64 {
    200
}
fn default_keep() -> usize {
    1
}
fn default_store_every() -> u64 {
    10
}
fn default_store_prompts() -> u32 {
    4
}
fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.95
}
fn default_eps() -> f64 {
    1e-8
}
fn default_clip() -> f64 {
    0.2
}
fn default_dual_clip() -> f64 {
    3.0
}
