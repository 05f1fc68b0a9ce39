//! A run folder in memory. Responses and rollouts are large: they stay on disk and are read line by line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use problems::{Problem, Record};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use train::recipe::{Claim, Evaluation};
use train::records::{EvalRow, Exposure, FORMAT, Manifest, MetricsRow, StageDone, StageInfo};

use crate::error::ReportError;
use crate::suites::{self, LeftOut};

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
    /// `timings.jsonl`
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
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        Self::read_parts(path, true)
    }

    /// As [`Folder::read`], without the evaluations: cheap enough to be done every few seconds.
    ///
    /// # Errors
    /// As [`Folder::read`].
    pub fn read_training(path: &Path) -> Result<Self, ReportError> {
        Self::read_parts(path, false)
    }

    fn read_parts(path: &Path, evaluations: bool) -> Result<Self, ReportError> {
        let manifest_path = path.join("manifest.json");
        let manifest: Manifest = read_json(&manifest_path)?;
        check_format(&manifest_path, manifest.format)?;
        let recipe = RecipeFile::read(&path.join("recipe.toml"))?;
        let mut stages = BTreeMap::new();
        for name in manifest.runs.iter().flat_map(|run| &run.stages) {
            if stages.contains_key(name) {
                continue;
            }
            check_name(&manifest_path, name)?;
            let stage_path = path.join("stages").join(name);
            if stage_path.join("stage.json").is_file() {
                stages.insert(name.clone(), Stage::read(&stage_path, evaluations)?);
            }
        }
        let mut folder = Self { path: path.to_owned(), manifest, recipe, stages, left_out: Vec::new() };
        suites::leave_out_others(&mut folder)?;
        Ok(folder)
    }

    /// Suites that any stage was evaluated on, sorted.
    pub fn suites(&self) -> Vec<String> {
        let mut names: Vec<String> = self.stages.values().flat_map(|s| s.evals.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The problems of a suite; none when the file is absent.
    ///
    /// # Errors
    /// If the file is unreadable or malformed, or a problem contradicts itself.
    pub fn problems(&self, suite: &str) -> Result<Vec<Problem>, ReportError> {
        let path = self.path.join("data/suites").join(format!("{suite}.jsonl"));
        let records: Vec<Record> = if path.is_file() { read_lines(&path)? } else { Vec::new() };
        let problem = |(i, record): (usize, &Record)| {
            let wrong = |_| ReportError::malformed(&path, Some(i + 1), &"the problem contradicts itself");
            Problem::from_record(record).map_err(wrong)
        };
        records.iter().enumerate().map(problem).collect()
    }
}

impl RecipeFile {
    fn read(path: &Path) -> Result<Self, ReportError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(ReportError::file(path)(e)),
        };
        let recipe: Self = toml::from_str(&text).map_err(|e| ReportError::malformed(path, None, &e))?;
        Ok(Self { text, ..recipe })
    }
}

impl Stage {
    fn read(path: &Path, evaluations: bool) -> Result<Self, ReportError> {
        let info_path = path.join("stage.json");
        let info: StageInfo = read_json(&info_path)?;
        check_format(&info_path, info.format)?;
        let folder = path.join("evals");
        let evals = if evaluations { read_evals(&folder)? } else { BTreeMap::new() };
        let mut milestones: BTreeMap<String, BTreeMap<u64, Vec<EvalRow>>> = BTreeMap::new();
        for folder in list(&folder)?.iter().filter(|p| evaluations && p.is_dir()) {
            let step = name_of(folder).strip_prefix("step-").and_then(|n| n.parse().ok());
            let Some(step) = step else { continue };
            for (suite, rows) in read_evals(folder)? {
                milestones.entry(suite).or_default().insert(step, rows);
            }
        }
        Ok(Self {
            info,
            done: read_optional(&path.join("done.json"))?,
            metrics: read_growing(&path.join("metrics.jsonl"))?,
            timings: read_growing(&path.join("timings.jsonl"))?,
            evals,
            milestones,
            exposure: read_optional(&path.join("exposure.json"))?,
            path: path.to_owned(),
        })
    }

    /// The file with the responses to a suite.
    pub fn responses_path(&self, suite: &str) -> PathBuf {
        self.path.join("evals").join(format!("{suite}.responses.jsonl.gz"))
    }

    /// What says which suite an evaluation is of; with a `step`, of the model on its way.
    pub(crate) fn eval_info_path(&self, suite: &str, step: Option<u64>) -> PathBuf {
        let mut path = self.path.join("evals");
        if let Some(step) = step {
            path.push(format!("step-{step:06}"));
        }
        path.join(format!("{suite}.json"))
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

/// Calls `each` with every line of a (possibly gzipped) JSON-lines file, numbered from 0.
///
/// # Errors
/// If the file is unreadable or a line malformed; a truncated file is an error too.
pub fn for_each_line<T: DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(usize, T),
) -> Result<(), ReportError> {
    let file = File::open(path).map_err(ReportError::file(path))?;
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(file))))
    } else {
        Box::new(BufReader::new(file))
    };
    for (i, line) in reader.lines().enumerate() {
        let line = line.map_err(ReportError::file(path))?;
        let value = serde_json::from_str(&line).map_err(|e| ReportError::malformed(path, Some(i + 1), &e))?;
        each(i, value);
    }
    Ok(())
}

/// The evaluations in a folder, by suite.
fn read_evals(folder: &Path) -> Result<BTreeMap<String, Vec<EvalRow>>, ReportError> {
    let mut evals = BTreeMap::new();
    for file in list(folder)? {
        let name = name_of(&file);
        if let Some(suite) = name.strip_suffix(".jsonl.gz")
            && !suite.ends_with(".responses")
        {
            evals.insert(suite.to_owned(), read_lines(&file)?);
        }
    }
    Ok(evals)
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReportError> {
    let mut rows = Vec::new();
    for_each_line(path, |_, row| rows.push(row))?;
    Ok(rows)
}

/// A file that is being appended to: a last line without its newline is not finished and not read.
fn read_growing<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, ReportError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ReportError::file(path)(e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let row = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| ReportError::malformed(path, Some(i + 1), &e))
    };
    whole.lines().enumerate().map(row).collect()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ReportError> {
    let bytes = fs::read(path).map_err(ReportError::file(path))?;
    serde_json::from_slice(&bytes).map_err(|e| ReportError::malformed(path, None, &e))
}

pub(crate) fn read_optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReportError> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

fn check_format(path: &Path, found: u32) -> Result<(), ReportError> {
    if found == FORMAT {
        return Ok(());
    }
    Err(ReportError::Format { path: path.to_owned(), found, known: FORMAT })
}

/// A stage's name is a single path component: a manifest cannot lead out of its folder.
fn check_name(path: &Path, name: &str) -> Result<(), ReportError> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\']);
    if plain { Ok(()) } else { Err(ReportError::malformed(path, None, &format!("stage name {name:?}"))) }
}

/// The entries of a folder, sorted; none if it is absent.
pub(crate) fn list(path: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ReportError::file(path)(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(ReportError::file(path))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Writes a file so that it is either the old one or the whole new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(ReportError::file(path))
}
