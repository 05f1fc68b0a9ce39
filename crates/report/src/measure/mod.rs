//! What is measured of which model on which problems: the step from evaluation rows to estimates.
//!
//! Axes in names: `_S` seed, `_P` problem.

mod factor;
mod models;
mod per_problem;

use std::collections::BTreeMap;

use problems::gold::Mode;
use problems::verify::FaultKind;
use runs::Metric;
use runs::records::{ArmRun, EvalRow};
use serde::{Deserialize, Serialize};

use crate::stats::{self, Bootstrap, Estimate};
pub(crate) use factor::Factor;
pub use models::{Model, models};
pub(crate) use per_problem::PerProblem;
use per_problem::by_problem;
use runs::{Folder, Stage};

/// The metric of one problem; `None` if it has no such value (`k` above its number of samples).
pub fn value(metric: Metric, row: &EvalRow) -> Option<f64> {
    let share = |count: u32| (row.n > 0).then(|| f64::from(count) / f64::from(row.n));
    let fault = |kind: FaultKind| row.first_faults.get(kind.name()).copied().unwrap_or(0);
    let value = match metric {
        Metric::PassAt(k) => stats::pass_at_k(row.n, row.verified, k),
        Metric::PassPow(k) => stats::pass_pow_k(row.n, row.verified, k),
        Metric::MajAt(k) => majority(row, k),
        Metric::Cover(tau) => stats::cover(row.n, row.verified, tau),
        Metric::ProcessAcc => Some(row.process_acc),
        Metric::Correct => share(row.correct),
        Metric::CorrectByWrongProcess => share(row.correct.saturating_sub(row.verified)),
        Metric::Truncated => share(row.truncated),
        Metric::Fault(faults) => share(faults.kinds().map(fault).sum()),
        Metric::Tokens => Some(row.tokens),
        Metric::GoldNll => row.gold_nll,
    };
    value.filter(|v| v.is_finite())
}

/// Smallest and largest possible value, where there is one.
fn range(metric: Metric) -> Option<(f64, f64)> {
    metric.is_rate().then_some((0.0, 1.0))
}

fn majority(row: &EvalRow, k: u32) -> Option<f64> {
    let correct = row.answers.get(&row.answer).copied().unwrap_or(0);
    let missing = row.answers.get("").copied().unwrap_or(0);
    let wrong = |(a, _): &(&String, &u32)| !a.is_empty() && **a != row.answer;
    let others: Vec<u32> = row.answers.iter().filter(wrong).map(|(_, n)| *n).collect();
    stats::maj_at_k(correct, missing, &others, k)
}

/// Which problems of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Only these ops.
    pub ops: Option<Vec<u32>>,
    /// Only this context.
    pub context: Option<String>,
    /// Only this mode.
    pub mode: Option<Mode>,
}

impl Slice {
    /// Problems of these ops, both ends included.
    pub fn ops(from: u32, to: u32) -> Self {
        Self { ops: Some((from..=to).collect()), ..Self::default() }
    }

    /// Whether a problem is in it.
    pub fn holds(&self, row: &EvalRow) -> bool {
        self.ops.as_ref().is_none_or(|ops| ops.contains(&row.op))
            && self.context.as_ref().is_none_or(|c| *c == row.context)
            && self.mode.is_none_or(|mode| mode == row.mode)
    }
}

/// Measures a run: all estimates of one folder share their resamples.
#[derive(Debug)]
pub struct Measure<'a> {
    /// The run.
    pub folder: &'a Folder,
    /// Its models.
    pub models: Vec<Model>,
    bootstrap: Bootstrap,
}

impl<'a> Measure<'a> {
    /// Prepares the measurement of a folder.
    pub fn new(folder: &'a Folder) -> Self {
        Self { folder, models: models(folder), bootstrap: Bootstrap::default() }
    }

    /// The last model of every arm, in the order of the arms, each once.
    pub fn last_models(&self) -> Vec<&Model> {
        let runs = &self.folder.manifest.runs;
        let is_last = |m: &&Model| {
            let ends =
                |run: &ArmRun| m.folders.iter().any(|(s, f)| *s == run.seed && run.stages.last() == Some(f));
            runs.iter().any(ends)
        };
        self.models.iter().filter(is_last).collect()
    }

    /// The stage of a model at each of its seeds.
    pub fn stages(&self, model: &Model) -> impl Iterator<Item = (u64, &'a Stage)> {
        let folder = self.folder;
        model.folders.iter().filter_map(move |(seed, name)| Some((*seed, folder.stages.get(name)?)))
    }

    /// A metric at each seed at which the model was evaluated on the suite. `None` if it was at none, some
    /// problem lacks the metric, or the seeds saw different problems.
    pub(crate) fn values(
        &self,
        model: &Model,
        suite: &str,
        slice: &Slice,
        metric: Metric,
    ) -> Option<PerProblem> {
        self.values_of(model, suite, slice, range(metric), |row| value(metric, row))
    }

