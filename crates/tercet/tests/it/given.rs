//! Runs that start from a model that is given.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{checkpoint, published, tiniest};
use crate::{temporary, tercet};

/// The quick recipe without its claims, with one arm that begins at a stage from a given model.
fn recipe(dir: &Path, stages: &str, from: &str) {
    let quick = include_str!("../../../../recipes/quickstart.toml");
    let (before, rest) = quick.split_once("[[claim]]").expect("claims");
    let scales = &rest[rest.find("[scale.tutorial]").expect("scales")..];
    let arm =
        format!("[[arm]]\nname = \"later\"\nstages = {stages}\nset = {{ \"model.from\" = \"{from}\" }}\n");
    fs::write(dir.join("later.toml"), format!("{before}{scales}{arm}")).expect("writable");
}

const SMALL: [&str; 6] =
    ["--set", "stage.pre.tokens=8000", "--set", "stage.mid.tokens=4000", "--set", "stage.rl.steps=1"];

fn run(dir: &Path, out: &str, more: &[&str]) -> crate::Ended {
    let args = ["run", "later.toml", "--scale", "tiny", "--out", out];
    tercet(dir, &[&args[..], &SMALL[..], more].concat())
}

/// The folder of a stage.
fn stage(run: &Path, name: &str) -> PathBuf {
    checkpoint(run, name).ancestors().nth(2).expect("a stage").to_owned()
}

