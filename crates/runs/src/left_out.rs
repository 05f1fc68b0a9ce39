//! Evaluations under one name must be of one suite: a difference between two suites says nothing about models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::FileError;

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

/// Of all evaluations, each with the hash of its suite (empty where the folder has none), those that are of another suite
/// than the rest of their name. Of each name those stay whose hash is that of the suite `now`, or else the most frequent.
pub(crate) fn others(
    evaluations: Vec<(LeftOut, String)>,
    now: impl Fn(&str) -> Result<Option<String>, FileError>,
) -> Result<Vec<LeftOut>, FileError> {
    let mut by_suite: BTreeMap<String, BTreeMap<String, Vec<LeftOut>>> = BTreeMap::new();
    for (evaluation, hash) in evaluations {
        by_suite.entry(evaluation.suite.clone()).or_default().entry(hash).or_default().push(evaluation);
    }
    let mut others = Vec::new();
    for (suite, mut by_hash) in by_suite.into_iter().filter(|(_, by_hash)| by_hash.len() > 1) {
        let now = now(&suite)?.filter(|hash| by_hash.contains_key(hash));
        let most =
            || by_hash.iter().max_by_key(|(_, evaluations)| evaluations.len()).map(|(hash, _)| hash.clone());
        if let Some(stays) = now.or_else(most) {
            by_hash.remove(&stays);
        }
        others.extend(by_hash.into_values().flatten());
    }
    others.sort();
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(suite: &str, stage: &str) -> LeftOut {
        LeftOut { suite: suite.to_owned(), stage: stage.to_owned(), step: None }
    }

    #[test]
    fn the_suite_of_the_recipe_stays_and_else_the_most_frequent() {
        let check = |now: &str, expected: &[&str]| {
            let all = [("main", "a", "1"), ("main", "b", "2"), ("main", "c", "2"), ("other", "a", "3")];
            let all = all.map(|(suite, stage, hash)| (evaluation(suite, stage), hash.to_owned()));
            let others = others(all.to_vec(), |suite| Ok((suite == "main").then(|| now.to_owned())));
            let expected: Vec<_> = expected.iter().map(|stage| evaluation("main", stage)).collect();
            assert_eq!(others.expect("hashes are known"), expected, "{now}");
        };
        check("1", &["b", "c"]);
        check("2", &["a"]);
        check("unknown", &["a"]);
    }
}
