//! Files of problems, and the problems of a recipe's mix.

use std::path::PathBuf;
use std::sync::Mutex;

use ::problems as made;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use tercet::{BLOCK, Written};
use train::data::Reading;
use train::recipe::Recipe;
use train::rl::{Advantage, advantages as of_groups};

use crate::errors::{failed, refused, wrong};
use crate::problem::Problem;

/// Writes problems to a file that trainers read, as `tercet problems --format FORMAT --out PATH` does, with the same bytes.
/// Returns how many there were.
///
/// - `problems`: any iterable of them; it is read in blocks.
/// - `path`: `.parquet`, or lines, compressed if the name ends in `.gz` or `.zst`.
/// - `format`: `records`, `text`, `sft`, `prompts` or `chat`.
///
/// Raises `ValueError` if there is no such format, and `OSError` if the file cannot be written.
#[pyfunction]
#[pyo3(signature = (problems, path, format = "records"))]
pub(crate) fn write(
    py: Python<'_>,
    problems: &Bound<'_, PyAny>,
    path: PathBuf,
    format: &str,
) -> PyResult<u64> {
    let mut file = Written::new(&path, format).map_err(refused)?;
    let unwritten = |sentence: String| PyOSError::new_err(sentence);
    let mut block: Vec<made::Problem> = Vec::with_capacity(BLOCK);
    for problem in problems.try_iter()? {
        block.push(problem?.cast::<Problem>()?.get().problem.clone());
        if block.len() == BLOCK {
            py.detach(|| file.push(&block)).map_err(unwritten)?;
            block.clear();
        }
    }
    py.detach(|| {
        file.push(&block)?;
        file.finish()
    })
    .map_err(unwritten)
}

/// The problems of a recipe's mix, without end, in the order in which the first stage that is trained on it reads them, as
/// `tercet problems --mix NAME` writes them; the package's `mix` calls it.
#[pyfunction]
pub(crate) fn reading(
    py: Python<'_>,
    recipe: PathBuf,
    overrides: Vec<String>,
    mix: &str,
    seed: u64,
) -> PyResult<Mix> {
    let read = || Reading::of_mix(&Recipe::open(&recipe, &overrides)?, mix, seed);
    let reading = py.detach(read).map_err(|e| match e {
        train::error::RunError::Data(_) => wrong(&e),
        _ => failed(&e),
    })?;
    Ok(Mix { reading: Mutex::new(reading) })
}

/// An iterator over the problems of a mix; it has no end.
#[pyclass(frozen, module = "tercet")]
pub(crate) struct Mix {
    reading: Mutex<Reading>,
}

#[pymethods]
impl Mix {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Problem>>> {
        let Ok(mut reading) = self.reading.lock_py_attached(py) else {
            return Err(refused("another thread failed in this iterator"));
        };
        match reading.next() {
            Some(problem) => Bound::new(py, Problem::new(problem.map_err(|e| failed(&e))?)).map(Some),
            None => Ok(None),
        }
    }
}

/// The advantage of every response, from the rewards of each prompt's group, as a recipe's `advantage` computes it. A group
/// with equal rewards gets zeros.
///
/// - `rewards`: a list for each prompt.
/// - `kind`: `grpo`, (r − mean) / (std + 1e-6) with the sample standard deviation; `grpo-no-std`, r − mean; `rloo`, r − the
///   mean of the others; or another of a recipe's that has no setting of its own.
#[pyfunction]
#[pyo3(signature = (rewards, kind = "grpo"))]
pub(crate) fn advantages(rewards: Vec<Vec<f64>>, kind: &str) -> PyResult<Vec<Vec<f64>>> {
    let kind: Advantage = serde_json::from_value(kind.into()).map_err(|_| {
        refused(format!(
            "there is no advantage `{kind}`; known are grpo, grpo-no-std, rloo, \
             reinforce-plus-plus, max-rl, w-reinforce"
        ))
    })?;
    Ok(of_groups(kind, &rewards))
}
