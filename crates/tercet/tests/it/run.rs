//! A recipe from end to end, at its smallest scale: the same bytes at any thread count and after being killed;
//! what is wrong is one sentence.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use learner::LearnerFactory as _;

use crate::{command, temporary, tercet};

fn quickstart() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/quickstart.toml").to_owned()
}

/// Runs the quick recipe at its tiny scale.
fn tiny(dir: &Path, out: &str, threads: &str) {
    let ended = tercet(dir, &["run", &quickstart(), "--scale", "tiny", "--out", out, "--threads", threads]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("pass@1"), "{}", ended.stdout);
}

/// The same with less of each stage, in `run`.
pub(crate) fn tiniest(dir: &Path) {
    let set =
        ["--set", "stage.pre.tokens=8000", "--set", "stage.mid.tokens=4000", "--set", "stage.rl.steps=1"];
    let recipe = quickstart();
    let args = [&["run", &recipe, "--scale", "tiny", "--out", "run"], &set[..]].concat();
    assert_eq!(tercet(dir, &args).code, 0);
}

/// How much lies in a folder: enough to see that a run has got somewhere.
fn files(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries.filter_map(Result::ok).map(|entry| count(entry.path())).sum()
}

#[test]
fn one_thread_two_threads_and_a_run_that_was_killed_give_the_same_bytes() {
    let dir = temporary();
    tiny(dir.path(), "one", "1");
    tiny(dir.path(), "two", "2");
    let compared = tercet(dir.path(), &["compare", "--assert-equal", "one", "two"]);
    assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);

    // Killed whenever a few more files have appeared, then left to end; again in another folder if more kills
    // are asked for.
    let all = files(&dir.path().join("one"));
    let kills = std::env::var("TERCET_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_usize);
    for round in 0..kills.div_ceil(5) {
        let _ = fs::remove_dir_all(dir.path().join("killed"));
        killed(dir.path(), all, round);
        let compared = tercet(dir.path(), &["compare", "--assert-equal", "one", "killed"]);
        assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);
    }
    assert!(dir.path().join("killed/report.html").is_file());
    // Running a finished recipe again changes nothing.
    tiny(dir.path(), "one", "2");
    assert_eq!(tercet(dir.path(), &["compare", "--assert-equal", "one", "two"]).code, 0);
}

/// Kills the quick recipe five times on its way to `all` files, at other moments in each round.
fn killed(dir: &Path, all: usize, round: usize) {
    for kill in 1..=5 {
        let args = ["run", &quickstart(), "--scale", "tiny", "--out", "killed"];
        let mut child = command(dir, &args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        while files(&dir.join("killed")) < all * kill / 6 + round % 7
            && child.try_wait().expect("can be asked").is_none()
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(round as u64 * 7 % 50));
        // SIGKILL on Unix: nothing of the program runs after it.
        let _ = child.kill();
        child.wait().expect("it ends");
    }
    tiny(dir, "killed", "2");
}

/// A small recipe with one change to its text.
fn changed(dir: &Path, from: &str, to: &str) -> String {
    let text = include_str!("small.toml");
    assert!(text.contains(from), "{from}");
    fs::write(dir.join("r.toml"), text.replacen(from, to, 1)).expect("writable");
    let ended = tercet(dir, &["run", "r.toml"]);
    assert!(!dir.join("runs").exists(), "nothing is begun");
    ended.all()
}

