//! Whatever happens on the way, the end is the same: bytes, not likeness.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tercet_train::{
    error::RunError,
    observer::{Event, Observer},
    recipe::Recipe,
    run::{Options, Outcome, Run},
};

use crate::tabular::{Factory, Fuse};

/// A recipe with everything that keeps state: three stages, several updates a step, a reference, step
/// credit, refills, a curriculum, milestones, validation, two suites.
pub(crate) const RECIPE: &str = r#"
name = "resume"
[world]
max_value = 20
places = [1, 3]
kinds = [1, 4]
distractors = 0.0
max_operands = 3
[[mix.all]]
ops = "3-5"
contexts = "terse"
[tokenizer]
vocab = 290
problems = 60
[model]
hidden = 8
layers = 1
heads = 1
kv_heads = 1
mlp = 8
context = 256
rope_theta = 1e3
tied = true
norm_eps = 1e-6
init_std = 0.02
scale_residual_init = true
[[stage]]
name = "pre"
kind = "pre-training"
mix = "all"
steps = 7
batch_tokens = 300
micro_tokens = 160
prompt_loss_weight = 0.2
optimizer = { lr = 0.05 }
checkpoint_every = 3
validate_every = 2
milestones = [2]
evaluate_milestones = true
[[stage]]
name = "mid"
kind = "mid-training"
mix = "all"
tokens = 900
batch_tokens = 300
optimizer = { lr = 0.02 }
schedule = { kind = "cosine", warmup_steps = 1, minimum = 0.1 }
checkpoint_every = 1
[[stage]]
name = "rl"
kind = "rl"
mix = "all"
steps = 5
optimizer = { lr = 0.02 }
checkpoint_every = 2
[stage.rollout]
prompts = 4
samples = 3
reward = { kind = "blend", alpha = 0.5 }
max_tokens = 24
refills = 1
store_every = 2
curriculum = { k = 4 }
[stage.policy]
mini_batches = 2
epochs = 2
step_credit = 0.5
kl = { kind = "k3", coefficient = 0.01 }
[evaluation]
validation_problems = 2
[[evaluation.suite]]
name = "main"
ops = "3-4"
contexts = ["terse"]
problems = 3
samples = 2
max_tokens = 24
chunk = 2
[[evaluation.suite]]
name = "last"
ops = "5"
contexts = ["terse"]
problems = 2
samples = 2
max_tokens = 24
after = ["rl"]
"#;

pub(crate) fn recipe() -> Recipe {
    Recipe::parse(RECIPE, "resume.toml", &[]).expect("the recipe is right")
}

/// One process: opens the folder and works until it ends, is stopped, or dies.
pub(crate) fn work(
    folder: &Path,
    fuse: &Fuse,
    watch: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Outcome, RunError> {
    let factory = Factory::new(fuse.clone());
    Run::open(recipe(), folder, &factory, Options::default())?.execute(watch, stop)
}

/// Every file of a run with the hash of its content, apart from clocks and locks.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("inside").display().to_string();
            if !name.ends_with("timings.jsonl") && name != ".lock" {
                let bytes = fs::read(&path).expect("readable");
                found.insert(name, blake3::hash(&bytes).to_hex()[..16].to_owned());
            }
        }
    }
    found
}

pub(crate) fn undisturbed() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false));
    assert_eq!(outcome.expect("the run ends"), Outcome::Finished(()));
    contents(folder.path())
}

#[test]
fn a_run_leaves_what_the_run_folder_promises() {
    let contents = undisturbed();
    let has = |end: &str| contents.keys().any(|name| name.ends_with(end));
    for end in [
        "manifest.json",
        "recipe.toml",
        "data/tokenizer/tokenizer.json",
        "data/suites/main.jsonl",
        "metrics.jsonl",
        "rollouts/step-000001.jsonl.gz",
        "checkpoints/step-000007/model.safetensors",
        "checkpoints/step-000002/loop.json",
        "evals/main.jsonl.gz",
        "evals/main.responses.jsonl.gz",
        "evals/step-000002/main.jsonl.gz",
        "evals/last.jsonl.gz",
        "exposure.json",
        "done.json",
    ] {
        assert!(has(end), "there is no {end} in {:#?}", contents.keys());
    }
    assert!(!contents.keys().any(|name| name.contains("partial")), "something was left over");
    // Only the last checkpoint and the milestone of the first stage.
    let checkpoints = contents.keys().filter(|name| name.ends_with("loop.json")).count();
    assert_eq!(checkpoints, 4, "{:#?}", contents.keys());
}

