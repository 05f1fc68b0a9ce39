//! The bytes of two small runs: weights, metrics, responses.
//!
//! They are the same at any number of threads and on every instruction set that the engine has kernels for. Whoever
//! changes them has changed what a recipe gives: then `BEHAVIOUR` in `crates/train/src/run/key.rs` goes up, so that stages
//! of the old program are not taken for stages of the new one.

use std::fs;
use std::path::{Path, PathBuf};

use runs::lines;
use runs::records::{MetricsRow, Response};

use crate::{temporary, tercet};

/// Runs a recipe and gives the folder of its run.
fn run(dir: &Path, recipe: &str) -> PathBuf {
    fs::write(dir.join("recipe.toml"), recipe).expect("writable");
    let ended = tercet(dir, &["run", "recipe.toml", "--out", "run"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    dir.join("run")
}

/// The only thing in a folder whose name begins with `prefix`.
fn only(folder: &Path, prefix: &str) -> PathBuf {
    let entries = fs::read_dir(folder).expect("there").map(|entry| entry.expect("readable").path());
    let mut named: Vec<PathBuf> = entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    assert_eq!(named.len(), 1, "{named:?}");
    named.remove(0)
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

fn weights(stage: &Path) -> String {
    hash(&fs::read(only(&stage.join("checkpoints"), "step-").join("model.safetensors")).expect("there"))
}

fn metrics(stage: &Path) -> String {
    hash(&fs::read(stage.join("metrics.jsonl")).expect("there"))
}

/// The hash of a compressed file's text: a new version of the compressor may pack it otherwise.
fn responses(path: &Path) -> String {
    let responses: Vec<Response> = lines::read(path).expect("responses");
    hash(&lines::to_bytes(Path::new("plain"), &responses).expect("JSON"))
}

#[test]
fn pre_training_and_mid_training_give_the_same_bytes_as_ever() {
    let dir = temporary();
    let stages = run(dir.path(), include_str!("small.toml")).join("stages");
    for (name, expected) in [
        ("pre-", ["e31a9c426562369a", "a0adddb7e19b602c"]),
        ("mid-", ["1e8454512251223a", "353574eef9c4b85e"]),
    ] {
        let stage = only(&stages, name);
        assert_eq!([weights(&stage), metrics(&stage)], expected, "{name}");
    }
}

#[test]
fn reinforcement_learning_gives_the_same_bytes_as_ever() {
    let dir = temporary();
    let stages = run(dir.path(), include_str!("golden.toml")).join("stages");
    let (pre, rl) = (only(&stages, "pre-"), only(&stages, "rl-"));
    // Rewards differ within groups, and the model learns from them: the hashes are of an update.
    let rows: Vec<MetricsRow> = lines::read(&rl.join("metrics.jsonl")).expect("metrics");
    assert!(rows.iter().any(|row| row.values["groups/mixed"] > Some(0.0)), "no group is mixed");
    assert_ne!(weights(&rl), weights(&pre), "nothing was learned");
    let evaluated = |stage: &Path| responses(&stage.join("evals/main.responses.jsonl.gz"));
    assert_eq!(
        [weights(&pre), metrics(&pre), evaluated(&pre)],
        ["ab924da08b427fe4", "d59d3c9133f2912c", "fd24ac28ea718323"]
    );
    assert_eq!(
        [weights(&rl), metrics(&rl), evaluated(&rl)],
        ["40686c07607b9804", "2a3853ac8966efb6", "1a52ee3f5200beab"]
    );
    let rollouts = [1, 2, 3].map(|step| responses(&rl.join(format!("rollouts/step-00000{step}.jsonl.gz"))));
    assert_eq!(rollouts, ["ee6cd3c5244fe00e", "fba4a150c356a297", "66c32e53b6edd3cf"]);
}
