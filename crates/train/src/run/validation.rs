//! The loss on held-out problems, measured during training.

use learner::Learner;
use problems::{Problem, split::Split};
use tokens::Tokenizer;

use crate::{
    data::generator,
    error::RunError,
    eval::gold_nll,
    metrics::Metrics,
    recipe::{ArmStage, Recipe},
};

/// Held-out problems of every cell whose loss a stage measures.
pub(super) struct Validation<'a> {
    tokenizer: &'a Tokenizer,
    /// Steps between two measurements; 0 for none.
    every: u64,
    /// The problems of each cell, with the name of its metric.
    cells: Vec<(String, Vec<Problem>)>,
}

impl<'a> Validation<'a> {
    pub(super) fn of(recipe: &Recipe, stage: &ArmStage, tokenizer: &'a Tokenizer) -> Result<Self, RunError> {
        let (every, mut cells) = (stage.stage.validate_every, Vec::new());
        if every > 0 {
            let evaluation = &recipe.document.evaluation;
            let generator = generator(recipe, evaluation.seed, Split::Validation)?;
            for cell in recipe.document.validation_cells(&stage.cells) {
                let sequence = generator.sequence(&cell)?;
                let name = format!("eval/loss/op{}/{}/{}", cell.op, cell.context, cell.mode.name());
                let problems = (0..evaluation.validation_problems).map(|i| sequence.problem(i));
                cells.push((name, problems.collect()));
            }
        }
        Ok(Self { tokenizer, every, cells })
    }

    /// Measures the model after a step where that is due.
    pub(super) fn measure(
        &self,
        learner: &mut dyn Learner,
        step: u64,
        metrics: &mut Metrics,
    ) -> Result<(), RunError> {
        if self.every == 0 || !step.is_multiple_of(self.every) {
            return Ok(());
        }
        for (name, problems) in &self.cells {
            for nll in gold_nll(learner, self.tokenizer, problems)? {
                // Written as null if the model is broken.
                let nll = nll.unwrap_or(f64::NAN);
                metrics.mean(name, nll, 1.0);
                metrics.mean("eval/loss", nll, 1.0);
            }
        }
        Ok(())
    }
}
