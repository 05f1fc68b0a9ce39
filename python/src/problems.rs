//! Many problems: a sequence that makes each when it is asked for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use ::problems as made;
use made::{Contexts, Generator, Sequence, SplitRule};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use pyo3::types::{PyDict, PyList, PySlice};
use serde::{Deserialize, Serialize};

use crate::errors::{refused, wrong};
use crate::problem::Problem;
use crate::shown::named;
use crate::world::{Cell, Context, World, library};
use crate::{given, parallel};

/// Problems that an iterator makes at once, at first and at most.
const BLOCKS: (usize, usize) = (8, 1024);

/// All that decides the problems.
#[derive(Serialize, Deserialize)]
struct Asked {
    world: made::World,
    /// The files of contexts that do not come with the library.
    contexts: Vec<String>,
    cells: Vec<made::Cell>,
    seed: u64,
    split: Option<(made::Split, SplitRule)>,
    /// Problems of each cell.
    n: u64,
    /// The first problem's number in each cell.
    start: u64,
}

/// Checked cells.
struct Source {
    asked: Asked,
    sequences: Vec<Sequence>,
}

impl Source {
    fn new(asked: Asked) -> PyResult<Self> {
        let mut contexts = Contexts::builtin();
        for text in &asked.contexts {
            let context = made::Context::from_toml(text).map_err(|e| wrong(&e))?;
            contexts.add(context).map_err(|e| wrong(&e))?;
        }
        let generator =
            Generator::new(&asked.world, &contexts, asked.seed, asked.split).map_err(|e| wrong(&e))?;
        let sequences = asked.cells.iter().map(|cell| generator.sequence(cell).map_err(|e| wrong(&e)));
        let sequences = sequences.collect::<PyResult<Vec<_>>>()?;
        if asked.start.checked_add(asked.n).is_none() {
            return Err(refused(format!("start {} leaves no room for {} problems", asked.start, asked.n)));
        }
        let all = asked.n.checked_mul(sequences.len() as u64);
        if all.is_none_or(|all| i64::try_from(all).is_err()) {
            return Err(refused(format!("{} problems of each cell are too many", asked.n)));
        }
        Ok(Self { asked, sequences })
    }

    fn problem(&self, k: u64) -> made::Problem {
        let sequence = &self.sequences[(k / self.asked.n) as usize];
        sequence.problem(self.asked.start + k % self.asked.n)
    }
}

/// What decides the problems, as JSON, and the first, the distance to the next, and how many.
type Slice = (String, i64, i64, usize);

/// Problems, made when they are asked for: a sequence with random access and slices, in the order of
/// `tercet problems`. Problem i of a cell depends on the world, the seed, the split and i, and on nothing else.
///
/// It can be given to a `torch.utils.data.DataLoader` as it is, and its rows to `datasets.Dataset.from_generator`.
/// Making problems releases the interpreter's lock.
#[pyclass(frozen, module = "tercet", mapping)]
#[derive(Clone)]
pub(crate) struct Problems {
    source: Arc<Source>,
    /// The first, the distance to the next, and how many: a slice of all.
    first: i64,
    step: i64,
    len: usize,
}

impl Problems {
    fn number(&self, i: usize) -> u64 {
        (self.first + self.step * i as i64) as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Problem `i`, which is below the length.
    pub(crate) fn make(&self, i: usize) -> made::Problem {
        self.source.problem(self.number(i))
    }

    /// The place that an index means; negative ones count from the end.
    fn place(&self, index: isize) -> PyResult<usize> {
        let place = if index < 0 { index.checked_add_unsigned(self.len) } else { Some(index) };
        let place = place.and_then(|place| usize::try_from(place).ok()).filter(|&place| place < self.len);
        place.ok_or_else(|| {
            PyIndexError::new_err(format!("there is no problem {index}: there are {}", self.len))
        })
    }
}

#[pymethods]
impl Problems {
    fn __len__(&self) -> usize {
        self.len
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let part = slice.indices(self.len as isize)?;
            let (start, step) = (part.start as i64, part.step as i64);
            let first = self.first + self.step * start;
            let part = Self { first, step: self.step * step, len: part.slicelength, ..self.clone() };
            return Ok(Bound::new(py, part)?.into_any());
        }
        let Ok(index) = index.extract::<isize>() else {
            let given = index.get_type().name()?;
            return Err(PyTypeError::new_err(format!("indices are whole numbers or slices, not {given}")));
        };
        let place = self.place(index)?;
        let problem = py.detach(|| self.make(place));
        Ok(Bound::new(py, Problem::new(problem))?.into_any())
    }

