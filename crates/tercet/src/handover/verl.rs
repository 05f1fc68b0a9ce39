//! verl 0.9: GRPO and its relatives, sampling with vLLM.

use problems::reward::Reward;
use train::recipe::{PolicyConfig, RolloutConfig};
use train::rl::{Advantage, Aggregation, KlKind, KlPlace, Surrogate};
use train::schedule::ScheduleKind;

use super::{Facts, Handover, Refused, rates};

/// The folder's files.
pub(super) const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("verl/README.md")),
    ("config.yaml", include_str!("verl/config.yaml")),
    ("reward.py", include_str!("verl/reward.py")),
    ("check.py", include_str!("check.py")),
    ("launch.sh", include_str!("verl/launch.sh")),
    ("requirements.txt", include_str!("verl/requirements.txt")),
];

pub(super) fn facts(handover: &Handover, facts: &mut Facts, refused: &mut Refused) {
    let stage = &handover.stage.stage;
    let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
        return refused.when(true, "it has no rollouts");
    };
    reinforcement(rollout, policy, facts, refused);
    let (estimator, by_std) = match policy.advantage {
        Advantage::Grpo => ("grpo", true),
        Advantage::GrpoNoStd => ("grpo", false),
        Advantage::Rloo => ("rloo", true),
        _ => {
            refused.when(true, "policy.advantage is none of grpo, grpo-no-std and rloo");
            ("grpo", true)
        }
    };
    let loss = match policy.surrogate {
        Surrogate::PpoClip => "vanilla",
        Surrogate::Gspo => "gspo",
        Surrogate::Cispo => "cispo",
    };
    refused.when(policy.kl.kind == KlKind::Exact && policy.kl.active(), "policy.kl.kind is exact");
    let scheduler = match stage.schedule.kind {
        ScheduleKind::Constant => "constant",
        ScheduleKind::Cosine => "cosine",
        ScheduleKind::Linear | ScheduleKind::Wsd => {
            refused.when(true, "schedule.kind is neither constant nor cosine");
            "constant"
        }
    };
    let steps = stage.total_steps() * u64::from(policy.mini_batches) * u64::from(policy.epochs);
    let in_loss = policy.kl.active() && policy.kl.place == KlPlace::Loss;
    let in_reward = policy.kl.active() && policy.kl.place == KlPlace::Reward;
    let kl = match policy.kl.kind {
        KlKind::K1 => "kl",
        KlKind::K2 => "mse",
        KlKind::None | KlKind::K3 | KlKind::Exact => "low_var_kl",
    };
    let aggregation = match policy.aggregation {
        Aggregation::TokenMean => "token-mean",
        Aggregation::SeqMeanTokenSum => "seq-mean-token-sum",
        Aggregation::SeqMeanTokenMean => "seq-mean-token-mean",
        Aggregation::SeqMeanTokenSumNorm => "seq-mean-token-sum-norm",
    };
    facts.extend([
        ("advantage", estimator.to_owned()),
        ("by_std", by_std.to_string()),
        ("loss", loss.to_owned()),
        ("aggregation", aggregation.to_owned()),
        // verl has no way to turn the bound off.
        ("dual_clip", if policy.dual_clip == 0.0 { 1_000_000.0 } else { policy.dual_clip }.to_string()),
        ("kl_in_loss", in_loss.to_string()),
        ("kl_in_reward", in_reward.to_string()),
        ("kl", kl.to_owned()),
        ("kl_coefficient", policy.kl.coefficient.to_string()),
        ("scheduler", scheduler.to_owned()),
        ("warmup", rates::warmup(stage, steps).to_string()),
        ("minimum", stage.schedule.minimum.to_string()),
        (
            "save_every",
            if stage.checkpoint_every == 0 { -1 } else { stage.checkpoint_every as i64 }.to_string(),
        ),
        ("prompt_length", handover.context.saturating_sub(rollout.max_tokens as usize).to_string()),
    ]);
    let suite = handover.recipe.document.evaluation.suites.first();
    facts.insert("val_samples", suite.map_or(1, |suite| suite.samples).to_string());
    facts.insert("val_temperature", suite.map_or(1.0, |suite| suite.temperature).to_string());
}

/// What all trainers of reinforcement learning are told, and what none of them can express.
pub(super) fn reinforcement(
    rollout: &RolloutConfig,
    policy: &PolicyConfig,
    facts: &mut Facts,
    refused: &mut Refused,
) {
    refused.when(rollout.curriculum.is_some(), "rollout.curriculum");
    refused.when(rollout.refills > 0, "rollout.refills");
    refused.when(rollout.overlong_buffer > 0, "rollout.overlong_buffer");
    refused.when(rollout.format_bonus != 0.0, "rollout.format_bonus");
    refused.when(policy.focal != 0.0, "policy.focal");
    refused.when(policy.step_credit != 0.0, "policy.step_credit");
    refused.when(policy.ending_credit, "policy.ending_credit");
    refused.when(
        !rollout.prompts.is_multiple_of(policy.mini_batches),
        "policy.mini_batches does not divide rollout.prompts",
    );
    let (kind, alpha) = match rollout.reward {
        Reward::Outcome {} => ("outcome", None),
        Reward::Strict {} => ("strict", None),
        Reward::Blend { alpha } => ("blend", Some(alpha)),
        Reward::Reference { answer_weight } => ("reference", Some(answer_weight)),
    };
    let python_alpha = alpha.map_or("None".to_owned(), |alpha| alpha.to_string());
    let policy_name = rollout.policy.name();
    facts.extend([
        (
            "reward_call",
            format!("{{\"kind\": \"{kind}\", \"alpha\": {python_alpha}, \"policy\": \"{policy_name}\"}}"),
        ),
        ("reward", kind.to_owned()),
        ("alpha", alpha.map_or("null".to_owned(), |alpha| alpha.to_string())),
        ("policy", policy_name.to_owned()),
        ("prompts", rollout.prompts.to_string()),
        ("samples", rollout.samples.to_string()),
        ("max_tokens", rollout.max_tokens.to_string()),
        ("temperature", rollout.temperature.to_string()),
        ("mini_batches", policy.mini_batches.to_string()),
        ("mini_batch", (rollout.prompts / policy.mini_batches).to_string()),
        ("epochs", policy.epochs.to_string()),
        ("clip_low", policy.clip_low.to_string()),
        ("clip_high", policy.clip_high.to_string()),
    ]);
}
