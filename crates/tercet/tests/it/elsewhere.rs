//! Responses from elsewhere: judged, and made a run folder.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Ended, temporary, tercet};

/// A folder with three problems of op 3 and three of op 4, as `p.jsonl`.
fn folder() -> tempfile::TempDir {
    let dir = temporary();
    let made = tercet(dir.path(), &["problems", "--op", "3-4", "-n", "3", "--out", "p.jsonl"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    dir
}

/// The prompt of a problem and its gold response.
fn texts(record: &Value) -> (String, String) {
    let text = |key: &str| record[key].as_str().expect("text").trim().to_owned();
    let solution = text("solution");
    let (steps, answer) = solution.rsplit_once("Answer:").expect("an answer");
    let answer = answer.trim().trim_end_matches('.');
    let prompt = format!("<question> {} {} </question> <solution>", text("problem"), text("question"));
    (prompt, format!(" {} </solution> <answer> {answer} </answer>", steps.trim()))
}

/// vLLM's outputs: of every problem one right response, a wrong one, and a right one that was cut off. The third problem is
/// left out.
fn vllm(dir: &Path) -> String {
    let problems = fs::read_to_string(dir.join("p.jsonl")).expect("written");
    let mut lines = String::new();
    for (i, line) in problems.lines().enumerate().filter(|(i, _)| *i != 2) {
        let (prompt, gold) = texts(&serde_json::from_str(line).expect("JSON"));
        let output =
            |text: &str, reason: &str| json!({"text": text, "finish_reason": reason, "token_ids": [1, 2]});
        let outputs = [output(&gold, "stop"), output("\u{7}\u{1b}[31m", "stop"), output(&gold, "length")];
        let line = json!({"request_id": format!("{i}-abc"), "prompt": prompt, "outputs": outputs});
        lines += &line.to_string();
        lines += "\r\n";
    }
    lines
}

fn eval(dir: &Path, args: &[&str]) -> Ended {
    tercet(dir, &[&["eval", "--responses", "vllm.jsonl", "--problems", "p.jsonl"], args].concat())
}

#[test]
fn responses_become_a_run_that_is_reported_and_compared() {
    let dir = folder();
    fs::write(dir.path().join("vllm.jsonl"), vllm(dir.path())).expect("writable");
    let made = eval(dir.path(), &["--out", "run"]);
    assert_eq!((made.code, made.stdout.as_str()), (0, ""), "{}", made.stderr);
    for line in [
        "1 of 6 problems got no response, and count as wrong",
        "3 responses are missing to 3 for every problem, and count as wrong",
        "pass@2",
        "pass@3",
        "First faults of the wrong responses",
    ] {
        assert!(made.stderr.contains(line), "{line}: {}", made.stderr);
    }
    let report = tercet(dir.path(), &["report", "run"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    assert!(made.stderr.starts_with(report.stdout.trim_end()), "{}", report.stdout);
    let page = fs::read_to_string(dir.path().join("run/report.html")).expect("a report");
    assert!(!page.contains(['\u{7}', '\u{1b}']), "control characters");
    assert!(page.contains("made elsewhere"));

    // The same responses laid out otherwise are the same run.
    let mut lines = String::new();
    for line in vllm(dir.path()).lines().rev() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        for output in row["outputs"].as_array().expect("a list") {
            let reason = &output["finish_reason"];
            let line = json!({"prompt": row["prompt"], "reply": output["text"], "finish_reason": reason, "tokens": 2});
            lines += &line.to_string();
            lines += "\n";
        }
    }
    fs::create_dir(dir.path().join("b")).expect("writable");
    fs::write(dir.path().join("b/vllm.jsonl"), lines).expect("writable");
    let args = [
        "eval",
        "--responses",
        "b/vllm.jsonl",
        "--problems",
        "p.jsonl",
        "--out",
        "other",
        "--text-field",
        "reply",
    ];
    let other = tercet(dir.path(), &args);
    assert_eq!(other.code, 0, "{}", other.stderr);
    let compared = tercet(dir.path(), &["compare", "--assert-equal", "run", "other"]);
    assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);

    // Under other rules it is another run, and the first stays.
    let strict = eval(dir.path(), &["--out", "run", "--policy", "strict"]);
    assert!(strict.code == 1 && strict.stderr.contains("choose another folder"), "{}", strict.stderr);
    let listed = tercet(dir.path(), &["ls", "run"]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
}

#[test]
fn without_a_folder_the_rows_go_to_stdout() {
    let dir = folder();
    fs::write(dir.path().join("vllm.jsonl"), vllm(dir.path())).expect("writable");
    let rows = eval(dir.path(), &[]);
    let rows: Vec<Value> =
        rows.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |key: &str| rows.iter().map(|row| row[key].as_u64().expect("a number")).collect::<Vec<_>>();
    assert_eq!(of("n"), [3; 6]);
    assert_eq!(of("verified"), [1, 1, 0, 1, 1, 1]);
    assert_eq!(of("truncated"), [1, 1, 0, 1, 1, 1]);
    assert_eq!((&rows[0]["tokens"], &rows[2]["tokens"]), (&json!(2.0), &Value::Null));
    fs::write(dir.path().join("vllm.jsonl"), "\n").expect("writable");
    let none = eval(dir.path(), &[]);
    assert_eq!((none.code, &*none.stderr), (1, "error: there is no response to any problem of the suite\n"));
}

/// The problems are those of the recipe's suite, so the responses stand beside the run's models.
#[test]
fn a_recipes_suite_can_be_answered() {
    let dir = temporary();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cases/recipe.toml");
    fs::write(dir.path().join("r.jsonl"), r#"{"problem": 0, "text": "no"}"#).expect("writable");
    let args = ["eval", "--responses", "r.jsonl", "--recipe", recipe, "--scale", "tiny", "--out", "run"];
    let made = tercet(dir.path(), &args);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(
        made.stderr.contains("edge (op 6–7)") && made.stderr.contains("problems got no response"),
        "{}",
        made.stderr
    );
}

/// A verdict is written when its line has come, also from a pipe that stays open.
#[test]
fn verdicts_come_while_the_pipe_is_open() {
    let dir = folder();
    let lines = vllm(dir.path());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tercet"))
        .args(["verify", "--problems", "p.jsonl", "--responses", "-"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut verdicts = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for line in lines.lines().take(2) {
        writeln!(input, "{line}").expect("it reads");
        for _ in 0..3 {
            let verdict = verdicts.next().expect("a verdict").expect("text");
            assert!(verdict.starts_with("{\"id\":"), "{verdict}");
        }
    }
    drop(input);
    let ended = child.wait_with_output().expect("it ends");
    let table = String::from_utf8(ended.stderr).expect("text");
    assert!(table.starts_with("6 responses under `paper`\n"), "{table}");
    assert!(table.contains("pass@2  pass@3") && table.contains("4 of 6 problems got no response"), "{table}");
    assert!(table.contains("wrong whatever they say: 2"), "{table}");
}

#[test]
fn a_problem_is_told_once_before_its_responses() {
    let dir = folder();
    fs::write(dir.path().join("vllm.jsonl"), vllm(dir.path())).expect("writable");
    let args = ["verify", "--problems", "p.jsonl", "--responses", "vllm.jsonl", "--explain", "all"];
    let told = tercet(dir.path(), &args).stdout;
    let problems = fs::read_to_string(dir.path().join("p.jsonl")).expect("written");
    for (i, line) in problems.lines().enumerate() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let text = record["problem"].as_str().expect("text").trim();
        assert_eq!(told.matches(text).count(), usize::from(i != 2), "{told}");
    }
    assert_eq!(told.matches("sample 2, cut at the length limit").count(), 5, "{told}");
}
