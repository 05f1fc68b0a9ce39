//! `tercet export verl`, `llama-factory` and `trl`: the folders, their values and what is refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::{checkpoint, published, tiniest};
use crate::{Ended, temporary, tercet};

const RECIPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/");

fn export(dir: &Path, trainer: &str, recipe: &str, more: &[&str]) -> Ended {
    let recipe = format!("{RECIPES}{recipe}.toml");
    let args = ["export", trainer, &recipe, "--out", "out"];
    tercet(dir, &[&args[..], more].concat())
}

/// What was refused, in one line.
#[track_caller]
fn refused(dir: &Path, trainer: &str, recipe: &str, more: &[&str]) -> String {
    let ended = export(dir, trainer, recipe, more);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(!dir.join("out").exists(), "nothing is left");
    ended.stderr.trim_end().to_owned()
}

#[track_caller]
fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join("out").join(name)).expect("written")
}

#[track_caller]
fn has_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found.trim() == *line), "no line `{line}` in\n{text}");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("out")).expect("a folder").filter_map(Result::ok);
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn conformance(dir: &Path) -> Vec<Value> {
    text(dir, "conformance.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[track_caller]
fn examples_have_ids_and_rewards(examples: &[Value]) {
    assert_eq!(examples.len(), 20);
    for example in examples {
        let rewards: Vec<f64> = example["responses"]
            .as_array()
            .expect("responses")
            .iter()
            .filter_map(|response| response["reward"].as_f64())
            .collect();
        assert_eq!(rewards[..2], [1.0, 0.75], "a correct response, and one with a wrong answer");
        assert!(rewards[2] < 0.75, "a response that ends in the middle");
        assert!(example["prompt_ids"].as_array().is_some_and(|ids| ids.len() > 5));
    }
}

#[test]
fn verl_gets_a_folder_with_the_recipes_values() {
    let dir = temporary();
    tiniest(dir.path());
    let set = [
        "--set",
        "stage.rl.rollout.reward={kind=\"blend\",alpha=0.25}",
        "--set",
        "stage.rl.rollout.policy=strict",
    ];
    let more = ["--scale", "tiny", "--model", "run:mid", "--problems", "20"];
    let ended = export(dir.path(), "verl", "quickstart", &[&more[..], &set].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, "stage rl with 20 problems, in out\n"));
    let wanted = [
        "README.md",
        "check.py",
        "checkpoint",
        "config.yaml",
        "conformance.jsonl",
        "launch.sh",
        "recipe.toml",
        "requirements.txt",
        "reward.py",
        "test.parquet",
        "train.parquet",
    ];
    assert_eq!(names(dir.path()), wanted);
    has_lines(
        &text(dir.path(), "config.yaml"),
        &[
            "train_batch_size: 4",
            "n: 4",
            "max_response_length: 192",
            "max_prompt_length: 192",
            "lr: 0.0002",
            "lr_warmup_steps: 5",
            "lr_scheduler_type: constant",
            "betas: [0.9, 0.95]",
            "weight_decay: 0",
            "clip_ratio_low: 0.2",
            "clip_ratio_c: 3",
            "loss_agg_mode: token-mean",
            "loss_mode: vanilla",
            "use_kl_loss: true",
            "kl_loss_type: low_var_kl",
            "kl_loss_coef: 0.001",
            "use_kl_in_reward: false",
            "adv_estimator: grpo",
            "norm_adv_by_std_in_grpo: true",
            "kind: blend",
            "alpha: 0.25",
            "policy: strict",
            "total_training_steps: 3",
            "max_model_len: 384",
        ],
    );
    examples_have_ids_and_rewards(&conformance(dir.path()));
    assert!(
        text(dir.path(), "check.py")
            .contains("REWARD = {\"kind\": \"blend\", \"alpha\": 0.25, \"policy\": \"strict\"}")
    );
    has_lines(&text(dir.path(), "requirements.txt"), &["verl==0.9.1", "vllm==0.24.0"]);
}

/// A model with a context as long as the paper's, and a tokenizer of its own.
fn long(dir: &Path) {
    use learner::LearnerFactory as _;
    let model = serde_json::json!({
        "vocab": 600, "hidden": 16, "layers": 1, "heads": 2, "kv_heads": 2, "mlp": 32, "context": 2048,
        "rope_theta": 1e6, "tied": true, "norm_eps": 1e-6, "init_std": 0.02, "scale_residual_init": false,
    });
    let model: learner::ModelConfig = serde_json::from_value(model).expect("a model");
    let fresh = engine::CpuFactory::with_threads(Some(1)).fresh(&model, [7; 32]).expect("a possible shape");
    fresh.save(&dir.join("long"), false).expect("writable");
    let texts =
        ["problems", "--op", "11-14", "--context", "zoo,school,festival", "-n", "20", "--out", "texts.jsonl"];
    assert_eq!(tercet(dir, &texts).code, 0);
    let trained = ["tokenizer", "train", "texts.jsonl", "--vocab", "600", "--out", "long"];
    assert_eq!(tercet(dir, &trained).code, 0);
}

/// The paper's settings, as its authors gave them to verl.
#[test]
fn verl_gets_the_papers_settings() {
    let dir = temporary();
    long(dir.path());
    let more = ["--scale", "paper", "--arm", "edge", "--model", "long", "--problems", "6"];
    let ended = export(dir.path(), "verl", "extrapolation", &more);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    has_lines(
        &text(dir.path(), "config.yaml"),
        &[
            "train_batch_size: 1024",
            "ppo_mini_batch_size: 256",
            "n: 6",
            "max_prompt_length: 1024",
            "max_response_length: 1024",
            "lr: 0.000001",
            "weight_decay: 0.01",
            "kl_loss_coef: 0.001",
            "kl_loss_type: low_var_kl",
            "kind: strict",
            "total_training_steps: 200",
            "max_model_len: 2048",
        ],
    );
}

#[test]
fn trl_gets_a_folder_with_the_recipes_values() {
    let dir = temporary();
    tiniest(dir.path());
    let set = ["--set", "stage.rl.policy.mini_batches=2", "--set", "stage.rl.schedule.kind=wsd"];
    let ended = export(
        dir.path(),
        "trl",
        "quickstart",
        &[&["--scale", "tiny", "--model", "run:mid"], &set[..]].concat(),
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (0, "stage rl with 12 problems, in out\n"));
    has_lines(
        &text(dir.path(), "config.yaml"),
        &[
            "num_generations: 4",
            "max_completion_length: 192",
            "learning_rate: 0.0002",
            "beta: 0.001",
            "delta: 3",
            "loss_type: dapo",
            "scale_rewards: group",
            "importance_sampling_level: token",
            "max_steps: 6",
            "lr_scheduler_type: warmup_stable_decay",
            "warmup_steps: 10",
            "lr_scheduler_kwargs: '{\"num_decay_steps\": 0, \"decay_type\": \"linear\", \"min_lr_ratio\": 0}'",
        ],
    );
    assert!(text(dir.path(), "train.py").contains("PROMPTS, SAMPLES, MINI_BATCHES = 4, 4, 2"));
}

#[test]
fn llama_factory_gets_whole_documents() {
    let dir = temporary();
    tiniest(dir.path());
    let end = "<|im_end|>";
    for (weight, kind) in [("1", "pt"), ("0", "sft")] {
        let weight = format!("stage.mid.prompt_loss_weight={weight}");
        let more = ["--scale", "tiny", "--set", &weight, "--model", "run:pre"];
        let ended = export(dir.path(), "llama-factory", "quickstart", &more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let config = text(dir.path(), "config.yaml");
        has_lines(
            &config,
            &[
                &format!("stage: {kind}"),
                "packing: false",
                "cutoff_len: 384",
                "learning_rate: 0.001",
                "max_steps: 3",
                "lr_scheduler_type: linear",
                "train_from_scratch: false",
            ],
        );
        assert_eq!(config.contains("template: empty"), kind == "sft");
        let examples = conformance(dir.path());
        let lines = text(dir.path(), "train.jsonl");
        // As many as hold the stage's 12,000 tokens.
        let tokens = |e: &Value, key: &str| e[key].as_array().map_or(0, Vec::len);
        let mean =
            examples.iter().map(|e| tokens(e, "prompt_ids") + tokens(e, "response_ids")).sum::<usize>()
                / examples.len();
        let expected = 12_000 / mean;
        assert!(
            lines.lines().count().abs_diff(expected) <= expected / 5,
            "{} of {mean}",
            lines.lines().count()
        );
        for (line, example) in lines.lines().zip(&examples) {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let (prompt, response) = (example["prompt"].as_str(), example["response"].as_str());
            let (prompt, response) = (prompt.expect("text"), response.expect("text"));
            if kind == "pt" {
                assert_eq!(row["text"], format!("{prompt}{response}"));
            } else {
                assert_eq!(row["messages"][0]["content"], prompt);
                assert_eq!(row["messages"][1]["content"], format!("{response}{end}"));
            }
        }
        fs::remove_dir_all(dir.path().join("out")).expect("removable");
    }
}

#[test]
fn what_a_trainer_cannot_express_is_refused() {
    let dir = temporary();
    tiniest(dir.path());
    let model = checkpoint(&dir.path().join("run"), "pre").to_string_lossy().into_owned();
    let model = ["--scale", "tiny", "--model", &model];
    let check = |trainer: &str, recipe: &str, more: &[&str], wanted: &str| {
        let said = refused(dir.path(), trainer, recipe, &[&model[..], more].concat());
        assert!(said.contains(wanted), "{said}");
    };
    check("verl", "step-credit", &["--arm", "steps-ending"], "policy.step_credit; policy.ending_credit");
    check("verl", "quickstart", &["--set", "stage.rl.schedule.kind=linear"], "schedule.kind is neither");
    check("trl", "quickstart", &["--set", "stage.rl.policy.advantage=rloo"], "policy.advantage is neither");
    check("trl", "quickstart", &["--set", "stage.rl.rollout.overlong_buffer=8"], "rollout.overlong_buffer");
    check("llama-factory", "quickstart", &[], "--set stage.mid.prompt_loss_weight=1");
    check("llama-factory", "quickstart", &["--stage", "rl"], "no stage `rl` that LLaMA-Factory can train");
    check("verl", "quickstart", &["--arm", "x"], "the recipe has no arm `x`");
    check("trl", "quickstart", &["--set", "stage.rl.rollout.max_tokens=380"], "needs ");
}

/// verl gets messages, so a tokenizer without the right chat template would train on other ids.
#[test]
fn other_ids_are_shown_and_refused() {
    let dir = temporary();
    published(&dir.path().join("theirs"));
    let more = ["--scale", "tiny", "--model", "theirs", "--problems", "2"];
    let said = refused(dir.path(), "verl", "quickstart", &more);
    assert_eq!(said, "error: the model's tokenizer has no chat template");
    let config = dir.path().join("theirs/tokenizer_config.json");
    let mut value: Value = serde_json::from_slice(&fs::read(&config).expect("there")).expect("JSON");
    let template = "{%- for m in messages -%}<question> {{ m['content'] }} </question>{%- endfor -%}";
    value["chat_template"] = template.into();
    fs::write(&config, value.to_string()).expect("writable");
    let said = refused(dir.path(), "verl", "quickstart", &more);
    assert!(said.starts_with("error: the chat template gives []"), "{said}");
    assert!(said.contains(" <solution>") || said.contains("solution"), "{said}");
}
