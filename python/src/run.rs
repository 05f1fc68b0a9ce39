//! Runs, plans, reports and results.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ::report as reports;
use engine::CpuFactory;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use reports::stats::Estimate;
use runs::Folder;
use runs::records::{EvalRow, MetricsRow, StageInfo, StageKind};
use serde_json::{Map, Value, json};
use train::Outcome;
use train::error::RunError;
use train::observer::{Event, Observer};
use train::recipe::Recipe;
use train::run::plan::Plan;
use train::run::{Options, Run};

use crate::errors::failed;

/// Between two looks at Ctrl-C.
const PAUSE: Duration = Duration::from_millis(100);

/// What a run says while it works. Python draws it.
enum News {
    /// Work of a known amount begins: what, how much, in which unit, how much is done.
    Begins(String, u64, &'static str, u64),
    /// So much is done, and a remark.
    Done(u64, String),
    /// A line for the reader.
    Line(String),
}

/// Sends news to the thread that holds the interpreter.
struct Teller(Sender<News>);

impl Teller {
    fn tell(&self, news: News) {
        // Nobody listens any more only if the caller has failed; the run then stops anyway.
        let _ = self.0.send(news);
    }
}

impl Observer for Teller {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Preparing(what) => self.tell(News::Begins(what.to_owned(), 0, "", 0)),
            Event::Arm { name, seed } => self.tell(News::Line(format!("arm {name}, seed {seed}"))),
            Event::StageKnown { folder, taken_from } => {
                let from = taken_from
                    .map_or("already done".to_owned(), |run| format!("reused from {}", run.display()));
                self.tell(News::Line(format!("{folder}: {from}")));
            }
            Event::Waiting { name, process } => {
                let who = process.map_or("another process".to_owned(), ToString::to_string);
                self.tell(News::Line(format!("waiting for {name}: {who} works on it")));
            }
            Event::TakenOver { name, process } => {
                self.tell(News::Line(format!("{name}: taken over from {process}, whose lease stood still")));
            }
            Event::StageFailed { folder, error } => {
                self.tell(News::Line(format!("{folder} failed: {error}; stages that do not start from it go on")));
            }
            Event::StageStarted { info, done } => {
                self.tell(News::Begins(info.name.clone(), info.steps, "steps", done));
            }
            Event::Step { info, metrics, .. } => self.tell(News::Done(metrics.step, remark(info, metrics))),
            Event::EvaluationStarted { suite, done, total } => {
                self.tell(News::Begins(format!("eval {suite}"), total as u64, "samples", done as u64));
            }
            Event::EvaluationReplaced { suite } => {
                self.tell(News::Line(format!(
                    "{suite} has changed: it is measured again and replaces the old one"
                )));
            }
            Event::Evaluating { done, .. } => self.tell(News::Done(done as u64, String::new())),
            Event::EvaluationDone { suite, rows } => self.tell(News::Line(evaluated(suite, rows))),
            Event::StageDone { info, done } => {
                self.tell(News::Line(format!("{}: {} steps", info.name, done.steps)));
            }
            Event::Sampling { .. } | Event::Checkpoint { .. } => {}
        }
    }
}

fn remark(info: &StageInfo, metrics: &MetricsRow) -> String {
    let (word, name) = match info.kind {
        StageKind::Rl => ("reward", "critic/rewards/mean"),
        StageKind::PreTraining | StageKind::MidTraining | StageKind::Elsewhere => ("loss", "loss"),
    };
    let value = metrics.values.get(name).copied().flatten();
    value.map_or(String::new(), |value| format!("{word} {value:.3}"))
}

fn evaluated(suite: &str, rows: &[EvalRow]) -> String {
    let share: f64 = rows.iter().map(|row| f64::from(row.verified) / f64::from(row.n.max(1))).sum();
    format!("{suite}: pass@1 {:.1}% of {} problems", 100.0 * share / (rows.len().max(1)) as f64, rows.len())
}

/// What is done, and how it is told to Python.
#[derive(Clone, Copy)]
struct Listener<'a, 'py> {
    py: Python<'py>,
    told: &'a Bound<'py, PyAny>,
    stop: &'a AtomicBool,
}