/// Dies at every third use of the model, half-written checkpoints included, and goes on. (The uses between
/// are met by the run of many deaths below and by the kills.)
#[test]
fn death_at_any_moment_changes_nothing() {
    let expected = undisturbed();
    let mut deaths = 0;
    for uses in (0..).step_by(3) {
        let folder = tempfile::tempdir().expect("a folder");
        let fuse = Fuse::after(uses);
        if work(folder.path(), &fuse, &mut (), &AtomicBool::new(false)).is_ok() {
            break;
        }
        deaths += 1;
        let outcome = work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false));
        assert_eq!(outcome.expect("the run ends"), Outcome::Finished(()), "after use {uses}");
        assert_eq!(contents(folder.path()), expected, "after death at use {uses}");
    }
    assert!(deaths > 20, "only {deaths} deaths");
}

/// Dies again and again, always a little later.
#[test]
fn many_deaths_in_one_run_change_nothing() {
    let expected = undisturbed();
    let folder = tempfile::tempdir().expect("a folder");
    for patience in 9..1000 {
        if work(folder.path(), &Fuse::after(patience), &mut (), &AtomicBool::new(false)).is_ok() {
            assert_eq!(contents(folder.path()), expected);
            return;
        }
    }
    panic!("the run never ended");
}

/// Asks to stop at the n-th event.
pub(crate) struct StopAt<'a> {
    pub(crate) left: u64,
    pub(crate) stop: &'a AtomicBool,
}

impl Observer for StopAt<'_> {
    fn on(&mut self, _: Event<'_>) {
        if self.left == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.left = self.left.saturating_sub(1);
    }
}

#[test]
fn stopping_saves_and_going_on_changes_nothing() {
    let expected = undisturbed();
    for left in [0, 3, 8, 20, 45, 70, 120] {
        let folder = tempfile::tempdir().expect("a folder");
        let stop = AtomicBool::new(false);
        let outcome = work(folder.path(), &Fuse::never(), &mut StopAt { left, stop: &stop }, &stop);
        assert_eq!(outcome.expect("stopped in order"), Outcome::Stopped);
        work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false)).expect("the run ends");
        assert_eq!(contents(folder.path()), expected, "after event {left}");
    }
}

#[test]
fn a_finished_run_is_not_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    work(folder.path(), &Fuse::never(), &mut (), &stop).expect("the run ends");
    // Not one use of the model.
    let outcome = work(folder.path(), &Fuse::after(0), &mut (), &stop);
    assert_eq!(outcome.expect("nothing to do"), Outcome::Finished(()));
}

#[test]
fn a_suite_added_later_is_evaluated_without_training_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    work(folder.path(), &Fuse::never(), &mut (), &stop).expect("the run ends");
    let text = format!(
        "{RECIPE}[[evaluation.suite]]\nname = \"new\"\nops = \"6\"\ncontexts = [\"terse\"]\nproblems = 1\nsamples = 1\nmax_tokens = 8\n"
    );
    // The validation cells of `pre` are those of the suites, so its loss is measured anew: leave that out.
    let recipe = Recipe::parse(&text, "resume.toml", &["stage.pre.validate_every=0".to_owned()]);
    let recipe = recipe.expect("the recipe is right");
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe, folder.path(), &factory, Options::default()).expect("the folder opens");
    run.execute(&mut (), &stop).expect("the run ends");
    assert!(contents(folder.path()).keys().any(|name| name.ends_with("evals/new.jsonl.gz")));
}

#[test]
fn an_evaluation_whose_file_was_lost_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    work(folder.path(), &Fuse::never(), &mut (), &stop).expect("the run ends");
    let expected = contents(folder.path());
    let lost = expected.keys().find(|name| name.ends_with("evals/main.jsonl.gz")).expect("an evaluation");
    fs::remove_file(folder.path().join(lost)).expect("removable");
    work(folder.path(), &Fuse::never(), &mut (), &stop).expect("the run ends");
    assert_eq!(contents(folder.path()), expected);
}