#[test]
fn a_wrong_recipe_is_pointed_at_and_nothing_is_begun() {
    let dir = temporary();
    insta::assert_snapshot!(changed(dir.path(), "max_value = 20", "max_valu = 20"), @r"
    exit 2
    --- stdout
    --- stderr
    error: r.toml:6:1: unknown field `max_valu`: did you mean `max_value`? There are: …
      |
    6 | max_valu = 20
      | ^^^^^^^^
    ");
    insta::assert_snapshot!(changed(dir.path(), "share = 0.8", "share = 0.9"), @r"
    exit 2
    --- stdout
    --- stderr
    error: r.toml:15:1: mix `mid`: the shares of the parts sum to 1.1, not to 1
       |
    15 | [[mix.mid]]
       | ^^^^^^^^^^^
    ");
    insta::assert_snapshot!(changed(dir.path(), "ops = \"6-8\"", "ops = \"6-80\""), @r#"
    exit 2
    --- stdout
    --- stderr
    error: r.toml:22:7: mix `mid`: no problem of op 80 (forward) can be made: op must be from 1 to 50
       |
    22 | ops = "6-80"
       |       ^^^^^^
    "#);
    insta::assert_snapshot!(changed(dir.path(), "layers = 2", "layers = "), @r"
    exit 2
    --- stdout
    --- stderr
    error: r.toml:31:10: string values must be quoted, expected literal string
       |
    31 | layers =
       |          ^
    ");
    insta::assert_snapshot!(tercet(dir.path(), &["run", "none.toml"]).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: cannot read `none.toml`: No such file or directory (os error 2)
    ");
    fs::write(dir.path().join("r.toml"), include_str!("small.toml")).expect("writable");
    let set = ["run", "r.toml", "--set", "stage.mid.stps=3"];
    insta::assert_snapshot!(tercet(dir.path(), &set).all(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: --set: unknown field `stps`: did you mean `steps`? There are: …
     |
     | "stage.mid.stps" = 3
     | ^^^^^^^^^^^^^^^^
    "#);
    let arm = ["run", "r.toml", "--arm", "none"];
    insta::assert_snapshot!(tercet(dir.path(), &arm).all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: there is no arm `none`; there are: main
    ");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_written_is_a_failure_and_leaves_nothing_half_done() {
    let dir = temporary();
    fs::write(dir.path().join("file"), "").expect("writable");
    let args = ["run", &quickstart(), "--scale", "tiny", "--out", "file/run"];
    insta::assert_snapshot!(tercet(dir.path(), &args).all(), @r"
    exit 1
    --- stdout
    --- stderr
    error: cannot make the folder `file/run`: Not a directory (os error 20)
    ");
}

/// The newest checkpoint of a stage.
pub(crate) fn checkpoint(run: &Path, stage: &str) -> PathBuf {
    let newest = |folder: PathBuf, prefix: &str| {
        let entries = fs::read_dir(&folder).expect("there").filter_map(Result::ok);
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        named.map(|entry| entry.path()).max().expect("one")
    };
    newest(newest(run.join("stages"), &format!("{stage}-")).join("checkpoints"), "step-")
}

#[test]
fn a_damaged_checkpoint_is_named_and_not_used() {
    let dir = temporary();
    let recipe = quickstart();
    let args = ["run", &recipe, "--scale", "tiny", "--set", "stage.mid.tokens=8000", "--out", "run"];
    assert_eq!(tercet(dir.path(), &args).code, 0);
    let run = dir.path().join("run");
    let checkpoint = checkpoint(&run, "pre");
    let weights = checkpoint.join("model.safetensors");
    let whole = fs::read(&weights).expect("there");
    // By its path and by its name, and wherever a model is taken. One bit is enough.
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("weights") ^= 1;
    for damage in [&whole[..whole.len() / 2], &flipped] {
        fs::write(&weights, damage).expect("writable");
        for model in [&*checkpoint.to_string_lossy(), "run:pre"] {
            for args in [
                &["sample", model, "--prompt", "owl"][..],
                &["eval", model, "--recipe", "run/recipe.toml"],
                &["export", "hf", model, "--out", "copy"],
            ] {
                let ended = tercet(dir.path(), args);
                assert_eq!(ended.code, 1, "{args:?}");
                assert!(
                    ended.stderr.contains("are not those of its end; remove the folder"),
                    "{}",
                    ended.stderr
                );
            }
        }
    }
    assert!(!dir.path().join("copy").exists());
    // The middle stage starts from it.
    let mid = self::checkpoint(&run, "mid");
    let mid = mid.ancestors().nth(2).expect("the stage's folder");
    fs::remove_dir_all(mid).expect("removable");
    let relative = checkpoint.strip_prefix(dir.path()).expect("inside");
    let relative = &*relative.to_string_lossy();
    let again = tercet(dir.path(), &args);
    let shown = again.stderr.lines().last().unwrap_or_default().replace(relative, "CHECKPOINT");
    assert_eq!(again.code, 1);
    insta::assert_snapshot!(shown, @"error: the finished stage `run/stages/pre-1c352eb513` cannot be used: the weights in `CHECKPOINT` are not those of its end; remove the folder to train the stage again");
}

#[test]
fn a_model_is_exported_asked_and_evaluated() {
    let dir = temporary();
    let recipe = quickstart();
    tiniest(dir.path());
    let model = checkpoint(&dir.path().join("run"), "pre");
    let exported = tercet(dir.path(), &["export", "hf", &model.to_string_lossy(), "--out", "model"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let mut names: Vec<String> = fs::read_dir(dir.path().join("model"))
        .expect("there")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    let wanted = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names, wanted);
    // Trainers take the context from the tokenizer: in a checkpoint as in an export it is the model's.
    for folder in [&model, &dir.path().join("model")] {
        let value = |file: &str| -> serde_json::Value {
            serde_json::from_slice(&fs::read(folder.join(file)).expect("there")).expect("JSON")
        };
        let context = &value("config.json")["max_position_embeddings"];
        assert_eq!(
            (&value("tokenizer_config.json")["model_max_length"], context.as_u64()),
            (context, Some(384))
        );
    }

    let world = ["--op", "2", "--context", "terse", "--recipe", &recipe, "--max-tokens", "20"];
    let asked = tercet(dir.path(), &[&["sample", "model"], &world[..]].concat());
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    assert!(asked.stdout.contains("under `paper`"), "{}", asked.stdout);

    let args = ["eval", "model", "--recipe", &recipe, "--scale", "tiny"];
    let to_stdout = tercet(dir.path(), &args);
    assert_eq!(to_stdout.code, 0, "{}", to_stdout.stderr);
    assert!(to_stdout.stderr.contains("pass@4"), "{}", to_stdout.stderr);
    let to_folder = tercet(dir.path(), &[&args[..], &["--out", "evals"]].concat());
    assert_eq!(to_folder.code, 0, "{}", to_folder.stderr);
    // The same model, the same samples: as in the run.
    let in_run = model.ancestors().nth(2).expect("the stage's folder").join("evals/main.jsonl.gz");
    let read = |path: PathBuf| fs::read(path).expect("written");
    assert!(read(in_run) == read(dir.path().join("evals/main.jsonl.gz")));

    // A folder is one model's: another is not answered with what this one wrote.
    let mid = checkpoint(&dir.path().join("run"), "mid").to_string_lossy().into_owned();
    let another = ["eval", &mid, "--recipe", &recipe, "--scale", "tiny", "--out", "evals"];
    let another = tercet(dir.path(), &another);
    assert_eq!(another.code, 1, "{}", another.stderr);
    for named in
        ["`evals` holds evaluations of the model `model` (weights ", "/mid-", "choose another folder"]
    {
        assert!(another.stderr.contains(named), "{}", another.stderr);
    }

    // Stored responses are judged again without a model, under the same rules with the same result.
    let files =
        || ["main.jsonl.gz", "main.responses.jsonl.gz"].map(|f| read(dir.path().join("evals").join(f)));
    let before = files();
    let again = ["eval", "--again", "evals", "--recipe", &recipe, "--scale", "tiny"];
    assert_eq!(tercet(dir.path(), &again).code, 0);
    assert!(files() == before);
    // Other rules in the same folder sample nothing, either: a model that is no more would be missed.
    fs::remove_file(dir.path().join("model/model.safetensors")).expect("removable");
    let strict = ["--set", "evaluation.suite.main.policy=strict"];
    let ended = tercet(dir.path(), &[&again[..], &strict[..]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let other =
        tercet(dir.path(), &[&again[..], &["--set", "evaluation.suite.main.temperature=0.1"]].concat());
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("or were sampled otherwise"), "{}", other.stderr);
}

#[test]
fn of_several_folders_those_that_are_no_runs_are_left_out_of_the_report() {
    let dir = temporary();
    tiniest(dir.path());
    fs::create_dir(dir.path().join("other")).expect("writable");
    let alone = tercet(dir.path(), &["report", "run"]).stdout;
    let with_another = tercet(dir.path(), &["report", "other", "run"]);
    assert_eq!((with_another.code, &with_another.stdout), (0, &alone), "{}", with_another.stderr);
    assert!(with_another.stderr.contains("other is no run folder"), "{}", with_another.stderr);
    let neither = tercet(dir.path(), &["report", "other", "none"]);
    assert_eq!(neither.code, 2);
    assert!(neither.stderr.contains("other is no run") && neither.stderr.contains("none is no run"));
}

#[test]
fn a_run_folder_is_not_served_as_a_folder_of_runs() {
    let dir = temporary();
    fs::write(dir.path().join("manifest.json"), "{}").expect("writable");
    let said = fs::File::create(dir.path().join("said")).expect("writable");
    let mut child = command(dir.path(), &["serve", ".", "--port", "0"])
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .expect("the program starts");
    let said = || fs::read_to_string(dir.path().join("said")).unwrap_or_default();
    while said().is_empty() && child.try_wait().expect("can be asked").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // If it listens, it does so for ever.
    let _ = child.kill();
    child.wait().expect("it ended");
    assert!(said().contains("serve the folder that it lies in"), "{}", said());
}

/// Two of three stages have an evaluation of the same name with another temperature: the suite that the recipe has is kept,
/// though most evaluations are of the other.
#[test]
fn the_report_pairs_no_two_suites_of_one_name() {
    let dir = temporary();
    let recipe = quickstart();
    tiniest(dir.path());
    let run = dir.path().join("run");
    let whole = tercet(dir.path(), &["report", "run"]).stdout;
    assert!(whole.contains("pass@4") && !whole.contains("left out"), "{whole}");

    for stage in ["mid", "rl"] {
        let model = checkpoint(&run, stage);
        let name = model.to_string_lossy();
        let warm = ["--set", "evaluation.suite.main.temperature=1.3", "--out", stage];
        let args = [&["eval", &name, "--recipe", &recipe, "--scale", "tiny"][..], &warm].concat();
        assert_eq!(tercet(dir.path(), &args).code, 0);
        let evals = model.ancestors().nth(2).expect("the stage's folder").join("evals");
        for file in ["main.json", "main.jsonl.gz", "main.responses.jsonl.gz"] {
            fs::copy(dir.path().join(stage).join(file), evals.join(file)).expect("written");
        }
    }
    let report = tercet(dir.path(), &["report", "run"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    let said = "Left out because the suite is another: 2 evaluations (main of mid-";
    assert!(report.stdout.contains(said) && !report.stdout.contains("within noise"), "{}", report.stdout);
    for file in ["report.html", "results.md"] {
        assert!(fs::read_to_string(run.join(file)).expect("written").contains(said), "{file}");
    }
}

/// A model as the paper's are published: a tokenizer of another maker with one token more than the embedding has
/// rows, and an end token in `config.json` that neither knows.
pub(crate) fn published(dir: &Path) {
    let model = serde_json::json!({
        "vocab": 404, "hidden": 16, "layers": 1, "heads": 2, "kv_heads": 2, "mlp": 32, "context": 1024,
        "rope_theta": 1e4, "tied": false, "norm_eps": 1e-6, "init_std": 0.02, "scale_residual_init": false,
    });
    let model: learner::ModelConfig = serde_json::from_value(model).expect("a model");
    let fresh = engine::CpuFactory::with_threads(Some(1)).fresh(&model, [7; 32]).expect("a possible shape");
    fresh.save(dir, false).expect("writable");
    let config = fs::read_to_string(dir.join("config.json")).expect("written");
    let changed = config.replace("\"eos_token_id\": null", "\"eos_token_id\": 151643");
    assert_ne!(changed, config);
    fs::write(dir.join("config.json"), changed).expect("writable");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tokens/tests/fixtures/foreign");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture.join(name), dir.join(name)).expect("the fixture is there");
    }
}

#[test]
fn a_published_model_with_a_tokenizer_of_its_own_is_asked_and_evaluated() {
    let dir = temporary();
    published(&dir.path().join("theirs"));
    let recipe = quickstart();
    let args = ["eval", "theirs", "--recipe", &recipe, "--scale", "tiny"];
    let evaluated = tercet(dir.path(), &args);
    assert_eq!(evaluated.code, 0, "{}", evaluated.stderr);
    assert!(evaluated.stderr.contains("pass@4"), "{}", evaluated.stderr);
    let asked = ["sample", "theirs", "--op", "2", "--context", "zoo", "--max-tokens", "4"];
    let asked = tercet(dir.path(), &asked);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    // It is handed on with the tokenizer that it has.
    let exported = tercet(dir.path(), &["export", "hf", "theirs", "--out", "copy"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let tokenizer = |model: &str| fs::read(dir.path().join(model).join("tokenizer.json")).expect("there");
    assert!(tokenizer("theirs") == tokenizer("copy"));
    // Without a name for the end of a response nothing can be asked.
    fs::remove_file(dir.path().join("theirs/tokenizer_config.json")).expect("removable");
    let endless = tercet(dir.path(), &args);
    assert_eq!(endless.code, 1);
    assert!(endless.stderr.contains("end token"), "{}", endless.stderr);
}

/// A run that is signalled after its first step: what `env` does to its signals before, exit code, what it said.
#[cfg(target_os = "linux")]
fn signalled(dir: &Path, disposition: &str, signal: &str, set: &[&str]) -> (Option<i32>, String) {
    let recipe = quickstart();
    let args = [&["run", &recipe, "--scale", "tiny", "--out", "run"], set].concat();
    let mut child = std::process::Command::new("env")
        .args([disposition, env!("CARGO_BIN_EXE_tercet")])
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let begun = || {
        let stages = fs::read_dir(dir.join("run/stages")).into_iter().flatten();
        stages.filter_map(Result::ok).any(|stage| {
            fs::metadata(stage.path().join("metrics.jsonl")).is_ok_and(|metrics| metrics.len() > 0)
        })
    };
    while !begun() && child.try_wait().expect("can be asked").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(&child, signal);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(target_os = "linux")]
fn kill(child: &std::process::Child, signal: &str) {
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.expect("kill starts").success());
}

#[cfg(target_os = "linux")]
#[test]
fn the_first_request_to_stop_saves_and_says_how_to_resume() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let dir = temporary();
        let long = ["--set", "stage.pre.tokens=40_000_000"];
        let (code, said) = signalled(dir.path(), "--default-signal=INT,TERM,HUP", signal, &long);
        assert_eq!(code, Some(1), "{signal}: {said}");
        assert!(said.contains("stopping after this step and saving"), "{signal}: {said}");
        assert!(said.contains("resume with `tercet run"), "{signal}: {said}");
        let saved = checkpoint(&dir.path().join("run"), "pre");
        assert!(saved.join("model.safetensors").is_file());
    }
}

/// As under `nohup`, and for a command that a script puts into the background.
#[cfg(target_os = "linux")]
#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    for signal in ["-INT", "-HUP"] {
        let dir = temporary();
        let (code, said) = signalled(dir.path(), "--ignore-signal=INT,HUP", signal, &[]);
        assert_eq!(code, Some(0), "{signal}: {said}");
        assert!(dir.path().join("run/report.html").is_file());
    }
}

/// A run whose first step takes minutes, with what it says in the file `said`.
#[cfg(target_os = "linux")]
fn endless(dir: &Path) -> std::process::Child {
    let recipe = quickstart();
    let set = ["--set", "stage.pre.tokens=400_000_000", "--set", "stage.pre.batch_tokens=40_000_000"];
    let args = [&["run", &recipe, "--scale", "tiny", "--out", "run"], &set[..]].concat();
    let said = fs::File::create(dir.join("said")).expect("writable");
    let mut child = std::process::Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_tercet")])
        .args(args)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .expect("the program starts");
    let begun = || fs::read_dir(dir.join("run/stages")).is_ok_and(|stages| stages.count() > 0);
    while !begun() && child.try_wait().expect("can be asked").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[cfg(target_os = "linux")]
#[test]
fn the_second_ctrl_c_stops_at_once_and_others_are_kept_out_until_then() {
    let dir = temporary();
    let mut child = endless(dir.path());
    let recipe = quickstart();
    let args = ["run", &recipe, "--scale", "tiny", "--out", "run"];
    insta::assert_snapshot!(tercet(dir.path(), &args).all(), @r"
    exit 1
    --- stdout
    --- stderr
    error: another process works in `run`: wait for it to end, or choose another folder
    ");
    kill(&child, "-INT");
    let said = || fs::read_to_string(dir.path().join("said")).unwrap_or_default();
    while !said().contains("press Ctrl-C again to stop at once") {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(&child, "-INT");
    // The step would take minutes: it ends because it is stopped.
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{}", said());
    let again = tercet(dir.path(), &args);
    assert_eq!(again.code, 0, "the folder is free again: {}", again.stderr);
}

/// Event files are made if they are asked for, also for a run that is done.
#[test]
fn event_files_are_made_when_asked_for() {
    let dir = temporary();
    let recipe = quickstart();
    let args = ["run", &recipe, "--scale", "tiny", "--out", "run"];
    assert_eq!(tercet(dir.path(), &args).code, 0);
    let board = dir.path().join("run/tensorboard");
    assert!(!board.exists());
    let ended = tercet(dir.path(), &[&args[..], &["--tensorboard"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let stages = fs::read_dir(&board).expect("made").filter_map(Result::ok);
    let sizes = stages.map(|stage| {
        let files = fs::read_dir(stage.path()).expect("readable").filter_map(Result::ok);
        files.map(|file| file.metadata().map_or(0, |m| m.len())).collect::<Vec<u64>>()
    });
    let sizes: Vec<_> = sizes.collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|files| files.len() == 1 && files[0] > 1000), "{sizes:?}");
}

#[test]
fn the_stages_of_a_run_are_listed() {
    let dir = temporary();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../runs/tests/fixtures/process-rewards");
    let listed = tercet(dir.path(), &["ls", fixture]).stdout;
    insta::assert_snapshot!(listed, @r"
    stage           arms                                 seed  steps  state     checkpoints
    pre-576b984678  outcome, blend-50, blend-20, strict     1     10  finished
    rl-b0f7f01ed4   outcome                                 1      2  finished
    rl-8452401f08   blend-50                                1      2  finished
    rl-bec3ed595d   blend-20                                1      2  finished
    rl-a3bfde571c   strict                                  1      2  finished
    ");
    tiniest(dir.path());
    let listed = tercet(dir.path(), &["ls", "run"]).stdout;
    let pre = listed.lines().find(|line| line.starts_with("pre-")).expect("listed");
    assert!(pre.contains("main") && pre.contains("finished"), "{listed}");
    let checkpoint = checkpoint(&dir.path().join("run"), "pre");
    let step: u64 =
        checkpoint.to_string_lossy().rsplit('-').next().and_then(|s| s.parse().ok()).expect("a step");
    assert!(pre.ends_with(&format!("  {step}")), "{listed}");
}

/// Reports are written beside a run and beside each other, whatever unfinished files lie there.
#[test]
fn four_reports_at_once_do_not_fail_each_other() {
    let dir = temporary();
    tiniest(dir.path());
    let run = dir.path().join("run");
    let read =
        || ["report.html", "results.json", "results.md"].map(|name| fs::read(run.join(name)).expect("there"));
    let before = read();
    // Left by a process that died, and begun by one that still works on it.
    fs::write(run.join(".report.html.1-0.partial"), "left").expect("writable");
    let living = fs::File::create(run.join(".results.md.1-1.partial")).expect("writable");
    living.lock().expect("lockable");
    let reports: Vec<_> = (0..4)
        .map(|_| {
            command(dir.path(), &["report", "run"]).stdout(Stdio::null()).spawn().expect("the program starts")
        })
        .collect();
    for mut report in reports {
        assert_eq!(report.wait().expect("it ends").code(), Some(0));
    }
    assert!(before == read());
    let hidden = |folder: &Path| {
        let names = fs::read_dir(folder).expect("there").map(|entry| entry.expect("readable").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| name.ends_with(".partial"));
        names
    };
    assert_eq!(hidden(&run), [".results.md.1-1.partial"]);
    assert!(hidden(&run.join("figures")).is_empty());
}
