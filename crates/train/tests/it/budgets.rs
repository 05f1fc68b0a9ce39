//! What was planned is what was spent, and how a step is cut does not matter.

use std::{fs, path::Path, sync::atomic::AtomicBool};

use problems::{Cell, Contexts, Generator, Split, SplitRule, World, gold::Mode};
use runs::{
    lines,
    records::{Exposure, MetricsRow, StageDone},
};
use tercet_train::{
    recipe::Recipe,
    run::{
        LoopState, Options, Outcome, Run,
        plan::{Plan, Rates},
    },
};

use crate::{
    resume::RECIPE,
    tabular::{Factory, Fuse},
};

fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|&o| o.to_owned()).collect();
    Recipe::parse(RECIPE, "budgets.toml", &overrides).expect("the recipe is right")
}

/// Runs a recipe and looks into its stages' folders.
fn run<T>(recipe: Recipe, look: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe, folder.path(), &factory, Options::default()).expect("the folder opens");
    let outcome = run.execute(&mut (), &AtomicBool::new(false)).expect("the run ends");
    assert_eq!(outcome, Outcome::Finished(()));
    look(&folder.path().join("stages"))
}

fn stage(stages: &Path, name: &str) -> std::path::PathBuf {
    let entries =
        fs::read_dir(stages).expect("there are stages").map(|entry| entry.expect("readable").path());
    let is = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|f| f.to_string_lossy().starts_with(&format!("{name}-")))
    };
    entries.into_iter().find(is).expect("the stage was run")
}

fn losses(stages: &Path) -> Vec<f64> {
    let rows: Vec<MetricsRow> = lines::read(&stage(stages, "pre").join("metrics.jsonl")).expect("metrics");
    rows.iter().map(|row| row.values["loss"].expect("finite")).collect()
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(path).expect("readable")).expect("JSON")
}

#[test]
fn how_a_step_is_cut_does_not_matter() {
    let whole = run(recipe(&["stage.pre.micro_tokens=100000"]), losses);
    let parts = run(recipe(&["stage.pre.micro_tokens=70"]), losses);
    assert_eq!(whole.len(), 7);
    for (whole, parts) in whole.iter().zip(parts) {
        assert!((whole - parts).abs() < 1e-6, "{whole} in one micro-batch, {parts} in several");
    }
}

#[test]
fn tokens_and_shares_are_exact_to_a_row() {
    let recipe = recipe(&[
        "stage.pre.steps=60",
        "mix.all.0.ops={3 = 0.7, 4 = 0.2, 5 = 0.1}",
        "stage.pre.evaluate_milestones=false",
    ]);
    let planned = Plan::of(&recipe, None).expect("the recipe can be planned");
    let planned = planned.arms[0].stages[0].cost.trained_tokens;
    let (done, exposure) = run(recipe, |stages| {
        let stage = stage(stages, "pre");
        (json::<StageDone>(&stage.join("done.json")), json::<Exposure>(&stage.join("exposure.json")))
    });
    let trained = done.cost.trained_tokens;
    // No problem of these has as many tokens as this.
    let row = 120;
    assert_eq!(planned, 60 * 300);
    assert!(planned - trained < row, "{trained} tokens instead of {planned}");
    let seen = |op| exposure.cells.iter().filter(|cell| cell.op == op).map(|cell| cell.tokens).sum::<u64>();
    assert_eq!(seen(3) + seen(4) + seen(5), trained);
    for (op, share) in [(3, 0.7), (4, 0.2), (5, 0.1)] {
        let off = seen(op) as f64 - share * trained as f64;
        assert!(off.abs() < row as f64, "op {op} is off by {off} tokens");
    }
}

