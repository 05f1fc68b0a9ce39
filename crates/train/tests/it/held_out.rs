//! Cells that have problems to train on, and none that is held out for validation.

use std::{fs, path::Path};

use tercet_train::{
    recipe::{Recipe, RecipeError},
    run::plan::Plan,
};

use crate::resume::RECIPE;

/// Five places of five kinds: with one literal there are 25 problems of op 1. Training and reinforcement learning have some of
/// them, validation has none.
const FIVE: &str = r#"
name = "five"
style = "terse"
[names]
count = "{kind} {place}"
total = "total {place}"
average = "pups {kind} {place}"
grand = "young {place}"
[[places]]
names = ["zoo", "cave", "lake", "farm", "park"]
[[kinds]]
names = ["owl", "crow", "fox", "wolf", "bear"]
"#;

fn open(folder: &Path, validate_every: u64) -> Result<Recipe, RecipeError> {
    fs::write(folder.join("five.toml"), FIVE).expect("writable");
    let path = folder.join("recipe.toml");
    fs::write(&path, format!("context_files = [\"five.toml\"]\n{RECIPE}")).expect("writable");
    let overrides = [
        "world.literals=[3,3]".to_owned(),
        "mix.all=[{ops='1',contexts='five'}]".to_owned(),
        format!("stage.pre.validate_every={validate_every}"),
    ];
    Recipe::open(&path, &overrides)
}

#[test]
fn a_recipe_that_could_not_validate_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let message = open(folder.path(), 2).expect_err("nothing to validate on").to_string();
    let expected = "stage `pre` cannot measure the loss on op 1 five forward: no problem of op 1 (forward) can be made: \
                    4000 draws gave none in the validation split";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_recipe_that_does_not_validate_can_be_planned() {
    let folder = tempfile::tempdir().expect("a folder");
    let recipe = open(folder.path(), 0).expect("a recipe");
    let plan = Plan::of(&recipe, None).expect("lengths are measured on problems of the stage's own split");
    assert!(plan.arms[0].stages.iter().all(|stage| stage.cost.trained_tokens > 0));
}
