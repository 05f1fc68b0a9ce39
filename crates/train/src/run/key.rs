//! Stage keys: a stage's folder is named by the hash of all that determines it.

use std::collections::{BTreeMap, BTreeSet};

use learner::ModelConfig;
use problems::{Cell, World, split::SplitRule, verify::JUDGE_VERSION};
use runs::records::{EngineInfo, StageKind, stage_folder};
use serde::{Serialize, Serializer};

use crate::{
    data::tokenizer_cells,
    error::RunError,
    recipe::{Arm, ArmStage, Model, Recipe, Stage, TokenizerConfig},
};

/// Goes up whenever the same stage would give other bytes: then old stages are not taken for new ones. The golden tests of
/// `tercet` notice.
const BEHAVIOUR: u32 = 2;

/// All that determines a finished stage. Its JSON form is hashed, so the form must stay: a stage that was trained keeps
/// its key. A part that is added must leave the form as it is at its default.
#[derive(Debug)]
struct StageKey<'a> {
    behaviour: u32,
    tokenizer: &'a str,
    /// The key of the stage before it; empty for the first.
    parent: &'a str,
    seed: u64,
    model: ModelKey<'a>,
    world: &'a World,
    split: SplitRule,
    context_texts: &'a [String],
    stage: &'a Stage,
    cells: &'a BTreeMap<Cell, f64>,
    validation: Option<ValidationKey>,
    /// The hashes of the files that its problems come from.
    files: Vec<&'a str>,
    /// The version of the judge, where rewards come from it: other stages keep their keys when the judge changes.
    judge: Option<u32>,
}

/// What determines a model that the first stage starts from. Where a given one lies does not.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ModelKey<'a> {
    Shape(&'a ModelConfig),
    Given {
        /// The hash of its files.
        files: &'a str,
    },
}

impl<'a> ModelKey<'a> {
    fn of(model: &'a Model) -> Self {
        match model {
            Model::Fresh(shape) => Self::Shape(shape),
            Model::Given(given) => Self::Given { files: &given.hash },
        }
    }
}

/// All that determines the held-out loss of a stage.
type ValidationKey = (u64, u64, BTreeSet<Cell>);

impl Serialize for StageKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is measured on the way does not change what is trained.
        let stage = Stage { evaluate_milestones: false, ..self.stage.clone() };
        let cells: Vec<(&Cell, &f64)> = self.cells.iter().collect();
        let origin = (self.behaviour, self.tokenizer, self.parent, self.seed, &self.model);
        let problems = (self.world, self.split, self.context_texts);
        let training = (stage, cells, &self.validation, &self.files);
        match self.judge {
            Some(judge) => (origin, problems, training, judge).serialize(serializer),
            None => (origin, problems, training).serialize(serializer),
        }
    }
}

/// All that determines the tokenizer of a run. Its JSON form is hashed.
#[derive(Debug)]
struct TokenizerKey<'a> {
    behaviour: u32,
    config: &'a TokenizerConfig,
    world: &'a World,
    split: SplitRule,
    context_texts: &'a [String],
    cells: BTreeMap<Cell, f64>,
}

impl Serialize for TokenizerKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cells: Vec<(&Cell, &f64)> = self.cells.iter().collect();
        (self.behaviour, self.config, self.world, self.split, self.context_texts, cells).serialize(serializer)
    }
}

/// blake3 of the JSON form, hexadecimal.
pub(super) fn hash(key: &impl Serialize) -> Result<String, RunError> {
    Ok(blake3::hash(&serde_json::to_vec(key)?).to_hex().to_string())
}

/// Hash of all that determines the tokenizer.
pub(super) fn tokenizer_key(recipe: &Recipe) -> Result<String, RunError> {
    let document = &recipe.document;
    if let Some(given) = recipe.given() {
        return Ok(given.tokenizer_hash.clone());
    }
    let config = document.tokenizer.as_ref();
    hash(&TokenizerKey {
        behaviour: BEHAVIOUR,
        config: config.ok_or_else(|| RunError::Data("the recipe has no tokenizer".to_owned()))?,
        world: &document.world,
        split: document.split,
        context_texts: &recipe.context_texts,
        cells: tokenizer_cells(recipe),
    })
}

/// One stage of one arm at one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// Hash of all that determines it.
    pub key: String,
    /// Its folder's name.
    pub folder: String,
    /// The stage.
    pub stage: ArmStage,
}

/// The stages of an arm at a seed on this program's own engine, with their keys.
///
/// # Errors
/// If a part of the recipe has no JSON form.
pub fn stages(recipe: &Recipe, arm: &Arm, seed: u64) -> Result<Vec<PlannedStage>, RunError> {
    stages_on(recipe, arm, seed, None)
}

/// [`stages`] on another engine: its name and its arithmetic are part of the keys, because they are part of what
/// determines a result. The number of its workers and their versions are not; the manifest says those.
///
/// # Errors
/// As there.
pub fn stages_on(
    recipe: &Recipe,
    arm: &Arm,
    seed: u64,
    engine: Option<&EngineInfo>,
) -> Result<Vec<PlannedStage>, RunError> {
    stages_with(recipe, &tokenizer_key(recipe)?, (arm, seed), engine)
}

/// [`stages_on`] with the key of the tokenizer, which all arms and seeds have in common.
pub(super) fn stages_with(
    recipe: &Recipe,
    tokenizer: &str,
    (arm, seed): (&Arm, u64),
    engine: Option<&EngineInfo>,
) -> Result<Vec<PlannedStage>, RunError> {
    let document = &recipe.document;
    let mut parent = String::new();
    let mut planned = Vec::new();
    for stage in &arm.stages {
        let evaluation = &document.evaluation;
        let validation = (stage.stage.validate_every > 0).then(|| {
            (evaluation.seed, evaluation.validation_problems, document.validation_cells(&stage.cells))
        });
        let key = StageKey {
            behaviour: BEHAVIOUR,
            tokenizer,
            parent: &parent,
            seed,
            model: ModelKey::of(&arm.model),
            world: &document.world,
            split: document.split,
            context_texts: &recipe.context_texts,
            stage: &stage.stage,
            cells: &stage.cells,
            validation,
            files: stage.files.iter().map(|file| file.hash.as_str()).collect(),
            judge: (stage.stage.kind == StageKind::Rl).then_some(JUDGE_VERSION),
        };
        let key = match engine {
            None => hash(&key)?,
            Some(engine) => hash(&(key, &engine.name, &engine.precision))?,
        };
        parent.clone_from(&key);
        let folder = stage_folder(&stage.stage.name, &key);
        planned.push(PlannedStage { key, folder, stage: stage.clone() });
    }
    Ok(planned)
}
