//! The tokens crate.
