//! The metrics of a step's first rollouts, before any refill: they describe the policy, not the selection.

use std::collections::BTreeMap;

use super::{
    advantage::{GroupKind, group_kind},
    moments::Moments,
    sampler::Group,
    scored::ScoredResponse,
};
use crate::{metrics::Metrics, recipe::RolloutConfig};

pub(super) fn rollout_metrics(groups_P: &[Group], config: &RolloutConfig, metrics: &mut Metrics) {
    group_metrics(groups_P, metrics);
    reward_metrics(groups_P, metrics);
    let mut faults: BTreeMap<&'static str, f64> = BTreeMap::new();
    for group in groups_P {
        for response in &group.responses_G {
            response_metrics(group, response, config, metrics);
            if let Some((kind, _)) = &response.judgement.verdict().first_fault {
                *faults.entry(kind.name()).or_default() += 1.0;
            }
        }
    }
    let responses = groups_P.len() as f64 * f64::from(config.samples);
    for (name, count) in faults {
        metrics.set(&format!("first_fault/{name}"), count / responses);
    }
}

fn group_metrics(groups_P: &[Group], metrics: &mut Metrics) {
    let (mut mixed, mut all_correct, mut all_equal_not_correct) = (0.0, 0.0, 0.0);
    for group in groups_P {
        let rewards_G = group.rewards_G();
        metrics.mean("reward_std", Moments::of(&rewards_G).std, 1.0);
        match group_kind(&rewards_G) {
            GroupKind::Mixed => mixed += 1.0,
            GroupKind::Uniform if group.responses_G.iter().all(|r| r.judgement.verified()) => {
                all_correct += 1.0;
            }
            GroupKind::Uniform => all_equal_not_correct += 1.0,
        }
    }
    let n = groups_P.len() as f64;
    metrics.set("groups/all_right", all_correct / n);
    metrics.set("groups/mixed", mixed / n);
    metrics.set("groups/all_equal_not_right", all_equal_not_correct / n);
    metrics.set("frac_reward_zero_std", (all_correct + all_equal_not_correct) / n);
}

/// The reward and its parts over all responses.
fn reward_metrics(groups_P: &[Group], metrics: &mut Metrics) {
    let all = |part: fn(&ScoredResponse) -> f64| -> Vec<f64> {
        groups_P.iter().flat_map(|group| &group.responses_G).map(part).collect()
    };
    let rewards = all(|response| response.reward);
    metrics.set("critic/rewards/mean", Moments::of(&rewards).mean);
    metrics.set("critic/rewards/max", rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    metrics.set("critic/rewards/min", rewards.iter().copied().fold(f64::INFINITY, f64::min));
    for (name, values) in [("outcome", all(|r| r.parts.outcome)), ("process", all(|r| r.parts.process))] {
        let Moments { mean, std } = Moments::of(&values);
        metrics.set(&format!("rewards/{name}/mean"), mean);
        metrics.set(&format!("rewards/{name}/std"), std);
    }
}

fn response_metrics(group: &Group, response: &ScoredResponse, config: &RolloutConfig, metrics: &mut Metrics) {
    let one = |yes: bool| f64::from(u8::from(yes));
    let (length, op) = (response.tokens() as f64, group.problem.cell.op);
    let (verified, correct) = (response.judgement.verified(), response.judgement.correct());
    metrics.mean(&format!("reward/op{op}"), response.reward, 1.0);
    metrics.mean(&format!("verified/op{op}"), one(verified), 1.0);
    metrics.mean("verified/mean", one(verified), 1.0);
    metrics.mean("verified/right_answer", one(correct), 1.0);
    metrics.mean("verified/right_answer_wrong_process", one(correct && !verified), 1.0);
    metrics.mean("response_length/mean", length, 1.0);
    metrics.max("response_length/max", length);
    metrics.mean("response_length/clip_ratio", one(response.judgement.truncated()), 1.0);
    metrics.mean("prompt_length/mean", group.prompt.len() as f64, 1.0);
    if config.overlong_buffer > 0 {
        metrics.mean("rewards/overlong/mean", response.shaping(config), 1.0);
    }
}