#[test]
fn the_recipe_of_a_run_has_its_contexts_beside_it() {
    let (recipes, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let wide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/contexts/terse-wide.toml");
    fs::create_dir(recipes.path().join("own")).expect("writable");
    fs::copy(wide, recipes.path().join("own/wide.toml")).expect("there");
    let path = recipes.path().join("r.toml");
    fs::write(&path, format!("context_files = [\"./own/wide.toml\"]\n{RECIPE}")).expect("writable");
    let recipe = Recipe::open(&path, &[]).expect("the recipe is right");
    let factory = Factory::new(Fuse::never());
    Run::open(recipe.clone(), folder.path(), &factory, Options::default()).expect("the folder opens");
    drop(recipes);
    let again = Recipe::open(&folder.path().join("recipe.toml"), &[]).expect("all is there");
    assert_eq!(again.hash(), recipe.hash());
}

/// Which stages began from their beginning; asks to stop after the first step of the fourth.
#[derive(Default)]
struct Begun<'a> {
    stages: Vec<String>,
    stop: Option<&'a AtomicBool>,
}

impl Observer for Begun<'_> {
    fn on(&mut self, event: Event<'_>) {
        match (event, self.stop) {
            (Event::StageStarted { info, done: 0 }, _) => self.stages.push(info.name.clone()),
            (Event::Step { .. }, Some(stop)) if self.stages.len() == 4 => stop.store(true, Ordering::Relaxed),
            _ => {}
        }
    }
}

#[test]
fn arms_share_their_stages_and_a_sweep_goes_on() {
    let arms =
        "[[arm]]\nname = \"one\"\n[[arm]]\nname = \"two\"\nset = { \"stage.rl.optimizer.lr\" = 0.01 }\n";
    let execute = |folder: &Path, watch: &mut dyn Observer, stop: &AtomicBool| {
        let recipe = Recipe::parse(&format!("{RECIPE}{arms}"), "sweep.toml", &[]).expect("right");
        let factory = Factory::new(Fuse::never());
        let run = Run::open(recipe, folder, &factory, Options::default()).expect("the folder opens");
        run.execute(watch, stop).expect("no failure")
    };
    let whole = tempfile::tempdir().expect("a folder");
    let mut begun = Begun::default();
    execute(whole.path(), &mut begun, &AtomicBool::new(false));
    assert_eq!(begun.stages, ["pre", "mid", "rl", "rl"]);

    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    // In the last stage of the second arm.
    let mut begun = Begun { stop: Some(&stop), ..Begun::default() };
    assert_eq!(execute(folder.path(), &mut begun, &stop), Outcome::Stopped);
    let mut begun = Begun::default();
    assert_eq!(execute(folder.path(), &mut begun, &AtomicBool::new(false)), Outcome::Finished(()));
    assert!(begun.stages.is_empty(), "{:?} began again", begun.stages);
    assert_eq!(contents(folder.path()), contents(whole.path()));
}

#[test]
fn the_last_checkpoints_and_the_milestones_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = Recipe::parse(RECIPE, "keep.toml", &["stage.pre.keep=2".to_owned()]).expect("right");
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe, folder.path(), &factory, Options::default()).expect("the folder opens");
    run.execute(&mut (), &AtomicBool::new(false)).expect("the run ends");
    let names = contents(folder.path()).into_keys().filter(|name| name.ends_with("loop.json"));
    let steps = |stage: &str, name: String| {
        name.strip_prefix(&format!("stages/{stage}"))?.split("step-").nth(1)?[..6].parse::<u64>().ok()
    };
    // Checkpoints at 2 (the milestone), 3, 6 and 7.
    assert_eq!(names.filter_map(|name| steps("pre", name)).collect::<Vec<u64>>(), [2, 6, 7]);
}

