//! What the judge says, with offsets in characters.

use std::ops::Range;
use std::sync::Arc;

use ::problems::gold::Gold;
use ::problems::verify as judged;
use judged::{FaultKind, StepVerdict};
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde_json::Value;

use crate::errors::wrong;
use crate::offsets::{characters, text};
use crate::shown;

/// What is wrong, and where: `text[fault.start:fault.end]`.
#[pyclass(frozen, eq, hash, module = "tercet", get_all)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fault {
    /// The kind's name, e.g. `wrong-value` (docs/verifier.md lists them).
    kind: &'static str,
    /// One line for a reader.
    meaning: &'static str,
    /// The first character that it is about.
    start: usize,
    /// The character after the last.
    end: usize,
}

impl Fault {
    fn new(text: &str, kind: FaultKind, place: &Range<usize>) -> Self {
        let Range { start, end } = characters(text, place);
        Self { kind: kind.name(), meaning: kind.meaning(), start, end }
    }
}

#[pymethods]
impl Fault {
    fn __str__(&self) -> &'static str {
        self.kind
    }

    fn __repr__(&self) -> String {
        format!("Fault('{}', {}, {})", self.kind, self.start, self.end)
    }
}

/// What the judge says of one step of a response: `text[step.start:step.end]`.
#[pyclass(frozen, eq, module = "tercet", get_all)]
#[derive(Clone, PartialEq)]
pub(crate) struct Step {
    /// The quantity's name as written; `equation` for the equation of a reverse problem.
    name: String,
    /// The step is correct under the policy.
    correct: bool,
    /// The first thing that is wrong with it, even where the policy accepts that.
    fault: Option<Fault>,
    /// Where the value is wrong: what the step says.
    says: Option<String>,
    /// Where the value is wrong: what is true.
    truth: Option<String>,
    /// Quantities that the step should use and does not.
    missing_parents: Vec<String>,
    /// Quantities that the step uses and should not.
    extra_parents: Vec<String>,
    /// Its first character.
    start: usize,
    /// The character after its last.
    end: usize,
}

impl Step {
    fn new(text: &str, step: &StepVerdict) -> Self {
        let Range { start, end } = characters(text, &step.range);
        let fault = step.fault.zip(step.fault_range.as_ref());
        Self {
            name: step.name.clone(),
            correct: step.correct,
            fault: fault.map(|(kind, place)| Fault::new(text, kind, place)),
            says: step.wrong_value.as_ref().and_then(|value| value.says.clone()),
            truth: step.wrong_value.as_ref().map(|value| value.is.clone()),
            missing_parents: step.missing_parents.clone(),
            extra_parents: step.extra_parents.clone(),
            start,
            end,
        }
    }
}

#[pymethods]
impl Step {
    fn __repr__(&self) -> String {
        let state = self.fault.as_ref().map_or("correct", |fault| fault.kind);
        format!("Step('{}', {state}, {}, {})", self.name, self.start, self.end)
    }
}

/// What became of one quantity of the true solution. When it is defined more than once, the last step counts.
#[pyclass(frozen, eq, module = "tercet", get_all)]
#[derive(Clone, PartialEq)]
pub(crate) struct Quantity {
    /// Its name.
    name: String,
    /// A step defines it.
    present: bool,
    /// That step computes it from exactly the true quantities.
    parents_correct: bool,
    /// That step gives it the true value.
    value_correct: bool,
}

#[pymethods]
impl Quantity {
    /// All three: `s(v)` of the paper.
    #[getter]
    fn correct(&self) -> bool {
        self.present && self.parents_correct && self.value_correct
    }

    fn __repr__(&self) -> String {
        let state = if self.correct() {
            "correct"
        } else if self.present {
            "wrong"
        } else {
            "missing"
        };
        format!("Quantity('{}', {state})", self.name)
    }
}

/// What the judge says of a response. Offsets count characters of the response.
#[pyclass(frozen, module = "tercet")]
#[expect(clippy::struct_field_names, reason = "it wraps the crate's verdict")]
pub(crate) struct Verdict {
    pub(crate) verdict: judged::Verdict,
    pub(crate) cut: bool,
    pub(crate) gold: Arc<Gold>,
    pub(crate) text: Py<PyString>,
}

#[pymethods]
impl Verdict {
    /// The response is correct under the policy (`VerifiedCorrect` of the paper, Section 2), and it was not cut.
    #[getter]
    fn verified(&self) -> bool {
        self.verdict.verified
    }

    /// The answer is correct, whatever the process, and the response was not cut.
    #[getter]
    fn correct(&self) -> bool {
        self.verdict.answer_correct
    }

