//! What each stage cost, as the page shows it.

use runs::Stage;
use runs::records::{StageDone, StageKind};
use serde::Serialize;

use crate::chart::number;
use crate::measure::Measure;

#[derive(Serialize)]
pub(super) struct CostView {
    model: String,
    folder: String,
    kind: &'static str,
    seed: u64,
    steps: String,
    parameters: String,
    trained: String,
    sampled: String,
    flops: String,
    seconds: String,
    weights: String,
}

pub(super) fn costs(measure: &Measure) -> Vec<CostView> {
    let mut rows = Vec::new();
    for model in &measure.models {
        for ((seed, stage), (_, folder)) in measure.stages(model).zip(&model.folders) {
            rows.push(cost(&model.label, folder, seed, stage));
        }
    }
    rows
}

fn cost(model: &str, folder: &str, seed: u64, stage: &Stage) -> CostView {
    let spent = |f: fn(&StageDone) -> f64| stage.done.as_ref().map_or_else(|| "–".into(), |d| number(f(d)));
    let seconds = super::summary::seconds(stage);
    CostView {
        model: model.to_owned(),
        folder: folder.to_owned(),
        kind: match stage.info.kind {
            StageKind::PreTraining => "pre-training",
            StageKind::MidTraining => "mid-training",
            StageKind::Rl => "RL",
            StageKind::Elsewhere => "made elsewhere",
        },
        seed,
        steps: stage.done.as_ref().map_or_else(|| "running".into(), |d| d.steps.to_string()),
        parameters: number(stage.info.parameters as f64),
        trained: spent(|d| d.cost.trained_tokens as f64),
        sampled: spent(|d| d.cost.sampled_tokens as f64),
        flops: spent(|d| d.cost.flops),
        seconds: if seconds > 0.0 { format!("{seconds:.0}") } else { "–".into() },
        weights: stage.done.as_ref().map_or_else(String::new, |d| d.weights_hash.chars().take(12).collect()),
    }
}
