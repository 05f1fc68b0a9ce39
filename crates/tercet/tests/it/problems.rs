use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::{command, temporary, tercet};

#[test]
fn the_same_problems_whatever_the_threads_and_the_rest_of_the_order() {
    let dir = temporary();
    let all = tercet(dir.path(), &["problems", "--op", "2-5", "--context", "zoo,terse", "-n", "40"]);
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    assert_eq!(all.stdout.lines().count(), 4 * 2 * 40);
    let args = ["problems", "--op", "2-5", "--context", "zoo,terse", "-n", "40", "--threads"];
    for threads in ["1", "3"] {
        assert!(tercet(dir.path(), &[&args[..], &[threads]].concat()).stdout == all.stdout);
    }
    // Problem 7 of op 3 is the same when nothing else is asked for.
    let one = tercet(dir.path(), &["problems", "--op", "3", "--context", "zoo", "--start", "7", "-n", "1"]);
    assert_eq!(all.stdout.lines().nth(40 + 7), one.stdout.lines().next());
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let dir = temporary();
    let made = tercet(dir.path(), &["problems", "--op", "2", "-n", "3", "--out", "p.jsonl"]);
    assert_eq!((made.code, made.stdout.as_str()), (0, ""));
    assert_eq!(fs::read_to_string(dir.path().join("p.jsonl")).expect("written").lines().count(), 3);
    assert!(!dir.path().join("p.jsonl.partial").exists());
    let refused = tercet(dir.path(), &["problems", "--op", "2", "-n", "3", "--out", "none/p.jsonl"]);
    insta::assert_snapshot!(refused.all(), @r"
    exit 1
    --- stdout
    --- stderr
    error: cannot write `none/p.jsonl`: No such file or directory (os error 2)
    ");
}

#[test]
fn a_stopped_command_goes_on_and_ends_with_the_same_bytes() {
    let dir = temporary();
    let path = |name: &str| dir.path().join(name);
    let args = ["problems", "--op", "2", "--context", "terse", "--format", "text", "-n", "40000"];
    for name in ["p.txt", "p.txt.zst"] {
        let whole = format!("whole.{name}");
        assert_eq!(tercet(dir.path(), &[&args[..], &["--out", &whole]].concat()).code, 0);
        let args = [&args[..], &["--out", name]].concat();
        let mut stopped =
            command(dir.path(), &args).stderr(Stdio::null()).spawn().expect("the program starts");
        while !path(&format!("{name}.journal")).exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        stopped.kill().expect("still running");
        stopped.wait().expect("it ends");
        assert!(!path(name).exists());
        let resumed = tercet(dir.path(), &args);
        assert!(resumed.stderr.contains("of 40000 problems are there already"), "{}", resumed.all());
        assert!(fs::read(path(name)).expect("written") == fs::read(path(&whole)).expect("written"));
        assert!(!path(&format!("{name}.journal")).exists() && !path(&format!("{name}.partial")).exists());
    }
}

#[test]
fn a_worksheet_has_numbered_problems_and_the_solutions_after_them() {
    let dir = temporary();
    let args = ["problems", "--op", "3,4", "--context", "zoo", "-n", "200"];
    let sheet = tercet(dir.path(), &[&args[..], &["--format", "worksheet"]].concat());
    assert_eq!((sheet.code, sheet.stderr.as_str()), (0, ""));
    let (problems, solutions) = sheet.stdout.split_once("<section class=\"solutions\">").expect("two parts");
    let records = tercet(dir.path(), &args).stdout;
    assert_eq!(records.lines().count(), 400);
    for (n, line) in (1..).zip(records.lines()) {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| record[key].as_str().expect("text").trim().replace('\'', "&#39;");
        let number = format!("<span class=\"number\">{n}.</span>");
        let (problem, question) = (text("problem"), text("question"));
        assert!(problems.contains(&format!("{number} {problem}</p>\n<p>{question}</p>")), "{line}");
        let solution = text("solution");
        let (steps, _) = solution.rsplit_once(" Answer:").expect("an answer");
        let answer = format!("{number} {steps}</p>\n<p>Answer: <b>{}</b></p>", record["answer"]);
        assert!(solutions.contains(&answer), "{answer}");
    }
    // Pupils see no answer, and the printed solutions start on a page of their own.
    assert!(!problems.contains("<b>") && problems.contains(".solutions { break-before: page; }"));
    assert!(sheet.stdout.starts_with("<!doctype html>") && sheet.stdout.ends_with("</html>\n"));
    let file = [&args[..], &["--format", "worksheet", "--out", "sheet.html"]].concat();
    assert_eq!(tercet(dir.path(), &file).code, 0);
    assert!(fs::read_to_string(dir.path().join("sheet.html")).expect("written") == sheet.stdout);
}

#[test]
fn what_was_left_by_another_command_is_no_part_of_the_file() {
    let dir = temporary();
    fs::write(dir.path().join("p.jsonl.partial"), "something").expect("writable");
    let journal = r#"{"made_from":"something else","pieces":1,"bytes":9}"#;
    fs::write(dir.path().join("p.jsonl.journal"), journal).expect("writable");
    let made = tercet(dir.path(), &["problems", "--op", "2", "-n", "3", "--out", "p.jsonl"]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let text = fs::read_to_string(dir.path().join("p.jsonl")).expect("written");
    assert!(text.starts_with("{\"problem\"") && text.lines().count() == 3, "{text}");
}

#[test]
fn a_problem_has_kin_with_other_words_and_with_other_numbers() {
    let dir = temporary();
    let records = |args: &[&str]| -> Vec<serde_json::Value> {
        let made = tercet(dir.path(), &[&["problems", "--op", "6", "-n", "20"], args].concat());
        assert_eq!(made.code, 0, "{}", made.all());
        made.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let zoo = records(&[]);
    let told = records(&["--in", "school"]);
    let renumbered = records(&["--renumber", "1"]);
    for ((a, b), c) in zoo.iter().zip(&told).zip(&renumbered) {
        assert_eq!((&a["structure_hash"], &a["stats"]), (&b["structure_hash"], &b["stats"]));
        assert_ne!(a["problem"], b["problem"]);
        assert_eq!((&a["names"], &a["stats"]["op"]), (&c["names"], &c["stats"]["op"]));
    }
    assert!(zoo.iter().zip(&renumbered).any(|(a, c)| a["answer"] != c["answer"]));
    insta::assert_snapshot!(tercet(dir.path(), &["problems", "--in", "moon"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: there is no context `moon`; known are …
    ");
}

#[test]
fn impossible_requests_end_with_2_and_say_why() {
    let dir = temporary();
    let check = |args: &[&str]| tercet(dir.path(), &[&["problems"], args].concat()).all();
    insta::assert_snapshot!(check(&["--op", "60"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: no problem of op 60 (forward) can be made: op must be from 1 to 50
    ");
    insta::assert_snapshot!(check(&["--op", "5-2"]), @r#"
    exit 2
    --- stdout
    --- stderr
    error: invalid value '5-2' for '--op <OPS>': `5-2` is no op or range of ops: write "7", "2-5" or "2-5,9", up to 50

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(check(&["--op", "40", "--set", "places=[1, 1]", "--set", "kinds=[1, 2]"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: no problem of op 40 (forward) can be made: 1 places of 2 kinds with 4 operands each do not make such a graph
    ");
    insta::assert_snapshot!(check(&["--context", "moon"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: there is no context `moon`; known are …
    ");
    insta::assert_snapshot!(check(&["--set", "max_valu=20"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --set: unknown field `max_valu`, expected one of …
    ");
    insta::assert_snapshot!(check(&["--set", "max_value"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: `--set max_value` has no `=`: write `--set path.to.key=value`
    ");
    insta::assert_snapshot!(check(&["--context", "zoo,school,zoo"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --context names `zoo` twice
    ");
    insta::assert_snapshot!(check(&["--mode", "forward,forward"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --mode names `forward` twice
    ");
    insta::assert_snapshot!(check(&["--start", "18446744073709551610"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --start 18446744073709551610 leaves no room for 10 problems
    ");
    insta::assert_snapshot!(check(&["--threads", "0"]), @r"
    exit 2
    --- stdout
    --- stderr
    error: --threads must be at least 1
    ");
}

#[test]
fn a_problem_is_shown_with_its_graph_and_a_response_with_its_faults() {
    let dir = temporary();
    let args = ["show", "--op", "5", "--context", "terse", "--set", "distractors=0", "-i", "1"];
    let shown = tercet(dir.path(), &args).stdout;
    for part in ["op 5 terse forward", "\nGraph\n", " = ", "\nSolution\n", "Answer:"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let wrong = " crow zoo: j =3. </solution> <answer> 3 </answer>";
    let judged = tercet(dir.path(), &[&args[..], &["--response", wrong]].concat()).stdout;
    assert!(judged.contains("Response") && judged.contains("wrong under `paper`"), "{judged}");
}

#[test]
fn a_problem_is_told_in_another_context() {
    let dir = temporary();
    let args = ["show", "--op", "3", "--context", "zoo", "--in", "school", "--svg", "graph.svg"];
    let shown = tercet(dir.path(), &args).stdout;
    assert!(shown.contains("op 3 school forward"), "{shown}");
    let picture = fs::read_to_string(dir.path().join("graph.svg")).expect("written");
    assert!(picture.starts_with("<svg") && picture.contains("school"), "{picture}");
}

#[test]
fn an_audit_tells_what_two_files_share() {
    let dir = temporary();
    let make = |split: &str, out: &str| {
        let args = ["problems", "--op", "3,7", "-n", "30", "--split", split, "--out", out];
        assert_eq!(tercet(dir.path(), &args).code, 0);
    };
    make("train", "train.jsonl.gz");
    make("test", "test.jsonl.zst");
    let audit = tercet(dir.path(), &["problems", "--audit", "train.jsonl.gz", "test.jsonl.zst"]);
    assert_eq!(audit.code, 0, "{}", audit.all());
    let line =
        |start: &str| audit.stdout.lines().find(|l| l.starts_with(start)).unwrap_or_default().to_owned();
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(line("op 3")), "op 3 forward d=2 instance 0 test.jsonl.zst 30, train.jsonl.gz 30");
    assert!(words(line("op 7")).starts_with("op 7 forward d=2 structure 0"), "{}", audit.stdout);
}

#[test]
fn the_preset_is_compared_with_a_file_of_the_reference() {
    let dir = temporary();
    let make = ["problems", "--op", "4", "-n", "30", "--set", "preset=reference", "--out", "r.jsonl"];
    assert_eq!(tercet(dir.path(), &make).code, 0);
    let compared = tercet(dir.path(), &["problems", "--compare-reference", "r.jsonl", "-n", "2"]);
    let first = compared.stdout.lines().find(|line| line.starts_with("  4 | ")).unwrap_or_default();
    assert!(first.contains(" +0.0±"), "{}", compared.all());
}

#[test]
fn a_context_of_ones_own_begins_with_a_built_in_one() {
    let dir = temporary();
    let names = tercet(dir.path(), &["contexts"]).stdout;
    assert!(names.lines().count() > 10 && names.lines().any(|name| name == "terse"), "{names}");
    let terse = tercet(dir.path(), &["contexts", "--print", "terse"]).stdout;
    fs::write(dir.path().join("own.toml"), terse.replacen("name = \"terse\"", "name = \"own\"", 1))
        .expect("writable");
    // Whoever names the file means it.
    let made = tercet(dir.path(), &["problems", "--context-file", "own.toml", "--op", "3", "-n", "1"]);
    assert!(made.code == 0 && made.stdout.contains("\"context\":\"own\""), "{}", made.all());
    insta::assert_snapshot!(tercet(dir.path(), &["contexts", "--print", "moon"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: there is no context `moon`; known are …
    ");
}

/// The rows for trainers hold prompt and response as models are trained on them, and the record that a judge needs.
#[test]
fn trainers_get_rows_of_plain_columns() {
    let dir = temporary();
    let args = ["problems", "--op", "2-3", "--context", "terse", "--mode", "forward,reverse", "-n", "2"];
    let with = |format: &str| tercet(dir.path(), &[&args[..], &["--format", format]].concat()).stdout;
    let rows = |format: &str| -> Vec<serde_json::Value> {
        with(format).lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    };
    let (records, text) = (rows("records"), with("text"));
    assert!(with("jsonl") == with("records"));
    let [sft, prompts, chats] = ["sft", "prompts", "chat"].map(rows);
    for (i, (record, trained)) in records.iter().zip(text.lines()).enumerate() {
        let (prompt, completion) = (&sft[i]["prompt"], &sft[i]["completion"]);
        assert_eq!(format!("{}{}", prompt.as_str().unwrap(), completion.as_str().unwrap()), trained);
        assert_eq!(prompts[i]["prompt"], *prompt);
        let kept: serde_json::Value =
            serde_json::from_str(prompts[i]["record"].as_str().expect("text")).expect("JSON");
        assert_eq!(kept, *record);
        let question = chats[i]["messages"][0]["content"].as_str().expect("text");
        assert_eq!(format!("<question> {question} </question> <solution>"), *prompt);
        assert_eq!(chats[i]["messages"][1]["content"], *completion);
        for row in [&sft[i], &prompts[i], &chats[i]] {
            let about = |name: &str| row[name].to_string().trim_matches('"').to_owned();
            assert_eq!(about("answer"), record["answer"].to_string().trim_matches('"'));
            assert_eq!((about("op"), about("context")), (record["op"].to_string(), "terse".to_owned()));
        }
    }
    assert_eq!((records.len(), sft.len(), prompts.len(), chats.len()), (8, 8, 8, 8));
}

/// A Parquet file holds the values of the lines, and a file of rows has the same name whatever holds them.
#[test]
fn parquet_holds_what_the_lines_hold() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let dir = temporary();
    for format in ["text", "sft", "prompts", "chat"] {
        let make = |out: &str| {
            let args =
                ["problems", "--op", "2-4", "--context", "terse", "--total", "5000", "--format", format];
            let made = tercet(dir.path(), &[&args[..], &["--out", out]].concat());
            assert_eq!(made.code, 0, "{}", made.all());
            dir.path().join(out)
        };
        let lines = fs::read_to_string(make("rows.jsonl")).expect("written");
        let file = fs::File::open(make("rows.parquet")).expect("written");
        let reader = SerializedFileReader::new(file).expect("a Parquet file");
        assert_eq!(reader.num_row_groups(), 2);
        let rows = reader.get_row_iter(None).expect("rows").map(|row| row.expect("whole").to_json_value());
        assert_eq!(lines.lines().count(), 5000);
        for (row, line) in rows.zip(lines.lines()) {
            assert_eq!(row, serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        }
    }
    let refused = tercet(dir.path(), &["problems", "--op", "2", "--out", "p.parquet"]);
    insta::assert_snapshot!(refused.all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: records and worksheets have no columns: choose --format text, sft, prompts or chat
    ");
}

/// A total is divided equally, and the first cells take what is left over.
#[test]
fn a_total_is_divided_over_the_cells() {
    let dir = temporary();
    let made = tercet(dir.path(), &["problems", "--op", "2-4", "--context", "terse", "--total", "8"]);
    let op = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("a record")["op"].clone();
    let ops: Vec<serde_json::Value> = made.stdout.lines().map(op).collect();
    assert_eq!(ops, [2, 2, 2, 3, 3, 3, 4, 4]);
    let few = tercet(dir.path(), &["problems", "--op", "2-4", "--context", "terse", "--total", "2"]);
    let all = tercet(dir.path(), &["problems", "--op", "2-3", "--context", "terse", "-n", "1"]);
    assert_eq!(few.stdout, all.stdout);
}

/// The problems of a mix come in the order and the shares in which a stage reads them, also after a stop.
#[test]
fn a_mix_is_written_as_its_stage_reads_it() {
    let dir = temporary();
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/quickstart.toml");
    let args = ["problems", "--recipe", recipe, "--scale", "tiny", "--mix", "mid", "--total"];
    let [some, more] = ["300", "400"].map(|n| tercet(dir.path(), &[&args[..], &[n]].concat()));
    assert_eq!((some.code, some.stdout.lines().count()), (0, 300), "{}", some.all());
    assert!(more.stdout.starts_with(&some.stdout));
    let other = tercet(dir.path(), &[&args[..], &["300", "--seed", "2"]].concat());
    assert_ne!(other.stdout, some.stdout);
    let unknown = tercet(dir.path(), &["problems", "--recipe", recipe, "--mix", "middle", "--total", "3"]);
    insta::assert_snapshot!(unknown.all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: no stage is trained on a mix `middle`; known are …
    ");
}