/// Records on disk instead of the generator: the same mix, exact to a row, and the files begin again.
#[test]
fn a_stage_can_train_on_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World { distractors: 0.0, ..World::default() };
    let split = Some((Split::Train, SplitRule::Structure));
    let generator = Generator::new(&world, &Contexts::builtin(), 5, split).expect("a world");
    let cell = |op| Cell { op, context: "terse".to_owned(), mode: Mode::Forward };
    let record = |op, i| {
        let problem = generator.sequence(&cell(op)).expect("a possible cell").problem(i);
        serde_json::to_string(&problem.record()).expect("plain data")
    };
    for ops in [vec![3, 4], vec![5]] {
        let lines = ops.iter().flat_map(|op| (0..10).map(|i| record(*op, i)));
        let name = format!("op{}.jsonl", ops[0]);
        fs::write(folder.path().join(name), lines.collect::<Vec<_>>().join("\n")).expect("writable");
    }
    let path = folder.path().join("recipe.toml");
    fs::write(&path, RECIPE).expect("writable");
    let overrides = [
        "stage.pre.files=['op3.jsonl', 'op5.jsonl']",
        "stage.pre.steps=20",
        "mix.all.0.ops={3 = 0.7, 4 = 0.2, 5 = 0.1}",
    ];
    let recipe = Recipe::open(&path, &overrides.map(str::to_owned)).expect("the recipe is right");
    let exposure: Exposure = run(recipe, |stages| json(&stage(stages, "pre").join("exposure.json")));
    let seen = |op| exposure.cells.iter().filter(|cell| cell.op == op).map(|cell| cell.tokens).sum::<u64>();
    let all = seen(3) + seen(4) + seen(5);
    for (op, share) in [(3, 0.7), (4, 0.2), (5, 0.1)] {
        assert!((seen(op) as f64 - share * all as f64).abs() < 200.0, "op {op}: {} of {all}", seen(op));
    }
    let problems: u64 = exposure.cells.iter().filter(|cell| cell.op == 3).map(|cell| cell.problems).sum();
    assert!(problems > 10, "the files began again: {problems} problems");

    fs::write(folder.path().join("op5.jsonl"), "{}").expect("writable");
    let error = Recipe::open(&path, &overrides.map(str::to_owned)).expect_err("half a record");
    assert!(error.to_string().contains("op5.jsonl`, line 1: "), "{error}");
}

#[test]
fn every_checkpoint_knows_what_was_seen() {
    run(recipe(&[]), |stages| {
        let stage = stage(stages, "pre");
        let rows: Vec<MetricsRow> = lines::read(&stage.join("metrics.jsonl")).expect("metrics");
        let all = json::<Exposure>(&stage.join("exposure.json"));
        // The milestone and the end.
        for step in [2, 7] {
            let state: LoopState = json(&stage.join(format!("checkpoints/step-{step:06}/loop.json")));
            let seen = state.ledger.exposure();
            let tokens: u64 = seen.cells.iter().map(|cell| cell.tokens).sum();
            assert_eq!(Some(tokens as f64), rows[step - 1].values["num_tokens"]);
            assert_eq!(seen == all, step == 7);
        }
        for cell in &all.cells {
            assert!((3..=5).contains(&cell.op) && cell.depth > 0 && cell.context == "terse");
            let (form, totals) = cell.structure.split_once('+').unwrap_or((&cell.structure, "totals"));
            assert!(["chain", "tree", "reuse"].contains(&form) && totals == "totals", "{cell:?}");
        }
        assert!(all.cells.iter().any(|cell| cell.structure != all.cells[0].structure), "one class only");
    });
}

#[test]
fn a_plan_counts_shared_stages_once_and_checks_what_should_match() {
    let arms = r#"
[[arm]]
name = "one"
[[arm]]
name = "two"
set = { "stage.rl.steps" = 6 }
[[matched]]
arms = ["one", "two"]
[[matched]]
arms = ["one", "one"]
by = "flops"
"#;
    let text = format!("{RECIPE}{arms}");
    let recipe = Recipe::parse(&text, "plan.toml", &[]).expect("the recipe is right");
    let rates = Rates { train_tokens_per_second: 1e3, sample_tokens_per_second: 1e3 };
    let plan = Plan::of(&recipe, Some(rates)).expect("the recipe can be planned");
    let shared: Vec<bool> = plan.arms[1].stages.iter().map(|stage| stage.shared).collect();
    assert_eq!(shared, [true, true, false]);
    assert!(!plan.matched[0].matches && plan.matched[0].difference > 0.005);
    assert!(plan.matched[1].matches);
    // 5 steps of 4 prompts × 3 samples at the nominal length of the context, with a reference.
    assert_eq!(plan.arms[0].stages[2].cost.nominal_tokens, 5.0 / 3.0 * f64::from(5 * 4 * 3 * 256));
    assert!(plan.seconds.is_some_and(|seconds| seconds > 1.0));
    // Responses of 24 tokens are far shorter than the nominal length: really processed is much less.
    let cost = plan.arms[0].stages[2].cost;
    assert!(cost.real_tokens < 0.8 * cost.nominal_tokens, "{cost:?}");
    assert_eq!(cost.flops, 6.0 * plan.arms[0].parameters as f64 * cost.real_tokens);
}

