//! A run folder in memory. Responses and rollouts are large: they stay on disk and are read line by line.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use problems::{Problem, Record, verify::Policy};
use serde::Deserialize;

use crate::{
    Claim, Evaluation,
    error::{FileError, damaged, damaged_line, failed},
    files,
    left_out::{self, LeftOut},
    lines,
    records::{EvalInfo, EvalRow, Exposure, FORMAT, Manifest, MetricsRow, StageDone, StageInfo},
};

/// Everything small in a run folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// `manifest.json`
    pub manifest: Manifest,
    /// `recipe.toml`; empty when absent.
    pub recipe: RecipeFile,
    /// The stages named by the manifest that have started, by folder name.
    pub stages: BTreeMap<String, Stage>,
    /// Evaluations that are there and not in `stages`: they are of another suite of the same name.
    pub left_out: Vec<LeftOut>,
}

/// What is read of a resolved recipe.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RecipeFile {
    /// The file as written.
    #[serde(skip)]
    pub text: String,
    /// Its suites.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// Its claims.
    #[serde(default, rename = "claim")]
    pub claims: Vec<Claim>,
}

/// One stage of a run.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its folder.
    pub path: PathBuf,
    /// `stage.json`
    pub info: StageInfo,
    /// `done.json`; absent while the stage runs.
    pub done: Option<StageDone>,
    /// `metrics.jsonl`
    pub metrics: Vec<MetricsRow>,
    /// `timings.jsonl`, without damaged lines: no result rests on it.
    pub timings: Vec<MetricsRow>,
    /// `evals/SUITE.jsonl.gz`, by suite: the stage's last model.
    pub evals: BTreeMap<String, Vec<EvalRow>>,
    /// `evals/step-000100/SUITE.jsonl.gz`, by suite and step: the model on its way.
    pub milestones: BTreeMap<String, BTreeMap<u64, Vec<EvalRow>>>,
    /// `exposure.json`
    pub exposure: Option<Exposure>,
}

impl Folder {
    /// Reads the folder. Stages that have not started are left out, unfinished ones are read as far as
    /// they are written.
    ///
    /// # Errors
    /// If the manifest is missing, or any file is unreadable, malformed or of another format.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        Self::read_parts(path, true)
    }

    /// As [`Folder::read`], without the evaluations: cheap enough to be done every few seconds.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn read_training(path: &Path) -> Result<Self, FileError> {
        Self::read_parts(path, false)
    }

    fn read_parts(path: &Path, evaluations: bool) -> Result<Self, FileError> {
        let manifest_path = path.join("manifest.json");
        let manifest: Manifest = files::read_json(&manifest_path)?;
        check_format(&manifest_path, manifest.format)?;
        let recipe = RecipeFile::read(&path.join("recipe.toml"))?;
        let mut stages = BTreeMap::new();
        for name in manifest.runs.iter().flat_map(|run| &run.stages) {
            if stages.contains_key(name) {
                continue;
            }
            check_name(&manifest_path, name)?;
            let stage_path = path.join("stages").join(name);
            let info = stage_path.join("stage.json");
            if info.try_exists().map_err(failed(&info, "read"))? {
                stages.insert(name.clone(), Stage::read(&stage_path, evaluations)?);
            }
        }
        let mut folder = Self { path: path.to_owned(), manifest, recipe, stages, left_out: Vec::new() };
        folder.left_out = left_out::others(folder.evaluations()?, |suite| folder.hash_of_suite(suite))?;
        for other in folder.left_out.clone() {
            folder.remove(&other);
        }
        Ok(folder)
    }

    /// All evaluations, each with the hash of its suite; an empty one where the folder has none.
    fn evaluations(&self) -> Result<Vec<(LeftOut, String)>, FileError> {
        let mut found = Vec::new();
        for (name, stage) in &self.stages {
            let last = stage.evals.keys().map(|suite| (suite, None));
            let steps = stage.milestones.iter();
            let steps = steps.flat_map(|(suite, steps)| steps.keys().map(move |step| (suite, Some(*step))));
            for (suite, step) in last.chain(steps) {
                let info: Option<EvalInfo> = files::read_optional(&stage.eval_info_path(suite, step))?;
                let evaluation = LeftOut { suite: suite.clone(), stage: name.clone(), step };
                found.push((evaluation, info.map_or_else(String::new, |info| info.suite)));
            }
        }
        Ok(found)
    }

    /// The hash of a suite as the recipe has it now. A run writes down its suites' problems, so nothing is generated.
    fn hash_of_suite(&self, suite: &str) -> Result<Option<String>, FileError> {
        let evaluation = &self.recipe.evaluation;
        let Some(config) = evaluation.suites.iter().find(|known| known.name == suite) else {
            return Ok(None);
        };
        let info = config.info(evaluation.seed, &self.records(suite)?);
        info.map(|info| Some(info.suite)).map_err(|e| damaged(&self.path.join("recipe.toml"), &e))
    }

    fn remove(&mut self, evaluation: &LeftOut) {
        let Some(stage) = self.stages.get_mut(&evaluation.stage) else { return };
        let Some(step) = evaluation.step else {
            stage.evals.remove(&evaluation.suite);
            return;
        };
        if let Some(steps) = stage.milestones.get_mut(&evaluation.suite) {
            steps.remove(&step);
        }
        stage.milestones.retain(|_, steps| !steps.is_empty());
    }

    /// Suites that any stage was evaluated on, sorted.
    pub fn suites(&self) -> Vec<String> {
        let mut names: Vec<String> = self.stages.values().flat_map(|s| s.evals.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The records of a suite's problems; none when the file is absent.
    ///
    /// # Errors
    /// If the file is unreadable or malformed.
    pub fn records(&self, suite: &str) -> Result<Vec<Record>, FileError> {
        let path = self.suite_path(suite);
        if path.is_file() { lines::read(&path) } else { Ok(Vec::new()) }
    }

    /// The problems of a suite; none when the file is absent.
    ///
    /// # Errors
    /// As [`Folder::records`], and if a problem contradicts itself.
    pub fn problems(&self, suite: &str) -> Result<Vec<Problem>, FileError> {
        let problem = |(i, record): (usize, &Record)| {
            let wrong = |_| damaged_line(&self.suite_path(suite), i + 1, &"the problem contradicts itself");
            Problem::from_record(record).map_err(wrong)
        };
        self.records(suite)?.iter().enumerate().map(problem).collect()
    }

    fn suite_path(&self, suite: &str) -> PathBuf {
        self.path.join("data/suites").join(format!("{suite}.jsonl"))
    }
}

impl RecipeFile {
    /// The policy that a suite is judged by; `paper` if the recipe has no such suite.
    pub fn policy_of(&self, suite: &str) -> Policy {
        let suite = self.evaluation.suites.iter().find(|known| known.name == suite);
        suite.map_or(Policy::Paper, |suite| suite.policy)
    }

    fn read(path: &Path) -> Result<Self, FileError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(failed(path, "read")(e)),
        };
        let recipe: Self = toml::from_str(&text).map_err(|e| damaged_toml(path, &text, &e))?;
        Ok(Self { text, ..recipe })
    }
}