impl Listener<'_, '_> {
    /// Tells Python the news until there will be no more. The first Ctrl-C, or an error of the listener, asks the run to
    /// stop; it saves and ends.
    fn listen(self, mut news: Receiver<News>) -> Option<PyErr> {
        let mut asked: Option<PyErr> = None;
        loop {
            // Moved in and out, since a receiver cannot be shared with another thread.
            let next;
            (next, news) = self.py.detach(move || (news.recv_timeout(PAUSE), news));
            let told = match next {
                Ok(news) => self.tell(news),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return asked,
            };
            if let Err(error) = told.and_then(|()| self.py.check_signals()) {
                self.stop.store(true, Ordering::SeqCst);
                if asked.is_none() {
                    // A listener that has failed need not hear it; the error itself is raised when the run has ended.
                    let saving = "stopping after this step and saving; the same call resumes".to_owned();
                    let _ = self.tell(News::Line(saving));
                    asked = Some(error);
                }
            }
        }
    }

    fn tell(self, news: News) -> PyResult<()> {
        match news {
            News::Begins(what, total, unit, done) => {
                self.told.call_method1("begins", (what, total, unit, done))
            }
            News::Done(done, remark) => self.told.call_method1("done", (done, remark)),
            News::Line(line) => self.told.call_method1("line", (line,)),
        }
        .map(drop)
    }
}

/// What to run.
struct Order {
    recipe: PathBuf,
    overrides: Vec<String>,
    folder: Option<PathBuf>,
    options: Options,
    threads: Option<usize>,
}

impl Order {
    /// The folder, once everything is done; none if it was stopped.
    fn run(self, teller: &mut Teller, stop: &AtomicBool) -> Result<Option<PathBuf>, RunError> {
        let factory = CpuFactory::with_threads(self.threads);
        let recipe = Recipe::open(&self.recipe, &self.overrides)?;
        let folder = self.folder.unwrap_or_else(|| Path::new("runs").join(&recipe.document.name));
        let run = Run::open(recipe, &folder, &factory, self.options)?;
        let finished = run.execute(teller, stop)? == Outcome::Finished(());
        Ok(finished.then_some(folder))
    }
}