/// A folder whose permissions were taken away in the middle of a run.
#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_is_an_error_and_nothing_is_lost() {
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};

    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    work(folder.path(), &Fuse::never(), &mut StopAt { left: 8, stop: &stop }, &stop).expect("stopped");
    let stages = fs::read_dir(folder.path().join("stages")).expect("there are stages");
    let stage = stages.last().expect("one").expect("readable").path();
    let allow = |mode| {
        for path in [stage.join("checkpoints"), stage.clone()] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        }
    };
    let before = contents(folder.path());
    allow(0o555);
    if fs::write(stage.join("probe"), b"").is_ok() {
        allow(0o755);
        writeln!(std::io::stdout(), "skipped: this user may write anywhere").expect("someone listens");
        return;
    }
    let error = work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false)).expect_err("refused");
    assert!(error.to_string().ends_with("Permission denied (os error 13)"), "{error}");
    let kept = |(name, hash): (&String, &String)| before.get(name) == Some(hash);
    let after = contents(folder.path());
    let checkpoints = after.iter().filter(|(name, _)| name.contains("checkpoints"));
    assert!(checkpoints.clone().count() > 0 && checkpoints.clone().all(kept), "the last checkpoint is whole");
    allow(0o755);
    work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false)).expect("the run ends");
    assert_eq!(contents(folder.path()), undisturbed());
}

/// More samples or other bands must not cost the training that is done.
#[test]
fn how_suites_are_asked_names_no_stage() {
    let keys = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|&o| o.to_owned()).collect();
        let recipe = Recipe::parse(RECIPE, "resume.toml", &overrides).expect("the recipe is right");
        let stages = tercet_train::run::stages(&recipe, &recipe.arms[0], 1).expect("stages");
        stages.into_iter().map(|stage| stage.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&["evaluation.suite.main.samples=9", "evaluation.suite.main.problems=7"]), keys(&[]));
    assert_ne!(keys(&["evaluation.validation_problems=3"]), keys(&[]));
    assert_ne!(keys(&["evaluation.suite.main.ops=\"6\""]), keys(&[]));
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let factory = Factory::new(Fuse::never());
    let first = Run::open(recipe(), folder.path(), &factory, Options::default()).expect("the folder opens");
    let second = Run::open(recipe(), folder.path(), &factory, Options::default());
    let message = second.err().expect("the folder is taken").to_string();
    assert!(message.starts_with("another process works in"), "{message}");
    drop(first);
    assert!(Run::open(recipe(), folder.path(), &factory, Options::default()).is_ok());
}

/// Does something to the run's folder when its second step is done.
struct AtStep<F: FnMut()> {
    left: u32,
    act: F,
}

impl<F: FnMut()> Observer for AtStep<F> {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Step { .. } = event {
            self.left = self.left.wrapping_sub(1);
            if self.left == 0 {
                (self.act)();
            }
        }
    }
}

/// What was begun in a folder is not ended in another, and not beside somebody else.
#[test]
fn a_folder_that_is_moved_ends_the_run() {
    let dir = tempfile::tempdir().expect("a folder");
    let (run, moved) = (dir.path().join("run"), dir.path().join("moved"));
    let stop = AtomicBool::new(false);
    let check = |expected: &str, act: &mut dyn FnMut()| {
        for folder in [&run, &moved] {
            let _ = fs::remove_dir_all(folder);
        }
        let ended = work(&run, &Fuse::never(), &mut AtStep { left: 2, act }, &stop);
        let message = ended.expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
        for folder in [&run, &moved] {
            let stages = fs::read_dir(folder.join("stages")).into_iter().flatten();
            let finished =
                stages.filter_map(Result::ok).filter(|stage| stage.path().join("done.json").exists());
            assert_eq!(finished.count(), 0, "{expected}");
        }
    };
    let metrics = || {
        let mut stages = fs::read_dir(run.join("stages")).expect("there");
        stages.find_map(Result::ok).expect("one").path().join("metrics.jsonl")
    };
    check(".lock` was removed, moved or replaced", &mut || fs::rename(&run, &moved).expect("movable"));
    check(".lock` was removed, moved or replaced", &mut || {
        // Another process begins at the same path.
        fs::rename(&run, &moved).expect("movable");
        fs::create_dir(&run).expect("free");
        drop(runs::Lock::take(&run).expect("free"));
    });
    check(".lock` was removed, moved or replaced", &mut || fs::remove_dir_all(&run).expect("removable"));
    check("metrics.jsonl` was removed, moved or replaced", &mut || {
        fs::remove_file(metrics()).expect("there");
    });
    check("metrics.jsonl` has 0 bytes instead of", &mut || {
        fs::File::options().write(true).open(metrics()).and_then(|file| file.set_len(0)).expect("writable");
    });
}

