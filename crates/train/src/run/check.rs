//! Holds the files of a run folder against what the folder itself says of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::{Path, PathBuf},
};

use runs::{
    checkpoints, files, lines,
    records::{EvalInfo, EvalRow, Exposure, Manifest, MetricsRow, Response, StageDone, StageInfo, StageKind},
};

use super::{check_weights, done};
use crate::error::RunError;

/// A file or folder of a run that is not what its record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// What was looked at in a run folder, and what was found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Checked {
    /// Stages that have begun.
    pub stages: usize,
    /// Checkpoints whose files were hashed.
    pub checkpoints: usize,
    /// Evaluations whose rows were counted against their responses.
    pub evaluations: usize,
    /// What is not as recorded, in the order of the stages.
    pub findings: Vec<Finding>,
}

/// Reads every record of a run folder and holds the files against them: checkpoints by their hashes, the last model of a
/// finished stage by the stage's, metrics by the steps taken, evaluations by their responses. Nothing is written.
///
/// # Errors
/// If the manifest cannot be read: then it is not known what belongs to the run.
pub fn check(run: &Path) -> Result<Checked, RunError> {
    let manifest: Manifest = files::read_json(&run.join("manifest.json"))?;
    let mut checked = Checked::default();
    let mut seen = BTreeSet::new();
    for name in manifest.runs.iter().flat_map(|run| &run.stages) {
        let folder = run.join("stages").join(name);
        if seen.insert(name) && folder.join("stage.json").exists() {
            checked.stage(&folder, name);
        }
    }
    Ok(checked)
}

impl Checked {
    fn found(&mut self, path: &Path, what: impl Display) {
        self.findings.push(Finding { path: path.to_owned(), what: what.to_string() });
    }

    /// The value, or a finding.
    fn hold<T, E: Display>(&mut self, path: &Path, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.found(path, error)).ok()
    }

    fn stage(&mut self, folder: &Path, name: &str) {
        self.stages += 1;
        let path = folder.join("stage.json");
        let Some(info) = self.hold(&path, files::read_json::<StageInfo>(&path)) else { return };
        if info.folder() != name {
            self.found(&path, format!("it is the record of `{}`", info.folder()));
        }
        let path = folder.join("done.json");
        let done = self.hold(&path, files::read_optional::<StageDone>(&path)).flatten();
        // Responses that were made elsewhere have neither steps nor checkpoints.
        if info.kind != StageKind::Elsewhere {
            self.training(folder, done.as_ref());
        }
        self.evaluations(&folder.join("evals"));
        for file in files::list(&folder.join("rollouts")).unwrap_or_default() {
            self.hold(&file, lines::for_each::<Response>(&file, |_, _| {}));
        }
    }

    fn training(&mut self, folder: &Path, done: Option<&StageDone>) {
        let path = folder.join("metrics.jsonl");
        let metrics = self.hold(&path, lines::read_growing::<MetricsRow>(&path)).unwrap_or_default();
        if let Some(gap) = metrics.iter().zip(1..).find(|(row, step)| row.step != *step) {
            self.found(&path, format!("step {} is where step {} should be", gap.0.step, gap.1));
        }
        if let Some(done) = done {
            if metrics.len() as u64 != done.steps {
                self.found(&path, format!("it has {} of {} steps", metrics.len(), done.steps));
            }
            let path = folder.join("exposure.json");
            self.hold(&path, files::read_json::<Exposure>(&path));
            self.hold(folder, done::checkpoint(folder));
        }
        let all = self.hold(folder, checkpoints::list(folder)).unwrap_or_default();
        // The last one of a finished stage was looked at already.
        let last = done.map(|done| checkpoints::of_step(folder, done.steps));
        for (_, checkpoint) in all.iter().filter(|(_, path)| Some(path) != last.as_ref()) {
            self.hold(checkpoint, check_weights(checkpoint));
        }
        self.checkpoints += all.len();
    }

    /// The evaluations of a stage's last model, and those of its milestones in folders of their own.
    fn evaluations(&mut self, folder: &Path) {
        for path in files::list(folder).unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                self.evaluations(&path);
            } else if let Some(suite) = name.strip_suffix(".json") {
                self.hold(&path, files::read_json::<EvalInfo>(&path));
                self.evaluation(&folder.join(format!("{suite}.jsonl.gz")));
            }
        }
    }

    /// Each row against the responses that it counts.
    fn evaluation(&mut self, path: &Path) {
        self.evaluations += 1;
        let Some(rows) = self.hold(path, lines::read::<EvalRow>(path)) else { return };
        let responses = PathBuf::from(path.to_string_lossy().replace(".jsonl.gz", ".responses.jsonl.gz"));
        if !responses.exists() {
            // Published results leave them out.
            return;
        }
        let mut counted: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        let read = lines::for_each::<Response>(&responses, |_, response| {
            let (samples, verified) = counted.entry(response.problem).or_default();
            *samples += 1;
            *verified += u32::from(response.verified);
        });
        if self.hold(&responses, read).is_none() {
            return;
        }
        for row in &rows {
            let found = counted.remove(&row.problem).unwrap_or_default();
            if found != (row.n, row.verified) {
                let (samples, verified) = found;
                let what = format!(
                    "problem {} has {samples} responses of which {verified} are verified, and the row says {} and {}",
                    row.problem, row.n, row.verified
                );
                self.found(&responses, what);
                return;
            }
        }
        if let Some((problem, _)) = counted.first_key_value() {
            self.found(path, format!("problem {problem} has responses and no row"));
        }
    }
}
