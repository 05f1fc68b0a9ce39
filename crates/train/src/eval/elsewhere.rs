//! Responses that were made elsewhere, as an evaluation and as a run folder.

use std::path::Path;

use problems::responses::Given;
use runs::{
    Evaluation, files, lines,
    records::{ArmRun, Band, Cost, EvalRow, FORMAT, Manifest, Response, StageDone, StageInfo, StageKind},
};
use serde::Serialize;

use super::{
    row::judge,
    stored::{Evaluated, Stored},
    suite::Suite,
};
use crate::error::RunError;

/// Responses to a suite that another program collected, judged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Elsewhere {
    /// The suite, with as many samples as there are responses to a problem.
    pub suite: Suite,
    /// Rows and responses.
    pub evaluated: Evaluated,
    /// Problems without any response.
    pub silent: usize,
    /// Responses that are missing, counting those of silent problems: other problems have more. Each counts as an empty one.
    pub missing: usize,
}

/// Where responses come from, and how their results are reported.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The model's name in the report; also part of a folder's name.
    pub name: String,
    /// The command that made the folder.
    pub command: String,
    /// Version of the program.
    pub revision: String,
    /// Bands of op that the results are reported in.
    pub bands: Vec<Band>,
}

/// The recipe of such a folder: what was measured.
#[derive(Serialize)]
struct Measured<'a> {
    evaluation: &'a Evaluation,
}

/// What the recipe of such a folder says of itself.
const ABOUT: &str = "\
# The responses were made elsewhere. What stands here of the sampling (temperature, top_p, top_k, max_tokens) says nothing
# of them.
";

impl Elsewhere {
    /// Judges the responses to the problems of a suite, `given_PG`. All problems count: where one has fewer responses than
    /// another, the missing ones are failures.
    ///
    /// # Errors
    /// If there is no response at all.
    pub fn judge(suite: Suite, given_PG: Vec<Vec<Given>>) -> Result<Self, RunError> {
        let most = given_PG.iter().map(Vec::len).max().unwrap_or(0);
        if most == 0 {
            return Err(RunError::Data("there is no response to any problem of the suite".to_owned()));
        }
        let silent = given_PG.iter().filter(|given| given.is_empty()).count();
        let missing = given_PG.iter().map(|given| most - given.len()).sum();
        let mut suite = suite;
        suite.config.samples = u32::try_from(most).unwrap_or(u32::MAX);
        let mut evaluated = Evaluated::default();
        for (i, mut given) in given_PG.into_iter().enumerate() {
            let counted = given.iter().all(|given| given.tokens.is_some()) && !given.is_empty();
            given.resize_with(most, Given::default);
            let given = given.into_iter().enumerate();
            let mut responses: Vec<Response> = given.map(|(s, given)| response(i, s, given)).collect();
            let mut row = judge(&suite, i, &mut responses, None);
            if !counted {
                row.tokens = f64::NAN;
            }
            evaluated.rows.push(row);
            evaluated.responses.extend(responses);
        }
        Ok(Self { suite, evaluated, silent, missing })
    }

    /// The rows.
    pub fn rows(&self) -> &[EvalRow] {
        &self.evaluated.rows
    }

    /// Writes a run folder with one stage that trained nothing. The same responses give the same bytes, however their file
    /// was laid out.
    ///
    /// # Errors
    /// If the folder is another run's, or cannot be written.
    pub fn write(&self, folder: &Path, origin: &Origin) -> Result<(), RunError> {
        let (suite, info) = (&self.suite, self.suite.info()?);
        let evaluation = Evaluation {
            seed: suite.seed,
            bands: origin.bands.clone(),
            suites: vec![suite.config.clone()],
            ..Evaluation::default()
        };
        let recipe = toml::to_string(&Measured { evaluation: &evaluation })
            .map_err(|e| RunError::Data(format!("the suite has no TOML form: {e}")))?;
        let recipe = format!("{ABOUT}{recipe}");
        let responses = lines::to_bytes(folder, &self.evaluated.responses)?;
        let key = blake3::hash(&[info.suite.as_bytes(), &responses].concat()).to_hex().to_string();
        let stage = StageInfo {
            format: FORMAT,
            name: origin.name.clone(),
            kind: StageKind::Elsewhere,
            key,
            parent: None,
            seed: suite.seed,
            steps: 0,
            tokens: 0,
            parameters: 0,
        };
        let manifest = Manifest {
            format: FORMAT,
            name: origin.name.clone(),
            question: format!("What do the responses of {} solve?", origin.name),
            command: origin.command.clone(),
            recipe_hash: blake3::hash(recipe.as_bytes()).to_hex().to_string(),
            revision: origin.revision.clone(),
            bands: origin.bands.clone(),
            engines: Vec::new(),
            runs: vec![ArmRun { arm: "main".to_owned(), seed: suite.seed, stages: vec![stage.folder()] }],
        };
        keep_to(folder, &manifest)?;
        let path = folder.join("stages").join(stage.folder());
        files::make_folder(&folder.join("data/suites"))?;
        files::make_folder(&path.join("evals"))?;
        files::write(&folder.join("recipe.toml"), recipe.as_bytes())?;
        let problems = folder.join("data/suites").join(format!("{}.jsonl", suite.config.name));
        lines::write(&problems, &suite.records())?;
        files::write_json(&path.join("stage.json"), &stage)?;
        Stored::of_suite(&path.join("evals"), &suite.config.name).write_all(&info, &self.evaluated)?;
        let (cost, weights_hash) = (Cost::default(), String::new());
        files::write_json(
            &path.join("done.json"),
            &StageDone { format: FORMAT, steps: 0, cost, weights_hash },
        )?;
        // Last: a folder without it is no run.
        Ok(files::write_json(&folder.join("manifest.json"), &manifest)?)
    }
}

