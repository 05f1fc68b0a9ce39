//! One problem.

use std::sync::{Arc, OnceLock};

use ::problems as made;
use made::Record;
use made::gold::Gold;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::errors::{refused, wrong};
use crate::graph::Graph;
use crate::world::{Cell, library};

/// A problem: a dependency graph told as a story, with its question, its solution and its answer. It cannot be changed.
///
/// `prompt` and `response` are the very texts that models are trained on: their concatenation is a training document.
#[pyclass(frozen, module = "tercet")]
pub(crate) struct Problem {
    pub(crate) problem: made::Problem,
    gold: OnceLock<Arc<Gold>>,
}

impl Problem {
    pub(crate) fn new(problem: made::Problem) -> Self {
        Self { problem, gold: OnceLock::new() }
    }

    /// What the judge compares with.
    pub(crate) fn gold(&self) -> &Arc<Gold> {
        self.gold.get_or_init(|| Arc::new(self.problem.gold()))
    }

    pub(crate) fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.problem.record()).map_err(|e| wrong(&e))
    }

    fn of_json(text: &str) -> PyResult<Self> {
        let record: Record =
            serde_json::from_str(text).map_err(|e| refused(format!("this is no problem: {e}")))?;
        made::Problem::from_record(&record).map(Self::new).map_err(|e| wrong(&e))
    }
}

#[pymethods]
impl Problem {
    /// The problem of a record: a line that `tercet problems` wrote, as text or as a dict. It is checked: the graph is well
    /// formed, and op, answer, mode and hashes agree with it.
    #[staticmethod]
    fn from_record(record: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = record.cast::<PyString>() {
            return Self::of_json(&text.to_cow()?);
        }
        let text = record.py().import("json")?.call_method1("dumps", (record,))?;
        Self::of_json(&text.extract::<String>()?)
    }

    /// The first 16 hexadecimal digits of the text's hash.
    #[getter]
    fn id(&self) -> &str {
        &self.problem.id
    }

    /// What a model is given: `<question> … </question> <solution>`.
    #[getter]
    fn prompt(&self) -> String {
        self.problem.prompt()
    }

    /// What a model should answer, with the blank that follows the prompt: ` … </solution> <answer> n </answer>`. The end
    /// token is not part of it.
    #[getter]
    fn response(&self) -> String {
        self.problem.response()
    }

    /// The training document: prompt and response, without the end token.
    #[getter]
    fn text(&self) -> String {
        self.problem.prompt() + &self.problem.response()
    }

    /// The sentences and the question, without tags.
    #[getter]
    fn question(&self) -> String {
        format!("{} {}", self.problem.problem.trim(), self.problem.question.trim())
    }

    /// The answer.
    #[getter]
    fn answer(&self) -> i64 {
        self.problem.answer
    }

    /// The number of operations: the sum of the in-degrees on the path to the answer (paper, Section 2).
    #[getter]
    fn op(&self) -> u32 {
        self.problem.cell.op
    }

    /// The name of the context.
    #[getter]
    fn context(&self) -> &str {
        &self.problem.cell.context
    }

    /// `forward` or `reverse`.
    #[getter]
    fn mode(&self) -> &'static str {
        self.problem.mode().name()
    }

    /// op, context and mode together.
    #[getter]
    fn cell(&self) -> Cell {
        Cell(self.problem.cell.clone())
    }

    /// Its number in its cell.
    #[getter]
    fn index(&self) -> u64 {
        self.problem.index
    }

    /// The seed it was made with.
    #[getter]
    fn seed(&self) -> u64 {
        self.problem.seed
    }

    /// The dependency graph.
    #[getter]
    fn graph(&self) -> PyResult<Graph> {
        Graph::of(&self.problem)
    }

    /// The record that `tercet problems` writes: one line of JSON, without the line's end. It crosses to other programs as
    /// text, since Arrow refuses its graph.
    #[getter]
    fn record_json(&self) -> PyResult<String> {
        self.json()
    }

    /// The record as a dict: `json.loads(problem.record_json)`.
    fn record<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.json()?,))
    }

    /// A row of a data set, scalars only: `id`, `prompt`, `response`, `answer`, `op`, `context`, `mode`, `index`, `seed`, and
    /// `record`, which is the whole problem as one JSON text.
    pub(crate) fn row<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let row = PyDict::new(py);
        row.set_item("id", self.id())?;
        row.set_item("prompt", self.prompt())?;
        row.set_item("response", self.response())?;
        row.set_item("answer", self.answer())?;
        row.set_item("op", self.op())?;
        row.set_item("context", self.context())?;
        row.set_item("mode", self.mode())?;
        row.set_item("index", self.index())?;
        row.set_item("seed", self.seed())?;
        row.set_item("record", self.json()?)?;
        Ok(row)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.problem == other.problem
    }

    fn __hash__(&self) -> u64 {
        u64::from_str_radix(&self.problem.id, 16).unwrap_or(self.problem.index)
    }

    fn __repr__(&self) -> String {
        let made::Cell { op, context, mode } = &self.problem.cell;
        let (id, index) = (&self.problem.id, self.problem.index);
        format!("Problem(id='{id}', op={op}, context='{context}', mode='{}', index={index})", mode.name())
    }

    fn _repr_html_(&self) -> PyResult<String> {
        Ok(crate::shown::problem(&self.problem, &Graph::of(&self.problem)?))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((library(py, "problem_from_json")?, (self.json()?,)))
    }
}

/// Makes a pickled problem again.
#[pyfunction]
pub(crate) fn problem_from_json(record: &str) -> PyResult<Problem> {
    Problem::of_json(record)
}
