//! LLaMA-Factory 0.9.5: likelihood of whole texts, or of responses.

use super::{Facts, Handover, Refused, rates};

/// The folder's files.
pub(super) const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("llama-factory/README.md")),
    ("config.yaml", include_str!("llama-factory/config.yaml")),
    ("dataset_info.json", include_str!("llama-factory/dataset_info.json")),
    ("check.py", include_str!("check.py")),
    ("launch.sh", include_str!("llama-factory/launch.sh")),
    ("requirements.txt", include_str!("llama-factory/requirements.txt")),
];

/// Documents of a device's batch, at most.
const DEVICE_MAX: u64 = 16;

/// Whether the loss is on responses only.
pub(super) fn responses_only(handover: &Handover) -> bool {
    handover.stage.stage.prompt_loss_weight == 0.0
}

pub(super) fn facts(handover: &Handover, facts: &mut Facts, refused: &mut Refused) {
    let stage = &handover.stage.stage;
    let weight = stage.prompt_loss_weight;
    refused.when(
        weight != 0.0 && weight != 1.0,
        &format!(
            "prompt_loss_weight is {weight}, neither 0 nor 1: --set stage.{}.prompt_loss_weight=1",
            stage.name
        ),
    );
    let steps = stage.total_steps();
    let (scheduler, kwargs) = rates::of_transformers(stage, steps);
    let first = handover.arm.stages.first().is_some_and(|first| first.stage.name == stage.name);
    let fresh = first && handover.arm.model.given().is_none();
    facts.extend([
        ("kind", if responses_only(handover) { "sft" } else { "pt" }.to_owned()),
        ("from_scratch", fresh.to_string()),
        ("scheduler", scheduler.to_owned()),
        ("scheduler_kwargs", kwargs),
        ("warmup", rates::warmup(stage, steps).to_string()),
        ("save_every", stage.checkpoint_every.max(1).to_string()),
        ("save_strategy", if stage.checkpoint_every == 0 { "no" } else { "steps" }.to_owned()),
    ]);
}

/// The batch in documents: LLaMA-Factory counts no tokens.
pub(super) fn batch(handover: &Handover, mean_tokens: f64, facts: &mut Facts) {
    let documents = (handover.stage.stage.batch_tokens as f64 / mean_tokens).round().max(1.0) as u64;
    let device = documents.min(DEVICE_MAX);
    let accumulated = (documents as f64 / device as f64).round() as u64;
    facts.extend([
        ("mean_tokens", format!("{mean_tokens:.1}")),
        ("device_batch", device.to_string()),
        ("accumulated", accumulated.to_string()),
        ("documents", (device * accumulated).to_string()),
    ]);
}