    fn values_of(
        &self,
        model: &Model,
        suite: &str,
        slice: &Slice,
        range: Option<(f64, f64)>,
        value: impl Fn(&EvalRow) -> Option<f64>,
    ) -> Option<PerProblem> {
        let (mut seeds, mut values_SP) = (Vec::new(), Vec::new());
        let mut problems = None;
        for (seed, stage) in self.stages(model) {
            let Some(rows) = stage.evals.get(suite) else { continue };
            let (seen, values_P) = by_problem(rows, slice, &value)?;
            if problems.get_or_insert_with(|| seen.clone()) != &seen {
                return None;
            }
            seeds.push(seed);
            values_SP.push(values_P);
        }
        let problems = problems.filter(|problems| !problems.is_empty())?;
        Some(PerProblem { seeds, problems, values_SP, range })
    }

    /// The mean with its interval.
    pub(crate) fn estimate(&self, values: &PerProblem) -> Option<Estimate> {
        self.bootstrap.mean(&values.values_SP, values.range)
    }

    /// The mean of a metric over a slice. `None` if the model was not evaluated there, or some problem
    /// lacks the metric.
    pub fn mean(&self, model: &Model, suite: &str, slice: &Slice, metric: Metric) -> Option<Estimate> {
        self.estimate(&self.values(model, suite, slice, metric)?)
    }

    /// As [`Measure::mean`], of any number of a problem that lies in `range`.
    pub fn mean_of(
        &self,
        model: &Model,
        suite: &str,
        slice: &Slice,
        range: Option<(f64, f64)>,
        value: impl Fn(&EvalRow) -> Option<f64>,
    ) -> Option<Estimate> {
        self.estimate(&self.values_of(model, suite, slice, range, value)?)
    }

    /// Mean of the metric of `a` minus that of `b`, paired by problem and by the seeds that both have.
    pub fn difference(
        &self,
        a: &Model,
        b: &Model,
        suite: &str,
        slice: &Slice,
        metric: Metric,
    ) -> Option<Estimate> {
        let (a, b) = (self.values(a, suite, slice, metric)?, self.values(b, suite, slice, metric)?);
        self.estimate(&a.minus(&b)?)
    }

    /// A metric of the model on its way through the stage, by step, at the seeds that have the step.
    pub fn milestones(
        &self,
        model: &Model,
        suite: &str,
        slice: &Slice,
        metric: Metric,
    ) -> Vec<(u64, Estimate)> {
        let mut values_S: BTreeMap<u64, Vec<Vec<f64>>> = BTreeMap::new();
        for (_, stage) in self.stages(model) {
            let Some(steps) = stage.milestones.get(suite) else { continue };
            let last = stage.evals.get(suite).map(|rows| (stage.info.steps, rows));
            for (step, rows) in steps.iter().map(|(step, rows)| (*step, rows)).chain(last) {
                let found = by_problem(rows, slice, &|row: &EvalRow| value(metric, row));
                values_S.entry(step).or_default().extend(found.map(|(_, values_P)| values_P));
            }
        }
        let mean = |values_SP: &Vec<Vec<f64>>| self.bootstrap.mean(values_SP, range(metric));
        values_S.iter().filter_map(|(step, values_SP)| Some((*step, mean(values_SP)?))).collect()
    }

    /// Samples that every problem of the suite has in every model: the largest `k`. 0 if not evaluated.
    pub fn samples(&self, suite: &str) -> u32 {
        let rows = self.folder.stages.values().filter_map(|s| s.evals.get(suite));
        rows.flatten().map(|row| row.n).min().unwrap_or(0)
    }

    /// The k of pass@k: those the recipe names, else powers of two up to the number of samples.
    pub fn ks(&self, suite: &str) -> Vec<u32> {
        let samples = self.samples(suite);
        let named = self.folder.recipe.evaluation.suites.iter().find(|s| s.name == suite);
        let mut ks: Vec<u32> = named.map_or_else(Vec::new, |suite| suite.k.clone());
        ks.retain(|k| (1..=samples).contains(k));
        ks.sort_unstable();
        ks.dedup();
        if ks.is_empty() { stats::ks(samples) } else { ks }
    }

    /// The largest k of pass@k; 1 where nothing was evaluated.
    pub fn most(&self, suite: &str) -> u32 {
        self.ks(suite).last().copied().unwrap_or(1)
    }

    /// Contexts of a suite, sorted.
    pub fn contexts(&self, suite: &str) -> Vec<String> {
        let rows = self.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten();
        let names: std::collections::BTreeSet<&String> = rows.map(|row| &row.context).collect();
        names.into_iter().cloned().collect()
    }

    /// Modes of a suite, forward first.
    pub(crate) fn modes(&self, suite: &str) -> Vec<Mode> {
        let rows = || self.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten();
        [Mode::Forward, Mode::Reverse]
            .into_iter()
            .filter(|mode| rows().any(|row| row.mode == *mode))
            .collect()
    }
}
