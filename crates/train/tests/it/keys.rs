//! Stage keys stay what they are: a base model that was trained once is found again by later versions.

use std::path::Path;

use tercet_train::{recipe::Recipe, run::stages};

/// The keys of the stages of a recipe's arm at seed 1.
#[track_caller]
fn check(recipe: &str, scale: &str, arm: &str, expected: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../recipes/{recipe}.toml"));
    let recipe = Recipe::open(&path, &[format!("scale={scale}")]).expect("the recipe is right");
    let arm = recipe.arms.iter().find(|known| known.name == arm).expect("the arm is there");
    let keys: Vec<String> =
        stages(&recipe, arm, 1).expect("keys").into_iter().map(|stage| stage.key).collect();
    assert_eq!(keys, expected);
}

#[test]
fn stage_keys_are_those_of_earlier_versions() {
    check(
        "quickstart",
        "tiny",
        "main",
        &[
            "1c352eb513fec8499b309eb95279cd089f1fb5f265ba6a5655af3e16787b9aea",
            "8da5294ee16a04419b325ef4e9c859c2fbe33ed4d93c1223acd46f7812fc3dd0",
            "e644384cdc909955f714700915db0be3b989d654dbe6d6958e33c875521a099b",
        ],
    );
    check(
        "extrapolation",
        "short",
        "edge",
        &[
            "ce028132ec7a660948738557dea29f42fbde444f467519ee4a098dda9dafae7f",
            "e455ca55ff2b5507274faad0f178f74ca4fa09f84ad0fd3c2cbe8051b722e523",
        ],
    );
    check(
        "process-rewards",
        "tiny",
        "blend-20",
        &[
            "576b984678aaf53433414a88ac12360fbe3f9f45a40fe1f98f4e6ee2f405a95a",
            "bec3ed595d3793ae1425eba4db04c7b5224eeaf2387054a6e3e743e22d8b14f1",
        ],
    );
}
