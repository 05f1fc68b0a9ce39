//! How far a run is, from what it has written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Serialize;

use runs::records::Failure;
use runs::{Folder, Locks, Process, Stage, files, files::list, series};

/// Steps that the rate is taken over.
const RECENT: usize = 20;

/// So many times the usual time without news is silence, …
const PATIENCE: f64 = 10.0;
/// … never less than so many seconds, …
const LEAST_SILENCE: f64 = 120.0;
/// … and so many where the usual time is not known yet.
const SILENCE_AT_FIRST: f64 = 1800.0;

/// How far one stage is.
#[derive(Serialize)]
pub(super) struct StageProgress {
    pub(super) stage: String,
    /// The arms that go through it, and its seed.
    branch: String,
    pub(super) done: bool,
    share: f64,
    pub(super) text: String,
    /// Seconds that its steps took so far.
    seconds: f64,
    /// Seconds left, where a rate is known.
    left: Option<f64>,
}

/// The stages of the same arms and seed.
#[derive(Serialize)]
pub(super) struct Branch<'p> {
    name: &'p str,
    stages: Vec<&'p StageProgress>,
}

/// The tree of a run: what several arms share stands once, under all their names.
pub(super) fn branches(progress: &[StageProgress]) -> Vec<Branch<'_>> {
    let mut branches: Vec<Branch> = Vec::new();
    for stage in progress {
        match branches.iter_mut().find(|branch| branch.name == stage.branch) {
            Some(branch) => branch.stages.push(stage),
            None => branches.push(Branch { name: &stage.branch, stages: vec![stage] }),
        }
    }
    branches
}

/// How long the whole run takes from now on, in words: a stage that has not begun takes as long as finished ones of its
/// name took. Empty where nothing is known or left.
pub(super) fn time_left(progress: &[StageProgress]) -> String {
    let (mut sum, mut unknown) = (0.0, false);
    for stage in progress.iter().filter(|p| !p.done) {
        let alike = || progress.iter().filter(|p| p.done && p.stage == stage.stage && p.seconds > 0.0);
        let mean =
            (alike().count() > 0).then(|| alike().map(|p| p.seconds).sum::<f64>() / alike().count() as f64);
        match stage.left.or(mean) {
            Some(seconds) => sum += seconds,
            None => unknown = true,
        }
    }
    match (sum > 0.0, unknown) {
        (false, _) => String::new(),
        (true, false) => format!("about {} left", duration(sum)),
        (true, true) => format!("at least {} left", duration(sum)),
    }
}

/// What the manifest says of a stage.
struct Planned<'f> {
    name: &'f str,
    arms: Vec<&'f str>,
    seed: u64,
    /// The stage that it starts from.
    parent: Option<&'f str>,
}

/// The stages of a run in the order of its manifest, each once.
fn planned(folder: &Folder) -> Vec<Planned<'_>> {
    let mut planned: Vec<Planned<'_>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for run in &folder.manifest.runs {
        let mut parent = None;
        for name in &run.stages {
            let next = planned.len();
            let at = *known.entry(name).or_insert(next);
            if at == next {
                planned.push(Planned { name, arms: Vec::new(), seed: run.seed, parent });
            }
            if planned[at].arms.last() != Some(&run.arm.as_str()) {
                planned[at].arms.push(&run.arm);
            }
            parent = Some(name);
        }
    }
    planned
}

/// Which arms go through a stage and at which seed; `all` is the number of arms.
fn branch(&Planned { ref arms, seed, .. }: &Planned<'_>, all: usize) -> String {
    let arms = match arms.len() {
        n if n == all && n > 1 => "all arms".to_owned(),
        n if n > 3 => format!("{}, {} and {} more", arms[0], arms[1], n - 2),
        _ => arms.join(", "),
    };
    format!("{arms} · seed {seed}")
}

/// The name of a stage, from that of its folder: what follows the last hyphen is its key.
fn stage_name(folder: &str) -> &str {
    folder.rsplit_once('-').map_or(folder, |(name, _)| name)
}

/// Who works on what, and what failed, as the folder's locks say.
struct Work {
    /// Whether the folder has locks: those of older programs do not.
    is_known: bool,
    holders: BTreeMap<String, Option<Process>>,
    failures: BTreeMap<String, Failure>,
}

impl Work {
    /// What cannot be read just now is not known.
    fn of(folder: &Folder) -> Self {
        let holders = Locks::holders(&folder.path).unwrap_or_default();
        let failures = Locks::failures(&folder.path).unwrap_or_default();
        Self { is_known: folder.path.join(".locks").is_dir(), holders, failures }
    }

    /// What there is to say of a stage that is not finished, besides how far it is.
    fn said(&self, stage: &str) -> Option<String> {
        match (self.holders.get(stage), self.failures.get(stage)) {
            (Some(Some(process)), _) => Some(process.to_string()),
            (Some(None), _) => Some("a process works on it".to_owned()),
            (None, Some(failure)) => {
                let reason: String = failure.reason.chars().take(300).collect();
                Some(format!("failed at {}: {reason}", failure.process))
            }
            (None, None) => None,
        }
    }
}

