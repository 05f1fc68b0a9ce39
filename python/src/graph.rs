//! The graph of a problem, drawn.

use pyo3::prelude::*;
use report::draw::{Dag, svg, text};

use crate::shown::named;

/// The dependency graph of a problem: its quantities, how each is computed, and its value. `str()` draws it with
/// characters, a notebook shows it as a picture.
#[pyclass(frozen, module = "tercet")]
pub(crate) struct Graph {
    dag: Dag,
    json: String,
}

impl Graph {
    pub(crate) fn of(problem: &::problems::Problem) -> PyResult<Self> {
        let json = serde_json::to_string(&problem.graph).map_err(|e| crate::errors::wrong(&e))?;
        Ok(Self { dag: Dag::of_problem(problem), json })
    }
}

#[pymethods]
impl Graph {
    /// The graph as in the problem's record: one JSON text.
    #[getter]
    fn json(&self) -> &str {
        &self.json
    }

    /// The names of the quantities: those on the path to the answer first, in an order in which each follows the
    /// quantities it is computed from, then those that the answer does not need.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.dag.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// The graph as an SVG picture.
    pub(crate) fn svg(&self) -> String {
        svg(&self.dag)
    }

    fn _repr_html_(&self) -> String {
        self.svg()
    }

    fn __len__(&self) -> usize {
        self.dag.nodes.len()
    }

    fn __str__(&self) -> String {
        text(&self.dag)
    }

    fn __repr__(&self) -> String {
        format!("Graph({})", named(self.dag.nodes.len(), "quantity", "quantities"))
    }
}