#[test]
fn a_damaged_checkpoint_is_named_and_nothing_is_lost() {
    let expected = undisturbed();
    let folder = tempfile::tempdir().expect("a folder");
    let stop = AtomicBool::new(false);
    let watch = &mut StopAt { left: 20, stop: &stop };
    work(folder.path(), &Fuse::never(), watch, &stop).expect("stopped in order");
    let checkpoint = fs::read_dir(folder.path().join("stages"))
        .expect("there are stages")
        .flat_map(|stage| {
            fs::read_dir(stage.expect("readable").path().join("checkpoints")).expect("readable")
        })
        .map(|entry| entry.expect("readable").path())
        .max()
        .expect("there is a checkpoint");
    fs::write(checkpoint.join("model.safetensors"), b"half").expect("writable");
    let stop = AtomicBool::new(false);
    let error = work(folder.path(), &Fuse::never(), &mut (), &stop).expect_err("the checkpoint is damaged");
    let message = error.to_string();
    assert!(message.contains("cannot be used") && message.contains("it is cut off"), "{message}");
    fs::remove_dir_all(&checkpoint).expect("removable");
    work(folder.path(), &Fuse::never(), &mut (), &stop).expect("the run ends");
    assert_eq!(contents(folder.path()), expected);
}

/// The checkpoint that a stage was stopped at, in a run that was stopped in the middle of its first stage.
fn stopped(folder: &Path) -> std::path::PathBuf {
    let stop = AtomicBool::new(false);
    let mut observer = StopAt { left: 8, stop: &stop };
    work(folder, &Fuse::never(), &mut observer, &stop).expect("stopped in order");
    let stage = fs::read_dir(folder.join("stages")).expect("there are stages").last().expect("one");
    let checkpoints = fs::read_dir(stage.expect("readable").path().join("checkpoints")).expect("readable");
    checkpoints.map(|entry| entry.expect("readable").path()).max().expect("there is a checkpoint")
}

/// What the system does not let be read is not said to be damaged: to remove it would lose it. (A folder in a file's place
/// is refused to everybody, where permissions do not bind an administrator.)
#[test]
fn what_may_not_be_read_is_not_to_be_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let weights = stopped(folder.path()).join("model.safetensors");
    fs::remove_file(&weights).expect("there");
    fs::create_dir(&weights).expect("writable");
    let stop = AtomicBool::new(false);
    let error = work(folder.path(), &Fuse::never(), &mut (), &stop).expect_err("unreadable").to_string();
    assert!(error.starts_with("cannot read `") && error.contains("model.safetensors`: "), "{error}");
    assert!(!error.contains("remove"), "{error}");
}

/// Without its state the optimizer would begin again from zero, and the run would end with other bytes.
#[test]
fn a_checkpoint_that_lost_a_part_is_not_gone_on_with() {
    type Spoil = (fn(&Path), &'static str);
    let spoils: [Spoil; 3] = [
        (|at| fs::remove_file(at.join("optimizer.bin")).expect("there"), "optimizer.bin`: No such file"),
        (
            |at| fs::write(at.join("optimizer.bin"), [0; 8]).expect("writable"),
            "optimizer.bin is not what was",
        ),
        (|at| fs::rename(at, at.with_file_name("step-000006")).expect("ours"), "loop.json is of step"),
    ];
    for (spoil, reason) in spoils {
        let folder = tempfile::tempdir().expect("a folder");
        spoil(&stopped(folder.path()));
        let error = work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false));
        let error = error.expect_err(reason).to_string();
        assert!(error.contains("cannot be used") && error.contains(reason), "{error}");
    }
}

