//! Stage keys stay what they are: a base model that was trained once is found again by later versions. Keys of reinforcement
//! learning change with the judge's version, because its verdicts are their rewards.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use runs::records::EngineInfo;
use tercet_train::{
    recipe::Recipe,
    run::{stages, stages_on},
};

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
            "7077a09beef164c52be75e137bbfa65ae1f84e81676ecbda8c4780339623d3f4",
        ],
    );
    check(
        "extrapolation",
        "short",
        "edge",
        &[
            "ce028132ec7a660948738557dea29f42fbde444f467519ee4a098dda9dafae7f",
            "ee15dfdc251f54c3f558d64049c54cdd2034fbdfd48021313391b5b84a7948da",
        ],
    );
    check(
        "process-rewards",
        "short",
        "blend-20",
        &[
            "ce028132ec7a660948738557dea29f42fbde444f467519ee4a098dda9dafae7f",
            "3cd1c304a021106d6970cc4d1dbd61b216568b628dc5dfa75abbd718a578a3a5",
        ],
    );
}

#[test]
fn engine_and_arithmetic_are_part_of_every_key_and_workers_are_not() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/quickstart.toml");
    let recipe = Recipe::open(&path, &["scale=tiny".to_owned()]).expect("the recipe is right");
    let engine = |precision: &str, workers| EngineInfo {
        name: "torch".to_owned(),
        precision: precision.to_owned(),
        workers,
        device: "cpu".to_owned(),
        versions: BTreeMap::new(),
    };
    let keys = |engine: Option<&EngineInfo>| -> Vec<String> {
        let planned = stages_on(&recipe, &recipe.arms[0], 1, engine).expect("keys");
        planned.into_iter().map(|stage| stage.key).collect()
    };
    let own: Vec<String> =
        stages(&recipe, &recipe.arms[0], 1).expect("keys").into_iter().map(|stage| stage.key).collect();
    assert_eq!(keys(None), own);
    let (torch, bf16) = (keys(Some(&engine("f32", 1))), keys(Some(&engine("bf16", 1))));
    assert_eq!(torch, keys(Some(&engine("f32", 8))));
    let all: BTreeSet<&String> = own.iter().chain(&torch).chain(&bf16).collect();
    assert_eq!(all.len(), 3 * own.len(), "no stage of one is taken for one of another");
}
