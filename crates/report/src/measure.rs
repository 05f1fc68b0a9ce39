//! What is measured of which model on which problems: the step from evaluation rows to estimates.
//!
//! Axes in names: `_S` seed, `_P` problem.

use serde::{Deserialize, Serialize};
use train::records::{EvalRow, StageKind};

use crate::folder::{Folder, Stage};
use crate::stats::{self, Bootstrap, Estimate};

/// A number per problem.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Metric {
    /// At least one of k samples verified (answer and process).
    PassAt(u32),
    /// All of k samples verified.
    PassPow(u32),
    /// The most frequent of k answers right.
    MajAt(u32),
    /// At least this share of the samples verified.
    Cover(f64),
    /// Share of the gold nodes that a solution gets right.
    ProcessAcc,
    /// Right answer, whatever the process.
    Right,
    /// Right answer by a wrong process.
    RightWrongProcess,
    /// Length limit reached.
    Truncated,
    /// Tokens of a response.
    Tokens,
    /// Negative log-likelihood of the gold solution, nats a token.
    GoldNll,
}

impl Metric {
    /// The metric of one problem; `None` if it has no such value (`k` above its number of samples).
    pub fn of(self, row: &EvalRow) -> Option<f64> {
        let share = |count: u32| (row.n > 0).then(|| f64::from(count) / f64::from(row.n));
        let value = match self {
            Self::PassAt(k) => stats::pass_at_k(row.n, row.verified, k),
            Self::PassPow(k) => stats::pass_pow_k(row.n, row.verified, k),
            Self::MajAt(k) => majority(row, k),
            Self::Cover(tau) => stats::cover(row.n, row.verified, tau),
            Self::ProcessAcc => Some(row.process_acc),
            Self::Right => share(row.right),
            Self::RightWrongProcess => share(row.right.saturating_sub(row.verified)),
            Self::Truncated => share(row.truncated),
            Self::Tokens => Some(row.tokens),
            Self::GoldNll => Some(row.gold_nll),
        };
        value.filter(|v| v.is_finite())
    }

    /// Smallest and largest possible value, where there is one.
    fn range(self) -> Option<(f64, f64)> {
        (!matches!(self, Self::Tokens | Self::GoldNll)).then_some((0.0, 1.0))
    }

    /// The metric that a recipe names: `pass@8`, `pass^8`, `maj@8`, `cover@0.5`, `process_acc`, `right`,
    /// `right_wrong_process`, `truncated`, `tokens`, `nll`.
    ///
    /// ```
    /// use report::measure::Metric;
    /// assert_eq!(Metric::parse("pass@128"), Some(Metric::PassAt(128)));
    /// assert_eq!(Metric::parse("pass@"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse::<u32>().ok().filter(|k| *k > 0);
        match name {
            "process_acc" => Some(Self::ProcessAcc),
            "right" => Some(Self::Right),
            "right_wrong_process" => Some(Self::RightWrongProcess),
            "truncated" => Some(Self::Truncated),
            "tokens" => Some(Self::Tokens),
            "nll" => Some(Self::GoldNll),
            _ => number("pass@")
                .map(Self::PassAt)
                .or_else(|| number("pass^").map(Self::PassPow))
                .or_else(|| number("maj@").map(Self::MajAt))
                .or_else(|| name.strip_prefix("cover@")?.parse().ok().map(Self::Cover)),
        }
    }

    /// How the metric is written, e.g. `pass@8`.
    pub fn name(self) -> String {
        match self {
            Self::PassAt(k) => format!("pass@{k}"),
            Self::PassPow(k) => format!("pass^{k}"),
            Self::MajAt(k) => format!("maj@{k}"),
            Self::Cover(tau) => format!("cover@{tau}"),
            Self::ProcessAcc => "process accuracy".into(),
            Self::Right => "right answer".into(),
            Self::RightWrongProcess => "right answer, wrong process".into(),
            Self::Truncated => "truncated".into(),
            Self::Tokens => "response tokens".into(),
            Self::GoldNll => "gold NLL".into(),
        }
    }
}

