//! Every variant of reinforcement learning, as a recipe configures it, reaches the optimum of a task that has
//! a known one, from the sampler to the optimizer.
//!
//! The model is a table of bigrams: it cannot solve a problem, so the strict reward is 0 whatever it writes.
//! Overlong shaping takes something for every token after the first. The optimum is to end at once: one token,
//! reward 0. The only token of such a response is the first after the prompt, where a mask that is off by one
//! or an advantage with the wrong sign would show.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use runs::{lines, records::MetricsRow};
use tercet_train::{
    recipe::Recipe,
    run::{Options, Run},
};

use crate::tabular::{Factory, Fuse};

const RECIPE: &str = r#"
name = "variants"
[world]
max_value = 20
places = [1, 3]
kinds = [1, 4]
distractors = 0.0
[[mix.all]]
ops = "3"
contexts = "terse"
[tokenizer]
vocab = 300
problems = 60
[model]
hidden = 8
layers = 1
heads = 1
kv_heads = 1
mlp = 8
context = 256
rope_theta = 1e3
tied = true
norm_eps = 1e-6
init_std = 0.02
scale_residual_init = true
[[stage]]
name = "rl"
kind = "rl"
mix = "all"
steps = 40
optimizer = { lr = 0.2 }
checkpoint_every = 0
[stage.rollout]
prompts = 6
samples = 6
reward = { kind = "strict" }
max_tokens = 12
overlong_buffer = 11
store_every = 0
[stage.policy]
mini_batches = 2
epochs = 2
"#;

/// Runs the recipe and gives the metrics of its steps.
fn run(overrides: &[&str]) -> Vec<MetricsRow> {
    run_with_gap(overrides, 0.0)
}

/// The same with a sampler that is off.
fn run_with_gap(overrides: &[&str], gap: f32) -> Vec<MetricsRow> {
    let overrides: Vec<String> = overrides.iter().map(|o| format!("stage.rl.{o}")).collect();
    let recipe = Recipe::parse(RECIPE, "variants.toml", &overrides).expect("the recipe is right");
    let folder = tempfile::tempdir().expect("a folder");
    // One token in six ends a response, to begin with.
    let factory = Factory { lean: 4.0, gap, ..Factory::new(Fuse::never()) };
    let run = Run::open(recipe, folder.path(), &factory, Options::default()).expect("the folder opens");
    run.execute(&mut (), &AtomicBool::new(false)).expect("the run ends");
    let stages = std::fs::read_dir(folder.path().join("stages")).expect("there are stages");
    let stage = stages.last().expect("one").expect("readable").path();
    lines::read(&stage.join("metrics.jsonl")).expect("metrics")
}

/// A metric's mean over some steps.
fn mean(rows: &[MetricsRow], name: &str) -> f64 {
    rows.iter().map(|row| row.values[name].expect("finite")).sum::<f64>() / rows.len() as f64
}

fn reaches_the_optimum(variants: &[(&str, &[&str])]) {
    for (name, overrides) in variants {
        let rows = run(overrides);
        let length = |rows| mean(rows, "response_length/mean");
        let (first, last) = (length(&rows[..1]), length(&rows[35..]));
        assert!(first > 3.0, "{name} has nothing to learn: {first} tokens at first");
        assert!(last < 1.1, "{name} writes {last} tokens, and the optimum is 1");
        let reward = mean(&rows[35..], "critic/rewards/mean");
        assert!(reward > -0.02, "{name} gets {reward}, and the optimum is 0");
        // Steps without any gradient have no such number.
        let gaps = rows.iter().filter_map(|row| row.values.get("sampling/sampling_logp_difference/max"));
        assert!(gaps.clone().count() > 5 && gaps.clone().all(|gap| *gap == Some(0.0)), "{name}");
    }
}