/// What is wrong with a TOML file, and in which line. The error itself would quote the line, however long it is.
fn damaged_toml(path: &Path, text: &str, error: &toml::de::Error) -> FileError {
    let reason: String = error.message().chars().take(500).collect();
    match error.span() {
        Some(span) => {
            damaged_line(path, text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1, &reason)
        }
        None => damaged(path, &reason),
    }
}

impl Stage {
    fn read(path: &Path, evaluations: bool) -> Result<Self, FileError> {
        let info_path = path.join("stage.json");
        let info: StageInfo = files::read_json(&info_path)?;
        check_format(&info_path, info.format)?;
        let folder = path.join("evals");
        let evals = if evaluations { read_evals(&folder)? } else { BTreeMap::new() };
        let mut milestones: BTreeMap<String, BTreeMap<u64, Vec<EvalRow>>> = BTreeMap::new();
        for folder in files::list(&folder)?.iter().filter(|p| evaluations && p.is_dir()) {
            let step = name_of(folder).strip_prefix("step-").and_then(|n| n.parse().ok());
            let Some(step) = step else { continue };
            for (suite, rows) in read_evals(folder)? {
                milestones.entry(suite).or_default().insert(step, rows);
            }
        }
        Ok(Self {
            info,
            done: files::read_optional(&path.join("done.json"))?,
            metrics: lines::read_growing(&path.join("metrics.jsonl"))?,
            timings: lines::read_whole_lines(&path.join("timings.jsonl"))?,
            evals,
            milestones,
            exposure: files::read_optional(&path.join("exposure.json"))?,
            path: path.to_owned(),
        })
    }

    /// The file with the responses to a suite.
    pub fn responses_path(&self, suite: &str) -> PathBuf {
        self.path.join("evals").join(format!("{suite}.responses.jsonl.gz"))
    }

    /// What says which suite an evaluation is of; with a `step`, of the model on its way.
    fn eval_info_path(&self, suite: &str, step: Option<u64>) -> PathBuf {
        let mut path = self.path.join("evals");
        if let Some(step) = step {
            path.push(format!("step-{step:06}"));
        }
        path.join(format!("{suite}.json"))
    }

    /// Whether the stage is finished and metrics of its last steps are missing.
    pub fn lacks_metrics(&self) -> bool {
        let last = self.metrics.last().map_or(0, |row| row.step);
        self.done.as_ref().is_some_and(|done| last < done.steps)
    }

    /// A metric over the steps; steps without it or with a non-finite value are left out.
    pub fn series(&self, name: &str) -> Vec<(f64, f64)> {
        series(&self.metrics, name)
    }
}

/// A column of metrics rows: (step, finite value).
pub fn series(rows: &[MetricsRow], name: &str) -> Vec<(f64, f64)> {
    let value = |row: &MetricsRow| row.values.get(name).copied().flatten().filter(|v| v.is_finite());
    rows.iter().filter_map(|row| Some((row.step as f64, value(row)?))).collect()
}

/// The evaluations in a folder, by suite.
fn read_evals(folder: &Path) -> Result<BTreeMap<String, Vec<EvalRow>>, FileError> {
    let mut evals = BTreeMap::new();
    for file in files::list(folder)? {
        let name = name_of(&file);
        if let Some(suite) = name.strip_suffix(".jsonl.gz")
            && !suite.ends_with(".responses")
        {
            evals.insert(suite.to_owned(), lines::read(&file)?);
        }
    }
    Ok(evals)
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn check_format(path: &Path, found: u32) -> Result<(), FileError> {
    if found == FORMAT {
        return Ok(());
    }
    Err(FileError::Format { path: path.to_owned(), found, known: FORMAT })
}

/// A stage's name is a single path component: a manifest cannot lead out of its folder.
fn check_name(path: &Path, name: &str) -> Result<(), FileError> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']);
    if plain { Ok(()) } else { Err(damaged(path, &format!("stage name {name:?}"))) }
}
