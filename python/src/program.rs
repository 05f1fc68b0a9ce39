//! The command line, compiled in.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the program `tercet` with these arguments, of which the first is its name, and returns its exit code. Call it once
/// in a process: it sets the number of threads and the handlers of signals.
#[pyfunction]
pub(crate) fn program(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| {
        let code = tercet::main(args);
        // No other code of ours does it when the interpreter ends. A reader that has gone is no error.
        let _ = std::io::stdout().flush();
        (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
    })
}