#[test]
fn a_finished_stage_must_hold_the_weights_it_ended_with() {
    let folder = tempfile::tempdir().expect("a folder");
    work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false)).expect("the run ends");
    let stages = fs::read_dir(folder.path().join("stages")).expect("there are stages");
    let stages: Vec<_> = stages.map(|stage| stage.expect("readable").path()).collect();
    let of = |name: &str| {
        let is = |path: &&std::path::PathBuf| {
            path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name))
        };
        stages.iter().find(is).expect("the stage was run")
    };
    let weights = of("mid").join("checkpoints/step-000003/model.safetensors");
    let mut changed = fs::read(&weights).expect("there");
    changed[0] ^= 1;
    fs::write(&weights, changed).expect("writable");
    // Found out when the stage is met, and when the next one starts from it.
    let again = || work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false));
    let error = again().expect_err("other weights").to_string();
    assert!(error.contains("finished stage") && error.contains("are not those of its end"), "{error}");
    assert!(error.ends_with("remove the folder to train the stage again"), "{error}");
    fs::remove_dir_all(of("mid")).expect("ours");
    assert_eq!(again().expect("the run ends"), Outcome::Finished(()));
    fs::remove_dir_all(of("mid").join("checkpoints/step-000003")).expect("ours");
    let error = again().expect_err("no checkpoint").to_string();
    assert!(error.contains("its last checkpoint is not that of step 3"), "{error}");
}

#[test]
fn a_folder_of_another_recipe_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let factory = Factory::new(Fuse::never());
    drop(Run::open(recipe(), folder.path(), &factory, Options::default()).expect("the folder opens"));
    let other = RECIPE.replace("name = \"resume\"", "name = \"other\"");
    let other = Recipe::parse(&other, "other.toml", &[]).expect("the recipe is right");
    let error = Run::open(other, folder.path(), &factory, Options::default()).err().expect("foreign");
    assert!(error.to_string().contains("holds a run of the recipe `resume`"), "{error}");
}

/// A place where nothing can be written.
#[test]
fn an_unwritable_folder_is_one_clear_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, b"").expect("writable");
    let factory = Factory::new(Fuse::never());
    let error =
        Run::open(recipe(), &file.join("run"), &factory, Options::default()).err().expect("no folder");
    assert!(error.to_string().starts_with("cannot make the folder"), "{error}");
}

#[test]
fn a_suite_that_does_not_fit_is_refused_before_the_first_stage() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = RECIPE.replace("context = 256", "context = 40");
    let recipe = Recipe::parse(&text, "short.toml", &[]).expect("the recipe is right");
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe, folder.path(), &factory, Options::default()).expect("a run");
    let error = run.execute(&mut (), &AtomicBool::new(false)).expect_err("too long").to_string();
    assert!(error.contains("suite `main`") && error.contains("context is 40"), "{error}");
    assert!(!folder.path().join("stages").exists());
}

/// Another recipe with the same base model: it is copied, and only what was measured for the other one is not.
#[test]
fn a_stage_is_taken_from_another_run_if_it_is_the_same() {
    let (first, second, own) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stop = AtomicBool::new(false);
    work(first.path(), &Fuse::never(), &mut (), &stop).unwrap();

    let other = RECIPE
        .replace("name = \"resume\"", "name = \"other\"")
        .replace("evaluate_milestones = true", "evaluate_milestones = false")
        .replace("name = \"main\"", "name = \"renamed\"")
        .replace("samples = 3", "samples = 4");
    let go = |folder: &Path, reuse: &[&Path]| {
        let recipe = Recipe::parse(&other, "other.toml", &[]).unwrap();
        let reuse = reuse.iter().map(|path| path.to_path_buf()).collect();
        let options = Options { reuse, ..Options::default() };
        let factory = Factory::new(Fuse::never());
        let mut taken = Taken(Vec::new());
        Run::open(recipe, folder, &factory, options).unwrap().execute(&mut taken, &stop).unwrap();
        taken.0
    };
    assert!(go(own.path(), &[]).is_empty());
    let nothing_there = tempfile::tempdir().unwrap();
    let taken = go(second.path(), &[nothing_there.path(), first.path()]);
    // `pre` and `mid` are the same, `rl` samples more.
    assert_eq!(taken.iter().map(|name| &name[..3]).collect::<Vec<_>>(), ["pre", "mid"]);
    assert_eq!(contents(second.path()), contents(own.path()));
    assert!(go(second.path(), &[first.path()]).is_empty(), "all is here");
}

struct Taken(Vec<String>);

impl Observer for Taken {
    fn on(&mut self, event: Event<'_>) {
        if let Event::StageKnown { folder, taken_from: Some(_) } = event {
            self.0.push(folder.to_owned());
        }
    }
}