fn majority(row: &EvalRow, k: u32) -> Option<f64> {
    let right = row.answers.get(&row.answer).copied().unwrap_or(0);
    let missing = row.answers.get("").copied().unwrap_or(0);
    let wrong = |(a, _): &(&String, &u32)| !a.is_empty() && **a != row.answer;
    let others: Vec<u32> = row.answers.iter().filter(wrong).map(|(_, n)| *n).collect();
    stats::maj_at_k(right, missing, &others, k)
}

/// Which problems of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// Smallest and largest op, both included; `None`: all.
    pub ops: Option<(u32, u32)>,
    /// Only this context.
    pub context: Option<String>,
    /// Only this mode.
    pub mode: Option<String>,
}

impl Slice {
    /// Problems of these ops, both ends included.
    pub fn ops(from: u32, to: u32) -> Self {
        Self { ops: Some((from, to)), ..Self::default() }
    }

    /// Whether a problem is in it.
    pub fn holds(&self, row: &EvalRow) -> bool {
        self.ops.is_none_or(|(from, to)| (from..=to).contains(&row.op))
            && self.context.as_ref().is_none_or(|c| *c == row.context)
            && self.mode.as_ref().is_none_or(|m| *m == row.mode)
    }
}

/// One model of the run: a stage of an arm, over the seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The arms that go through it; several when they share it.
    pub arms: Vec<String>,
    /// The stage's name.
    pub stage: String,
    /// What the stage does.
    pub kind: StageKind,
    /// How it is called in tables: the stage, and the arm unless all arms share it.
    pub label: String,
    /// Seed and stage folder, by seed.
    pub folders: Vec<(u64, String)>,
    /// Index of the model it was trained from.
    pub parent: Option<usize>,
}

/// The models of a run, in the order of the manifest; parents come before their children. A stage that
/// several arms share is one model. Stages that have not started are left out.
pub fn models(folder: &Folder) -> Vec<Model> {
    let mut arms: Vec<&str> = Vec::new();
    for run in &folder.manifest.runs {
        if !arms.contains(&run.arm.as_str()) {
            arms.push(&run.arm);
        }
    }
    let mut models: Vec<Model> = Vec::new();
    for arm in &arms {
        let mut runs: Vec<_> = folder.manifest.runs.iter().filter(|r| r.arm == *arm).collect();
        runs.sort_by_key(|r| r.seed);
        let mut parent = None;
        for position in 0..runs.iter().map(|r| r.stages.len()).max().unwrap_or(0) {
            let folders: Vec<(u64, String)> = runs
                .iter()
                .filter_map(|r| Some((r.seed, r.stages.get(position)?.clone())))
                .filter(|(_, name)| folder.stages.contains_key(name))
                .collect();
            let Some(stage) = folders.first().and_then(|(_, name)| folder.stages.get(name)) else {
                break;
            };
            let known = models.iter().position(|m| m.folders == folders);
            if let Some(known) = known {
                models[known].arms.push((*arm).to_owned());
            } else {
                models.push(Model {
                    arms: vec![(*arm).to_owned()],
                    stage: stage.info.name.clone(),
                    kind: stage.info.kind,
                    label: String::new(),
                    folders,
                    parent,
                });
            }
            parent = Some(known.unwrap_or(models.len() - 1));
        }
    }
    for model in &mut models {
        let shared = model.arms.len() == arms.len();
        model.label = if shared {
            model.stage.clone()
        } else {
            format!("{} · {}", model.arms.join(", "), model.stage)
        };
    }
    models
}

