//! The mark of a finished stage.

use std::path::{Path, PathBuf};

use runs::{FileError, checkpoints, files, records::StageDone};

use crate::error::RunError;

fn path(stage: &Path) -> PathBuf {
    stage.join("done.json")
}

/// Whether the stage in this folder is finished.
pub(super) fn is_done(stage: &Path) -> bool {
    path(stage).exists()
}

/// The last checkpoint of a finished stage, which must be the one that the stage ended with.
pub(super) fn checkpoint(stage: &Path) -> Result<PathBuf, RunError> {
    let unusable = |reason: String| RunError::Finished { stage: stage.to_owned(), reason };
    let done: StageDone = files::read_json(&path(stage))?;
    let checkpoint = checkpoints::of_step(stage, done.steps);
    if checkpoints::last(stage)?.as_ref() != Some(&checkpoint) {
        return Err(unusable(format!("its last checkpoint is not that of step {}", done.steps)));
    }
    // Where the system does not let the weights be read, to remove the stage is no advice.
    let not_read =
        |error: FileError| if error.is_refused() { error.into() } else { unusable(error.to_string()) };
    let hash = checkpoints::weights_hash(&checkpoint).map_err(not_read)?;
    if hash != done.weights_hash {
        return Err(unusable(format!("the weights in `{}` are not those of its end", checkpoint.display())));
    }
    Ok(checkpoint)
}

/// Marks a stage as finished: written last, when everything else is there.
pub(super) fn write(stage: &Path, done: &StageDone) -> Result<(), RunError> {
    Ok(files::write_json(&path(stage), done)?)
}