#[test]
fn refills_replace_groups_that_say_nothing() {
    let rows: Vec<MetricsRow> = run(recipe(&["stage.rl.rollout.refills=2"]), |stages| {
        lines::read(&stage(stages, "rl").join("metrics.jsonl")).expect("metrics")
    });
    let value = |row: &MetricsRow, name: &str| row.values[name].expect("finite");
    for row in &rows {
        let uniform = 4.0 * value(row, "frac_reward_zero_std");
        let drawn = value(row, "rollout/prompts_drawn");
        // At least those of the first round are replaced, at most all of both rounds.
        assert!(drawn >= 4.0 + uniform && drawn <= 4.0 + 2.0 * uniform + 1e-9, "{drawn} with {uniform}");
        assert_eq!(value(row, "sampling/sampling_logp_difference/max"), 0.0, "sampler and trainer agree");
    }
}

/// What the curriculum believes rests on every response, those of replaced groups included: the others alone
/// would make every cell look as if it were at the edge.
#[test]
fn beliefs_count_what_was_replaced() {
    let (rows, state) = run(recipe(&["stage.rl.rollout.refills=2"]), |stages| {
        let stage = stage(stages, "rl");
        let rows: Vec<MetricsRow> = lines::read(&stage.join("metrics.jsonl")).expect("metrics");
        (rows, json::<LoopState>(&stage.join("checkpoints/step-000005/loop.json")))
    });
    let drawn: f64 = rows.iter().map(|row| row.values["rollout/prompts_drawn"].expect("finite")).sum();
    assert!(drawn > 5.0 * 4.0, "nothing was replaced");
    let responses: u64 = state.source.beliefs.iter().map(|belief| belief.all).sum();
    assert_eq!(responses as f64, 3.0 * drawn);
}

/// `verified/op12` is `verified/opN`, `first_fault/x` is `first_fault/KIND`.
fn documented_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match &parts[..] {
        ["eval", "loss", _, _, _] => "eval/loss/opN/CONTEXT/MODE".to_owned(),
        ["first_fault", _] => "first_fault/KIND".to_owned(),
        [group, op] if op.trim_start_matches("op").parse::<u32>().is_ok() => format!("{group}/opN"),
        _ => name.to_owned(),
    }
}

#[test]
fn every_metric_has_its_line_in_the_documentation() {
    let page = include_str!("../../../../docs/training.md");
    let mut names = std::collections::BTreeSet::new();
    let overrides = [
        "stage.rl.rollout.overlong_buffer=4",
        "stage.rl.policy.kl={kind = 'k2', coefficient = 0.1, place = 'reward'}",
    ];
    for overrides in [&[][..], &overrides] {
        run(recipe(overrides), |stages| {
            for (name, file) in [("pre", "metrics.jsonl"), ("rl", "metrics.jsonl"), ("rl", "timings.jsonl")] {
                let rows = lines::read::<MetricsRow>(&stage(stages, name).join(file)).expect("metrics");
                names.extend(rows.iter().flat_map(|row| row.values.keys()).map(|name| documented_name(name)));
            }
        });
    }
    assert!(names.len() > 40, "only {} metrics", names.len());
    let missing: Vec<&String> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/training.md does not name {missing:?}");
}

/// Ten updates in a row that are left out are the end, and what was saved before them stays.
#[test]
fn a_stage_that_diverges_stops_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let overrides = ["stage.pre.optimizer.lr=1e300", "stage.pre.steps=20", "stage.pre.checkpoint_every=1"];
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe(&overrides), folder.path(), &factory, Options::default());
    let error = run.expect("the folder opens").execute(&mut (), &AtomicBool::new(false));
    let message = error.expect_err("the model is broken").to_string();
    assert!(message.starts_with("stage `pre` has diverged: at step 11"), "{message}");
    let stage = stage(&folder.path().join("stages"), "pre");
    let kept: Vec<_> = fs::read_dir(stage.join("checkpoints")).expect("readable").collect();
    assert_eq!(kept.len(), 1, "of step 1, the last one that was applied");
    assert!(stage.join("checkpoints/step-000001").is_dir() && !stage.join("done.json").exists());
}

/// A learning rate that breaks the model at its first step: the run goes on, says so, and can be resumed.
#[test]
fn gradients_that_are_not_finite_are_left_out_and_counted() {
    let recipe = recipe(&["stage.pre.optimizer.lr=1e300", "stage.rl.steps=1"]);
    let rows: Vec<MetricsRow> =
        run(recipe, |stages| lines::read(&stage(stages, "pre").join("metrics.jsonl")).expect("metrics"));
    let last = rows.last().expect("there were steps");
    assert_eq!(last.values["skipped_updates"], Some(6.0), "all but the first");
    assert_eq!(last.values["loss"], None, "a loss that is no number is written as null");
    assert_eq!(rows[5].values["eval/loss"], None, "neither is the loss on held-out problems");
}
