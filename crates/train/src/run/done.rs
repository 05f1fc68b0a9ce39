//! The mark of a finished stage.

use std::path::{Path, PathBuf};

use runs::{files, records::StageDone};

use crate::error::RunError;

fn path(stage: &Path) -> PathBuf {
    stage.join("done.json")
}

/// Whether the stage in this folder is finished.
pub(super) fn is_done(stage: &Path) -> bool {
    path(stage).exists()
}

/// What a finished stage cost; `None` if the stage is not finished.
pub(super) fn read(stage: &Path) -> Result<Option<StageDone>, RunError> {
    Ok(files::read_optional(&path(stage))?)
}

/// Marks a stage as finished: written last, when everything else is there.
pub(super) fn write(stage: &Path, done: &StageDone) -> Result<(), RunError> {
    Ok(files::write_json(&path(stage), done)?)
}
