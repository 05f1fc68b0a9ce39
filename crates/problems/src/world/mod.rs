//! What problems are made of: graphs and their values, contexts, and the bounds that everything is drawn in.
//!
//! This room knows no other room.

pub mod class;
pub(crate) mod colour;
pub mod context;
pub mod graph;
pub mod linear;
pub(crate) mod mode;
pub(crate) mod name;
pub mod spec;
pub mod stream;
