//! The judge: reads a response as text, compares it with a graph, and rewards it.
//!
//! This room knows of the world's values only. It never sees how a problem is made, told or stored.

pub mod gold;
pub(crate) mod grammar;
pub mod reward;
pub mod topology;
pub mod verify;
