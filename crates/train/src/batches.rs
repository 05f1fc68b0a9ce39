//! What the loop asks for: the work of a step, from a corpus or from rollouts.

use serde::{Deserialize, Serialize};

use learner::{Batch, ForwardBackward, Learner, Objective};

use crate::{
    curriculum::Belief, error::RunError, ledger::Ledger, metrics::Metrics, mixture::CellCount, watch::Watch,
};

/// A batch that goes through the model at once, with its loss.
pub trait Piece {
    /// Gets what is too large to be held for a whole step. Called once, before the pass.
    ///
    /// # Errors
    /// If the reference cannot be asked.
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
    /// Adds what the pass showed to the step's metrics.
    fn observe(&self, pass: &ForwardBackward, metrics: &mut Metrics);
}

/// One optimizer step: the gradients of its pieces add up.
pub type Update = Vec<Box<dyn Piece>>;

/// Where the work of a stage comes from.
pub trait Source {
    /// The work of a step. What a source gives depends on its counters and the model, on nothing else.
    ///
    /// # Errors
    /// If the model cannot sample or score, or a document does not fit.
    fn work(&mut self, learner: &mut dyn Learner, step: &mut Step<'_>) -> Result<Vec<Update>, RunError>;

    /// The counters.
    fn state(&self) -> SourceState;

    /// Goes to where a source of the same stage was; `false` if the state is of another stage.
    fn restore(&mut self, state: &SourceState) -> bool;
}

/// What a source writes to while it makes a step's work.
pub struct Step<'a> {
    /// The step, from 1.
    pub number: u64,
    /// The step's metrics.
    pub metrics: &'a mut Metrics,
    /// The step's timings.
    pub timings: &'a mut Metrics,
    /// The stage's counts.
    pub ledger: &'a mut Ledger,
    /// Who looks on.
    pub watch: &'a mut dyn Watch,
}

/// Where a source is. Part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceState {
    /// How far each cell of the mix is.
    pub cells: Vec<CellCount>,
    /// What the curriculum knows of each cell.
    #[serde(default)]
    pub beliefs: Vec<Belief>,
}

/// A problem as tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// Prompt, response and end token.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt: usize,
}

impl Document {
    /// A problem and its gold solution.
    pub fn of(problem: &problems::Problem, tokenizer: &tokens::Tokenizer) -> Self {
        let mut tokens = tokenizer.encode(&problem.prompt());
        let prompt = tokens.len();
        tokens.extend(tokenizer.encode(&problem.response()));
        tokens.push(tokenizer.eos());
        Self { tokens, prompt }
    }
}
