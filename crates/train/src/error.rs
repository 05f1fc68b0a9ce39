//! What can go wrong in a run.

use std::path::PathBuf;

use learner::LearnerError;
use runs::FileError;

use crate::recipe::RecipeError;

/// A run could not go on.
#[derive(Debug, thiserror::Error)]
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
    /// The world, the tokenizer or a document does not fit the recipe.
    #[error("{0}")]
    Data(String),
    /// An arm or seed that the recipe does not have was asked for.
    #[error("the recipe has no {what} `{name}`; it has: {known}")]
    Unknown {
        /// `arm` or `seed`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}
