//! Checkpoints: the model, its optimizer and the loop's counters, in one folder that is whole or absent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

use crate::{
    batches::SourceState,
    error::RunError,
    files,
    learner::{Learner, LearnerFactory},
    ledger::Ledger,
    records::FORMAT,
};

/// `loop.json` of a checkpoint: where the loop is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoopState {
    /// [`FORMAT`]
    pub format: u32,
    /// Key of the stage.
    pub key: String,
    /// Steps taken.
    pub step: u64,
    /// What was spent and seen.
    pub ledger: Ledger,
    /// Where the source is.
    pub source: SourceState,
    /// Length of `metrics.jsonl` when the checkpoint was written.
    pub metrics_bytes: u64,
}

const LOOP_FILE: &str = "loop.json";

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
pub fn list(stage: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let folder = folder(stage);
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder).map_err(files::failed(&folder, "read"))? {
            let entry = entry.map_err(files::failed(&folder, "read"))?;
            let name = entry.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix("step-")).and_then(|n| n.parse().ok());
            if let Some(step) = step {
                found.push((step, entry.path()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The last checkpoint of a stage, whether the stage is finished or not.
///
/// # Errors
/// If the folder cannot be read.
pub fn last(stage: &Path) -> Result<Option<PathBuf>, RunError> {
    Ok(list(stage)?.pop().map(|(_, path)| path))
}

/// Writes a checkpoint. The optimizer's state is left out of a stage's last one: the next stage starts its
/// own.
pub(crate) fn save(
    stage: &Path,
    learner: &dyn Learner,
    tokenizer: &Tokenizer,
    state: &LoopState,
    with_optimizer: bool,
) -> Result<PathBuf, RunError> {
    let path = of_step(stage, state.step);
    files::make_folder(&folder(stage))?;
    let partial = files::begin_folder(&path)?;
    let filled = (|| {
        learner.save(&partial, with_optimizer)?;
        tokenizer.save(&partial).map_err(|e| RunError::Data(e.to_string()))?;
        files::write_json(&partial.join(LOOP_FILE), state)?;
        Ok(files::publish(&partial, &path)?)
    })();
    if filled.is_err() {
        // Best effort: a partial folder is never taken for a whole one.
        let _ = files::remove_folder(&partial);
    }
    filled.map(|()| path)
}

/// Reads where the loop was.
pub(crate) fn state(path: &Path, key: &str) -> Result<LoopState, RunError> {
    let state: LoopState = files::read_json(&path.join(LOOP_FILE)).map_err(|e| unusable(path, &e))?;
    if state.format != FORMAT || state.key != key {
        return Err(unusable(path, &"it is of another stage or version"));
    }
    Ok(state)
}

/// Reads the model, with its optimizer if the checkpoint has it.
pub(crate) fn model(path: &Path, factory: &dyn LearnerFactory) -> Result<Box<dyn Learner>, RunError> {
    let mut learner = factory.open(path).map_err(|e| unusable(path, &e))?;
    learner.load(path).map_err(|e| unusable(path, &e))?;
    Ok(learner)
}

pub(crate) fn unusable(path: &Path, reason: &dyn ToString) -> RunError {
    RunError::Checkpoint { checkpoint: path.to_owned(), reason: reason.to_string() }
}

/// Removes all but the last `keep` checkpoints and the milestones.
pub(crate) fn prune(stage: &Path, keep: usize, milestones: &[u64]) -> Result<(), RunError> {
    let all = list(stage)?;
    for (step, path) in &all[..all.len().saturating_sub(keep)] {
        if !milestones.contains(step) {
            // Renamed first: a folder that is half removed must not look like a checkpoint.
            let partial = files::partial(path);
            files::remove_folder(&partial)?;
            fs::rename(path, &partial).map_err(files::failed(path, "remove"))?;
            files::remove_folder(&partial)?;
        }
    }
    Ok(())
}

/// blake3 of the weights of a checkpoint, hexadecimal; where others have written them in several files, of all of
/// these in the order of their names.
pub(crate) fn weights_hash(path: &Path) -> Result<String, RunError> {
    let mut hasher = blake3::Hasher::new();
    for file in weights_files(path)? {
        hasher.update(&fs::read(&file).map_err(files::failed(&file, "read"))?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn weights_files(path: &Path) -> Result<Vec<PathBuf>, RunError> {
    let whole = path.join("model.safetensors");
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir(path).map_err(files::failed(path, "read"))? {
        let file = entry.map_err(files::failed(path, "read"))?.path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            parts.push(file);
        }
    }
    parts.sort();
    // Without any, what is missing is the one file.
    Ok(if parts.is_empty() { vec![whole] } else { parts })
}
