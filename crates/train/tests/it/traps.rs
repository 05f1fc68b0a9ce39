//! What a recipe may say and nobody can mean is told before anything runs.

use std::sync::atomic::AtomicBool;

use tercet_train::{
    recipe::Recipe,
    run::{Options, Run, plan::Plan},
};

use crate::resume::RECIPE;
use crate::tabular::{Factory, Fuse};

fn recipe(sets: &[&str]) -> Recipe {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    Recipe::parse(RECIPE, "traps.toml", &sets).expect("each value is possible")
}

#[track_caller]
fn warned(sets: &[&str], expected: &str) {
    let plan = Plan::of(&recipe(sets), None).expect("a plan");
    let found = plan.warnings.iter().filter(|warning| warning.contains(expected)).count();
    assert_eq!(found, 1, "{expected}: {:?}", plan.warnings);
}

#[track_caller]
fn refused(sets: &[&str]) -> String {
    Plan::of(&recipe(sets), None).expect_err("refused").to_string()
}

#[test]
fn a_plan_warns_of_what_cannot_be_meant() {
    let long = ["stage.rl.rollout.max_tokens=200", "evaluation.suite.main.max_tokens=200"];
    let quiet = Plan::of(&recipe(&[&long[..], &["evaluation.suite.last.max_tokens=200"]].concat()), None);
    assert_eq!(quiet.expect("a plan").warnings, Vec::<String>::new());
    warned(
        &[],
        "stage `rl`, mix `all`: `max_tokens` is 24, and the solution of a problem of op 5 (terse, forward) has",
    );
    warned(&long, "suite `last`: `max_tokens` is 24, and");
    warned(&["stage.mid.optimizer.lr=3"], "stage `mid`: a learning rate of 3 is beyond reason");
    warned(&["stage.mid.optimizer.lr=0"], "stage `mid`: the learning rate is 0, so nothing is learned");
}

#[test]
fn what_has_no_room_is_refused() {
    let message = refused(&["model.context=60", "stage.rl.rollout.max_tokens=10"]);
    assert!(message.starts_with("arm `main`, stage `pre`, mix `all`, op "), "{message}");
    assert!(message.contains("a problem with its solution has "), "{message}");
    assert!(message.ends_with("tokens, and the model's context is 60"), "{message}");
    let vocab = ["model.vocab=280"];
    let message = refused(&vocab);
    assert!(message.starts_with("arm `main`: the model's vocab is 280, and the tokenizer has "), "{message}");
    // A run says the same before its first stage.
    let folder = tempfile::tempdir().expect("a folder");
    let factory = Factory::new(Fuse::never());
    let run = Run::open(recipe(&vocab), folder.path(), &factory, Options::default()).expect("opened");
    let ran = run.execute(&mut (), &AtomicBool::new(false)).expect_err("refused").to_string();
    assert!(ran.starts_with("arm `main`: the model's vocab is 280"), "{ran}");
    assert!(!folder.path().join("stages").exists());
}
