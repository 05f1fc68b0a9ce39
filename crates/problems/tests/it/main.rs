//! One binary for all integration tests of the crate.

mod any_text;
mod architecture;
mod cases;
mod compatibility;
mod data;
mod golden;
mod judged;
mod mutants;
mod names;
mod properties;
mod published;
mod reference;
mod responses;
mod rewards;
mod solved;
mod solver;
