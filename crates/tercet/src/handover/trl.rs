//! TRL 1.16: GRPO with transformers.

use train::rl::{Advantage, Aggregation, KlKind, KlPlace, Surrogate};

use super::{Facts, Handover, Refused, rates, verl};

/// The folder's files.
pub(super) const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("trl/README.md")),
    ("config.yaml", include_str!("trl/config.yaml")),
    ("train.py", include_str!("trl/train.py")),
    ("check.py", include_str!("check.py")),
    ("launch.sh", include_str!("trl/launch.sh")),
    ("requirements.txt", include_str!("trl/requirements.txt")),
];

pub(super) fn facts(handover: &Handover, facts: &mut Facts, refused: &mut Refused) {
    let stage = &handover.stage.stage;
    let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
        return refused.when(true, "it has no rollouts");
    };
    verl::reinforcement(rollout, policy, facts, refused);
    let scale = match policy.advantage {
        Advantage::Grpo => "group",
        Advantage::GrpoNoStd => "none",
        _ => {
            refused.when(true, "policy.advantage is neither grpo nor grpo-no-std");
            "group"
        }
    };
    let loss = match policy.aggregation {
        Aggregation::TokenMean => "dapo",
        Aggregation::SeqMeanTokenMean => "grpo",
        Aggregation::SeqMeanTokenSumNorm => "dr_grpo",
        Aggregation::SeqMeanTokenSum => {
            refused.when(true, "policy.aggregation is seq-mean-token-sum");
            "grpo"
        }
    };
    let level = match policy.surrogate {
        Surrogate::PpoClip => "token",
        Surrogate::Gspo => "sequence",
        Surrogate::Cispo => {
            refused.when(true, "policy.surrogate is cispo, which TRL clips above only");
            "token"
        }
    };
    let plain = policy.kl.kind == KlKind::K3 && policy.kl.place == KlPlace::Loss;
    refused.when(policy.kl.active() && !plain, "policy.kl is not k3 in the loss");
    let steps = stage.total_steps() * u64::from(policy.mini_batches) * u64::from(policy.epochs);
    let (scheduler, kwargs) = rates::of_transformers(stage, steps);
    facts.extend([
        ("scale_rewards", scale.to_owned()),
        ("loss", loss.to_owned()),
        ("level", level.to_owned()),
        ("delta", if policy.dual_clip == 0.0 { "null".to_owned() } else { policy.dual_clip.to_string() }),
        ("beta", if policy.kl.active() { policy.kl.coefficient } else { 0.0 }.to_string()),
        ("optimizer_steps", steps.to_string()),
        ("scheduler", scheduler.to_owned()),
        ("scheduler_kwargs", kwargs),
        ("warmup", rates::warmup(stage, steps).to_string()),
        ("save_strategy", if stage.checkpoint_every == 0 { "no" } else { "steps" }.to_owned()),
        ("save_every", (stage.checkpoint_every.max(1) * (steps / stage.total_steps().max(1))).to_string()),
    ]);
}
