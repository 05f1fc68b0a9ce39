//! Worlds, cells and contexts.

use std::path::PathBuf;

use ::problems as made;
use made::context::ContextError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pythonize::{depythonize, pythonize};
use serde::Deserialize as _;
use train::recipe::Recipe;

use crate::errors::{failed, refused, wrong};
use crate::given;

/// The bounds that problems are drawn in: every knob of the generator, with the reference generator's values as
/// defaults (`docs/problems.md`; paper, Section 2). Knobs are named as in a recipe's `[world]`, e.g.
/// `World(max_value=20, distractors=0)`.
#[pyclass(frozen, eq, module = "tercet")]
#[derive(Clone, PartialEq)]
pub(crate) struct World(pub(crate) made::World);

/// A dict as a TOML table; a key whose value is None is as good as absent.
fn table(given: &Bound<'_, PyDict>) -> PyResult<toml::Table> {
    let present = PyDict::new(given.py());
    for (key, value) in given.iter() {
        if !value.is_none() {
            present.set_item(key, value)?;
        }
    }
    depythonize(&present).map_err(|e| refused(e.to_string()))
}

fn read(path: &PathBuf) -> PyResult<String> {
    Ok(std::fs::read_to_string(path)?)
}

impl World {
    fn of_table(table: toml::Table) -> PyResult<Self> {
        let world = made::World::deserialize(table).map_err(|e| refused(e.message()))?;
        world.check().map_err(|e| wrong(&e))?;
        Ok(Self(world))
    }

    pub(crate) fn toml(&self) -> PyResult<String> {
        toml::to_string(&self.0).map_err(|e| wrong(&e))
    }
}

#[pymethods]
impl World {
    #[new]
    #[pyo3(signature = (**knobs))]
    fn new(knobs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        knobs.map_or_else(|| Ok(Self(made::World::default())), Self::from_dict)
    }

    /// A world from a dict of knobs.
    #[staticmethod]
    fn from_dict(knobs: &Bound<'_, PyDict>) -> PyResult<Self> {
        Self::of_table(table(knobs)?)
    }

    /// A world from TOML text with the keys of a recipe's `[world]`.
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        Self::of_table(toml::from_str(text).map_err(|e: toml::de::Error| refused(e.to_string()))?)
    }

    /// A world from a TOML file with the keys of a recipe's `[world]`.
    #[staticmethod]
    fn from_file(path: PathBuf) -> PyResult<Self> {
        Self::from_toml(&read(&path)?)
    }

    /// The world of a recipe, at one of its scales.
    #[staticmethod]
    #[pyo3(signature = (path, scale = None))]
    fn from_recipe(path: PathBuf, scale: Option<&str>) -> PyResult<Self> {
        let overrides: Vec<String> = scale.iter().map(|name| format!("scale={name}")).collect();
        let recipe = Recipe::open(&path, &overrides).map_err(|e| failed(&e))?;
        Ok(Self(recipe.document.world))
    }

    /// Every knob with its value.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = serde_json::to_value(&self.0).map_err(|e| wrong(&e))?;
        Ok(pythonize(py, &json)?)
    }

    /// The world as TOML text, with the keys of a recipe's `[world]`.
    fn to_toml(&self) -> PyResult<String> {
        self.toml()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let default = World(made::World::default()).to_dict(py)?.cast_into::<PyDict>()?;
        let mut knobs = Vec::new();
        for (name, value) in &self.to_dict(py)?.cast_into::<PyDict>()? {
            if default.get_item(&name)?.is_none_or(|usual| usual.ne(&value).unwrap_or(true)) {
                knobs.push(format!("{}={}", name.str()?, value.repr()?));
            }
        }
        Ok(format!("World({})", knobs.join(", ")))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((library(py, "world_from_toml")?, (self.toml()?,)))
    }
}

/// A function of this module, for pickles.
pub(crate) fn library<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("tercet._lib")?.getattr(name)
}

/// Makes a pickled world again.
#[pyfunction]
pub(crate) fn world_from_toml(text: &str) -> PyResult<World> {
    World::from_toml(text)
}

