//! What is not as recorded in a run folder is found and named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::tiniest;
use crate::{temporary, tercet};

/// The file of a stage, e.g. of `rl-…`.
fn file(run: &Path, stage: &str, name: &str) -> PathBuf {
    let stages =
        fs::read_dir(run.join("stages")).expect("stages").map(|entry| entry.expect("readable").path());
    let is = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(stage));
    stages.into_iter().find(is).expect("the stage was run").join(name)
}

fn flipped(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    content
}

fn without_the_last_line(content: &[u8]) -> Vec<u8> {
    let kept = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    content[..kept].to_vec()
}

#[test]
fn a_file_that_is_not_what_its_record_says_is_named() {
    let dir = temporary();
    tiniest(dir.path());
    let run = dir.path().join("run");
    let check = || tercet(dir.path(), &["check", "run"]);
    let whole = check();
    assert_eq!(whole.code, 0, "{}", whole.all());
    assert!(whole.stdout.ends_with("everything is as recorded\n"), "{}", whole.stdout);
    let last = fs::read_dir(file(&run, "mid", "checkpoints"))
        .expect("there")
        .next()
        .expect("one")
        .expect("readable");
    let evaluation = file(&run, "rl", "evals").join("main.responses.jsonl.gz");
    let metrics = file(&run, "pre", "metrics.jsonl");
    let named = |path: PathBuf, damage: fn(&[u8]) -> Vec<u8>, said: &str| {
        let content = fs::read(&path).expect("there");
        fs::write(&path, damage(&content)).expect("writable");
        let found = check();
        assert_eq!(found.code, 1, "{}", path.display());
        assert!(found.stdout.contains(said), "{said}: {}", found.all());
        assert!(found.stderr.contains("not as recorded: 1\n"), "{}", found.all());
        fs::write(&path, content).expect("writable");
    };
    named(last.path().join("model.safetensors"), flipped, "are not those of its end");
    named(evaluation, flipped, "main.responses.jsonl.gz");
    named(metrics, without_the_last_line, " steps");
    named(file(&run, "rl", "stage.json"), |_| b"{".to_vec(), "stage.json` is damaged");
    assert_eq!(check().stdout, whole.stdout);
}