    /// Share of the process that is correct, 0 to 1 (`ProcessAcc` of the paper; the policy `reference` counts penalties).
    #[getter]
    fn process(&self) -> f64 {
        self.verdict.process_acc
    }

    /// The answer in its normal form; None when there is none, when it is no number, or when several differ.
    #[getter]
    fn answer(&self) -> Option<&str> {
        self.verdict.answer.as_deref()
    }

    /// The first fault in the text, even where the policy accepts it; None if there is none.
    #[getter]
    fn first_fault(&self, py: Python<'_>) -> PyResult<Option<Fault>> {
        let text = text(self.text.bind(py))?;
        Ok(self.verdict.first_fault.as_ref().map(|(kind, place)| Fault::new(&text, *kind, place)))
    }

    /// What is wrong with the answer; None if nothing is.
    #[getter]
    fn answer_fault(&self, py: Python<'_>) -> PyResult<Option<Fault>> {
        let text = text(self.text.bind(py))?;
        Ok(self.verdict.answer_fault.as_ref().map(|(kind, place)| Fault::new(&text, *kind, place)))
    }

    /// The steps of the response, in the order of the text.
    #[getter]
    fn steps(&self, py: Python<'_>) -> PyResult<Vec<Step>> {
        let text = text(self.text.bind(py))?;
        Ok(self.verdict.steps.iter().map(|step| Step::new(&text, step)).collect())
    }

    /// The quantities of the true solution, in its order.
    #[getter]
    fn quantities(&self) -> Vec<Quantity> {
        let judged = self.gold.nodes.iter().zip(&self.verdict.nodes);
        let one = |(gold, node): (&::problems::gold::GoldNode, &judged::NodeVerdict)| Quantity {
            name: gold.name.clone(),
            present: node.present,
            parents_correct: node.parents_correct,
            value_correct: node.value_correct,
        };
        judged.map(one).collect()
    }

    /// The policy that decided.
    #[getter]
    fn policy(&self) -> &'static str {
        self.verdict.policy.name()
    }

    /// The response ran into the length limit, as `cut` said.
    #[getter]
    fn cut(&self) -> bool {
        self.cut
    }

    /// The text stops before it gives an answer.
    #[getter]
    fn truncated(&self) -> bool {
        self.verdict.truncated
    }

    /// The tags are exactly `… </solution> <answer> n </answer>`.
    #[getter]
    fn well_formed(&self) -> bool {
        self.verdict.well_formed
    }

    /// Every chain of every step holds, and so does every line of the equation.
    #[getter]
    fn arithmetic_sound(&self) -> bool {
        self.verdict.arithmetic_sound
    }

    /// The response that was judged.
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> &Bound<'py, PyString> {
        self.text.bind(py)
    }

    /// The whole verdict as one JSON text, as `tercet verify --full` writes it, with offsets in characters.
    #[getter]
    fn json(&self, py: Python<'_>) -> PyResult<String> {
        let text = text(self.text.bind(py))?;
        let mut json = serde_json::to_value(&self.verdict).map_err(|e| wrong(&e))?;
        in_characters(&mut json, &text);
        Ok(json.to_string())
    }

    /// The response, a step a line, with marks under what is wrong and the reason behind it.
    fn explain(&self, py: Python<'_>) -> PyResult<String> {
        Ok(judged::explain(&text(self.text.bind(py))?, &self.verdict))
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        self.explain(py)
    }

    fn __repr__(&self) -> String {
        let word = if self.verified() { "verified" } else { "not verified" };
        let fault =
            self.verdict.first_fault.as_ref().map_or(String::new(), |(kind, _)| format!(", {}", kind.name()));
        let cut = if self.cut { ", cut" } else { "" };
        format!("Verdict({word} under '{}', process {:.3}{fault}{cut})", self.policy(), self.process())
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        Ok(shown::verdict(&text(self.text.bind(py))?, &self.verdict, self.cut))
    }
}

/// Ranges `{"start": …, "end": …}` in place.
fn in_characters(json: &mut Value, text: &str) {
    match json {
        Value::Object(fields) => {
            let end = |name: &str| fields.get(name).and_then(Value::as_u64).map(|at| at as usize);
            if let (Some(start), Some(end), 2) = (end("start"), end("end"), fields.len()) {
                let range = characters(text, &(start..end));
                fields.insert("start".to_owned(), range.start.into());
                fields.insert("end".to_owned(), range.end.into());
            }
            fields.values_mut().for_each(|value| in_characters(value, text));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| in_characters(item, text)),
        _ => {}
    }
}
