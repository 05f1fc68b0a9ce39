//! The verbs a training loop needs of a model.

use std::path::Path;

use crate::{
    AdamW, Batch, Distributions, ForwardBackward, ModelConfig, Objective, OptimStep, Prompt, Sample, Sampling,
};

/// A failure behind the verbs; the message is a lowercase fragment that ends "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// The learner ran out of memory. The message says what to lower. The accumulated gradient is lost.
    #[error("out of memory: {0}")]
    Memory(String),
    /// The learner is gone: its process died, its machine does not answer, or its answers make no sense. What it held is
    /// lost; the last checkpoint is not.
    #[error("the learner was lost: {0}")]
    Lost(String),
}

/// Which way a checkpoint takes from the learner to the caller's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer {
    /// The learner writes files to a disk that both see.
    SharedDisk,
    /// The learner sends bytes, and its local side writes them.
    Bytes,
}

/// A model that can be trained and sampled.
pub trait Learner {
    /// Adds the gradient of the objective on this batch to the accumulated gradient. Log-probabilities, entropies and
    /// divergences are those of the logits divided by `temperature`: 1 for likelihood, the rollouts' for a policy.
    ///
    /// # Errors
    /// If a token is outside the vocabulary, a sequence is longer than the context, or the temperature is not positive.
    fn forward_backward(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
    ) -> Result<ForwardBackward, LearnerError>;

    /// Applies the accumulated gradient and clears it.
    ///
    /// # Errors
    /// If the learner is lost.
    fn optim_step(&mut self, adamw: &AdamW) -> Result<OptimStep, LearnerError>;

    /// Log-probability of every token (first of each sequence: 0) at a temperature, without gradients.
    ///
    /// # Errors
    /// As [`Learner::forward_backward`].
    fn logprobs(&mut self, batch: &Batch, temperature: f32) -> Result<Vec<f32>, LearnerError>;

    /// Log-probability of every token of the vocabulary as successor of each token of the batch at a
    /// temperature. For the exact divergence; large, so ask for no more than is needed at once.
    ///
    /// # Errors
    /// As [`Learner::forward_backward`].
    fn distributions(&mut self, batch: &Batch, temperature: f32) -> Result<Distributions, LearnerError>;

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

    /// Whether the log-probabilities of samples are those of [`Learner::forward_backward`], bit for bit. Where the sampler
    /// computes them in another way, a caller that trains on samples asks [`Learner::logprobs`] for them again.
    fn samples_exactly(&self) -> bool {
        true
    }

    /// Writes the weights as a Hugging Face directory, and the optimizer state beside them if asked. When it returns,
    /// `dir` on the caller's disk holds them, whichever way they took. The tokenizer's files are the caller's. A learner on
    /// another machine works through shared state here: saving changes no model.
    ///
    /// # Errors
    /// If a file cannot be written, or the learner is lost.
    fn save(&self, dir: &Path, with_optimizer: bool) -> Result<Transfer, LearnerError>;

    /// Reads what [`Learner::save`] wrote; without optimizer state the optimizer starts afresh.
    ///
    /// # Errors
    /// If a file is missing, corrupt, or of another shape than this model.
    fn load(&mut self, dir: &Path) -> Result<(), LearnerError>;

    /// Number of trainable parameters.
    ///
    /// # Errors
    /// If the learner is lost.
    fn parameters(&self) -> Result<usize, LearnerError>;
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

    /// Whether the model in a Hugging Face directory is one that [`LearnerFactory::open`] can open, as far as its
    /// configuration says. It is asked before anything else is done.
    ///
    /// # Errors
    /// If it is not, with what stands in the way: its architecture, a size, a missing file.
    fn check(&self, dir: &Path) -> Result<(), LearnerError> {
        let _ = dir;
        Ok(())
    }
}
