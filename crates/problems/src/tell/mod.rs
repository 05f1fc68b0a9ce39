//! Telling a graph as a story: words, sentences, solutions.

mod clauses;
pub(crate) mod layout;
pub(crate) mod parts;
mod prose;
pub mod render;
mod terse;
