//! What the numbers of a recipe may be. Every check names the field that is wrong and says why.

use std::fmt::Display;

use learner::{ModelConfig, PARAMETERS_MAX};
use problems::reward::Reward;
use runs::{Evaluation, SuiteConfig};

use super::{Optimizer, PolicyConfig, RolloutConfig, Stage, TokenizerConfig};
use crate::{
    eval::sampling,
    rl::{Advantage, KlKind, KlPlace},
    schedule::Schedule,
};

/// The field, and what is wrong with it.
type Limit = Result<(), (&'static str, String)>;

fn is(name: &'static str, value: impl Display, fits: bool, must: &str) -> Limit {
    if fits { Ok(()) } else { Err((name, format!("`{name}` is {value}, but must be {must}"))) }
}

fn share(name: &'static str, value: f64) -> Limit {
    is(name, value, (0.0..=1.0).contains(&value), "between 0 and 1")
}

fn not_negative(name: &'static str, value: f64) -> Limit {
    is(name, value, value.is_finite() && value >= 0.0, "at least 0")
}

/// A decay of moments. A decay of 1 in the engine's single precision would divide by zero.
fn decay(name: &'static str, value: f64) -> Limit {
    is(name, value, value >= 0.0 && (value as f32) < 1.0, "at least 0 and below 1")
}

fn at_least_one(name: &'static str, value: u64) -> Limit {
    if value > 0 { Ok(()) } else { Err((name, format!("`{name}` must be at least 1"))) }
}

/// Most responses of a step.
const RESPONSES_MAX: u64 = 1 << 20;
/// Most problems of a suite.
const PROBLEMS_MAX: u64 = 1 << 20;
/// Most samples of a problem of a suite.
const SAMPLES_MAX: u64 = 1 << 16;
/// Most tokens of a batch.
const BATCH_MAX: u64 = 1 << 30;
/// Most tokens of a text, and of a vocabulary.
const TOKENS_MAX: u64 = 1 << 24;
/// Most steps of a stage.
const STEPS_MAX: u64 = 1 << 32;

/// A size that memory is asked for: with more, a run would end in the middle, without a word.
fn at_most(name: &'static str, what: &str, value: u64, most: u64) -> Limit {
    if value <= most {
        return Ok(());
    }
    Err((name, format!("{value} {what} are beyond any use: the most are {most}")))
}

/// A shape with the vocabulary of its tokenizer.
pub(super) fn shape(shape: &ModelConfig, vocab: usize) -> Limit {
    shape.check()?;
    at_most("vocab", "tokens of a vocabulary", shape.vocab as u64, TOKENS_MAX)?;
    let parameters = shape.parameters(vocab);
    if parameters > PARAMETERS_MAX {
        let message =
            format!("a model of {parameters} parameters is too large: the most are {PARAMETERS_MAX}");
        return Err(("hidden", message));
    }
    Ok(())
}

pub(super) fn evaluation(evaluation: &Evaluation) -> Limit {
    let problems = evaluation.validation_problems;
    at_most("validation_problems", "problems of a cell", problems, PROBLEMS_MAX)
}

impl TokenizerConfig {
    pub(super) fn check(&self) -> Limit {
        at_most("vocab", "tokens of a vocabulary", self.vocab as u64, TOKENS_MAX)?;
        at_most("problems", "problems", self.problems, 1 << 32)
    }
}

impl Schedule {
    pub(crate) fn check(&self) -> Limit {
        share("warmup_share", self.warmup_share)?;
        share("decay_share", self.decay_share)?;
        share("minimum", self.minimum)?;
        if self.warmup_steps > 0 && self.warmup_share > 0.0 {
            return Err(("warmup_share", "give the warm-up in steps or as a share, not both".to_owned()));
        }
        Ok(())
    }
}

impl Optimizer {
    pub(super) fn check(&self) -> Limit {
        if !(self.lr.is_finite() && self.lr >= 0.0) {
            return Err(("lr", format!("a learning rate of {} is impossible", self.lr)));
        }
        decay("beta1", self.beta1)?;
        decay("beta2", self.beta2)?;
        is("eps", self.eps, self.eps.is_finite() && self.eps as f32 > 0.0, "above 0")?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("clip_norm", self.clip_norm)
    }
}

impl Stage {
    pub(super) fn check(&self) -> Limit {
        share("prompt_loss_weight", self.prompt_loss_weight)?;
        at_least_one("batch_tokens", self.batch_tokens as u64)?;
        at_least_one("micro_tokens", self.micro_tokens as u64)?;
        at_least_one("keep", self.keep as u64)?;
        at_most("batch_tokens", "tokens of a batch", self.batch_tokens as u64, BATCH_MAX)?;
        at_most("micro_tokens", "tokens of a micro-batch", self.micro_tokens as u64, BATCH_MAX)?;
        at_least_one("steps", self.steps.unwrap_or(1))?;
        at_most("steps", "steps", self.steps.unwrap_or(1), STEPS_MAX)
    }

    /// A corpus is divided into batches of about `batch_tokens`. A much smaller one would be a batch without a problem.
    pub(super) fn check_corpus(&self) -> Limit {
        match (self.tokens, self.steps) {
            (Some(_), Some(_)) => {
                let message = format!("stage `{}` has both `tokens` and `steps`: leave one out", self.name);
                return Err(("steps", message));
            }
            (None, None) => {
                return Err(("tokens", format!("stage `{}` needs either `tokens` or `steps`", self.name)));
            }
            _ => {}
        }
        let batch = self.batch_tokens as u64;
        match self.tokens {
            Some(tokens) if tokens == 0 || tokens.saturating_mul(2) < batch => {
                let message =
                    format!("{tokens} tokens are less than half a batch of {batch} (`batch_tokens`)");
                Err(("tokens", message))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn suite(suite: &SuiteConfig) -> Limit {
    at_least_one("problems", suite.problems)?;
    at_least_one("samples", u64::from(suite.samples))?;
    at_least_one("max_tokens", u64::from(suite.max_tokens))?;
    at_least_one("chunk", suite.chunk as u64)?;
    let cells = (suite.ops.0.len() * suite.contexts.len() * suite.modes.len()) as u64;
    at_most("problems", "problems of a suite", suite.problems.saturating_mul(cells), PROBLEMS_MAX)?;
    at_most("samples", "samples of a problem", u64::from(suite.samples), SAMPLES_MAX)?;
    at_most("max_tokens", "tokens of a response", u64::from(suite.max_tokens), TOKENS_MAX)?;
    sampling(suite).check()?;
    match suite.k.iter().find(|&&k| k == 0 || k > suite.samples) {
        Some(k) => {
            Err(("k", format!("pass@{k} needs at least {k} samples, and there are {}", suite.samples)))
        }
        None => Ok(()),
    }
}

impl RolloutConfig {
    pub(super) fn check(&self, context: Option<usize>) -> Limit {
        at_least_one("prompts", u64::from(self.prompts))?;
        at_least_one("max_tokens", u64::from(self.max_tokens))?;
        if self.samples < 2 {
            let message =
                "`samples` must be at least 2: a response is judged against the others of its group";
            return Err(("samples", message.to_owned()));
        }
        let responses = u64::from(self.prompts) * u64::from(self.samples);
        at_most("prompts", "responses of a step", responses, RESPONSES_MAX)?;
        at_most("nominal_length", "tokens of a response", self.nominal_length, TOKENS_MAX)?;
        self.sampling().check()?;
        let must = "above 0: the responses of a group would be the same";
        is("temperature", self.temperature, self.temperature > 0.0, must)?;
        // Log-probabilities, ratios and the KL term are those of the whole distribution.
        let must = "1 (off): another policy than the trained one would have written the responses";
        is("top_p", self.top_p, self.top_p == 1.0, must)?;
        let must = "0 (off): another policy than the trained one would have written the responses";
        is("top_k", self.top_k, self.top_k == 0, must)?;
        match self.reward {
            Reward::Blend { alpha } => share("reward.alpha", alpha)?,
            Reward::Reference { answer_weight } => share("reward.answer_weight", answer_weight)?,
            Reward::Outcome {} | Reward::Strict {} => {}
        }
        not_negative("overlong_penalty", self.overlong_penalty)?;
        not_negative("format_bonus", self.format_bonus)?;
        if context.is_some_and(|context| self.max_tokens as usize >= context) {
            let message = "`max_tokens` must leave room for the prompt in the context";
            return Err(("max_tokens", message.to_owned()));
        }
        if self.overlong_buffer >= self.max_tokens {
            return Err(("overlong_buffer", "`overlong_buffer` must be below `max_tokens`".to_owned()));
        }
        self.curriculum.as_ref().map_or(Ok(()), |c| c.check().map_err(|message| ("curriculum", message)))
    }
}

impl PolicyConfig {
    fn advantage(&self, rollout: &RolloutConfig) -> Limit {
        if let Advantage::PassAtK { k } = self.advantage {
            let fits = k >= 1 && k < rollout.samples;
            is(
                "advantage",
                format!("pass@{k}"),
                fits,
                "of at least 1 and fewer than the `samples` of a group",
            )?;
        }
        let shaped = rollout.overlong_buffer > 0
            || rollout.format_bonus > 0.0
            || self.kl.active() && self.kl.place == KlPlace::Reward;
        if self.advantage.needs_shares() && shaped {
            let message = "this advantage is defined for rewards between 0 and 1: leave out `overlong_buffer`, \
                           `format_bonus` and a KL term in the reward";
            return Err(("advantage", message.to_owned()));
        }
        Ok(())
    }

    pub(super) fn check(&self, rollout: &RolloutConfig) -> Limit {
        self.advantage(rollout)?;
        at_least_one("mini_batches", u64::from(self.mini_batches))?;
        at_least_one("epochs", u64::from(self.epochs))?;
        if self.mini_batches > rollout.prompts {
            return Err(("mini_batches", "there are fewer prompts than mini-batches".to_owned()));
        }
        share("clip_low", self.clip_low)?;
        not_negative("clip_high", self.clip_high)?;
        let dual = self.dual_clip == 0.0 || self.dual_clip.is_finite() && self.dual_clip > 1.0;
        is(
            "dual_clip",
            self.dual_clip,
            dual,
            "above 1, or 0 (off): below, no bad response would be learned from",
        )?;
        not_negative("kl.coefficient", self.kl.coefficient)?;
        not_negative("focal", self.focal)?;
        not_negative("step_credit", self.step_credit)?;
        if self.ending_credit && self.step_credit == 0.0 {
            return Err(("ending_credit", "it is weighed by `step_credit`, which is 0".to_owned()));
        }
        if self.kl.kind == KlKind::Exact && self.kl.place == KlPlace::Reward {
            let message = "the exact divergence belongs in the loss: every token that could have been written \
                           instead would change a reward by the same";
            return Err(("kl.place", message.to_owned()));
        }
        Ok(())
    }
}