/// A response of the suite's problem `i`. It is judged later.
fn response(i: usize, sample: usize, given: Given) -> Response {
    Response {
        problem: i as u64,
        sample: u32::try_from(sample).unwrap_or(u32::MAX),
        text: given.text,
        verified: false,
        tokens: given.tokens.unwrap_or(0),
        cut: given.cut,
        reward: None,
        policy: None,
        record: None,
    }
}

/// Refuses a folder that holds another run.
fn keep_to(folder: &Path, manifest: &Manifest) -> Result<(), RunError> {
    let known: Option<Manifest> = files::read_optional(&folder.join("manifest.json"))?;
    match known {
        Some(known) if known.recipe_hash != manifest.recipe_hash || known.runs != manifest.runs => {
            let what = format!("the run `{}`", known.name);
            Err(RunError::Foreign { folder: folder.to_owned(), what })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use runs::Folder;

    use super::{
        super::row::tests::{responses, suite},
        *,
    };

    fn given(suite: &Suite, problem: usize, n: usize) -> Vec<Given> {
        let given = |response: Response| {
            let mut given = Given::default();
            (given.text, given.cut) = (response.text, response.cut);
            given
        };
        responses(suite, problem).into_iter().take(n).map(given).collect()
    }

    fn origin() -> Origin {
        let bands = vec![Band { name: "op 4".to_owned(), from: 4, to: 4 }];
        Origin { name: "theirs".to_owned(), command: String::new(), revision: String::new(), bands }
    }

    #[test]
    fn what_is_missing_is_a_failure() {
        let suite = suite("paper");
        let all = vec![given(&suite, 0, 3), Vec::new()];
        let judged = Elsewhere::judge(suite.clone(), all).expect("responses");
        assert_eq!((judged.silent, judged.missing, judged.suite.config.samples), (1, 3, 3));
        let [first, second] = judged.rows() else { panic!("two rows") };
        assert_eq!((first.n, first.verified, first.truncated), (3, 1, 1));
        assert_eq!((second.n, second.verified), (3, 0));
        assert_eq!(second.first_faults.values().sum::<u32>(), 3);
        assert!(Elsewhere::judge(suite, vec![Vec::new(), Vec::new()]).is_err());
    }

    #[test]
    fn the_folder_is_read_as_a_run_and_never_takes_the_place_of_another() {
        let dir = tempfile::tempdir().expect("a folder");
        let suite = suite("paper");
        let judge = |n| {
            let all = (0..2).map(|problem| given(&suite, problem, n)).collect();
            Elsewhere::judge(suite.clone(), all).expect("responses")
        };
        judge(4).write(dir.path(), &origin()).expect("written");
        judge(4).write(dir.path(), &origin()).expect("the same again");
        let folder = Folder::read(dir.path()).expect("a run");
        assert!(folder.left_out.is_empty());
        let stage = folder.stages.values().next().expect("a stage");
        let rows = &stage.evals["s"];
        assert_eq!(rows.iter().map(|row| (row.n, row.verified)).collect::<Vec<_>>(), [(4, 1), (4, 1)]);
        assert!(rows.iter().all(|row| row.tokens.is_nan()), "lengths in tokens are not known");
        assert_eq!(folder.problems("s").expect("problems"), suite.problems);
        let error = judge(2).write(dir.path(), &origin()).expect_err("another run").to_string();
        assert!(error.contains("holds the run `theirs`: choose another folder"), "{error}");
    }
}
