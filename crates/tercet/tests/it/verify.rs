use std::fs;

use serde_json::{Value, json};

use crate::{temporary, tercet};

/// A folder with four problems, and their gold responses changed by `change`.
fn folder(change: impl Fn(usize, String) -> String) -> tempfile::TempDir {
    let dir = temporary();
    let made = tercet(dir.path(), &["problems", "--op", "3", "-n", "4", "--out", "p.jsonl"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let problems = fs::read_to_string(dir.path().join("p.jsonl")).expect("written");
    let mut lines = String::new();
    for (n, line) in problems.lines().enumerate() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let solution = record["solution"].as_str().expect("text");
        let (steps, answer) = solution.rsplit_once("Answer:").expect("an answer");
        let answer = answer.trim().trim_end_matches('.');
        let gold = format!(" {} </solution> <answer> {answer} </answer>", steps.trim());
        let response = json!({"problem": n, "sample": 0, "text": change(n, gold)});
        lines.push_str(&response.to_string());
        lines.push('\n');
    }
    fs::write(dir.path().join("r.jsonl"), lines).expect("writable");
    dir
}

#[test]
fn gold_solutions_pass_and_wrong_answers_do_not() {
    let dir = folder(|n, gold| if n == 2 { gold.replace("<answer> ", "<answer> 9") } else { gold });
    let judged = tercet(dir.path(), &["verify", "--problems", "p.jsonl", "--responses", "r.jsonl"]);
    assert_eq!(judged.code, 0);
    let verified: Vec<bool> = judged
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["verified"] == Value::Bool(true))
        .collect();
    assert_eq!(verified, [true, true, false, true]);
    insta::assert_snapshot!(judged.stderr, @r"
    4 responses under `paper`
                      responses  verified  correct answer  process  first faults
    op 3 zoo forward          4     75.0%           75.0%    1.000  wrong-answer 1
    all                       4     75.0%           75.0%    1.000  wrong-answer 1
    ");
}

/// As in an evaluation, however right its text is; said as a run's files say it, and as `tercet sample` does.
#[test]
fn a_response_that_was_cut_off_is_wrong() {
    let dir = folder(|_, gold| gold);
    let path = dir.path().join("r.jsonl");
    let mut lines = String::new();
    for (n, line) in fs::read_to_string(&path).expect("written").lines().enumerate() {
        let mut response: Value = serde_json::from_str(line).expect("JSON");
        match n {
            1 => response["cut"] = json!(true),
            2 => response["ended"] = json!(false),
            _ => response["ended"] = json!(true),
        }
        lines += &(response.to_string() + "\n");
    }
    fs::write(&path, lines).expect("writable");
    let judged = tercet(dir.path(), &["verify", "--problems", "p.jsonl", "--responses", "r.jsonl"]);
    assert_eq!(judged.code, 0, "{}", judged.stderr);
    let verdicts: Vec<Value> =
        judged.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let said = |key: &str| verdicts.iter().map(|v| v[key] == Value::Bool(true)).collect::<Vec<_>>();
    assert_eq!(said("verified"), [true, false, false, true]);
    assert_eq!(said("answer_right"), [true, false, false, true]);
    assert_eq!(said("cut"), [false, true, true, false]);
    assert_eq!(judged.stderr.matches("50.0%           50.0%").count(), 2, "{}", judged.stderr);
    assert!(judged.stderr.ends_with("cut at the length limit, and wrong whatever they say: 2\n"));
}

#[test]
fn one_response_is_explained_with_marks() {
    let dir = folder(|n, gold| if n == 2 { gold.replace("<answer> ", "<answer> 9") } else { gold });
    let problems = fs::read_to_string(dir.path().join("p.jsonl")).expect("written");
    let third: Value = serde_json::from_str(problems.lines().nth(2).expect("a line")).expect("JSON");
    let id = third["id"].as_str().expect("text");
    let args = ["verify", "--problems", "p.jsonl", "--responses", "r.jsonl", "--explain"];
    let one = tercet(dir.path(), &[&args[..], &[id]].concat()).stdout;
    assert!(one.starts_with(id) && one.contains("wrong-answer") && one.contains('^'), "{one}");
    let all = tercet(dir.path(), &[&args[..], &["all"]].concat()).stdout;
    assert!(all.contains(&one) && all.matches("sample 0").count() == 4, "{all}");
    let none = tercet(dir.path(), &[&args[..], &["none"]].concat());
    assert_eq!((none.code, &*none.stderr), (2, "error: there is no response to a problem `none`\n"));
}

#[test]
fn graphs_of_responses_are_compared_with_those_of_problems() {
    let dir = folder(|_, gold| gold);
    let check = |shapes: &str| {
        let files = ["--problems", "p.jsonl", "--responses", "r.jsonl", "--shapes-of", shapes];
        tercet(dir.path(), &[&["verify"], &files[..]].concat()).stderr
    };
    let own = check("p.jsonl");
    assert!(
        own.ends_with("4 verified responses: 4 replicas of those shapes, mean similarity 1.000\n"),
        "{own}"
    );
    let args = ["problems", "--op", "20", "--context", "school", "-n", "4", "--out", "far.jsonl"];
    assert_eq!(tercet(dir.path(), &args).code, 0);
    let far = check("far.jsonl");
    assert!(far.contains("4 verified responses: 0 replicas of those shapes, mean similarity 0."), "{far}");
}

#[test]
fn a_response_may_carry_its_problem() {
    let dir = folder(|_, gold| gold);
    let problems = fs::read_to_string(dir.path().join("p.jsonl")).expect("written");
    let responses = fs::read_to_string(dir.path().join("r.jsonl")).expect("written");
    let mut beside = String::new();
    let mut inside = String::new();
    for (problem, response) in problems.lines().zip(responses.lines()) {
        let mut record: Value = serde_json::from_str(problem).expect("JSON");
        let mut rollout: Value = serde_json::from_str(response).expect("JSON");
        rollout["record"] = record.clone();
        inside += &(rollout.to_string() + "\n");
        record["response"] = rollout["text"].clone();
        beside += &(record.to_string() + "\n");
    }
    for lines in [beside, inside] {
        fs::write(dir.path().join("r.jsonl"), lines).expect("writable");
        let judged = tercet(dir.path(), &["verify", "--responses", "r.jsonl"]);
        assert!(judged.stderr.starts_with("4 responses under `paper`\n"), "{}", judged.stderr);
        assert_eq!(judged.stderr.matches("100.0%          100.0%").count(), 2, "{}", judged.stderr);
    }
}

/// The first of a group carries the record, as in the rollouts of a run.
#[test]
fn the_others_of_a_group_are_to_the_problem_that_the_first_carries() {
    let dir = folder(|_, gold| gold);
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("written");
    let mut lines: Vec<String> = Vec::new();
    for (i, (problem, response)) in read("p.jsonl").lines().zip(read("r.jsonl").lines()).enumerate() {
        let mut rollout: Value = serde_json::from_str(response).expect("JSON");
        rollout["problem"] = i.into();
        let mut first = rollout.clone();
        first["record"] = serde_json::from_str(problem).expect("JSON");
        lines.extend([first.to_string(), rollout.to_string()]);
    }
    fs::write(dir.path().join("r.jsonl"), lines.join("\n")).expect("writable");
    let judged = tercet(dir.path(), &["verify", "--responses", "r.jsonl"]);
    assert!(judged.stderr.starts_with("8 responses under `paper`\n"), "{}", judged.stderr);
    assert_eq!(judged.stderr.matches("100.0%          100.0%").count(), 2, "{}", judged.stderr);
    // Without its first the group is to no problem that is known.
    lines.remove(2);
    fs::write(dir.path().join("r.jsonl"), lines.join("\n")).expect("writable");
    let judged = tercet(dir.path(), &["verify", "--responses", "r.jsonl"]);
    assert!(
        judged.code == 1 && judged.stderr.contains("line 3 of r.jsonl: without --problems"),
        "{}",
        judged.stderr
    );
}

#[test]
fn what_is_no_response_is_an_error_and_not_skipped() {
    let dir = folder(|_, gold| gold);
    let check = |line: &str, args: &[&str]| {
        fs::write(dir.path().join("r.jsonl"), line).expect("writable");
        tercet(dir.path(), &[&["verify", "--responses", "r.jsonl"], args].concat()).all()
    };
    let with = ["--problems", "p.jsonl"];
    insta::assert_snapshot!(check("{\"problem\": 0}\n", &with), @r"
    exit 1
    --- stdout
    --- stderr
    error: line 1 of r.jsonl: no response in it: no `text`, `response`, `completion`, `outputs`, `choices` or `resps` (--text-field names another)
    ");
    insta::assert_snapshot!(check("{\"text\": \"\", \"problem\": 9}\n", &with), @r"
    exit 2
    --- stdout
    --- stderr
    error: line 1 of r.jsonl: there is no problem 9: there are 4
    ");
    insta::assert_snapshot!(check("{\"text\": \"\", \"id\": \"x\"}\n", &with), @r"
    exit 2
    --- stdout
    --- stderr
    error: line 1 of r.jsonl: there is no problem `x`
    ");
    insta::assert_snapshot!(check("{\"text\": \"\"}\n", &[]), @r"
    exit 1
    --- stdout
    --- stderr
    error: line 1 of r.jsonl: without --problems every response must be in its problem's record, or follow a line with the same `problem` that holds one
    ");
    insta::assert_snapshot!(check("", &["--problems", "none.jsonl"]), @r"
    exit 1
    --- stdout
    --- stderr
    error: cannot read `none.jsonl`: No such file or directory (os error 2)
    ");
}
