//! The problem world: dependency graphs, contexts, rendering, and the judge that verifies solutions.
//!
//! ```
//! use tercet_problems::{Cell, Contexts, Generator, World, gold::Mode};
//! let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, None)?;
//! let cell = Cell { op: 6, context: "zoo".into(), mode: Mode::Forward };
//! generator.check(&cell)?;
//! let problem = generator.problem(&cell, 41);
//! assert_eq!(problem.stats().op, 6);
//! assert!(problem.solution.ends_with(&format!("Answer: {}.", problem.answer)));
//! # Ok::<(), tercet_problems::SpecError>(())
//! ```

pub mod audit;
pub mod class;
pub mod compare;
pub mod context;
mod distract;
pub mod generator;
pub mod gold;
pub mod grammar;
pub mod graph;
pub mod identity;
pub mod linear;
pub mod mix;
pub mod mutate;
pub mod parse;
mod plan;
pub mod problem;
pub mod render;
pub mod reward;
pub mod spec;
pub mod split;
pub mod stream;
pub mod topology;
pub mod verify;
mod wire;

pub use context::{Context, Contexts};
pub use generator::Generator;
pub use problem::{Problem, Record, RecordError};
pub use spec::{Cell, SpecError, World};
pub use split::{Split, SplitRule};

/// Runs the Rust example of the repository's README as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