/// Runs a recipe and writes its report; the package's `run` calls it. News go to `listener`.
#[pyfunction]
#[pyo3(signature = (recipe, overrides, out, arm, seed, reuse, threads, command, listener))]
#[expect(clippy::too_many_arguments, reason = "as the program's options")]
pub(crate) fn execute(
    py: Python<'_>,
    recipe: PathBuf,
    overrides: Vec<String>,
    out: Option<PathBuf>,
    arm: Option<String>,
    seed: Option<u64>,
    reuse: Vec<PathBuf>,
    threads: Option<usize>,
    command: String,
    listener: &Bound<'_, PyAny>,
) -> PyResult<(PathBuf, PathBuf, String)> {
    let options = Options { command, revision: tercet::revision(), arm, seed, reuse, ..Options::default() };
    let order = Order { recipe, overrides, folder: out, options, threads };
    let stop = AtomicBool::new(false);
    let (sender, news) = channel();
    let (outcome, asked) = std::thread::scope(|scope| {
        let stop = &stop;
        let work = scope.spawn(move || order.run(&mut Teller(sender), stop));
        let asked = Listener { py, told: listener, stop }.listen(news);
        (py.detach(|| work.join()), asked)
    });
    let folder = match outcome {
        Ok(folder) => folder.map_err(|e| failed(&e))?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    match (asked, folder) {
        (Some(error), _) => Err(error),
        (None, None) => Err(PyKeyboardInterrupt::new_err(())),
        (None, Some(folder)) => {
            let (report, table) = py.detach(|| written(&folder)).map_err(|e| failed(&e))?;
            Ok((folder, report, table))
        }
    }
}

fn written(folder: &Path) -> Result<(PathBuf, String), reports::ReportError> {
    Ok((reports::html::write(folder)?, reports::table(folder)?.render()))
}

/// What a recipe will cost, as JSON; the package's `plan` reads it.
#[pyfunction]
pub(crate) fn plan(py: Python<'_>, recipe: PathBuf, overrides: Vec<String>) -> PyResult<String> {
    let planned = || -> Result<Plan, RunError> { Plan::of(&Recipe::open(&recipe, &overrides)?, None) };
    let plan = py.detach(planned).map_err(|e| failed(&e))?;
    serde_json::to_string(&plan).map_err(|e| failed(&e))
}

/// Writes the report of a run folder; returns the report's path and the table for a terminal.
#[pyfunction]
pub(crate) fn report(py: Python<'_>, folder: PathBuf) -> PyResult<(PathBuf, String)> {
    py.detach(|| written(&folder)).map_err(|e| failed(&e))
}

/// The results of a run folder as rows of scalars, three lists in one JSON text; the package's `results` reads it.
#[pyfunction]
pub(crate) fn results(py: Python<'_>, folder: PathBuf) -> PyResult<String> {
    let rows = || -> Result<Value, reports::ReportError> {
        let table = reports::table(&folder)?;
        let rows: Vec<Value> = table.rows.iter().map(row).collect();
        let claims: Vec<Value> = table.claims.iter().map(claim).collect();
        let metrics = metrics(&Folder::read(&folder)?);
        Ok(json!({ "rows": rows, "metrics": metrics, "claims": claims }))
    };
    Ok(py.detach(rows).map_err(|e| failed(&e))?.to_string())
}

/// An estimate and the ends of its interval.
fn spread(row: &mut Map<String, Value>, name: &str, estimate: Option<&Estimate>) {
    let numbers = estimate.map(|e| [e.value, e.low, e.high]);
    for (i, suffix) in ["", "_low", "_high"].into_iter().enumerate() {
        row.insert(format!("{name}{suffix}"), numbers.map(|numbers| numbers[i]).into());
    }
}

fn row(row: &reports::table::Row) -> Value {
    let mut flat = Map::new();
    for (name, text) in [("suite", &row.suite), ("model", &row.model), ("band", &row.band)] {
        flat.insert(name.to_owned(), text.as_str().into());
    }
    for (name, number) in [
        ("op_from", row.ops.0),
        ("op_to", row.ops.1),
        ("samples", row.samples),
        ("k", row.k),
        ("problems", row.pass_1.problems),
        ("seeds", row.pass_1.seeds),
    ] {
        flat.insert(name.to_owned(), number.into());
    }
    flat.insert("context".to_owned(), row.context.clone().into());
    flat.insert("parent".to_owned(), row.parent.clone().into());
    spread(&mut flat, "pass_1", Some(&row.pass_1));
    spread(&mut flat, "pass_k", Some(&row.pass_k));
    spread(&mut flat, "right_wrong_process", row.correct_by_wrong_process.as_ref());
    for change in [("change_1", &row.change_1), ("change_k", &row.change_k)] {
        spread(&mut flat, change.0, change.1.as_ref().map(|change| &change.difference));
        flat.insert(format!("{}_word", change.0), change.1.map(|change| change.word.name()).into());
    }
    for measured in &row.measures {
        spread(&mut flat, &measured.metric.to_string(), Some(&measured.estimate));
    }
    flat.into()
}

fn claim(ruling: &reports::claims::Ruling) -> Value {
    let mut flat = Map::new();
    let claim = &ruling.claim;
    for (name, text) in [("name", &claim.name), ("says", &claim.says), ("suite", &claim.suite)] {
        flat.insert(name.to_owned(), text.as_str().into());
    }
    flat.insert("metric".to_owned(), claim.metric.to_string().into());
    flat.insert("verdict".to_owned(), ruling.verdict.name().into());
    spread(&mut flat, "effect", ruling.effect.as_ref());
    spread(&mut flat, "left", ruling.left.as_ref());
    spread(&mut flat, "right", ruling.right.as_ref());
    flat.into()
}

fn metrics(folder: &Folder) -> Vec<Value> {
    let mut rows = Vec::new();
    for (name, stage) in &folder.stages {
        for metrics in &stage.metrics {
            let mut flat = Map::new();
            flat.insert("stage".to_owned(), name.as_str().into());
            flat.insert("name".to_owned(), stage.info.name.as_str().into());
            flat.insert("seed".to_owned(), stage.info.seed.into());
            flat.insert("step".to_owned(), metrics.step.into());
            flat.extend(metrics.values.iter().map(|(name, value)| (name.clone(), (*value).into())));
            rows.push(flat.into());
        }
    }
    rows
}
