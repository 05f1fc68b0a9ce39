//! What a recipe may say and nobody can mean.

use problems::{Cell, split::Split};
use runs::{SuiteConfig, records::StageKind};
use tokens::Tokenizer;

use super::lengths::{Length, Lengths};
use crate::{
    error::RunError,
    recipe::{Arm, ArmStage, Model, Recipe, RolloutConfig, Stage},
};

/// Above this, AdamW moves every weight further in a step than weights are large.
const LR_MAX: f64 = 0.1;

/// Refuses a shape whose vocabulary has no place for all tokens of the tokenizer.
pub(super) fn check_vocabulary(arm: &Arm, tokenizer: &Tokenizer) -> Result<(), RunError> {
    let tokens = tokenizer.vocab_size();
    match &arm.model {
        Model::Fresh(shape) if shape.vocab > 0 && shape.vocab < tokens => Err(RunError::Data(format!(
            "arm `{}`: the model's vocab is {}, and the tokenizer has {tokens} tokens: leave `model.vocab` out, or make \
             `tokenizer.vocab` smaller",
            arm.name, shape.vocab
        ))),
        _ => Ok(()),
    }
}

/// Refuses a stage with problems that do not fit the model's context.
pub(super) fn check_context(arm: &Arm, lengths: &Lengths<'_>) -> Result<(), RunError> {
    let context = arm.model.context();
    for ArmStage { stage, cells, .. } in &arm.stages {
        let (split, whole) = match stage.kind {
            // Only the prompt must fit. What else there is room for is said by `max_tokens`.
            StageKind::Rl => (Split::Rl, false),
            StageKind::PreTraining | StageKind::MidTraining | StageKind::Elsewhere => (Split::Train, true),
        };
        let length = |length: &Length| if whole { length.all() } else { length.prompt + 1 };
        for cell in cells.keys() {
            let longest = lengths.of(cell, split)?.iter().map(length).max().unwrap_or(0);
            if longest > context {
                let what = if whole { "a problem with its solution has" } else { "a problem alone needs" };
                return Err(RunError::Data(format!(
                    "arm `{}`, stage `{}`, mix `{}`, {}: {what} {longest} tokens, and the model's context is {context}",
                    arm.name,
                    stage.name,
                    stage.mix,
                    name(cell)
                )));
            }
        }
    }
    Ok(())
}

fn name(cell: &Cell) -> String {
    format!("op {} ({}, {})", cell.op, cell.context, cell.mode.name())
}

/// Traps that a run would not end at: each is a sentence.
pub(super) fn warnings(recipe: &Recipe, lengths: &Lengths<'_>) -> Result<Vec<String>, RunError> {
    let mut found = Vec::new();
    for arm in &recipe.arms {
        for ArmStage { stage, cells, .. } in &arm.stages {
            found.extend(learning_rate(stage));
            if let Some(rollout) = &stage.rollout {
                found.extend(rollouts(stage, rollout, cells.keys(), lengths)?);
            }
        }
    }
    for suite in &recipe.document.evaluation.suites {
        found.extend(suite_length(suite, lengths)?);
    }
    let mut warnings: Vec<String> = Vec::new();
    for warning in found {
        // Arms have most stages in common.
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Ok(warnings)
}

fn learning_rate(stage: &Stage) -> Option<String> {
    let (name, lr) = (&stage.name, stage.optimizer.lr);
    if lr > LR_MAX {
        return Some(format!(
            "stage `{name}`: a learning rate of {lr} is beyond reason: AdamW moves every weight by about as much in a step"
        ));
    }
    (lr == 0.0).then(|| format!("stage `{name}`: the learning rate is 0, so nothing is learned"))
}

fn rollouts<'c>(
    stage: &Stage,
    rollout: &RolloutConfig,
    cells: impl Iterator<Item = &'c Cell>,
    lengths: &Lengths<'_>,
) -> Result<Option<String>, RunError> {
    let longest = longest_response(cells, Split::Rl, lengths)?;
    Ok(too_short(rollout.max_tokens, longest)
        .map(|end| format!("stage `{}`, mix `{}`: {end}", stage.name, stage.mix)))
}

fn suite_length(suite: &SuiteConfig, lengths: &Lengths<'_>) -> Result<Option<String>, RunError> {
    let cells = suite.cells();
    let longest = longest_response(cells.iter(), Split::Test, lengths)?;
    Ok(too_short(suite.max_tokens, longest).map(|end| format!("suite `{}`: {end}", suite.name)))
}

fn longest_response<'c>(
    cells: impl Iterator<Item = &'c Cell>,
    split: Split,
    lengths: &Lengths<'_>,
) -> Result<Option<(usize, String)>, RunError> {
    let mut longest: Option<(usize, String)> = None;
    for cell in cells {
        let length = lengths.of(cell, split)?.iter().map(|length| length.response).max().unwrap_or(0);
        if longest.as_ref().is_none_or(|(most, _)| length > *most) {
            longest = Some((length, name(cell)));
        }
    }
    Ok(longest)
}

fn too_short(max_tokens: u32, longest: Option<(usize, String)>) -> Option<String> {
    let (length, cell) = longest.filter(|(length, _)| *length > max_tokens as usize)?;
    Some(format!(
        "`max_tokens` is {max_tokens}, and the solution of a problem of {cell} has {length} tokens: nobody could write it"
    ))
}
