//! Recipes: one file asks one question. A recipe is typed, checked before anything runs, and resolved to the last default,
//! so two recipes with the same hash are the same experiment.
//!
//! A recipe is a TOML file that opens with a comment: the question, the command, the cost. `[scale.NAME]` holds overrides
//! for another size, and `[[arm]]` holds what varies.

mod claims;
mod count;
mod error;
mod given;
mod known;
mod limits;
pub(crate) mod mix;
mod model;
mod read;
mod resolve;
mod sources;
mod stage;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use problems::{
    context::Contexts,
    spec::{Cell, World},
    split::SplitRule,
};
use runs::{Claim, Evaluation, Matched};
use serde::{Deserialize, Serialize};

pub use self::{
    error::{Place, RecipeError},
    given::GivenModel,
    known::unknown,
    mix::{Ops, Part, Weights},
    model::{Model, ModelDirectory, ModelSource},
    stage::{Optimizer, PolicyConfig, RolloutConfig, ShareOf, Stage},
    text::assignment,
};
use crate::data::DataFile;

/// A recipe's file, with the scale and the overrides applied and every default written out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecipeDocument {
    /// The recipe's name, e.g. `quickstart`.
    pub name: String,
    /// The question it asks; by default its opening comment.
    pub question: String,
    /// The scale that was applied; empty for none.
    pub scale: String,
    /// Each arm is run at each seed.
    pub seeds: Vec<u64>,
    /// How test problems are kept apart from training problems.
    pub split: SplitRule,
    /// Files with further contexts, relative to the recipe.
    pub context_files: Vec<String>,
    /// The bounds of problems.
    pub world: World,
    /// Named mixes.
    pub mix: BTreeMap<String, Vec<Part>>,
    /// How the tokenizer is trained; none if the model is given and has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerConfig>,
    /// The model.
    pub model: ModelSource,
    /// The stages.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// What is measured.
    pub evaluation: Evaluation,
    /// What varies.
    #[serde(rename = "arm")]
    pub arms: Vec<ArmConfig>,
    /// What is claimed.
    #[serde(rename = "claim")]
    pub claims: Vec<Claim>,
    /// Arms that are meant to cost the same.
    pub matched: Vec<Matched>,
}

impl RecipeDocument {
    /// The cells whose held-out loss a stage measures: those that it trains on, and those of the suites.
    pub(crate) fn validation_cells(&self, trained: &BTreeMap<Cell, f64>) -> BTreeSet<Cell> {
        let mut cells: BTreeSet<Cell> = trained.keys().cloned().collect();
        for suite in &self.evaluation.suites {
            cells.extend(suite.cells());
        }
        cells
    }

    /// Visits every directory of a given model: the recipe's, and those of arms that set `model`.
    pub(crate) fn for_each_directory(&mut self, mut change: impl FnMut(&mut ModelDirectory)) {
        if let ModelSource::From(directory) = &mut self.model {
            change(directory);
        }
        for arm in &mut self.arms {
            let own = arm.set.get("model").and_then(toml::Value::as_table);
            let Some(from) = own.and_then(|own| own.get("from")).and_then(toml::Value::as_str) else {
                continue;
            };
            let hash = own.and_then(|own| own.get("hash")).and_then(toml::Value::as_str).unwrap_or_default();
            let mut directory = ModelDirectory { from: from.to_owned(), hash: hash.to_owned() };
            change(&mut directory);
            if let Ok(value) = toml::Value::try_from(&directory) {
                arm.set.insert("model".to_owned(), value);
            }
        }
    }
}

/// How the tokenizer is trained: on problems of the training split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Size of the vocabulary, specials included.
    pub vocab: usize,
    /// How many problems it is trained on.
    #[serde(default = "default_tokenizer_problems")]
    pub problems: u64,
    /// The mix they are drawn from; empty: all mixes.
    #[serde(default)]
    pub mix: String,
    /// Names the problems it is trained on.
    #[serde(default)]
    pub seed: u64,
}

/// An arm: which stages it goes through and what it changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmConfig {
    /// Its name.
    pub name: String,
    /// The stages, in order; empty: all of the recipe.
    #[serde(default)]
    pub stages: Vec<String>,
    /// What it changes: paths and values, e.g. `"stage.rl.mix" = "edge"`. An arm can change `model`, `mix` and `stage`; the
    /// rest is common to all arms.
    #[serde(default)]
    pub set: toml::Table,
}

fn default_seeds() -> Vec<u64> {
    vec![1]
}
fn default_split() -> SplitRule {
    SplitRule::Structure
}
fn default_tokenizer_problems() -> u64 {
    2000
}

/// A checked recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The resolved file.
    pub document: RecipeDocument,
    /// The arms, each with its changes applied.
    pub arms: Vec<Arm>,
    /// The contexts that mixes and suites may name.
    pub contexts: Contexts,
    /// The texts of the context files, which are part of the recipe's hash.
    pub context_texts: Vec<String>,
}

/// An arm, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Its name; `main` for a recipe without arms.
    pub name: String,
    /// The model that its first stage starts from.
    pub model: Model,
    /// The stages, in order.
    pub stages: Vec<ArmStage>,
}

/// A stage of an arm with its mix.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmStage {
    /// The stage.
    pub stage: Stage,
    /// The weight of each cell of its mix; the weights sum to 1.
    pub cells: BTreeMap<Cell, f64>,
    /// The files that its problems come from; empty: the generator.
    pub files: Vec<Arc<DataFile>>,
}

impl Recipe {
    /// Reads a recipe. `file` is named in errors; `overrides` are `path=value`, later ones win, and
    /// `scale=NAME` picks a scale. Files that the recipe names are not read: see [`Recipe::open`].
    ///
    /// # Errors
    /// One sentence with the place: an unknown key, weights that do not sum to 1, an impossible op range, …
    pub fn parse(text: &str, file: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        resolve::recipe(text, file, overrides, None)
    }

    /// Reads a recipe's file and the files it names, which are relative to it.
    ///
    /// # Errors
    /// As [`Recipe::parse`], and if a file cannot be read.
    pub fn open(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        let text = sources::text(path).map_err(RecipeError::new)?;
        resolve::recipe(&text, &path.display().to_string(), overrides, path.parent())
    }

    /// The resolved recipe as TOML; parsing it again gives the same recipe.
    pub fn resolved(&self) -> String {
        toml::to_string(&self.document).unwrap_or_default()
    }

    /// The model whose tokenizer the run has, if its models are given. Where they lie, all arms have the same tokenizer.
    pub fn given(&self) -> Option<&GivenModel> {
        self.arms.iter().find_map(|arm| arm.model.given())
    }

    /// blake3 of the resolved recipe and of the contexts it names, hexadecimal. Of models that are given it has the hash of
    /// their files and not where they lie.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut document = self.document.clone();
        document.for_each_directory(|directory| directory.from.clear());
        hasher.update(toml::to_string(&document).unwrap_or_default().as_bytes());
        for text in &self.context_texts {
            hasher.update(text.as_bytes());
        }
        for stage in self.arms.iter().flat_map(|arm| &arm.stages) {
            for file in &stage.files {
                hasher.update(file.hash.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests;
