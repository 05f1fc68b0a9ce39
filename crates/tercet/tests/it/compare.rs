use std::fs;
use std::path::Path;

use crate::{temporary, tercet};

/// A run folder with one stage of two steps.
fn run(dir: &Path, name: &str, loss: &str) {
    let run = dir.join(name);
    let stage = run.join("stages/pre-1a2b");
    fs::create_dir_all(&stage).expect("writable");
    let write = |path: &Path, text: &str| fs::write(path, text).expect("writable");
    let manifest = r#"{"format":1,"name":"q","question":"?","command":"","recipe_hash":"00ff","revision":"",
        "bands":[],"runs":[{"arm":"main","seed":1,"stages":["pre-1a2b"]}]}"#;
    write(&run.join("manifest.json"), manifest);
    write(&run.join("results.json"), &format!("{{\"loss\":{loss}}}"));
    write(&stage.join("timings.jsonl"), name);
    let metrics = "{\"step\":1,\"values\":{\"loss\":3.5}}\n";
    write(&stage.join("metrics.jsonl"), &format!("{metrics}{{\"step\":2,\"values\":{{\"loss\":{loss}}}}}\n"));
}

#[test]
fn equal_runs_are_equal_whatever_their_timings() {
    let dir = temporary();
    run(dir.path(), "a", "3.25");
    run(dir.path(), "b", "3.25");
    insta::assert_snapshot!(tercet(dir.path(), &["compare", "--assert-equal", "a", "b"]).all(), @r"
    exit 0
    --- stdout
    equal: 2 files
    --- stderr
    ");
}

#[test]
fn it_says_what_differs_first_and_causes_before_effects() {
    let dir = temporary();
    run(dir.path(), "a", "3.25");
    run(dir.path(), "b", "3.125");
    fs::write(dir.path().join("b/stages/pre-1a2b/done.json"), "{}").expect("writable");
    insta::assert_snapshot!(tercet(dir.path(), &["compare", "--assert-equal", "a", "b"]).all(), @r"
    exit 1
    --- stdout
    stages/pre-1a2b/metrics.jsonl: step 2: values.loss is 3.25 and 3.125
    stages/pre-1a2b/done.json: only in the second run
    results.json: line 1: loss is 3.25 and 3.125
    --- stderr
    error: 3 of 3 files differ
    ");
    assert_eq!(tercet(dir.path(), &["compare", "a", "b"]).code, 0);
}
