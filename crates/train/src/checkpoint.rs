//! Checkpoints: the model, its optimizer and the loop's counters, in one folder that is whole or absent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

use learner::{Learner, LearnerFactory};
use runs::{checkpoints, error::failed, files, records::FORMAT};

use crate::{batches::SourceState, error::RunError, ledger::Ledger};

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

/// Writes a checkpoint. The optimizer's state is left out of a stage's last one: the next stage starts its
/// own.
pub(crate) fn save(
    stage: &Path,
    learner: &dyn Learner,
    tokenizer: &Tokenizer,
    state: &LoopState,
    with_optimizer: bool,
) -> Result<PathBuf, RunError> {
    let path = checkpoints::of_step(stage, state.step);
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
    let all = checkpoints::list(stage)?;
    for (step, path) in &all[..all.len().saturating_sub(keep)] {
        if !milestones.contains(step) {
            files::remove_folder(path)?;
        }
    }
    Ok(())
}

/// blake3 of the weights of a checkpoint, hexadecimal; where others have written them in several files, of all of
/// these in the order of their names.
pub(crate) fn weights_hash(path: &Path) -> Result<String, RunError> {
    let mut hasher = blake3::Hasher::new();
    for file in weights_files(path)? {
        hasher.update(&fs::read(&file).map_err(failed(&file, "read"))?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn weights_files(path: &Path) -> Result<Vec<PathBuf>, RunError> {
    let whole = path.join("model.safetensors");
    if whole.exists() {
        return Ok(vec![whole]);
    }
    let mut parts = Vec::new();
    for entry in fs::read_dir(path).map_err(failed(path, "read"))? {
        let file = entry.map_err(failed(path, "read"))?.path();
        if file.extension().is_some_and(|extension| extension == "safetensors") {
            parts.push(file);
        }
    }
    parts.sort();
    // Without any, what is missing is the one file.
    Ok(if parts.is_empty() { vec![whole] } else { parts })
}
