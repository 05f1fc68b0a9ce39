//! The extension behind the Python package `tercet`: it holds the program, and lends Python the problems, the judge,
//! the rewards and the runs. Logic lives in the crates; this crate translates.

mod errors;
mod given;
mod graph;
mod judge;
mod offsets;
mod parallel;
mod problem;
mod problems;
mod program;
mod reward;
mod run;
mod shown;
mod verdict;
mod world;
mod write;

use pyo3::prelude::*;

/// The extension module of the package `tercet`: use the package.
#[pymodule]
#[pyo3(module = "tercet")]
mod _lib {
    #[pymodule_export]
    use super::graph::Graph;
    #[pymodule_export]
    use super::judge::{explain, verify, verify_many};
    #[pymodule_export]
    use super::problem::{Problem, problem_from_json};
    #[pymodule_export]
    use super::problems::{Ahead, Problems, generate, problems_from_json};
    #[pymodule_export]
    use super::program::program;
    #[pymodule_export]
    use super::reward::{Reward, reward};
    #[pymodule_export]
    use super::run::{execute, plan, report, results};
    #[pymodule_export]
    use super::verdict::{Fault, Quantity, Step, Verdict};
    #[pymodule_export]
    use super::world::{Cell, Context, World, context_from_toml, world_from_toml};
    #[pymodule_export]
    use super::write::{Mix, advantages, reading, write};
}
