//! The work of a step: what the training loop asks a corpus or a rollout source for.

use learner::{Batch, ForwardBackward, Learner, Objective};
use serde::{Deserialize, Serialize};

use crate::{
    data::CellCount, error::RunError, ledger::Ledger, metrics::Metrics, observer::Observer, rl::Belief,
};

/// A batch that goes through the model at once, with its loss.
pub trait MicroBatch {
    /// Computes what is too large to be held for a whole step. The loop calls it once, just before the pass.
    ///
    /// # Errors
    /// If the reference model fails.
    fn prepare(&mut self) -> Result<(), RunError> {
        Ok(())
    }
    /// The tokens.
    fn batch(&self) -> &Batch;
    /// What logits are divided by: 1 for likelihood, the rollouts' temperature for a policy.
    fn temperature(&self) -> f32 {
        1.0
    }
    /// The loss.
    fn objective(&self) -> &dyn Objective;
    /// Adds the results of the pass to the step's metrics.
    fn observe(&self, pass: &ForwardBackward, metrics: &mut Metrics);
}

/// One optimizer step: the gradients of its micro-batches add up.
pub type Update = Vec<Box<dyn MicroBatch>>;

/// Where the work of a stage comes from.
pub trait BatchSource {
    /// The updates of one step. They depend on the source's counters and the model, and on nothing else.
    ///
    /// # Errors
    /// If the model cannot sample or score, or a document does not fit.
    fn work(&mut self, learner: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError>;

    /// The counters.
    fn state(&self) -> SourceState;

    /// Sets the counters to those of an earlier source of the same stage. Returns `false` if they are of another stage.
    fn restore(&mut self, state: &SourceState) -> bool;
}

/// What a source writes to while it makes the work of a step.
pub struct Step<'a> {
    /// The step, from 1.
    pub number: u64,
    /// The step's metrics.
    pub metrics: &'a mut Metrics,
    /// The step's timings.
    pub timings: &'a mut Metrics,
    /// The stage's counts.
    pub ledger: &'a mut Ledger,
    /// Is told of progress.
    pub observer: &'a mut dyn Observer,
}

/// The counters of a source. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// How far each cell of the mix is.
    pub cells: Vec<CellCount>,
    /// What the curriculum knows of each cell.
    #[serde(default)]
    pub beliefs: Vec<Belief>,
}
