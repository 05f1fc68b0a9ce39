//! The learning rate's schedule in the words of transformers.

use train::recipe::Stage;
use train::schedule::ScheduleKind;

/// Steps of warm-up of a stage that takes so many optimizer steps.
pub(super) fn warmup(stage: &Stage, steps: u64) -> u64 {
    if stage.schedule.warmup_share > 0.0 {
        return (stage.schedule.warmup_share * steps as f64).round() as u64;
    }
    // A step of the stage can be several of the optimizer.
    stage.schedule.warmup_steps * steps / stage.total_steps().max(1)
}

/// `lr_scheduler_type` and, as JSON, `lr_scheduler_kwargs` of transformers.
pub(super) fn of_transformers(stage: &Stage, steps: u64) -> (&'static str, String) {
    let minimum = stage.schedule.minimum;
    match stage.schedule.kind {
        ScheduleKind::Constant => ("constant_with_warmup", "{}".to_owned()),
        ScheduleKind::Linear if minimum == 0.0 => ("linear", "{}".to_owned()),
        ScheduleKind::Linear => {
            ("polynomial", format!("{{\"lr_end\": {}, \"power\": 1.0}}", minimum * stage.optimizer.lr))
        }
        ScheduleKind::Cosine if minimum == 0.0 => ("cosine", "{}".to_owned()),
        ScheduleKind::Cosine => ("cosine_with_min_lr", format!("{{\"min_lr_rate\": {minimum}}}")),
        ScheduleKind::Wsd => {
            let decay = (stage.schedule.decay_share * steps as f64).round() as u64;
            let decay = decay.min(steps.saturating_sub(warmup(stage, steps)));
            let kwargs = format!(
                "{{\"num_decay_steps\": {decay}, \"decay_type\": \"linear\", \"min_lr_ratio\": {minimum}}}"
            );
            ("warmup_stable_decay", kwargs)
        }
    }
}
