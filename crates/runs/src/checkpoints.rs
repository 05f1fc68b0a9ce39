//! Where the checkpoints of a stage lie.

use std::path::{Path, PathBuf};

use crate::{error::FileError, files};

/// The folder of the checkpoints of a stage.
pub fn folder(stage: &Path) -> PathBuf {
    stage.join("checkpoints")
}

/// The checkpoint of a step.
pub fn of_step(stage: &Path, step: u64) -> PathBuf {
    folder(stage).join(format!("step-{step:06}"))
}

/// The checkpoints of a stage, oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(stage: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let step = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok();
    let found = files::list(&folder(stage))?.into_iter();
    let mut found: Vec<(u64, PathBuf)> = found.filter_map(|path| Some((step(&path)?, path))).collect();
    found.sort();
    Ok(found)
}

/// The last checkpoint of a stage, whether the stage is finished or not.
///
/// # Errors
/// If the folder cannot be read.
pub fn last(stage: &Path) -> Result<Option<PathBuf>, FileError> {
    Ok(list(stage)?.pop().map(|(_, path)| path))
}
