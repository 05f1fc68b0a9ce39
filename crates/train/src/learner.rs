//! The verbs a training loop needs of a model. The loop is plain host code over plain arrays; every
//! tensor lives behind these verbs, so a remote or second-device learner can stand in for the local one.
//!
//! Axes in names: `_P` prompt, `_S` sequence (document), `_T` token of the flat batch.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Token sequences laid end to end, without padding. Attention never crosses a sequence boundary and
/// positions restart at it. Example: two sequences `[5, 6, 7]` and `[8, 9]` are
/// `tokens_T = [5, 6, 7, 8, 9]`, `starts_S = [0, 3, 5]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All tokens.
    pub tokens_T: Vec<u32>,
    /// Where each sequence starts, and the total length as the last entry.
    pub starts_S: Vec<u32>,
}

impl Batch {
    /// Appends one sequence.
    pub fn push(&mut self, tokens: &[u32]) {
        if self.starts_S.is_empty() {
            self.starts_S.push(0);
        }
        self.tokens_T.extend_from_slice(tokens);
        self.starts_S.push(self.tokens_T.len() as u32);
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens_T.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens_T.is_empty()
    }

    /// The token ranges of the sequences.
    pub fn sequences(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        self.starts_S.windows(2).map(|w| w[0] as usize..w[1] as usize)
    }
}

/// A loss as data: how it changes with the log-probability of each token.
///
/// `logprobs_T[t]` is the log-probability the model gave to token `t` of the batch given its
/// predecessors in the sequence; the first token of a sequence has none and holds 0.
pub trait Objective: Sync {
    /// Writes `dLoss/dlogprob` of each token (0 = the token does not count) and returns the loss.
    /// Called once a batch; gradients of several batches add up until `optim_step`, so the
    /// normaliser must be the whole step's, not the batch's.
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64;

    /// The gradient if it does not depend on the log-probabilities (cross-entropy): lets the learner
    /// do forward and backward of the output layer in one pass.
    fn constant_gradient(&self) -> Option<&[f32]> {
        None
    }

    /// A divergence of whole distributions, which the learner adds to the loss and its gradient.
    fn pull(&self) -> Option<Pull<'_>> {
        None
    }
}

/// Adds Σ weight · KL(π ‖ ρ) to a loss, exact: over the whole vocabulary, at every token with a weight.
#[derive(Debug, Clone, Copy)]
pub struct Pull<'a> {
    /// log ρ, as [`Learner::distributions`] gives it for the batch: `[T, V]`.
    pub reference_TV: &'a [f32],
    /// Weight of the distribution each token was drawn from (0 = it does not count), as
    /// `gradient_T` of [`Objective::gradient`]: the first token of a sequence has none.
    pub weights_T: &'a [f32],
}

/// What a forward and backward pass reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardBackward {
    /// The loss of the batch as the objective computed it.
    pub loss: f64,
    /// Log-probability of every token (first of each sequence: 0).
    pub logprobs_T: Vec<f32>,
    /// Entropy of the distribution each token was drawn from, in nats (first of each sequence: 0).
    pub entropy_T: Vec<f32>,
    /// With a [`Pull`], the divergence of the distribution each token was drawn from (0 without a weight).
    pub divergence_T: Vec<f32>,
}

/// AdamW with decoupled weight decay on matrices only and global-norm clipping.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f32,
    /// First-moment decay.
    pub beta1: f32,
    /// Second-moment decay.
    pub beta2: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Decay of tensors with two or more dimensions.
    pub weight_decay: f32,
    /// Largest global gradient norm; 0 turns clipping off.
    pub clip_norm: f32,
}

/// What an optimizer step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimStep {
    /// Global norm of the accumulated gradient before clipping.
    pub grad_norm: f64,
    /// Whether the gradient was finite and the step was applied. A step with a non-finite gradient
    /// changes nothing but clears the gradient; the loop counts and reports it.
    pub applied: bool,
}

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by it; 0 is greedy.
    pub temperature: f32,
    /// Nucleus: smallest set of tokens with at least this probability; 1 is off.
    pub top_p: f32,
    /// Only the k most likely tokens; 0 is off.
    pub top_k: u32,
    /// Longest response, in tokens.
    pub max_tokens: u32,
}

/// One prompt and how many samples of it are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The tokens the samples continue.
    pub tokens: Vec<u32>,
    /// Names the prompt in the random streams: sample `s` draws token `t` from the stream
    /// (`key`, s, t) and nothing else, so batch composition cannot change a rollout.
    pub key: [u8; 32],
    /// First sample number (resumed sampling goes on where it was).
    pub first: u32,
    /// How many samples.
    pub n: u32,
}

/// Why a sample ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model wrote the end token. It is the last token of the sample.
    End,
    /// `max_tokens` were written, or the context was full.
    Length,
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The response tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Log-probability of each under the model at temperature 1 and without top-p or top-k: the number
    /// the trainer computes for the same token, bit for bit on the CPU.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub stop: StopReason,
}

/// A failure behind the verbs; the message is a lowercase fragment that ends "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum LearnerError {
    /// A checkpoint could not be written or read.
    #[error("{path}: {reason}")]
    Checkpoint {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request cannot be served (a token outside the vocabulary, a prompt longer than the context).
    #[error("{0}")]
    Request(String),
}

