//! Checkpoints: the model, its optimizer state and the loop's counters, in one folder that is whole or absent.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use learner::{Learner, LearnerFactory};
use runs::{
    checkpoints,
    error::{FileError, failed},
    files,
    records::{FORMAT, StageDone},
};
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
    /// blake3 of every file that the learner wrote, by name, in a checkpoint that training goes on from. Empty in the last
    /// checkpoint of a stage (`done.json` has its hash), and in those of older programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

const LOOP_FILE: &str = "loop.json";

/// Writes a checkpoint; its tokenizer names the model's context length. The last checkpoint of a stage has no optimizer
/// state: the next stage starts with its own.
pub(super) fn save(
    stage: &Path,
    learner: &dyn Learner,
    (tokenizer, context): (&Tokenizer, usize),
    state: &LoopState,
    with_optimizer: bool,
) -> Result<PathBuf, RunError> {
    let path = checkpoints::of_step(stage, state.step);
    let partial = files::begin_folder(&path)?;
    let filled = (|| {
        learner.save(&partial, with_optimizer)?;
        let files = if with_optimizer { hashes(&partial)? } else { BTreeMap::new() };
        tokenizer.save_for(&partial, context)?;
        files::write_json(&partial.join(LOOP_FILE), &LoopState { files, ..state.clone() })?;
        Ok(files::publish(&partial, &path)?)
    })();
    if filled.is_err() {
        // Best effort: a partial folder is never taken for a whole one.
        let _ = files::remove_folder(&partial);
    }
    filled.map(|()| path)
}

/// Reads where the loop was. The checkpoint must be whole and of a step of this stage.
pub(super) fn state(path: &Path, key: &str, steps: u64) -> Result<LoopState, RunError> {
    let state: LoopState = files::read_json(&path.join(LOOP_FILE)).map_err(|e| not_read(path, e))?;
    if state.format != FORMAT || state.key != key {
        return Err(unusable(path, &"it is of another stage or version"));
    }
    if state.step > steps || path.file_name() != checkpoints::of_step(path, state.step).file_name() {
        return Err(unusable(path, &format!("{LOOP_FILE} is of step {}", state.step)));
    }
    check_files(path, &state.files)?;
    Ok(state)
}

fn check_files(path: &Path, files: &BTreeMap<String, String>) -> Result<(), RunError> {
    for (name, hash) in files {
        let file = path.join(name);
        let found = fs::read(&file).map_err(|e| not_read(path, failed(&file, "read")(e)))?;
        if blake3::hash(&found).to_hex().as_str() != hash {
            return Err(unusable(path, &format!("{name} is not what was saved")));
        }
    }
    Ok(())
}

/// Checks the weights of a model against what is known of them: a checkpoint of a run against its own record, the last one
/// of a finished stage against the stage's. Of another directory nothing is known.
///
/// # Errors
/// If a file is not what was saved, or cannot be read.
pub fn check_weights(dir: &Path) -> Result<(), RunError> {
    /// The part of [`LoopState`] that this is about.
    #[derive(Deserialize)]
    struct Known {
        step: u64,
        #[serde(default)]
        files: BTreeMap<String, String>,
    }
    // A path such as `.` has no parents of its own.
    let dir = fs::canonicalize(dir).map_err(failed(dir, "read"))?;
    let Some(known) = files::read_optional::<Known>(&dir.join(LOOP_FILE))? else { return Ok(()) };
    check_files(&dir, &known.files)?;
    let Some(stage) = dir.ancestors().nth(2) else { return Ok(()) };
    match files::read_optional::<StageDone>(&stage.join("done.json"))? {
        Some(done) if done.steps == known.step && checkpoints::of_step(stage, known.step) == dir => {
            if checkpoints::weights_hash(&dir)? == done.weights_hash {
                return Ok(());
            }
            let reason = format!("the weights in `{}` are not those of its end", dir.display());
            Err(RunError::Finished { stage: stage.to_owned(), reason })
        }
        _ => Ok(()),
    }
}

/// blake3 of every file in a folder, by name.
fn hashes(folder: &Path) -> Result<BTreeMap<String, String>, RunError> {
    let mut hashes = BTreeMap::new();
    for path in files::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let content = fs::read(&path).map_err(failed(&path, "read"))?;
        hashes.insert(name, blake3::hash(&content).to_hex().to_string());
    }
    Ok(hashes)
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

/// The checkpoint cannot be used because of a file. To remove it is no advice where the system did not let it be read.
fn not_read(path: &Path, error: FileError) -> RunError {
    if error.is_refused() { error.into() } else { unusable(path, &error) }
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
