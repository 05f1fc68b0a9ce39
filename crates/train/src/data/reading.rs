//! The problems of a mix in the order in which training reads them, for trainers of other projects.

use problems::Problem;
use tokens::Tokenizer;

use super::{Document, Mixture, Supply, tokenizer::tokenizer};
use crate::{
    error::RunError,
    recipe::{ArmStage, Recipe, ShareOf},
};

/// An endless reading of a mix: the problems of the first stage that is trained on it, in that stage's order.
pub struct Reading {
    supply: Supply,
    mixture: Mixture,
    /// Counts tokens, where the mix's shares are of tokens.
    tokenizer: Option<Tokenizer>,
}

impl Reading {
    /// The reading of a mix at a model seed. Where the mix's shares are of tokens, the recipe's tokenizer is trained first.
    ///
    /// # Errors
    /// If no stage of the recipe is trained on the mix, or its problems cannot be made or read.
    pub fn of_mix(recipe: &Recipe, mix: &str, seed: u64) -> Result<Self, RunError> {
        let stages = || recipe.arms.iter().flat_map(|arm| &arm.stages);
        let Some(stage) = stages().find(|stage| stage.stage.mix == mix) else {
            let known: std::collections::BTreeSet<&str> = stages().map(|s| s.stage.mix.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(RunError::Data(format!("no stage is trained on a mix `{mix}`; known are {known}")));
        };
        Self::of_stage(recipe, stage, seed)
    }

    /// The reading of a stage at a model seed; see [`Reading::of_mix`].
    ///
    /// # Errors
    /// If its problems cannot be made or read.
    pub fn of_stage(recipe: &Recipe, stage: &ArmStage, seed: u64) -> Result<Self, RunError> {
        let rl = stage.stage.rollout.is_some();
        let share_of = if rl { ShareOf::Problems } else { stage.stage.share_of };
        let counts_tokens = share_of == ShareOf::Tokens;
        Ok(Self {
            supply: Supply::of_stage(recipe, stage, seed)?,
            mixture: Mixture::new(&stage.cells, share_of),
            tokenizer: if counts_tokens { Some(tokenizer(recipe, u64::MAX)?) } else { None },
        })
    }
}

impl Iterator for Reading {
    type Item = Result<Problem, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        let i = self.mixture.next();
        let number = self.mixture.counts()[i].problems;
        let problem = self.supply.problem(&self.mixture.cells()[i], number);
        if let Ok(problem) = &problem {
            let length = self.tokenizer.as_ref().map_or(1, |t| Document::of(problem, t).tokens.len());
            self.mixture.take(i, length);
        }
        Some(problem)
    }
}
