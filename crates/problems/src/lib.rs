#![doc = include_str!("../README.md")]

mod check;
mod identity;
mod judge;
mod make;
mod problem;
pub mod responses;
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

/// Runs the Rust example of the repository's README as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
