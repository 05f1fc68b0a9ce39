//! Which colour and dash a model has, in every figure the same.

use std::collections::BTreeSet;

use crate::chart::{HUES, Ink};
use crate::measure::{Measure, Model};

/// Colour by arm (grey for what all of several arms share, the first arm's for what some share), dash by stage: the last
/// stage of the recipe is solid.
pub(crate) fn ink(measure: &Measure, model: &Model) -> Ink {
    let mut stages: Vec<&str> = Vec::new();
    for known in &measure.models {
        if !stages.contains(&known.stage.as_str()) {
            stages.push(&known.stage);
        }
    }
    let position = stages.iter().position(|stage| *stage == model.stage).unwrap_or(0);
    Ink { hue: hue(measure, model), dash: stages.len().saturating_sub(position + 1) }
}

/// The colour of a model's arm.
pub(crate) fn hue(measure: &Measure, model: &Model) -> usize {
    let mut arms: Vec<&str> = Vec::new();
    for run in &measure.folder.manifest.runs {
        if !arms.contains(&run.arm.as_str()) {
            arms.push(&run.arm);
        }
    }
    let own: BTreeSet<&str> = model.arms.iter().map(String::as_str).collect();
    if arms.len() > 1 && own.len() == arms.len() {
        return 0;
    }
    let first = arms.iter().position(|arm| own.contains(arm)).unwrap_or(0);
    HUES[first % HUES.len()]
}
