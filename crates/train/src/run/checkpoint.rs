//! Checkpoints: the model, its optimizer state and the loop's counters, in one folder that is whole or absent.

use std::path::{Path, PathBuf};

use learner::{Learner, LearnerFactory};
use runs::{checkpoints, files, records::FORMAT};
use serde::{Deserialize, Serialize};
use tokens::Tokenizer;

use crate::{error::RunError, ledger::Ledger, work::SourceState};

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

/// Writes a checkpoint. The last checkpoint of a stage has no optimizer state: the next stage starts with its own.
pub(super) fn save(
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
        tokenizer.save(&partial)?;
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
pub(super) fn state(path: &Path, key: &str) -> Result<LoopState, RunError> {
    let state: LoopState = files::read_json(&path.join(LOOP_FILE)).map_err(|e| unusable(path, &e))?;
    if state.format != FORMAT || state.key != key {
        return Err(unusable(path, &"it is of another stage or version"));
    }
    Ok(state)
}

/// Reads the model with its optimizer state.
pub(super) fn model(path: &Path, factory: &dyn LearnerFactory) -> Result<Box<dyn Learner>, RunError> {
    let mut learner = factory.open(path).map_err(|e| unusable(path, &e))?;
    learner.load(path).map_err(|e| unusable(path, &e))?;
    Ok(learner)
}

pub(super) fn unusable(path: &Path, reason: &dyn ToString) -> RunError {
    RunError::Checkpoint { checkpoint: path.to_owned(), reason: reason.to_string() }
}

/// Removes all but the last `keep` checkpoints and the milestones.
pub(super) fn prune(stage: &Path, keep: usize, milestones: &[u64]) -> Result<(), RunError> {
    let all = checkpoints::list(stage)?;
    for (step, path) in &all[..all.len().saturating_sub(keep)] {
        if !milestones.contains(step) {
            files::remove_folder(path)?;
        }
    }
    Ok(())
}
