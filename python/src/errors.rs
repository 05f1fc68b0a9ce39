//! Errors of the crates as Python's, with the sentence that the program prints.

use std::error::Error;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use runs::FileError;
use train::error::RunError;

/// What was asked for is impossible.
pub(crate) fn wrong(error: &(dyn Error + 'static)) -> PyErr {
    PyValueError::new_err(tercet::sentence(error))
}

/// What was asked for is impossible, in a sentence of our own.
pub(crate) fn refused(sentence: impl Into<String>) -> PyErr {
    PyValueError::new_err(sentence.into())
}

/// A run, a plan or a report failed: a wrong recipe is a `ValueError`, a file that cannot be read or written an `OSError`.
pub(crate) fn failed(error: &(dyn Error + 'static)) -> PyErr {
    let sentence = tercet::sentence(error);
    let mut cause = Some(error);
    while let Some(this) = cause {
        let asked = matches!(
            this.downcast_ref(),
            Some(
                RunError::Recipe(_) | RunError::Unknown { .. } | RunError::Foreign { .. } | RunError::Spec(_)
            )
        );
        if asked || this.is::<train::recipe::RecipeError>() {
            return PyValueError::new_err(sentence);
        }
        if this.is::<FileError>() || this.is::<std::io::Error>() {
            return PyOSError::new_err(sentence);
        }
        cause = this.source();
    }
    PyRuntimeError::new_err(sentence)
}
