use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::{command, temporary, tercet};

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

#[test]
fn what_two_versions_of_the_program_may_word_differently_can_be_left_out() {
    let dir = temporary();
    run(dir.path(), "a", "3.25");
    run(dir.path(), "b", "3.25");
    for (name, revision) in [("a", "0.1.0 (old)"), ("b", "0.2.0 (new)")] {
        let run = dir.path().join(name);
        let manifest = fs::read_to_string(run.join("manifest.json")).expect("written");
        let manifest = manifest.replace("\"revision\":\"\"", &format!("\"revision\":\"{revision}\""));
        fs::write(run.join("manifest.json"), manifest).expect("writable");
        fs::write(run.join("results.json"), format!("{{\"revision\":\"{revision}\"}}")).expect("writable");
        fs::create_dir(run.join("figures")).expect("writable");
        fs::write(run.join("figures/loss.csv"), format!("{name} per token")).expect("writable");
    }
    let compare = |leave_out: &[&str]| {
        let args = [&["compare", "--assert-equal", "a", "b"], leave_out].concat();
        let ended = tercet(dir.path(), &args);
        (ended.code, ended.stdout)
    };
    let figures = "figures/loss.csv: line 1 differs\n".to_owned();
    let results = "results.json: line 1: revision is \"0.1.0 (old)\" and \"0.2.0 (new)\"\n".to_owned();
    assert_eq!(compare(&[]), (1, format!("{figures}{results}")));
    assert_eq!(compare(&["--leave-out", "revision"]), (1, figures));
    assert_eq!(compare(&["--leave-out", "figures"]), (1, results.clone()));
    assert_eq!(compare(&["--leave-out", "figures,report"]), (1, results));
    assert_eq!(compare(&["--leave-out", "revision,figures"]), (0, "equal: 2 files\n".to_owned()));
    assert_eq!(compare(&["--leave-out", "results,figures"]), (0, "equal: 1 files\n".to_owned()));
    fs::write(dir.path().join("b/stages/pre-1a2b/metrics.jsonl"), "").expect("writable");
    assert_eq!(compare(&["--leave-out", "revision,report,results,figures"]).0, 1);
}

/// As in `tercet compare --assert-equal a b | true`.
#[test]
fn the_exit_code_is_the_verdict_when_nobody_reads_the_rest() {
    let dir = temporary();
    run(dir.path(), "a", "3.25");
    run(dir.path(), "b", "3.125");
    run(dir.path(), "c", "3.25");
    for (other, code) in [("b", 1), ("c", 0)] {
        let (read, write) = std::io::pipe().expect("a pipe");
        drop(read);
        let mut compare = command(dir.path(), &["compare", "--assert-equal", "a", other]);
        let ended = compare.stdout(write).stderr(Stdio::null()).status().expect("the program starts");
        assert_eq!(ended.code(), Some(code), "{other}");
    }
}
