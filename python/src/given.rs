//! What callers may write: one value or several, a number or a range.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use ::problems::Split;
use ::problems::gold::Mode;
use ::problems::verify::Policy;
use pyo3::prelude::*;
use pyo3::types::PyString;
use runs::OpList;

use crate::errors::refused;

/// `Policy` by its name.
pub(crate) fn policy(name: &str) -> PyResult<Policy> {
    let known = || Policy::ALL.map(Policy::name).join(", ");
    Policy::from_str(name).map_err(|_| refused(format!("there is no policy `{name}`; known are {}", known())))
}

/// `Mode` by its name.
pub(crate) fn mode(name: &str) -> PyResult<Mode> {
    let known = || Mode::ALL.map(Mode::name).join(", ");
    Mode::from_str(name).map_err(|_| refused(format!("there is no mode `{name}`; known are {}", known())))
}

/// `Split` by its name.
pub(crate) fn split(name: &str) -> PyResult<Split> {
    let known = || Split::ALL.map(Split::name).join(", ");
    Split::from_str(name).map_err(|_| refused(format!("there is no split `{name}`; known are {}", known())))
}

/// Ops: `4`, `"2-8"`, `"2-6,9"` or a list of numbers.
pub(crate) fn ops(given: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    if let Ok(text) = given.cast::<PyString>() {
        return OpList::from_str(&text.to_cow()?).map(|list| list.0).map_err(refused);
    }
    let one = |given: &Bound<'_, PyAny>| -> PyResult<u32> {
        let number: i64 = given.extract()?;
        u32::try_from(number).map_err(|_| refused(format!("op {number} is out of bounds")))
    };
    if let Ok(op) = one(given) {
        return Ok(vec![op]);
    }
    match given.try_iter() {
        // In the order of the program, each once.
        Ok(many) => {
            many.map(|op| one(&op?)).collect::<PyResult<BTreeSet<u32>>>().map(|all| all.into_iter().collect())
        }
        Err(_) => one(given).map(|op| vec![op]),
    }
}

/// One value or several of them.
pub(crate) fn several<'py>(given: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if given.is_instance_of::<PyString>() {
        return Ok(vec![given.clone()]);
    }
    match given.try_iter() {
        Ok(many) => many.collect(),
        Err(_) => Ok(vec![given.clone()]),
    }
}

/// Texts, one or several.
pub(crate) fn names(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    several(given)?.iter().map(PyAnyMethods::extract::<String>).collect()
}