/// A model that can be trained and sampled.
pub trait Learner {
    /// Adds the gradient of the objective on this batch to the accumulated gradient.
    ///
    /// # Errors
    /// If a token is outside the vocabulary or a sequence is longer than the context.
    fn forward_backward(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
    ) -> Result<ForwardBackward, LearnerError>;

    /// Applies the accumulated gradient and clears it.
    fn optim_step(&mut self, adamw: &AdamW) -> OptimStep;

    /// Log-probability of every token (first of each sequence: 0), without gradients.
    ///
    /// # Errors
    /// As [`Learner::forward_backward`].
    fn logprobs(&mut self, batch: &Batch) -> Result<Vec<f32>, LearnerError>;

    /// Log-probability of every token of the vocabulary as successor of each token of the batch, `[T, V]`: row
    /// t foretells token t + 1. For the exact divergence; large, so ask for no more than is needed at once.
    ///
    /// # Errors
    /// As [`Learner::forward_backward`].
    fn distributions(&mut self, batch: &Batch) -> Result<Vec<f32>, LearnerError>;

    /// Draws samples: for each prompt, `n` of them in order. `progress` is told of every finished sample
    /// with its length in tokens.
    ///
    /// # Errors
    /// If a prompt is empty, longer than the context, or has a token outside the vocabulary.
    fn sample(
        &mut self,
        prompts_P: &[Prompt],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, LearnerError>;

    /// Writes the weights as a Hugging Face directory, and the optimizer state beside them if asked.
    /// The tokenizer's files are the caller's.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn save(&self, dir: &Path, with_optimizer: bool) -> Result<(), LearnerError>;

    /// Reads what [`Learner::save`] wrote; without optimizer state the optimizer starts afresh.
    ///
    /// # Errors
    /// If a file is missing, corrupt, or of another shape than this model.
    fn load(&mut self, dir: &Path) -> Result<(), LearnerError>;

    /// Number of trainable parameters.
    fn parameters(&self) -> usize;
}

/// Makes learners: the loop needs one to train, one frozen as the reference of the KL term, and fresh
/// ones for each arm and seed. Implemented over the engine by the command line.
pub trait LearnerFactory {
    /// A model with fresh weights drawn from the stream named by `seed`.
    ///
    /// # Errors
    /// If the shape is impossible (heads that do not divide the width, and the like).
    fn fresh(&self, model: &ModelConfig, seed: [u8; 32]) -> Result<Box<dyn Learner>, LearnerError>;

    /// A model read from a Hugging Face directory.
    ///
    /// # Errors
    /// If a file is missing or corrupt.
    fn open(&self, dir: &Path) -> Result<Box<dyn Learner>, LearnerError>;
}

/// The shape of a Qwen2 decoder and how it is initialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Size of the vocabulary, specials included. 0 in a recipe: the tokenizer's.
    #[serde(default)]
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of the SwiGLU layer.
    pub mlp: usize,
    /// Longest sequence.
    pub context: usize,
    /// RoPE base θ. Short texts want a small one (about 1e3 for under 150 tokens).
    pub rope_theta: f64,
    /// Whether input and output embeddings are one matrix.
    pub tied: bool,
    /// RMSNorm's epsilon.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// Whether the initial output projections of attention and MLP are scaled by 1/√(2·layers).
    pub scale_residual_init: bool,
    /// The token that ends a sample; none in a recipe: the tokenizer's. Without one, samples end by length.
    #[serde(default)]
    pub eos: Option<u32>,
    /// The padding token, only written to the checkpoint's configuration.
    #[serde(default)]
    pub pad: Option<u32>,
}

impl ModelConfig {
    /// Whether a model can have this shape; its vocabulary and special tokens are not looked at.
    ///
    /// # Errors
    /// The field that is wrong, and a sentence about it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, value) in [
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("mlp", self.mlp),
            ("context", self.context),
        ] {
            if value == 0 {
                return Err((name, format!("the model's {name} must be at least 1")));
            }
            if value > 1 << 24 {
                return Err((name, format!("the model's {name} = {value} is beyond any use")));
            }
        }
        let width = self.hidden / self.heads;
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(("heads", format!("{} heads do not divide a width of {}", self.heads, self.hidden)));
        }
        if !width.is_multiple_of(2) {
            return Err((
                "heads",
                format!("heads of width {width} cannot be rotated: RoPE needs an even width"),
            ));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let (kv, heads) = (self.kv_heads, self.heads);
            return Err(("kv_heads", format!("{kv} key/value heads do not divide {heads} query heads")));
        }
        for (name, value, least) in [
            ("rope_theta", self.rope_theta, f64::MIN_POSITIVE),
            ("norm_eps", self.norm_eps, f64::MIN_POSITIVE),
            ("init_std", self.init_std, 0.0),
        ] {
            if !(value.is_finite() && value >= least) {
                let must = if least > 0.0 { "positive" } else { "at least 0" };
                return Err((name, format!("the model's {name} is {value}, but must be {must}")));
            }
        }
        Ok(())
    }
}