#[test]
fn every_surrogate_and_every_advantage_reaches_the_optimum() {
    reaches_the_optimum(&[
        ("GRPO", &[]),
        ("Dr. GRPO", &["policy.advantage=grpo-no-std", "policy.aggregation=seq-mean-token-sum-norm"]),
        ("DAPO", &["policy.clip_high=0.28", "policy.aggregation=token-mean", "rollout.refills=3"]),
        (
            "GSPO",
            &[
                "policy.surrogate=gspo",
                "policy.aggregation=seq-mean-token-mean",
                "policy.clip_low=3e-4",
                "policy.clip_high=4e-4",
            ],
        ),
        ("CISPO", &["policy.surrogate=cispo", "policy.clip_low=1.0", "policy.clip_high=0.28"]),
        ("RLOO", &["policy.advantage=rloo", "policy.aggregation=seq-mean-token-sum"]),
        ("REINFORCE++", &["policy.advantage=reinforce-plus-plus"]),
        ("one update a step", &["policy.mini_batches=1", "policy.epochs=1"]),
        ("no dual clip", &["policy.dual_clip=0"]),
        ("small micro-batches", &["micro_tokens=200"]),
    ]);
}

#[test]
fn every_kl_term_leaves_the_optimum_within_reach() {
    for place in ["loss", "reward"] {
        for kind in ["k1", "k2", "k3", "exact"] {
            if (kind, place) == ("exact", "reward") {
                continue;
            }
            let kl = format!("policy.kl={{kind = '{kind}', coefficient = 1e-3, place = '{place}'}}");
            reaches_the_optimum(&[(&format!("KL {kind} in the {place}"), &[&kl])]);
        }
    }
}

/// With a strong KL term the policy stays where it began, whatever the reward says. Only where the estimate and
/// its place fit: in the loss `k1` has no slope to speak of, and in the reward `k2` and `k3` have another's.
#[test]
fn a_strong_kl_term_holds_the_policy() {
    let free = mean(&run(&[])[35..], "response_length/mean");
    let fitting = [("k2", "loss"), ("k3", "loss"), ("exact", "loss"), ("k1", "reward")];
    for (kind, place) in fitting {
        let kl = format!("policy.kl={{kind = '{kind}', coefficient = 2.0, place = '{place}'}}");
        let held = mean(&run(&[&kl])[35..], "response_length/mean");
        assert!(held > free + 1.0, "{kind} in the {place}: {held} tokens, {free} without");
    }
}

/// The first step: later ones sample from models that differ in the last bits.
#[test]
fn how_a_step_of_rollouts_is_cut_does_not_matter() {
    let first = |micro_tokens: &str| {
        let kl = "policy.kl={kind = 'exact', coefficient = 0.5}";
        let rows = run(&["steps=1", kl, micro_tokens]);
        ["loss", "grad_norm", "actor/pg_loss", "actor/kl_loss"].map(|name| mean(&rows, name))
    };
    let (whole, parts) = (first("micro_tokens=100000"), first("micro_tokens=200"));
    for (whole, parts) in whole.into_iter().zip(parts) {
        assert!((whole - parts).abs() < 1e-6, "{whole} in one micro-batch, {parts} in several");
    }
    assert!(whole[1] > 0.01 && whole[3] > 0.0, "there is something to differ: {whole:?}");
}

/// Policy and reference are equal at first. A KL term in the reward then says nothing, and must not set responses apart by
/// what the sampler's rounding makes of them.
#[test]
fn a_sampler_that_is_off_changes_nothing_but_the_gap() {
    let kl = "policy.kl={kind = 'k1', coefficient = 0.5, place = 'reward'}";
    for buffer in ["rollout.overlong_buffer=0", "rollout.overlong_buffer=11"] {
        let settings = ["steps=5", kl, buffer];
        let (exact, off) = (run(&settings), run_with_gap(&settings, 1e-3));
        for (a, mut b) in exact.into_iter().zip(off) {
            let gap = b.values["sampling/sampling_logp_difference/max"].expect("finite");
            assert!(gap > 1e-4 && gap < 1.1e-3, "{gap}");
            b.values.retain(|name, _| !name.starts_with("sampling/"));
            let rest = a.values.into_iter().filter(|(name, _)| !name.starts_with("sampling/"));
            assert_eq!(rest.collect::<BTreeMap<_, _>>(), b.values);
        }
    }
}