    /// The problems at these places, made on all cores (what a `DataLoader` asks for a batch).
    fn __getitems__<'py>(&self, py: Python<'py>, indices: Vec<isize>) -> PyResult<Bound<'py, PyList>> {
        let places = indices.into_iter().map(|index| self.place(index)).collect::<PyResult<Vec<_>>>()?;
        let made = py.detach(|| parallel::map(places.len(), |i| self.make(places[i])));
        PyList::new(
            py,
            made.into_iter().map(Problem::new).map(|p| Bound::new(py, p)).collect::<PyResult<Vec<_>>>()?,
        )
    }

    fn __iter__(&self) -> Ahead {
        Ahead { problems: self.clone(), rows: false, state: Mutex::default() }
    }

    fn __reversed__(&self) -> Ahead {
        let last = self.first + self.step * (self.len as i64 - 1);
        let backwards = Self { first: last, step: -self.step, ..self.clone() };
        Ahead { problems: backwards, rows: false, state: Mutex::default() }
    }

    /// An iterator over the problems as rows of a data set; see `Problem.row`.
    fn rows(&self) -> Ahead {
        Ahead { problems: self.clone(), rows: true, state: Mutex::default() }
    }

    fn __repr__(&self) -> String {
        let cells = self.source.sequences.len();
        format!("Problems({} of {})", named(self.len, "problem", "problems"), named(cells, "cell", "cells"))
    }

    fn __eq__(&self, other: &Self) -> PyResult<bool> {
        let ends = |p: &Self| (p.len, p.first, if p.len > 1 { p.step } else { 0 });
        Ok(ends(self) == ends(other) && self.json()? == other.json()?)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Slice)> {
        Ok((library(py, "problems_from_json")?, (self.json()?, self.first, self.step, self.len)))
    }
}

impl Problems {
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&self.source.asked).map_err(|e| wrong(&e))
    }
}

/// Makes pickled problems again.
#[pyfunction]
pub(crate) fn problems_from_json(asked: &str, first: i64, step: i64, len: usize) -> PyResult<Problems> {
    let asked: Asked = serde_json::from_str(asked).map_err(|e| wrong(&e))?;
    let source = Source::new(asked)?;
    let all = source.asked.n.saturating_mul(source.sequences.len() as u64);
    let inside = |i: i64| u64::try_from(i).is_ok_and(|i| i < all);
    let last = i64::try_from(len).ok().and_then(|len| step.checked_mul(len - 1)?.checked_add(first));
    if len > 0 && !(inside(first) && last.is_some_and(inside)) {
        return Err(refused(format!("there are {all} problems, and the slice goes beyond")));
    }
    Ok(Problems { source: Arc::new(source), first, step, len })
}

/// Goes through problems and makes them ahead, on all cores.
#[pyclass(frozen, module = "tercet", name = "ProblemIterator")]
pub(crate) struct Ahead {
    problems: Problems,
    rows: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: usize,
    block: usize,
    ahead: VecDeque<made::Problem>,
}

#[pymethods]
impl Ahead {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(mut state) = self.state.lock_py_attached(py) else {
            return Err(refused("another thread failed in this iterator"));
        };
        if state.ahead.is_empty() {
            let (least, most) = BLOCKS;
            state.block = (2 * state.block).clamp(least, most).min(self.problems.len - state.next);
            let (from, block) = (state.next, state.block);
            let made = py.detach(|| parallel::map(block, |i| self.problems.make(from + i)));
            state.next += block;
            state.ahead = made.into();
        }
        let Some(problem) = state.ahead.pop_front().map(Problem::new) else { return Ok(None) };
        drop(state);
        let item = if self.rows { problem.row(py)?.into_any() } else { Bound::new(py, problem)?.into_any() };
        Ok(Some(item))
    }

    fn __length_hint__(&self, py: Python<'_>) -> usize {
        let left = |state: &State| self.problems.len - state.next + state.ahead.len();
        self.state.lock_py_attached(py).map_or(0, |state| left(&state))
    }
}

