//! What can go wrong in a run.

use std::path::PathBuf;

use learner::LearnerError;
use problems::SpecError;
use runs::FileError;
use tokens::TokenizerError;

use crate::recipe::RecipeError;

/// A run could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The model could not do what was asked.
    #[error(transparent)]
    Learner(#[from] LearnerError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The world has no such problems.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The tokenizer could not be trained, read or written.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A value has no JSON form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The run folder belongs to something else.
    #[error("`{folder}` holds {what}: choose another folder")]
    Foreign {
        /// The run folder.
        folder: PathBuf,
        /// What it holds.
        what: String,
    },
    /// A checkpoint does not fit the stage it lies in.
    #[error(
        "the checkpoint `{checkpoint}` cannot be used: {reason}; remove it to go on from the one before, or the stage's folder to begin the stage again"
    )]
    Checkpoint {
        /// The checkpoint's folder.
        checkpoint: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The gradients of a stage stopped being finite.
    #[error(
        "stage `{stage}` has diverged: at step {step} the gradient was not finite for the {updates}th update in a row; the last checkpoint is from before that"
    )]
    Diverged {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Updates that were left out one after the other.
        updates: u64,
    },
    /// A finished stage does not hold what it ended with.
    #[error(
        "the finished stage `{stage}` cannot be used: {reason}; remove the folder to train the stage again"
    )]
    Finished {
        /// The stage's folder.
        stage: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file or document does not fit the recipe.
    #[error("{0}")]
    Data(String),
    /// The recipe has no such arm or seed; a sentence that names those that there are.
    #[error("{0}")]
    Unknown(String),
}