/// The kind of a problem: op × context × mode.
///
/// `op` is the number of operations, the sum of the in-degrees of the quantities that the answer depends on, literals
/// included (paper, Section 2). `context` is the story's name. `mode` is `forward`, which asks for the last quantity, or
/// `reverse`, which gives its value and asks for an earlier one.
#[pyclass(frozen, eq, hash, module = "tercet")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cell(pub(crate) made::Cell);

#[pymethods]
impl Cell {
    #[new]
    #[pyo3(signature = (op, context = "zoo", mode = "forward"))]
    fn new(op: u32, context: &str, mode: &str) -> PyResult<Self> {
        Ok(Self(made::Cell { op, context: context.to_owned(), mode: given::mode(mode)? }))
    }

    /// A cell from a dict with `op`, `context` and `mode`.
    #[staticmethod]
    fn from_dict(cell: &Bound<'_, PyDict>) -> PyResult<Self> {
        made::Cell::deserialize(table(cell)?).map(Self).map_err(|e| refused(e.message()))
    }

    /// A cell from TOML text with `op`, `context` and `mode`.
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        toml::from_str(text).map(Self).map_err(|e: toml::de::Error| refused(e.to_string()))
    }

    /// The number of operations.
    #[getter]
    fn op(&self) -> u32 {
        self.0.op
    }

    /// The name of the context.
    #[getter]
    fn context(&self) -> &str {
        &self.0.context
    }

    /// `forward` or `reverse`.
    #[getter]
    fn mode(&self) -> &'static str {
        self.0.mode.name()
    }

    fn __repr__(&self) -> String {
        format!("Cell(op={}, context='{}', mode='{}')", self.op(), self.context(), self.mode())
    }

    fn __getnewargs__(&self) -> (u32, &str, &'static str) {
        (self.op(), self.context(), self.mode())
    }
}

/// A story that problems are told in: names of places and things, and phrases. A context of one's own is a TOML file as
/// in `recipes/contexts`; loading it lets the judge verify correct solutions with each of its names.
#[pyclass(frozen, module = "tercet")]
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) context: made::Context,
    pub(crate) text: String,
}

impl Context {
    fn read(text: &str, place: &str) -> PyResult<Self> {
        let wrong = |e: ContextError| refused(format!("{place}{e}"));
        Ok(Self { context: made::Context::from_toml(text).map_err(wrong)?, text: text.to_owned() })
    }

    /// Whether a context of this text comes with the library.
    pub(crate) fn is_builtin(&self) -> bool {
        made::Contexts::builtin_file(&self.context.name) == Some(self.text.as_str())
    }
}

#[pymethods]
impl Context {
    /// A context from TOML text.
    #[staticmethod]
    fn from_toml(text: &str) -> PyResult<Self> {
        Self::read(text, "")
    }

    /// A context from a dict with the keys of its TOML file.
    #[staticmethod]
    fn from_dict(context: &Bound<'_, PyDict>) -> PyResult<Self> {
        let text = toml::to_string(&table(context)?).map_err(|e| wrong(&e))?;
        Self::read(&text, "")
    }

    /// A context from a TOML file.
    #[staticmethod]
    fn from_file(path: PathBuf) -> PyResult<Self> {
        Self::read(&read(&path)?, &format!("{}: ", path.display()))
    }

    /// A context that comes with Tercet, by its name.
    #[staticmethod]
    fn builtin(name: &str) -> PyResult<Self> {
        match made::Contexts::builtin_file(name) {
            Some(text) => Self::read(text, ""),
            None => {
                Err(refused(format!("there is no context `{name}`; known are {}", Self::names().join(", "))))
            }
        }
    }

    /// The names of the contexts that come with Tercet.
    #[staticmethod]
    fn names() -> Vec<String> {
        made::Contexts::builtin().names().map(str::to_owned).collect()
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.context.name
    }

    /// Its file's text.
    fn to_toml(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("Context('{}')", self.context.name)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.text == other.text
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((library(py, "context_from_toml")?, (self.text.clone(),)))
    }
}

/// Makes a pickled context again.
#[pyfunction]
pub(crate) fn context_from_toml(text: &str) -> PyResult<Context> {
    Context::from_toml(text)
}