/// Problems of exact difficulty, as `tercet problems` writes them: `n` of each cell, context by context, in each mode by
/// mode, in each op by op.
///
/// - `op`: numbers of operations, as `4`, `"2-8"`, `"2-6,9"` or a list of numbers.
/// - `context`: name of a context that comes with Tercet, a `Context`, or several of them.
/// - `mode`: `forward`, `reverse`, or both in a list.
/// - `cells`: cells in place of `op`, `context` and `mode`.
/// - `n`: problems of each cell. Nothing is made before it is asked for, so `n` may be as large as you like.
/// - `seed`: problems of other seeds are other problems.
/// - `split`: only problems of `train`, `rl`, `validation` or `test`. Splits keep structures apart; `by_text` keeps texts
///   apart instead, the paper's weaker rule.
/// - `start`: number of the first problem of each cell.
/// - `world`: the bounds that problems are drawn in, as a `World` or a dict of its knobs.
///
/// Raises `ValueError` if no such problem can be made.
#[pyfunction]
#[pyo3(signature = (op = None, context = None, mode = None, *, cells = None, n = 10, seed = 1, split = None, by_text = false, start = 0, world = None))]
#[expect(clippy::too_many_arguments, reason = "keywords, as the program's options")]
pub(crate) fn generate(
    py: Python<'_>,
    op: Option<&Bound<'_, PyAny>>,
    context: Option<&Bound<'_, PyAny>>,
    mode: Option<&Bound<'_, PyAny>>,
    cells: Option<Vec<Bound<'_, Cell>>>,
    n: u64,
    seed: u64,
    split: Option<&str>,
    by_text: bool,
    start: u64,
    world: Option<&Bound<'_, PyAny>>,
) -> PyResult<Problems> {
    let mut contexts = Vec::new();
    let cells = match (cells, op) {
        (Some(_), Some(_)) => return Err(refused("give `op` or `cells`, not both")),
        (None, None) => return Err(refused("say which problems: `op` or `cells`")),
        (Some(cells), None) if context.is_none() && mode.is_none() => {
            cells.iter().map(|cell| cell.get().0.clone()).collect()
        }
        (Some(_), None) => return Err(refused("`cells` say their context and their mode themselves")),
        (None, Some(op)) => product(op, context, mode, &mut contexts)?,
    };
    if cells.is_empty() {
        return Err(refused("no op is named"));
    }
    let rule = if by_text { SplitRule::Text } else { SplitRule::Structure };
    if by_text && split.is_none() {
        return Err(refused("`by_text` says how `split` is decided: give both"));
    }
    let split = split.map(|name| Ok::<_, PyErr>((given::split(name)?, rule))).transpose()?;
    let world = world.map(world_of).transpose()?.unwrap_or_default();
    let asked = Asked { world, contexts, cells, seed, split, n, start };
    let source = py.detach(|| Source::new(asked))?;
    let len = (source.asked.n as usize) * source.sequences.len();
    Ok(Problems { source: Arc::new(source), first: 0, step: 1, len })
}

fn world_of(given: &Bound<'_, PyAny>) -> PyResult<made::World> {
    if let Ok(world) = given.cast::<World>() {
        return Ok(world.get().0.clone());
    }
    match given.cast::<PyDict>() {
        Ok(knobs) => Ok(given
            .py()
            .get_type::<World>()
            .call_method1("from_dict", (knobs,))?
            .cast::<World>()?
            .get()
            .0
            .clone()),
        Err(_) => Err(PyTypeError::new_err("a world is a World or a dict of its knobs")),
    }
}

/// The cells of ops, contexts and modes, in the order of the program. The texts of contexts that are given as such are put
/// in `texts`.
fn product(
    op: &Bound<'_, PyAny>,
    context: Option<&Bound<'_, PyAny>>,
    mode: Option<&Bound<'_, PyAny>>,
    texts: &mut Vec<String>,
) -> PyResult<Vec<made::Cell>> {
    let ops = given::ops(op)?;
    let mut modes = Vec::new();
    for name in mode.map(given::names).transpose()?.unwrap_or_else(|| vec!["forward".to_owned()]) {
        modes.push(given::mode(&name)?);
    }
    let mut names = Vec::new();
    let given = context.map(given::several).transpose()?;
    for context in given.iter().flatten() {
        if let Ok(own) = context.cast::<Context>() {
            let own = own.get();
            names.push(own.context.name.clone());
            if !own.is_builtin() {
                texts.push(own.text.clone());
            }
        } else {
            names.push(context.extract()?);
        }
    }
    if given.is_none() {
        names.push("zoo".to_owned());
    }
    distinct("context", names.iter().map(String::as_str))?;
    distinct("mode", modes.iter().map(|mode| mode.name()))?;
    let mut cells = Vec::new();
    for context in &names {
        for &mode in &modes {
            cells.extend(ops.iter().map(|&op| made::Cell { op, context: context.clone(), mode }));
        }
    }
    Ok(cells)
}

/// Refuses what is named twice: every problem would be there twice.
fn distinct<'a>(option: &str, names: impl Iterator<Item = &'a str>) -> PyResult<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(refused(format!("{option} names `{name}` twice")));
        }
    }
    Ok(())
}