#[test]
fn a_run_from_an_exported_model_is_what_going_on_gives() {
    let dir = temporary();
    tiniest(dir.path());
    // By the name of its stage; the folder is the same model.
    let exported = tercet(dir.path(), &["export", "hf", "run:pre", "--out", "model"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    recipe(dir.path(), "[\"mid\", \"rl\"]", "model");
    let planned = tercet(dir.path(), &["plan", "later.toml", "--scale", "tiny", "--untimed"]);
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    let ran = run(dir.path(), "later", &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["mid", "rl"] {
        let [here, there] = ["run", "later"].map(|run| stage(&dir.path().join(run), name));
        assert_ne!(here.file_name(), there.file_name(), "the key knows that the model was given");
        for file in ["metrics.jsonl", "done.json", "exposure.json", "evals/main.jsonl.gz"] {
            let read = |stage: &Path| fs::read(stage.join(file)).expect("written");
            assert!(read(&here) == read(&there), "{name}: {file}");
        }
    }
    // The name of the folder does not matter, its content does.
    let folders = |run: &str| {
        let mut names: Vec<_> = fs::read_dir(dir.path().join(run).join("stages"))
            .expect("there")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        names.sort();
        names
    };
    fs::rename(dir.path().join("model"), dir.path().join("moved")).expect("movable");
    recipe(dir.path(), "[\"mid\", \"rl\"]", "moved");
    let again = run(dir.path(), "later", &[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(folders("later").len(), 2, "nothing was trained again");
    let config = dir.path().join("moved/generation_config.json");
    fs::write(&config, fs::read_to_string(&config).expect("there") + "\n").expect("writable");
    let other = run(dir.path(), "other", &[]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    assert_ne!(folders("later"), folders("other"));
    // The resolved recipe knows which files it means.
    let changed = ["eval", "other:rl", "--recipe", "later/recipe.toml"];
    let changed = tercet(dir.path(), &changed);
    assert_eq!(changed.code, 2, "{}", changed.stderr);
    assert!(changed.stderr.contains("are not those that the recipe names"), "{}", changed.stderr);
}

#[test]
fn a_run_from_a_published_model_keeps_its_tokenizer() {
    let dir = temporary();
    published(&dir.path().join("theirs"));
    recipe(dir.path(), "[\"mid\", \"rl\"]", "theirs");
    let set = ["--set", "stage.mid.micro_tokens=2048", "--set", "evaluation.suite.main.problems=1"];
    let ran = run(dir.path(), "run", &set);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let model = checkpoint(&dir.path().join("run"), "rl");
    let read = |path: PathBuf| fs::read(path).expect("there");
    assert!(read(dir.path().join("theirs/tokenizer.json")) == read(model.join("tokenizer.json")));
    let config = fs::read_to_string(model.join("config.json")).expect("there");
    assert!(!config.contains("151643"), "the end token is the tokenizer's: {config}");
    let asked =
        tercet(dir.path(), &["sample", "run:rl", "--op", "2", "--context", "zoo", "--max-tokens", "4"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
}

#[test]
fn what_is_wrong_with_a_given_model_is_said_before_anything_begins() {
    let dir = temporary();
    let theirs = dir.path().join("theirs");
    let check = |change: &dyn Fn(&Path), set: &[&str], expected: &str| {
        let _ = fs::remove_dir_all(&theirs);
        published(&theirs);
        change(&theirs);
        recipe(dir.path(), "[\"mid\"]", "theirs");
        for command in ["plan", "run"] {
            let args = [&[command, "later.toml", "--scale", "tiny"], set].concat();
            let ended = tercet(dir.path(), &args);
            assert_ne!(ended.code, 0, "{expected}");
            assert!(ended.stderr.contains(expected), "{command}, {expected}: {}", ended.stderr);
        }
        assert!(!dir.path().join("runs/quickstart/stages").exists(), "{expected}: nothing was trained");
    };
    let remove = |name: &'static str| move |dir: &Path| fs::remove_file(dir.join(name)).expect("there");
    let replace = |file: &'static str, from: &'static str, to: &'static str| {
        move |dir: &Path| {
            let text = fs::read_to_string(dir.join(file)).expect("there");
            assert!(text.contains(from), "{from}");
            fs::write(dir.join(file), text.replacen(from, to, 1)).expect("writable");
        }
    };
    check(&remove("config.json"), &[], "theirs/config.json` is missing");
    check(&remove("model.safetensors"), &[], "has no weights: no file ends with .safetensors");
    check(&remove("tokenizer.json"), &[], "theirs/tokenizer.json` is missing: a model is started from with");
    check(&remove("tokenizer_config.json"), &[], "end token");
    check(&|dir| fs::remove_dir_all(dir).expect("there"), &[], "there is no folder `");
    check(&replace("config.json", "\"qwen2\"", "\"llama\""), &[], "model_type is \"llama\", only \"qwen2\"");
    check(&replace("config.json", "1024", "40"), &[], "tokens, and the model's context is 40");
    check(
        &|dir| fs::write(dir.join("model.safetensors"), "x").expect("writable"),
        &[],
        "is no safetensors file",
    );
    let state = |dir: &Path| fs::write(dir.join("optimizer.safetensors"), "").expect("writable");
    check(&state, &[], "holds the state of an optimizer");
    let pinned = ["--set", "model.from=theirs", "--set", "model.hash=\"12\""];
    check(&|_| (), &pinned, "are not those that the recipe names");
    let both = ["--set", "tokenizer.vocab=300"];
    check(&|_| (), &both, "the tokenizer comes with the model");
    check(&|_| (), &["--set", "model.hidden=8"], "unknown field `hidden`");
    // A normalizer that lets no capital letter through.
    let lower = r#""normalizer": {"type": "Lowercase"}"#;
    check(&normalizer(lower), &[], "which problems have: it reads back as");
}

/// Puts another normalizer into the tokenizer's file.
fn normalizer(text: &'static str) -> impl Fn(&Path) {
    move |dir| {
        let path = dir.join("tokenizer.json");
        let file: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).expect("there")).expect("JSON");
        let own: serde_json::Value = serde_json::from_str(&format!("{{{text}}}")).expect("JSON");
        let mut changed = file;
        changed["normalizer"] = own["normalizer"].clone();
        fs::write(&path, changed.to_string()).expect("writable");
    }
}