/// Values by seed and problem.
pub(crate) type ValuesSP = Vec<Vec<f64>>;

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

    /// The stage of a model at each of its seeds.
    pub fn stages(&self, model: &Model) -> impl Iterator<Item = (u64, &'a Stage)> {
        let folder = self.folder;
        model.folders.iter().filter_map(move |(seed, name)| Some((*seed, folder.stages.get(name)?)))
    }

    /// Rows of a slice at each seed at which the model was evaluated on the suite, by problem.
    fn rows_SP(&self, model: &Model, suite: &str, slice: &Slice) -> Vec<(u64, Vec<&'a EvalRow>)> {
        let mut rows_SP = Vec::new();
        for (seed, stage) in self.stages(model) {
            let Some(rows) = stage.evals.get(suite) else { continue };
            let mut rows: Vec<&EvalRow> = rows.iter().filter(|row| slice.holds(row)).collect();
            rows.sort_by_key(|row| row.problem);
            rows_SP.push((seed, rows));
        }
        rows_SP
    }

    /// Values by seed and problem; `None` if any is missing or the seeds saw different problems.
    fn values_SP(
        value: impl Fn(&EvalRow) -> Option<f64>,
        rows_SP: &[(u64, Vec<&EvalRow>)],
    ) -> Option<ValuesSP> {
        let problems = |rows: &[&EvalRow]| rows.iter().map(|r| r.problem).collect::<Vec<_>>();
        let first = problems(&rows_SP.first()?.1);
        let row = |(_, rows): &(u64, Vec<&EvalRow>)| -> Option<Vec<f64>> {
            (problems(rows) == first).then(|| rows.iter().map(|r| value(r)).collect())?
        };
        rows_SP.iter().map(row).collect()
    }

    /// The mean of a metric over a slice. `None` if the model was not evaluated there, or some problem
    /// lacks the metric.
    pub fn mean(&self, model: &Model, suite: &str, slice: &Slice, metric: Metric) -> Option<Estimate> {
        self.mean_of(model, suite, slice, metric.range(), |row| metric.of(row))
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
        let values_SP = Self::values_SP(value, &self.rows_SP(model, suite, slice))?;
        self.bootstrap.mean(&values_SP, range)
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
        let (a_SP, b_SP) = self.paired(a, b, suite, slice, metric)?;
        self.bootstrap.difference(&a_SP, &b_SP, metric.range())
    }

    /// The values behind [`Measure::difference`].
    pub(crate) fn paired(
        &self,
        a: &Model,
        b: &Model,
        suite: &str,
        slice: &Slice,
        metric: Metric,
    ) -> Option<(ValuesSP, ValuesSP)> {
        let (mut a, mut b) = (self.rows_SP(a, suite, slice), self.rows_SP(b, suite, slice));
        a.retain(|(seed, _)| b.iter().any(|(other, _)| seed == other));
        b.retain(|(seed, _)| a.iter().any(|(other, _)| seed == other));
        let problems = |rows: &[(u64, Vec<&EvalRow>)]| -> Vec<u64> {
            rows.first().map_or_else(Vec::new, |(_, r)| r.iter().map(|r| r.problem).collect())
        };
        if problems(&a) != problems(&b) {
            return None;
        }
        Some((Self::values_SP(|r| metric.of(r), &a)?, Self::values_SP(|r| metric.of(r), &b)?))
    }

    /// A metric of the model on its way through the stage, by step, at its first seed.
    pub fn milestones(
        &self,
        model: &Model,
        suite: &str,
        slice: &Slice,
        metric: Metric,
    ) -> Vec<(u64, Estimate)> {
        let Some((seed, stage)) = self.stages(model).next() else { return Vec::new() };
        let Some(steps) = stage.milestones.get(suite) else { return Vec::new() };
        let last = stage.evals.get(suite).map(|rows| (stage.info.steps, rows));
        let all = steps.iter().map(|(step, rows)| (*step, rows)).chain(last);
        let estimate = |rows: &Vec<EvalRow>| {
            let mut rows: Vec<&EvalRow> = rows.iter().filter(|row| slice.holds(row)).collect();
            rows.sort_by_key(|row| row.problem);
            self.bootstrap.mean(&Self::values_SP(|r| metric.of(r), &[(seed, rows)])?, metric.range())
        };
        all.filter_map(|(step, rows)| Some((step, estimate(rows)?))).collect()
    }

    /// Samples that every problem of the suite has in every model: the largest `k`. 0 if not evaluated.
    pub fn samples(&self, suite: &str) -> u32 {
        let rows = self.folder.stages.values().filter_map(|s| s.evals.get(suite));
        rows.flatten().map(|row| row.n).min().unwrap_or(0)
    }

    /// Contexts of a suite, sorted.
    pub fn contexts(&self, suite: &str) -> Vec<String> {
        let rows = self.folder.stages.values().filter_map(|s| s.evals.get(suite)).flatten();
        let names: std::collections::BTreeSet<&String> = rows.map(|row| &row.context).collect();
        names.into_iter().cloned().collect()
    }
}