/// How far every stage is, in the order of the manifest.
pub(super) fn progress(folder: &Folder) -> Vec<StageProgress> {
    let work = Work::of(folder);
    let arms: BTreeSet<&str> = folder.manifest.runs.iter().map(|run| run.arm.as_str()).collect();
    let is_done = |name: &str| folder.stages.get(name).is_some_and(|stage| stage.done.is_some());
    let of = |planned: &Planned<'_>| {
        let branch = branch(planned, arms.len());
        let mut progress = match folder.stages.get(planned.name) {
            Some(stage) => of_stage(folder, branch, stage),
            None => StageProgress {
                stage: stage_name(planned.name).to_owned(),
                branch,
                done: false,
                share: 0.0,
                text: if planned.parent.is_none_or(is_done) { "next" } else { "waiting" }.to_owned(),
                seconds: 0.0,
                left: None,
            },
        };
        if !progress.done {
            match work.said(planned.name) {
                Some(said) => progress.text = format!("{} · {said}", progress.text),
                None if work.is_known && folder.stages.contains_key(planned.name) => {
                    progress.text.push_str(" · nobody works on it");
                }
                None => {}
            }
        }
        progress
    };
    planned(folder).iter().map(of).collect()
}

fn of_stage(folder: &Folder, branch: String, stage: &Stage) -> StageProgress {
    let step = stage.metrics.last().map_or(0, |row| row.step);
    let steps = stage.info.steps.max(1);
    let done = stage.done.is_some();
    let seconds = series(&stage.timings, "timing_s/step");
    let recent = &seconds[seconds.len().saturating_sub(RECENT)..];
    let mean = || recent.iter().map(|(_, s)| s).sum::<f64>() / recent.len() as f64;
    let mean = (!recent.is_empty()).then(mean);
    let ahead = mean.map(|mean| mean * steps.saturating_sub(step) as f64);
    let text = if done {
        format!("{} steps, done", stage.info.steps)
    } else if step >= steps {
        evaluating(folder, stage).unwrap_or_else(|| "evaluating".to_owned())
    } else {
        let left = || ahead.map(|ahead| format!(", about {} left", duration(ahead)));
        let said = silence(&["stage.json", "metrics.jsonl"].map(|file| stage.path.join(file)), mean);
        let left = said.or_else(left).unwrap_or_default();
        format!("step {step} of {steps}{left}")
    };
    StageProgress {
        stage: stage.info.name.clone(),
        branch,
        done,
        share: if done { 1.0 } else { step as f64 / steps as f64 },
        text,
        seconds: seconds.iter().map(|(_, s)| s).sum(),
        left: ahead.filter(|_| !done && step < steps),
    }
}

/// How far the evaluation under way is: its parts lie in a hidden folder `.SUITE-HASH` until all are there.
fn evaluating(folder: &Folder, stage: &Stage) -> Option<String> {
    let hidden = |path: &PathBuf| Some(path.file_name()?.to_str()?.strip_prefix('.')?.to_owned());
    let mut evals = list(&stage.path.join("evals")).unwrap_or_default();
    evals.retain(|path| !files::is_unfinished(path));
    let (parts, name) = evals.into_iter().find_map(|path| hidden(&path).map(|name| (path, name)))?;
    let suite = name.rsplit_once('-').map_or(name.as_str(), |(suite, _)| suite);
    let mut files = list(&parts).unwrap_or_default();
    files.retain(|file| file.to_string_lossy().ends_with(".responses.jsonl.gz"));
    let config = folder.recipe.evaluation.suites.iter().find(|config| config.name == suite);
    let Some(config) = config else { return Some(format!("evaluating {suite}")) };
    let cells = (config.ops.0.len() * config.contexts.len() * config.modes.len()) as u64;
    let all = (cells * config.problems).div_ceil(config.chunk.max(1) as u64);
    let done = files.len() as u64;
    let written: Vec<SystemTime> =
        files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok()).collect();
    let span = written.iter().max().zip(written.iter().min()).and_then(|(a, b)| a.duration_since(*b).ok());
    let each = span.filter(|_| done > 1).map(|span| span.as_secs_f64() / (done - 1) as f64);
    let left =
        || each.map(|each| format!(", about {} left", duration(each * all.saturating_sub(done) as f64)));
    files.push(parts);
    let left = silence(&files, each).or_else(left).unwrap_or_default();
    Some(format!("evaluating {suite}: part {done} of {all} done{left}"))
}

/// What to say instead of the time left where nothing was written for much longer than each time takes: the process may
/// have been stopped.
#[expect(
    clippy::disallowed_methods,
    reason = "a page about what goes on is an edge where the clock is wanted"
)]
fn silence(files: &[PathBuf], each: Option<f64>) -> Option<String> {
    let written = files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok()).max()?;
    let seconds = SystemTime::now().duration_since(written).ok()?.as_secs_f64();
    let long = seconds > each.map_or(SILENCE_AT_FIRST, |each| (PATIENCE * each).max(LEAST_SILENCE));
    long.then(|| format!(", nothing new for {}", duration(seconds)))
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// How far the run is, every stage counting the same.
pub(super) fn overall(progress: &[StageProgress]) -> f64 {
    progress.iter().map(|p| p.share).sum::<f64>() / progress.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_silent_and_a_slow_one_is_not() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        file.as_file().set_modified(SystemTime::UNIX_EPOCH).expect("settable");
        // Long ago for steps of a second, …
        let said = silence(&[file.path().to_owned()], Some(1.0)).expect("silent");
        assert!(said.starts_with(", nothing new for "), "{said}");
        // … and not for one that takes centuries, …
        assert_eq!(silence(&[file.path().to_owned()], Some(1e10)), None);
        // … nor for a file that was written just now.
        fs::write(file.path(), "news").expect("writable");
        assert_eq!(silence(&[file.path().to_owned()], Some(1.0)), None);
        assert_eq!(silence(&[], None), None);
    }
}
