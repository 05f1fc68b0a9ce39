//! Faults that were found in use, each with the files that showed it. (What the judge and the contexts got wrong is in
//! `tercet-problems`.)

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Ended, temporary, tercet};

const MARK: &str = "\u{feff}";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases").join(name)
}

/// A folder with the files of a case, and the recipe that most of them use.
fn case(name: &str) -> tempfile::TempDir {
    let dir = temporary();
    copy(&fixture(name), dir.path());
    if !dir.path().join("recipe.toml").exists() {
        fs::copy(fixture("recipe.toml"), dir.path().join("recipe.toml")).expect("writable");
    }
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("the case is part of the repository") {
        let path = entry.expect("readable").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("writable");
        }
    }
}

/// Runs a command, its arguments separated by blanks.
fn call(dir: &Path, command: &str) -> Ended {
    tercet(dir, &command.split(' ').collect::<Vec<_>>())
}

/// A command that must fail with a sentence that holds all of these.
#[track_caller]
fn fails(dir: &Path, command: &str, words: &[&str]) {
    let ended = call(dir, command);
    assert_ne!(ended.code, 0, "{command}: {}{}", ended.stdout, ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{command}: {}", ended.stderr);
    }
}

/// The output of a command that must succeed.
#[track_caller]
fn succeeds(dir: &Path, command: &str) -> Ended {
    let ended = call(dir, command);
    assert_eq!(ended.code, 0, "{command}: {}", ended.stderr);
    ended
}

fn verified(ended: &Ended) -> Vec<bool> {
    let verdict = |line| serde_json::from_str::<Value>(line).expect("JSON")["verified"] == Value::Bool(true);
    ended.stdout.lines().map(verdict).collect()
}

#[test]
fn blank_lines_are_skipped_and_positions_are_numbers() {
    let dir = case("blank-lines-and-numbers");
    let verify = |problems: &str, responses: &str| {
        call(dir.path(), &format!("verify --problems {problems}.jsonl --responses {responses}.jsonl"))
    };
    for (problems, responses) in [
        ("plain", "responses"),
        ("blank", "responses"),
        ("plain", "float"),
        ("plain", "string"),
        ("blank", "float"),
    ] {
        let judged = verify(problems, responses);
        assert_eq!((judged.code, verified(&judged)), (0, vec![true]), "{}", judged.stderr);
        assert!(judged.stderr.ends_with("3 of 4 problems got no response\n"), "{}", judged.stderr);
    }
    let both = verify("plain", "both");
    assert_eq!(both.code, 1);
    assert!(both.stderr.contains("line 1 of both.jsonl: `id` names problem"), "{}", both.stderr);
    let audit = |file: &str| {
        let report = succeeds(dir.path(), &format!("problems --audit {file}.jsonl")).stdout;
        words(&report.replace(file, "F"))
    };
    assert_eq!(audit("blank"), audit("plain"));
    let show = |file: &str| succeeds(dir.path(), &format!("show --from {file}.jsonl --line 3")).stdout;
    assert_eq!(show("blank"), show("plain"));
}

