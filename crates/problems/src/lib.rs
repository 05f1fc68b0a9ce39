//! The problem world: dependency graphs, contexts, rendering, and the judge that verifies solutions.
//!
//! ```
//! use tercet_problems::{Cell, Contexts, Generator, World, gold::Mode};
//! let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, None)?;
//! let cell = Cell { op: 6, context: "zoo".into(), mode: Mode::Forward };
//! let problem = generator.sequence(&cell)?.problem(41);
//! assert_eq!(problem.stats().op, 6);
//! assert!(problem.solution.ends_with(&format!("Answer: {}.", problem.answer)));
//! # Ok::<(), tercet_problems::SpecError>(())
//! ```

mod check;
mod identity;
mod judge;
mod make;
mod problem;
mod tell;
mod world;

pub use check::{audit, compare, mutate, parse};
pub use identity::split;
pub use judge::{gold, reward, topology, verify};
pub use make::generate::{Generator, Sequence};
pub use problem::{Problem, Record, RecordError};
pub use split::{Split, SplitRule};
pub use tell::render;
pub use world::context::{Context, Contexts};
pub use world::spec::{Cell, SpecError, World};
pub use world::{class, context, graph, linear, spec, stream};
