//! Evaluations under one name must be of one suite: a difference between two suites says nothing about models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{FileError, damaged},
    files,
    folder::Folder,
    records::EvalInfo,
};

/// An evaluation that is of another suite of the same name (other problems, sampling or rules) and not used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// The suite's name.
    pub suite: String,
    /// The stage's folder.
    pub stage: String,
    /// The step, if it is of the model on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
}

/// The evaluations of one name, by the hash of their suite; empty where the folder says none.
type ByHash = BTreeMap<String, Vec<LeftOut>>;

/// Takes out of the folder's stages what is of another suite than the rest, and lists it.
pub(crate) fn leave_out_others(folder: &mut Folder) -> Result<(), FileError> {
    for (suite, by_hash) in by_suite(folder)? {
        if by_hash.len() < 2 {
            continue;
        }
        let wanted = wanted(folder, &suite, &by_hash)?;
        let others = by_hash.into_iter().filter(|(hash, _)| *hash != wanted);
        for evaluation in others.flat_map(|(_, evaluations)| evaluations) {
            remove(folder, &evaluation);
            folder.left_out.push(evaluation);
        }
    }
    folder.left_out.sort();
    Ok(())
}

fn by_suite(folder: &Folder) -> Result<BTreeMap<String, ByHash>, FileError> {
    let mut found: BTreeMap<String, ByHash> = BTreeMap::new();
    for (name, stage) in &folder.stages {
        let mut evaluations: Vec<(&String, Option<u64>)> = stage.evals.keys().map(|s| (s, None)).collect();
        for (suite, steps) in &stage.milestones {
            evaluations.extend(steps.keys().map(|step| (suite, Some(*step))));
        }
        for (suite, step) in evaluations {
            let info: Option<EvalInfo> = files::read_optional(&stage.eval_info_path(suite, step))?;
            let hash = info.map_or_else(String::new, |info| info.suite);
            let evaluation = LeftOut { suite: suite.clone(), stage: name.clone(), step };
            found.entry(suite.clone()).or_default().entry(hash).or_default().push(evaluation);
        }
    }
    Ok(found)
}

/// The hash of the suite as the recipe has it now, or else the one that most evaluations have.
fn wanted(folder: &Folder, suite: &str, by_hash: &ByHash) -> Result<String, FileError> {
    if let Some(hash) = hash_of_recipe(folder, suite)?.filter(|hash| by_hash.contains_key(hash)) {
        return Ok(hash);
    }
    let most = by_hash.iter().max_by_key(|(_, evaluations)| evaluations.len());
    Ok(most.map_or_else(String::new, |(hash, _)| hash.clone()))
}

/// A run writes down its suites' problems, so nothing has to be generated.
fn hash_of_recipe(folder: &Folder, suite: &str) -> Result<Option<String>, FileError> {
    let evaluation = &folder.recipe.evaluation;
    let Some(config) = evaluation.suites.iter().find(|known| known.name == suite) else { return Ok(None) };
    let info = config.info(evaluation.seed, &folder.records(suite)?);
    info.map(|info| Some(info.suite)).map_err(|e| damaged(&folder.path.join("recipe.toml"), &e))
}

fn remove(folder: &mut Folder, evaluation: &LeftOut) {
    let Some(stage) = folder.stages.get_mut(&evaluation.stage) else { return };
    let Some(step) = evaluation.step else {
        stage.evals.remove(&evaluation.suite);
        return;
    };
    if let Some(steps) = stage.milestones.get_mut(&evaluation.suite) {
        steps.remove(&step);
    }
    stage.milestones.retain(|_, steps| !steps.is_empty());
}