/// A table's text whatever the widths of its columns.
fn words(table: &str) -> Vec<String> {
    table.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_byte_order_mark_changes_nothing() {
    let dir = case("bom");
    let marked = fs::read_to_string(dir.path().join("bom.jsonl")).expect("there");
    fs::write(dir.path().join("plain.jsonl"), marked.strip_prefix(MARK).expect("a mark")).expect("writable");

    let plan = |file: &str| succeeds(dir.path(), &format!("plan {file} --scale tiny --untimed")).stdout;
    assert_eq!(plan("bom.toml"), plan("recipe.toml"));
    assert!(plan("bom.toml").contains("Do mid-training"), "{}", plan("bom.toml"));

    for file in ["plain", "bom"] {
        succeeds(dir.path(), &format!("tokenizer train {file}.jsonl --vocab 400 --out {file}"));
    }
    let tokenizer = |file: &str| fs::read(dir.path().join(file).join("tokenizer.json")).expect("there");
    assert_eq!(tokenizer("bom"), tokenizer("plain"));

    for problems in ["plain", "bom"] {
        let judged =
            succeeds(dir.path(), &format!("verify --problems {problems}.jsonl --responses responses.jsonl"));
        assert_eq!(verified(&judged), [true]);
    }
    for command in
        ["problems --audit F.jsonl", "show --from F.jsonl --line 1", "show --from F.jsonl --line 9"]
    {
        let [marked, plain] = ["bom", "plain"].map(|file| {
            let command = command.replace('F', file);
            words(&succeeds(dir.path(), &command).stdout.replace(file, "F"))
        });
        assert_eq!(marked, plain, "{command}");
    }
}

/// The problems that a stage trains on, made on Windows.
#[test]
fn a_stage_reads_its_files_with_a_mark_and_blank_lines() {
    let dir = case("trains-on-its-own-test-problems");
    let recipe = "problems --op 2-8 --context terse -n 40 --split train --recipe plain.toml";
    without_files(dir.path());
    let problems = succeeds(dir.path(), recipe).stdout;
    let windows = format!("{MARK}{}\r\n", problems.replace('\n', "\r\n\r\n"));
    fs::write(dir.path().join("train.jsonl"), windows).expect("writable");
    let run = "run recipe.toml --scale tiny --out run --set stage.pre.tokens=4096";
    succeeds(dir.path(), run);
}

/// The recipe without its files, as `plain.toml`.
fn without_files(dir: &Path) {
    let recipe = fs::read_to_string(dir.join("recipe.toml")).expect("there");
    let plain: Vec<&str> = recipe.lines().filter(|line| !line.starts_with("files")).collect();
    fs::write(dir.join("plain.toml"), plain.join("\n")).expect("writable");
}

#[test]
fn a_run_is_not_trained_on_its_own_test_problems() {
    let dir = case("trains-on-its-own-test-problems");
    without_files(dir.path());
    let problems = "problems --op 6-7 --context terse -n 60 --recipe plain.toml";
    for split in [" --split test", " --seed 5"] {
        let problems = succeeds(dir.path(), &format!("{problems}{split}")).stdout;
        fs::write(dir.path().join("train.jsonl"), problems).expect("writable");
        fails(
            dir.path(),
            "plan recipe.toml --scale tiny",
            &["train.jsonl`, line ", "test split", "--split train"],
        );
    }
}

#[test]
fn a_run_that_diverges_says_so() {
    let dir = case("bom");
    let run = "run recipe.toml --scale tiny --set stage.pre.optimizer.lr=3e3 --out run";
    let ended = call(dir.path(), run);
    let said = ended.stderr + &ended.stdout;
    assert!(said.contains("not finite"), "exit {}: {said}", ended.code);
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let dir = case("nan-checkpoint-scores-zero");
    let words = ["model.safetensors", "model.norm.weight"];
    fails(dir.path(), "eval model --recipe recipe.toml --scale tiny", &words);
    fails(dir.path(), "sample model --prompt fox --max-tokens 8", &words);
}

#[test]
fn rope_scaling_is_refused_wherever_it_stands() {
    let dir = case("rope-scaling-beside-rope-parameters");
    let sample = "sample model --prompt fox --max-tokens 4";
    succeeds(dir.path(), sample);
    for config in ["linear", "nested", "yarn", "yarn-alone"] {
        fs::copy(dir.path().join(format!("{config}.json")), dir.path().join("model/config.json"))
            .expect("there");
        fails(dir.path(), sample, &["config.json", "is not supported"]);
    }
}

/// The folder of a stage of the run `run`.
fn stage(dir: &Path, name: &str) -> PathBuf {
    let stages =
        fs::read_dir(dir.join("run/stages")).expect("a run").map(|entry| entry.expect("readable").path());
    let is = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    stages.into_iter().find(is).expect("the stage was run")
}

fn last_checkpoint(stage: &Path) -> PathBuf {
    let checkpoints = fs::read_dir(stage.join("checkpoints")).expect("there are checkpoints");
    checkpoints.map(|entry| entry.expect("readable").path()).max().expect("one")
}

/// Sets every logit to 0 but the end token's, which becomes the logarithm of the number of others: the model ends with
/// probability 1/2.
fn constant_model(checkpoint: &Path) {
    let path = checkpoint.join("model.safetensors");
    let mut file = fs::read(&path).expect("there");
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + length]).expect("JSON");
    for (name, tensor) in
        header.as_object().expect("tensors").iter().filter(|(name, _)| *name != "__metadata__")
    {
        let number = |value: &Value| value.as_u64().expect("a number") as usize;
        let (from, to) = (number(&tensor["data_offsets"][0]), number(&tensor["data_offsets"][1]));
        let mut values = vec![0.0_f32; (to - from) / 4];
        let width = number(tensor["shape"].as_array().and_then(|shape| shape.last()).expect("a shape"));
        match name.as_str() {
            name if name.ends_with("norm.weight") => values.fill(1.0),
            "model.layers.0.self_attn.v_proj.bias" => values.fill(1.0),
            "model.layers.0.self_attn.o_proj.weight" => (0..width).for_each(|i| values[i * width + i] = 1.0),
            "model.embed_tokens.weight" => {
                let others = (values.len() / width - 1) as f32;
                values[width..2 * width].fill(others.ln() / width as f32);
            }
            _ => {}
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file[8 + length + from..8 + length + to].copy_from_slice(&bytes);
    }
    fs::write(path, file).expect("writable");
}

/// Entropy is logged at the temperature of the rollouts, not at 1.
#[test]
fn entropy_is_of_the_policy_that_is_sampled() {
    let dir = case("bom");
    let run = "run recipe.toml --scale tiny --out run";
    succeeds(dir.path(), run);

    // At temperature 1/2 the end token has nearly all of the probability: next to no entropy is left.
    let base = temporary();
    copy(dir.path(), base.path());
    let checkpoint = last_checkpoint(&stage(base.path(), "mid"));
    constant_model(&checkpoint);
    let done = stage(base.path(), "mid").join("done.json");
    let mut told: Value = serde_json::from_slice(&fs::read(&done).expect("there")).expect("JSON");
    let weights = fs::read(checkpoint.join("model.safetensors")).expect("there");
    told["weights_hash"] = blake3::hash(&weights).to_hex().to_string().into();
    fs::write(&done, told.to_string()).expect("writable");
    let entropy = |temperature: &str| {
        fs::remove_dir_all(stage(base.path(), "rl")).expect("ours");
        let set = format!("--set stage.rl.rollout.temperature={temperature} --set stage.rl.steps=1");
        succeeds(base.path(), &format!("{run} {set}"));
        let metrics = fs::read_to_string(stage(base.path(), "rl").join("metrics.jsonl")).expect("there");
        let row: Value = serde_json::from_str(metrics.lines().next().expect("a step")).expect("JSON");
        row["values"]["actor/entropy"].as_f64().expect("a number")
    };
    let (one, half) = (entropy("1.0"), entropy("0.5"));
    assert!((3.0..4.0).contains(&one) && half < 0.1, "{one} {half}");
}
