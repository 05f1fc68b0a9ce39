//! The problem world: dependency graphs, contexts, rendering, and the judge that verifies solutions.

pub mod gold;
pub mod grammar;
pub mod linear;
pub mod reward;
pub mod verify;
