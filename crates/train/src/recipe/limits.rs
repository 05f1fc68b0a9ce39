//! What the numbers of a recipe may be. Every check names the field that is wrong and says why.

use std::fmt::Display;

use problems::reward::Reward;
use runs::SuiteConfig;

use super::{Optimizer, PolicyConfig, RolloutConfig, Stage};
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
        at_least_one("steps", self.steps.unwrap_or(1))
    }

    /// A corpus is divided into batches of about `batch_tokens`. A much smaller one would be a batch without a problem.
    pub(super) fn check_corpus(&self) -> Limit {
        if self.tokens.is_some() == self.steps.is_some() {
            return Err(("tokens", format!("stage `{}` needs either `tokens` or `steps`", self.name)));
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
    sampling(suite).check()?;
    match suite.k.iter().find(|&&k| k == 0 || k > suite.samples) {
        Some(k) => {
            Err(("k", format!("pass@{k} needs at least {k} samples, and there are {}", suite.samples)))
        }
        None => Ok(()),
    }
}

impl RolloutConfig {
    pub(super) fn check(&self, context: usize) -> Limit {
        at_least_one("prompts", u64::from(self.prompts))?;
        at_least_one("max_tokens", u64::from(self.max_tokens))?;
        if self.samples < 2 {
            let message =
                "`samples` must be at least 2: a response is judged against the others of its group";
            return Err(("samples", message.to_owned()));
        }
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
        if self.max_tokens as usize >= context {
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
