//! Losses as data.

/// A loss as data: how it changes with the log-probability of each token.
///
/// A learner needs two passes over a batch. The forward pass computes the log-probabilities; the objective turns them
/// into `dLoss/dlogprob`; the backward pass carries that gradient to the weights. On another machine these are two requests:
/// log-probabilities come back, the gradient goes out. An objective with a [`constant_gradient`](Self::constant_gradient)
/// needs only one: the gradient can go out with the batch.
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

    /// A KL term over whole distributions. The learner adds it to the loss and to the gradient.
    fn reference_kl(&self) -> Option<ReferenceKl<'_>> {
        None
    }
}

/// Log-probabilities of the whole vocabulary as successor of each token of a batch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Distributions {
    /// The numbers, `[T, V]`: row t predicts token t + 1.
    Values(Vec<f32>),
    /// A learner's worker keeps them for the next backward pass over the same batch. They are too many to travel, and only
    /// a learner of the same worker can use them.
    Held {
        /// Number of the worker among those that this process has connected to.
        worker: u64,
        /// The worker's number of them.
        id: u64,
    },
}

impl Default for Distributions {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl Distributions {
    /// The numbers, where they are here: `[T, V]`.
    pub fn values_TV(&self) -> Option<&[f32]> {
        match self {
            Self::Values(values_TV) => Some(values_TV),
            Self::Held { .. } => None,
        }
    }
}

/// Adds Σ weight · KL(π ‖ ρ) to a loss, exact: over the whole vocabulary, at every token with a weight.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceKl<'a> {
    /// log ρ, as [`Learner::distributions`](crate::Learner::distributions) gives it for the batch.
    pub reference: &'a Distributions,
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
    /// With a [`ReferenceKl`], the divergence of the distribution each token was drawn from (0 without a weight).
    pub divergence_T: Vec<f32>,
}
